"""One file per network, named as `model.architecture` has it (conv_attention.py is `conv-attention`).

A file gives:

- `Config`: a frozen dataclass, all fields with defaults and bounds (see types.py);
- `build(config, n_features, n_labels)`: a torch module with `encode(x, lengths)`, (B, T, F) and (B,) -> (B, E),
  `classifier`, a linear layer (E -> K), and `forward(x, lengths)` -> (B, K) scores before the softmax;
  `_layers.Classifier` is such a module but for `encode`. What lies behind a length has no influence;
- `search_space(trial)`: what `ser tune` varies, a dictionary of `Config` fields, each suggested by Optuna under
  the name `architecture.FIELD`.
"""
