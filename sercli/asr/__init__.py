"""One module per speech recogniser, with the name that `--asr` takes; `contracts.Recogniser` is the interface."""
