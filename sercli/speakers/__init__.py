"""Who speaks in a recording: embeddings of voices, and utterances grouped by speaker."""

from sercli.speakers.clustering import ONE_VOICE, assign, likeness, name
from sercli.speakers.embedding import embed

__all__ = ["ONE_VOICE", "assign", "embed", "likeness", "name"]
