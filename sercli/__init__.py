"""ser: speech emotion recognition from how it sounds and what is said.

    import sercli

    for prediction in sercli.load().predict("interview.m4a"):
        print(prediction.start_s, prediction.label, prediction.text)

What `__all__` names is stable; everything else is private. Nothing heavy is imported before it is used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.errors import AudioError, SerError
    from sercli.pipeline import Pipeline, load
    from sercli.types import Prediction, Word

# ONNX Runtime, which runs the speech detector, would otherwise send data about its use to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = ["AudioError", "Pipeline", "Prediction", "SerError", "Word", "__version__", "load"]

_HOMES = {"AudioError": "errors", "SerError": "errors", "Pipeline": "pipeline", "load": "pipeline"} | {
    "Prediction": "types",
    "Word": "types",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sercli' has no attribute '{name}'")
    return getattr(import_module(f"sercli.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
