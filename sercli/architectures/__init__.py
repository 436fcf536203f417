"""One file per network, named as `model.architecture` has it (conv_attention.py is `conv-attention`).

The contracts are `Architecture` and `Network` in sercli/plugins.py; `_layers.Classifier` is a Network that lacks only
its encoder.
"""
