"""CONTRIBUTING.md is run as it is: its package is installed, trains and predicts, and passes the contract tests."""

import csv
import json
import shutil

import lab
import pytest

BROKEN = {  # name -> kind, what of the page's example is broken, and the words of the page that the failure quotes
    "no-embedding": (
        "architectures",
        "mean_pool",
        ("self.n_embedding = config.n_hidden", "self.n = config.n_hidden"),
        "`build` returns a `torch.nn.Module` with `n_embedding` (E)",
    ),
    "reads-padding": (
        "architectures",
        "mean_pool",
        ("x.masked_fill(~real[:, :, None], 0)", "x"),
        "Frames beyond a length have no influence",
    ),
    "not-normal": (
        "ensembles",
        "product",
        ("product / product.sum(axis=1, keepdims=True)", "product"),
        "`combine` returns probabilities (N, K): none is negative, and each row sums to 1.",
    ),
    "no-licence": ("corpora", "lab", ('LICENCE = "internal"', 'LICENCE = ""'), "`LICENCE` is not empty."),
    "no-config": (
        "ensembles",
        "product",
        ("@dataclass(frozen=True)", "@dataclass"),
        "`Config` is a frozen dataclass, each field of which has a type and a default.",
    ),
}
CONTRACTS = [
    *("tests/test_plugins.py", "tests/architectures/test_architectures_contract.py"),
    *("tests/ensembles/test_ensembles_contract.py", "tests/corpora/test_corpora_contract.py"),
]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    lab.install(folder)
    return folder


@pytest.fixture(scope="session")
def work(tmp_path_factory, tiny_corpus):
    """A folder with `recordings`, as the page's corpus is laid out."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(tiny_corpus / "audio", folder / "recordings")
    with (tiny_corpus / "corpus.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = folder / "recordings" / row["path"].removeprefix("audio/").replace(".wav", ".txt")
            text.write_text(row["text"], encoding="utf-8")
    return folder


def test_the_commands_of_the_page_prepare_train_combine_and_predict(site, work):
    printed = ""
    for words in lab.commands():
        done = lab.run(site, "sercli", *words, cwd=work)
        assert done.returncode == 0, (words, done.stderr)
        printed = done.stdout
    run = json.loads((work / "work" / "product" / "run.json").read_text(encoding="utf-8"))
    assert (run["settings"]["rule"], run["settings"]["ensemble"]) == ("product", {"power": 1.0})
    assert run["settings"]["members"]["acoustic"]["model"]["architecture"] == "mean-pool"
    assert run["settings"]["data"]["corpus"] == "lab"
    assert not (work / "work" / "product" / "state.npz").exists()
    assert "f1-anger-free.wav" in printed


def test_the_help_names_what_is_installed(site, tmp_path):
    for command, name in (("prepare", "lab"), ("ensemble", "product")):
        done = lab.run(site, "sercli", command, "--help", cwd=tmp_path)
        assert name in done.stdout


def test_contract_tests_pass_the_plugins_of_the_page_and_quote_what_others_break(tmp_path):
    lab.install(
        tmp_path,
        **{
            kind: [(name, f"ser_lab.{name.replace('-', '_')}") for name, (of, *_) in BROKEN.items() if of == kind]
            for kind in ("architectures", "ensembles", "corpora")
        },
    )
    for name, (_, example, (right, wrong), _) in BROKEN.items():
        source = (tmp_path / "ser_lab" / f"{example}.py").read_text(encoding="utf-8")
        assert right in source
        broken = tmp_path / "ser_lab" / f"{name.replace('-', '_')}.py"
        broken.write_text(source.replace(right, wrong), encoding="utf-8")
    chosen = " or ".join(["lab", "mean-pool", "product", *BROKEN])
    options = ["-p", "no:cacheprovider", "-rpf", "--tb=short", "-k", chosen]
    done = lab.run(tmp_path, "pytest", *CONTRACTS, *options, cwd=lab.ROOT)
    report = [line for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
    for name in ("lab", "mean-pool", "product"):
        mine = [line for line in report if f"{name}]" in line or f"{name}-" in line]
        assert len(mine) >= 4, done.stdout
        assert not [line for line in mine if line.startswith("FAILED")], done.stdout
    for name, (*_, sentence) in BROKEN.items():
        failed = [line for line in report if line.startswith("FAILED") and name in line]
        assert any(sentence in line for line in failed), (name, done.stdout[-3000:])
