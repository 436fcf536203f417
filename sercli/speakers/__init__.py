"""Who speaks in a recording: embeddings of voices, and utterances grouped by speaker."""

from sercli.speakers.clustering import assign, name
from sercli.speakers.embedding import embed

__all__ = ["assign", "embed", "name"]
