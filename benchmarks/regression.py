"""Check that a change of the code changes no answer: predictions on the demo clips, and figures of small runs on them.

python benchmarks/regression.py            compare with tests/regression.json
python benchmarks/regression.py --record   write it anew

Labels and words must be equal, probabilities and figures within 1e-6. Another processor may round otherwise: record and
check on one machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "regression.json"
TOLERANCE = 1e-6
RULES = ("average", "feature", "max-confidence", "weighted")
FIGURES = ("wa", "ua", "macro_f1", "weighted_f1")


def ser(*words: object) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run([sys.executable, "-m", "sercli", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ser {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def predictions() -> dict[str, Any]:
    """Each demo clip's answer by the model that ships, with and without its words."""
    clips = ROOT / "data" / "demo" / "audio"
    found: dict[str, Any] = {}
    for options in ((), ("--no-asr",)):
        for line in ser("predict", clips, "--json", *options).splitlines():
            row = json.loads(line)
            found.setdefault(Path(row["path"]).name, []).append(
                {"label": row["label"], "text": row["text"], "probs": row["probs"]}
            )
    return found


def figures(work: Path) -> dict[str, dict[str, float]]:
    """Figures of two small runs and their ensembles."""
    data, epochs = work / "demo", ("--set", "train.epochs=6")
    ser("prepare", "demo", "--out", data, "--features", "lld,words")
    for model in ("acoustic-lld", "linguistic"):
        ser("train", "-m", model, "--data", data, "--out", work / model, "-q", *epochs)
    members = ("-a", work / "acoustic-lld", "-l", work / "linguistic")
    for rule in RULES:
        options = epochs if rule == "feature" else ()
        ser("ensemble", *members, "--data", data, "--rule", rule, "--out", work / rule, *options)
    every = [word for rule in RULES for word in ("-e", work / rule)]
    scored = json.loads(ser("evaluate", *members, *every, "--json"))
    return {one["name"]: {name: one[name] for name in FIGURES} for one in scored["systems"]}


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """What differs between two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{where}/{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{where}/{n}")]
    if isinstance(old, float) and isinstance(new, float):
        return [] if abs(old - new) <= TOLERANCE else [f"{where}: {old} became {new}"]
    return [] if old == new else [f"{where}: {old!r} became {new!r}"]


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the file instead of comparing with it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = {"predictions": predictions(), "figures": figures(Path(work))}
    if options.record:
        RECORD.write_text(json.dumps(found, separators=(",", ":"), sort_keys=True).replace('"],', '"],\n') + "\n")
        return
    changed = differences(json.loads(RECORD.read_text()), json.loads(json.dumps(found)))
    print("\n".join(changed) or f"No difference: {len(found['predictions'])} clips, {len(found['figures'])} systems.")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
