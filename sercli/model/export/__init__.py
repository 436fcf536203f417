"""A trained network for other programs: ONNX files, what they need to know, and examples."""

from sercli.model.export.folder import export

__all__ = ["export"]
