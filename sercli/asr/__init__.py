"""One file per speech recogniser, named as `--asr` has it; `plugins.Recogniser` is the contract."""
