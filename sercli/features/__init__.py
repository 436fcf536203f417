"""One file per representation, named as `model.feature` has it (log_mel.py is `log-mel`).

`sercli.plugins.Feature` says what a file must provide; UsesDevice, HasIdentity, ReadsFiles, HasWordPlaces, HasFrameStep
and NeedsExtra say what it may provide besides.
"""
