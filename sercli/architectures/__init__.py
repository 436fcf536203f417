"""One file per network, named as `model.architecture` has it (conv_attention.py is `conv-attention`).

A file gives:

- `Config`: a frozen dataclass, all fields with defaults and bounds (see types.py);
- `build(config, n_features, n_labels)`: a torch module with `encode(x, lengths)`, (B, T, F) and (B,) -> (B, E),
  `classifier`, a linear layer (E -> K), and `forward(x, lengths)` -> (B, K) scores before the softmax;
  `_layers.Classifier` is such a module but for `encode`. What lies behind a length has no influence. One with an
  attention over time also gives `attend(x, lengths)`, and then `encode` is the first of the two that it returns;
- `search_space(trial)`: what `ser tune` varies, a dictionary of `Config` fields, each suggested by Optuna under
  the name `architecture.FIELD`.

A module may define `loss(targets, x, lengths)`, with targets (B, K), where training goes by something else than the
cross-entropy of its scores.

One whose training does not start from nothing also gives:

- `start(module, rows, y)`: give the module the weights that training starts from, or measure what it needs to know of
  the train part: rows (T, F) as they are scaled for it, and (N,) class indices. Nobody calls it where a trained run is
  loaded, which comes with its own. Parameters that are not to be trained have `requires_grad` off as `build` makes
  them; a module's `slow_parameters()` are those that take smaller steps, each with its share of `train.lr`.
"""
