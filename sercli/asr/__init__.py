"""One file per speech recogniser, named as `--asr` has it.

A file gives:

- `Config`: a frozen dataclass, all fields with defaults and bounds (see types.py);
- `VERSION`: a whole number, raised whenever the same sound and Config give other words;
- `identity(config)`: what the words depend on, JSON-safe: transcripts with another are made anew;
- `transcribe(audio, config)` -> `Transcript`: of a signal (n_samples,) float32 at `SAMPLE_RATE_HZ`; what takes long to
  load is kept for the next call; an engine that is not installed is a `SerError` that says what to install.
"""

SAMPLE_RATE_HZ = 16_000
"""The rate at which every recogniser gets its sound."""
