"""One file per fusion rule, named as `--rule` has it (max_confidence.py is `max-confidence`).

A file gives:

- `Config`: a frozen dataclass, all fields with defaults and bounds (see types.py);
- `combine(members, state)` -> (N, K) probabilities, from each member's `Predictions` and what was learned, by numpy;

- `LEARNS = False`, for a rule that learns nothing: it may combine members of different corpora;

and, for what it learns, either

- `fit(members, y, config)` -> state: the members' `Predictions` of the validation part and its classes y (N,) become
  named arrays, which travel as state.npz;

or, for a rule that is a network on top of the members' encoders,

- `build(config, encoders, embeddings, n_labels)`: the module to train, with `forward(x, lengths, x, lengths, ...)` ->
  (B, K) and a linear layer `classifier`; `embeddings` are the members' of the train part, each (N, E);
- `state_of(module)` -> state;
- a field `train_encoders` in `Config`: whether the encoders are trained on, too.
"""
