"""One module per speech recogniser, with the name that `--asr` takes; `plugins.Recogniser` is the interface."""
