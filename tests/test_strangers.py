"""What a stranger gives, a run directory or a dataset, costs a line on stderr and nothing else."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sercli import plugins
from sercli._system import locks
from sercli._system.files import write_json
from sercli.dataset import manifest, transcripts
from sercli.errors import SerError
from sercli.features import sentence, wav2vec2, words
from sercli.runs import load_info
from sercli.whisper import weights

PACKAGE = Path(__file__).parents[1] / "sercli"
SHIPPED = PACKAGE / "pretrained"

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "yaml.load"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "subprocess"}
TRUSTED = {"cluster.py": ["pickle"]}  # work that goes to workers, which run what their scheduler gives them in any case
FORBIDDEN_OPTIONS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False}


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(source):
    """What of a module could run code that is not the package's own, as (line, what)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            if dotted(node.func) in FORBIDDEN_CALLS:
                yield node.lineno, dotted(node.func)
            for option in node.keywords:
                value = option.value.value if isinstance(option.value, ast.Constant) else None
                if option.arg in FORBIDDEN_OPTIONS and value == FORBIDDEN_OPTIONS[option.arg]:
                    yield node.lineno, f"{option.arg}={value}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from ((node.lineno, name) for name in names if name.partition(".")[0] in FORBIDDEN_IMPORTS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path):
    found = [what for _, what in dangers(path.read_text(encoding="utf-8"))]
    assert found == TRUSTED.get(path.name, [])


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import pickle",
        "from yaml import load",
        "import os; os.system('ls')",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "run('ls', shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_search_for_dangers_finds_them(source):
    assert len(list(dangers(source))) == 1


@pytest.fixture
def stranger(tmp_path):
    """A copy of the shipped run whose acoustic member's run.json can be changed."""
    folder = tmp_path / "run"
    shutil.copytree(SHIPPED, folder)
    return folder


def change(folder, **changes):
    """Set what stands in run.json under names with dots between; a stranger's file has no digest, or one that fits."""
    path = folder / "run.json"
    info = json.loads(path.read_bytes()) | {"digest": ""}
    for name, value in changes.items():
        *above, last = name.split("__")
        at = info
        for key in above:
            at = at[key]
        at[last] = value
    path.write_text(json.dumps(info))


# Reads a run with a gigabyte to spare beyond the imports, and says what came of it and how much it took.
READ = """
import resource, sys
from pathlib import Path
import torch
from sercli.errors import SerError
from sercli import pipeline
from sercli.model.loading import load_run
torch.set_num_threads(1)
load_run(Path(sys.argv[1]), torch.device("cpu"))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (used, used))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in map(Path, sys.argv[2:]):
    try:
        load_run(folder, torch.device("cpu"))
        print("read")
    except SerError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system has no /proc")
def test_a_run_cannot_take_up_memory_by_what_it_claims(tmp_path):
    acoustic = load_info(SHIPPED / "members" / "acoustic")
    linguistic = load_info(SHIPPED / "members" / "linguistic")
    attacks = {
        "n_hidden": ("acoustic", "settings__architecture__n_hidden", 10**9),
        "n_features": ("linguistic", "n_features", 10**9),
        "labels": ("linguistic", "labels", [str(n) for n in range(10**5)]),
        "n_layers": ("linguistic", "settings__architecture__n_layers", 10**9),
        "hidden_size": ("linguistic", "settings__architecture__hidden_size", 10**6),
        "rate": ("acoustic", "settings__feature__sample_rate_hz", 10**12),
    }
    folders = []
    for name, (member, key, value) in attacks.items():
        info = acoustic if member == "acoustic" else linguistic
        section = key.split("__")
        if len(section) == 3 and section[2] not in info.settings.sections()[section[1]]:
            continue  # the model that ships may be of another architecture one day
        shutil.copytree(SHIPPED, tmp_path / name)
        change(tmp_path / name / "members" / member, **{key: value})
        folders.append(tmp_path / name)
    assert len(folders) >= 4
    done = subprocess.run([sys.executable, "-c", READ, SHIPPED, *folders], capture_output=True, text=True, check=True)
    *said, more_mb = done.stdout.splitlines()
    assert "read" not in said
    assert len(said) == len(folders)
    assert int(more_mb) < 200, done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings__model__feature": "../../evil"}, "No feature called '../../evil'."),
        ({"settings__model__architecture": "os"}, "No architecture called 'os'."),
        ({"kind": "ensemble", "name": "../x"}, ""),
        ({"modality": "../../../elsewhere"}, ""),
    ],
)
def test_names_lead_nowhere_else(stranger, changes, message):
    import torch

    from sercli.model.loading import load_run

    change(stranger / "members" / "acoustic", **changes)
    with pytest.raises(SerError) as caught:
        load_run(stranger, torch.device("cpu"))
    assert message in str(caught.value)


def test_an_ensemble_of_other_labels_than_its_members_have_is_refused(stranger):
    import torch

    from sercli.model.loading import load_run

    change(stranger, labels=["neutral", "anger", "sadness"])
    with pytest.raises(SerError, match="have different labels: neutral, anger, sadness against"):
        load_run(stranger, torch.device("cpu"))


@pytest.mark.parametrize("below", ["predictions", "members/acoustic/encoders"])
def test_a_run_whose_folder_leads_elsewhere_is_refused(stranger, tmp_path, below):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (stranger / below).symlink_to(elsewhere)
    with pytest.raises(SerError) as caught:
        load_info(stranger)
    assert str(caught.value) == (
        f"{stranger / below} is a link that leads out of {stranger}; replace the link with the folder itself."
    )


def test_links_within_a_run_and_to_a_run_are_fine(stranger, tmp_path):
    (stranger / "again").symlink_to("members")
    (tmp_path / "latest").symlink_to(stranger)
    assert load_info(tmp_path / "latest") == load_info(stranger)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("members/acoustic/weights.safetensors", load_info),
        ("pipe", lambda folder: weights.find(str(folder))),
        ("pipe", lambda folder: wav2vec2.make(wav2vec2.Config(model=str(folder)), "cpu")),
        ("config.json", lambda folder: sentence.identity(sentence.Config(model=str(folder)))),
        ("pipe", lambda folder: words.identity(words.Config(vectors=str(folder / "pipe")))),
    ],
    ids=["run", "whisper", "transformers", "sentence", "vectors"],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(stranger, name, read):
    for other in sentence.FILES:
        (stranger / other).touch()
    (stranger / name).unlink(missing_ok=True)
    os.mkfifo(stranger / name)
    with pytest.raises(SerError, match=rf"{name} is a pipe or a device, which ser does not read there; replace it"):
        read(stranger)


def test_a_dataset_whose_features_lie_elsewhere_is_refused(tiny_dataset, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_dataset.folder, folder)
    shutil.rmtree(folder / "features")
    (folder / "features").symlink_to(tmp_path)
    with pytest.raises(SerError, match=r"features is a link that leads out of"):
        manifest.load(folder)


def test_transcripts_are_not_appended_to_what_a_link_leads_to(tiny_dataset, tmp_path, no_progress):
    target = tmp_path / "letter"
    target.write_text("Dear all")
    (tmp_path / "transcripts").mkdir()
    (tmp_path / "transcripts" / "whisper.jsonl").symlink_to(target)
    rows, config = tiny_dataset.manifest.utterances, plugins.load("asr", "whisper").Config()
    with pytest.raises(SerError, match=r"whisper\.jsonl is a link, through which ser does not write"):
        transcripts.add(tmp_path, tmp_path, rows, "whisper", config, jobs=1, progress=no_progress)
    assert target.read_text() == "Dear all"


def test_what_is_written_takes_the_place_of_a_link_and_not_of_what_it_leads_to(tmp_path):
    target = tmp_path / "letter"
    target.write_text("Dear all")
    (tmp_path / "run.json").symlink_to(target)
    write_json(tmp_path / "run.json", {})
    assert target.read_text() == "Dear all"


def test_a_lock_does_not_cut_what_a_link_leads_to(tmp_path):
    target = tmp_path / "letter"
    target.write_text("Dear all")
    (tmp_path / ".run.lock").symlink_to(target)
    with pytest.raises(SerError, match=r"\.run\.lock is a link, .* remove it"), locks.alone(tmp_path, "run"):
        pass
    assert target.read_text() == "Dear all"
