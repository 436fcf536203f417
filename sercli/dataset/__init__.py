"""The prepared dataset: manifest, splits, transcripts and cached features."""
