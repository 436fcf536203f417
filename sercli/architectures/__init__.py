"""Architectures: one file each, named like the value of `model.architecture` (conv_attention.py: `conv-attention`).

The contracts are `Architecture` and `Network` in sercli/contracts.py; `_layers.Classifier` is a Network that lacks only
its encoder.
"""
