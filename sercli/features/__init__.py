"""Features: one file each, named like the value of `model.feature` (log_mel.py is `log-mel`).

`sercli.contracts.Feature` says what a file must provide; UsesDevice, HasIdentity, ReadsFiles, HasWordPlaces,
HasFrameStep and NeedsExtra describe what it may provide in addition.
"""
