"""One file per corpus, named as `ser prepare` has it.

A file gives:

- `HOMEPAGE`: where the corpus is from; `LICENCE`: what may be done with it;
- `LABELS`: every native label -> one of the four (`types.FOUR`), or None for those that `--labels four` leaves out;
- `SPLIT`: the kind of split that suits it (loso, speakers, prompts, official or seed); `official` takes each
  utterance's `attributes["part"]` (train, valid or test), and folds of speakers are balanced by `attributes["sex"]`;
- `FOLDS`: how many folds; None: one for each session or speaker;
- `read(root)`: an iterator over `Utterance`, its label a native one and its audio a path from the root on, and over
  `Remark` where something is skipped or odd. A root that does not hold the corpus is a `SerError`;
- `default_root()`, for a corpus that ships with ser: where it lies.
"""
