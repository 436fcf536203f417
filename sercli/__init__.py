"""ser: speech emotion recognition from how it sounds and what is said."""

__version__ = "0.1.0"
