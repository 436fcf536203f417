"""`ser export`: a folder with a run as ONNX, what another program must know of it, and examples that use it."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from sercli import __version__, config, contracts, plugins, runs
from sercli._system import packages
from sercli._system.files import make_folder, refuse_links, refuse_others, write_atomic, write_json
from sercli.audio import silero
from sercli.errors import SerError, reason
from sercli.model.export.modules import LONGEST_S, SHORTEST_S, AfterDetection, BeforeDetector, Head
from sercli.model.inference import Model
from sercli.model.loading import load_model
from sercli.types import SAMPLE_RATE_HZ, AudioConfig

if TYPE_CHECKING:
    from onnx import ModelProto

WHOLE, INT8, HEAD, JSON = "model.onnx", "model-int8.onnx", "head.onnx", "model.json"
EXAMPLES = ("example.py", "example.js")

_OPSET = 18
_N_STATE = 128  # of the detector of speech
# What the whole way does with a recording, and what is to be done before and after it.
_INSIDE = ["offset and rumble removed", "cut to speech", "level of speech", "feature", "scaling"]
_OUTSIDE = ["decoding", "one channel", "resampling", "cutting a long recording into utterances", "adaptation"]
_FIXED = ("basis", "filterbank", "wide_band.weight")  # of the spectrogram and for the telephone: int8 leaves them alone


def export(run: Path, out: Path, *, int8: bool = False) -> tuple[str, ...]:
    """Write a run to a folder as ONNX, and return the names of the files.

    Args:
        run: a run directory of a model that reads one feature of audio.
        out: the folder to write to.
        int8: also write the whole way with weights of 8 bits.

    Raises:
        SerError: the run cannot be exported, the message says which can; or a package is missing.
    """
    model = _loaded(run)
    ((feature, own),) = model.features
    plugin = plugins.feature(feature)
    as_recorded = isinstance(own, AudioConfig) and own.speed == 1 and own.normalise == "none"
    whole = isinstance(plugin, contracts.HasModule) and as_recorded
    if int8 and not whole:
        raise SerError(f"{run}: --int8 is for runs of Whisper's encoder, and this one reads '{feature}'; leave it out.")
    names = (*((WHOLE, *EXAMPLES) if whole else ()), *((INT8,) if int8 else ()), HEAD, JSON)
    refuse_others(out, {*names}, "an export")
    refuse_links(*(out / name for name in names))
    for package in ("onnx", "onnxscript"):
        packages.load(package, "export")
    make_folder(out)
    head = _traced(Head(model), (torch.randn(1, 50, model.info.n_features),), 1, ["features"], ["probabilities"])
    write_atomic(out / HEAD, head.SerializeToString())
    if isinstance(plugin, contracts.HasModule) and whole:
        assert isinstance(own, AudioConfig)
        joined = _joined(AfterDetection(model, plugin.module(own), own.level_dbfs))
        write_atomic(out / WHOLE, joined.SerializeToString())
        if int8:
            write_atomic(out / INT8, lambda path: _quantise(joined, path))
        for example in EXAMPLES:
            write_atomic(out / example, (files("sercli.model.export") / "examples" / example).read_bytes())
    write_json(out / JSON, _described(model, names))
    return names


def _loaded(run: Path) -> Model:
    """Return the model of a run that can be exported."""
    info = runs.load_single(run)
    if info.kind == "ensemble":
        members = [f"{run / 'members' / name}" for name in info.settings.members if name.startswith("acoustic")]
        instead = f"give {' or '.join(members)}" if members else "it has none that reads audio alone; give another run"
        raise SerError(f"{run} is an ensemble, and ser exports its members one by one: {instead}.")
    if info.modality != "acoustic":
        what = {"linguistic": "text", "motion": "motion capture"}.get(info.modality, "several inputs")
        raise SerError(f"{run} reads {what}, and ser exports models that read audio alone; give an acoustic run.")
    model = load_model(run, torch.device("cpu"))
    if len(model.features) > 1:
        raise SerError(f"{run} reads {len(model.features)} features, and ser exports models of one; give another run.")
    if any(isinstance(part, nn.RNNBase) for part in model.module.modules()):
        raise SerError(
            f"{run}: torch cannot export the recurrence in '{model.spec.architecture}' for clips of any length; give a "
            "run of another architecture, such as layer-mix or conv-attention."
        )
    return model


def _joined(after: AfterDetection) -> "ModelProto":
    """Return the graph from samples to probabilities, with the detector of speech in the middle."""
    import onnx

    n_samples = 2 * SAMPLE_RATE_HZ
    before = BeforeDetector()
    samples = 0.1 * torch.randn(n_samples)
    signal, frames = before(samples)
    first = _traced(before, (samples,), 0, ["samples"], ["signal", "frames"])
    last = _traced(
        after, (signal, torch.rand(len(frames))), 0, ["after_signal", "detected"], ["probabilities", "speech"]
    )
    detector = _detector(first.ir_version)
    for graph, prefix in ((first, "before_"), (last, "after_")):
        onnx.compose.add_prefix(graph, prefix, rename_inputs=False, rename_outputs=False, inplace=True)
    merge = onnx.compose.merge_models
    merged = merge(first, detector, [("frames", "input")], outputs=["signal", "speech_probs"])
    merged = merge(merged, last, [("signal", "after_signal"), ("speech_probs", "detected")])
    del merged.opset_import[1:]  # one of each graph, all the same
    onnx.checker.check_model(merged)
    return merged


def _detector(ir_version: int) -> "ModelProto":
    """Return the graph of the detector of speech, which starts from silence: frames (T, 576) -> probabilities (T,)."""
    import onnx

    detector = onnx.version_converter.convert_version(onnx.load(silero.path()), _OPSET)
    detector.ir_version = ir_version
    del detector.graph.input[1:], detector.graph.output[1:]
    zeros = torch.zeros(1, 1, _N_STATE).numpy()
    detector.graph.initializer.extend(onnx.numpy_helper.from_array(zeros, name) for name in "hc")
    return onnx.compose.add_prefix(detector, "detector_", rename_inputs=False, rename_outputs=False)


def _traced(
    module: nn.Module, args: tuple[torch.Tensor, ...], dynamic: int, inputs: Sequence[str], outputs: Sequence[str]
) -> "ModelProto":
    """Return the graph of a module, whose inputs may be of any size along one axis."""
    with _hushed(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                args,
                dynamo=True,
                dynamic_shapes=tuple({dynamic: torch.export.Dim.DYNAMIC} for _ in args),
                input_names=inputs,
                output_names=outputs,
                opset_version=_OPSET,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            why = reason(error.__cause__ or error)
            raise SerError(f"torch cannot export this network ({why}); give a run of another architecture.") from None
    assert program is not None
    return program.model_proto


def _quantise(graph: "ModelProto", path: Path) -> None:
    """Write a graph whose products with weights are computed in 8 bits; the spectrogram stays as it is."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    fixed = [node.name for node in graph.graph.node if any(name.endswith(_FIXED) for name in node.input)]
    with _hushed():
        quantize_dynamic(
            graph,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=fixed,
        )


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the remarks of the exporters, which are for their authors, from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _described(model: Model, names: Sequence[str]) -> dict[str, object]:
    """Return the content of model.json."""
    ((feature, own),), whole = model.features, WHOLE in names
    samples = {
        "input": {"samples": "(n,) float32, mono, in [-1, 1]"},
        "output": {
            "probabilities": "(K,) in the order of labels; the temperature is applied",
            "speech": "share of the frames with speech; 0: nobody speaks, and ser predict gives no label",
        },
    }
    described = {
        HEAD: {
            "input": {"features": "(1, T, F) float32, as the feature is computed, not scaled"},
            "output": {"probabilities": "(1, K)"},
        },
        WHOLE: samples,
        INT8: samples,
    }
    return {
        "ser": __version__,
        "preset": model.info.name,
        "labels": model.labels,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "shortest_s": SHORTEST_S,
        "longest_s": LONGEST_S,
        "temperature": model.info.temperature,
        "class_scores": model.info.class_scores,
        "conditioning": {
            "inside": _INSIDE if whole else _INSIDE[-1:],
            "outside": _OUTSIDE if whole else ["everything that leads to the feature, such as `sercli` does it"],
            "level_dbfs": getattr(own, "level_dbfs", None),
        },
        "feature": {"name": feature, "n_features": model.info.n_features, **config.to_dict(own)},
        "architecture": model.spec.architecture,
        "files": {name: described[name] for name in names if name in described},
    }
