"""The walls of the house: imports point down only, and heavy libraries stay behind the doors that wrap them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sercli"

# Each room may import rooms below it. The first pattern that a module's name begins with is its room.
ROOMS = [
    ("sercli.__main__", 10),
    ("sercli.cli", 9),
    ("sercli.batch_runner", 8),
    ("sercli.pipeline", 7),
    ("sercli.training", 7),
    ("sercli.groups", 6),
    ("sercli.transcription", 6),
    ("sercli.evaluation", 6),
    ("sercli.model", 5),
    ("sercli.dataset", 4),
    ("sercli.corpora", 3),
    ("sercli.features", 3),
    ("sercli.architectures", 3),
    ("sercli.ensembles", 3),
    ("sercli.asr", 3),
    ("sercli.runs", 3),
    ("sercli.speakers", 3),
    ("sercli.audio", 2),
    ("sercli.whisper", 2),
    ("sercli.plugins", 2),
    ("sercli.contracts", 1),
    ("sercli.config", 1),
    ("sercli._system", 1),
    ("sercli.types", 0),
    ("sercli.errors", -1),
    ("sercli", -1),
]
PLUGIN_ROOMS = ("sercli.corpora", "sercli.features", "sercli.architectures", "sercli.ensembles", "sercli.asr")
HOMES = {
    "torch": (
        "sercli._system.devices",
        "sercli.contracts",  # for its protocols alone
        *(
            "sercli.architectures",
            "sercli.model",
            "sercli.ensembles.feature",
            "sercli.training",
            "sercli.whisper",
            "sercli.speakers.embedding",
        ),
        *("sercli.features.whisper_encoder", "sercli.features._whisper_samples", "sercli.features.sentence"),
        "sercli.features._telephone",
        *("sercli.features.wav2vec2", "sercli.features._transformers"),
    ),
    "safetensors": (
        "sercli.features._telephone",
        "sercli.model",
        "sercli.training",
        "sercli.whisper",
        "sercli.speakers",
    ),
    "transformers": ("sercli.features._transformers",),
    "tokenizers": ("sercli.features.sentence",),
    "faster_whisper": ("sercli.asr.whisper",),
    "ctranslate2": ("sercli.asr.whisper",),
    "jiwer": ("sercli.dataset.transcripts",),
    "huggingface_hub": ("sercli.whisper",),
    "av": ("sercli.audio.containers",),
    "silero_vad": (),  # its import sets torch's number of threads; sercli.audio.silero reads its model
    "onnxruntime": ("sercli.audio.silero", "sercli.model.export"),
    "librosa": ("sercli.features.mfcc",),
    "nltk": ("sercli.features.words",),
    "optuna": ("sercli.training",),
    "typer": ("sercli.cli",),
    "rich": ("sercli.cli.render",),
    "matplotlib": ("sercli.evaluation.plots",),
    "jinja2": ("sercli.evaluation.report",),
    "soundfile": ("sercli.audio.soundfiles",),
    "click": (),
    "pickle": ("sercli._system.cluster",),  # what other processes get is pickled anyway
    "audformat": (),  # sercli._system.packages loads it
    "pandas": (),
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name):
    return next((level for prefix, level in ROOMS if name == prefix or name.startswith(prefix + ".")), None)


def inside(name, homes):
    return any(name == home or name.startswith(home + ".") for home in homes)


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=[name for name, _ in modules()])
def test_imports_point_down_only(name, tree):
    for target in imports(tree) if name != "sercli" else ():  # the door leads everywhere, and imports when it is used
        if target.startswith("sercli"):
            same_room = next(p for p, _ in ROOMS if inside(name, (p,))) == next(
                p for p, _ in ROOMS if inside(target, (p,))
            )
            assert same_room or room(target) < room(name), f"{name} imports {target}"


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=[name for name, _ in modules()])
def test_libraries_stay_in_the_rooms_that_wrap_them(name, tree):
    for target in imports(tree):
        library = target.partition(".")[0]
        if library in HOMES:
            assert inside(name, HOMES[library]), f"{name} imports {target}"


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=[name for name, _ in modules()])
def test_nobody_imports_a_plugin_by_name(name, tree):
    for target in imports(tree):
        for plugin_room in PLUGIN_ROOMS:
            if inside(target, (plugin_room,)) and target != plugin_room:
                assert inside(name, (plugin_room,)), f"{name} imports {target}"
                assert target[len(plugin_room) + 1 :].startswith("_"), f"{name} imports {target}"


def test_the_command_line_starts_without_heavy_libraries():
    heavy = ["torch", "librosa", "nltk", "optuna", "numpy", "rich", "matplotlib", "soundfile"]
    code = f"import sys, sercli.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_predict_by_sound_starts_without_librosa_nltk_and_sklearn():
    heavy = ["librosa", "nltk", "sklearn", "optuna", "matplotlib", "numba"]
    clip = PACKAGE.parent / "data" / "demo" / "audio" / "f2-anger-5.ogg"
    code = (
        "import sys, sercli; from sercli import plugins; "
        "[plugins.load('feature', name) for name in ('spectrogram', 'log-mel', 'lld')]; "
        f"list(sercli.load(asr=None).predict({str(clip)!r})); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
