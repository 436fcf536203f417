"""One module per corpus, with the name that `ser prepare` takes; `contracts.Corpus` is the interface.

`read(root)` yields `Utterance`s, with native labels and audio paths relative to the root, and a `Remark` for each thing
that is skipped or odd. A root without the corpus raises a `SerError`. The split `official` follows each
utterance's `attributes["part"]` (train, valid or test); folds of speakers are balanced by `attributes["sex"]`.
"""
