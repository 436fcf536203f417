"""One file per representation, named as `model.feature` has it (log_mel.py is `log-mel`).

A file gives:

- `INPUT`: "audio" or "text";
- `VERSION`: a whole number, raised whenever the same input and Config give other numbers: part of the cache's key;
- `DTYPE`: "float16" or "float32", as which the cache stores the rows;
- `Config`: a frozen dataclass, all fields with defaults and bounds (see types.py); for audio it extends `AudioConfig`,
  which says at which rate and level the signal arrives;
- `extract(x, config)` -> (T, F) float32 with T >= 1: of a signal (n_samples,) float32, or of a text. F follows from the
  Config alone.

One that needs a library or weights which an installation without extras lacks also gives:

- `EXTRA`: the extra of ser that brings them. It is computed only where it is asked for by name or by a model, never
  because a preset uses it; what is missing is a `SerError` of `extract` that says what to install.

One made from words, that can tell where its rows come from, also gives:

- `places(text, config)`: (T,) for each row of `extract` which word of `text.split()` it was made from, -1 for none.

One made from sound whose rows do not cover a clip from its beginning to its end, be it long or short, also gives:

- `row_s(config)`: the seconds from one row to the next, the first of which stands at the beginning.

A feature that reads files of its own (word vectors) also gives:

- `identity(config)`: what the numbers depend on, JSON-safe: the cache's key has it in place of the Config;
- `FILES`: names of the files that `export` writes;
- `export(config, folder)`: copy them into a run directory, so that the run can move;
- `localise(config, folder)`: the Config that reads them there.
"""
