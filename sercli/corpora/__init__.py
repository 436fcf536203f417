"""One file per corpus, named as `ser prepare` has it; `plugins.Corpus` is the contract.

`read(root)` yields `Utterance`s, with native labels and audio paths relative to the root, and a `Remark` for each thing
that is skipped or odd. A root that does not hold the corpus is a `SerError`. The split `official` goes by each
utterance's `attributes["part"]` (train, valid or test); folds of speakers are balanced by `attributes["sex"]`.
"""
