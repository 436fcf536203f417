"""Make the model that ships, by ordinary commands alone, from the corpora below a folder.

    python benchmarks/make_pretrained.py CORPORA WORK

CORPORA holds RAVDESS, EmoDB, nEMO, GoEmotions and MELD as their releases have them; WORK gets the prepared datasets and
the runs; the ensemble goes to WORK/pretrained. Copy it over sercli/pretrained, beside the card, to ship it. Each step
goes on where it was after a kill.
"""

import subprocess
import sys
from pathlib import Path

ACOUSTIC = {"ravdess": "RAVDESS", "emodb": "EmoDB", "nemo": "nEMO"}
LINGUISTIC = {"goemotions": "GoEmotions", "meld": "MELD"}


def main() -> None:
    corpora, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)

    def ser(*words: str) -> None:
        # From inside WORK, so that run.json keeps no path of this machine.
        print("ser", *words, flush=True)
        subprocess.run([sys.executable, "-m", "sercli", *words], cwd=work, check=True)

    for corpus, folder in ACOUSTIC.items():
        ser("prepare", corpus, str(corpora / folder), "--out", corpus, "--features", "mfcc")
    join = [sys.executable, str(Path(__file__).with_name("join_corpora.py").resolve()), "joined-table", *ACOUSTIC]
    subprocess.run(join, cwd=work, check=True)
    ser("prepare", "table", "joined-table/joined.csv", "--out", "joined", "--features", "mfcc")
    sound = ["-m", "acoustic-whisper-robust", "--split", "speakers", "--folds", "5", "--fold", "all", "--refit"]
    ser("train", *sound, "--data", "joined", "--out", "acoustic")
    for corpus, folder in LINGUISTIC.items():
        ser("prepare", corpus, str(corpora / folder), "--out", corpus, "--features", "words")
    join = [sys.executable, str(Path(__file__).with_name("join_texts.py").resolve()), "texts.csv", *LINGUISTIC]
    subprocess.run(join, cwd=work, check=True)
    ser("prepare", "table", "texts.csv", "--out", "texts", "--features", "words")
    text = [
        *("--set", "train.class_weights=true", "--set", "train.batch_size=128", "--set", "train.lr=2e-3"),
        *("--set", "train.epochs=4", "--set", "train.schedule=cosine", "--set", "train.keep=last"),
        *("--set", "architecture.input_dropout=0.4", "--set", "architecture.dropout=0.5"),
    ]
    ser("train", "-m", "linguistic", *text, "--data", "texts", "--split", "official", "--out", "linguistic")
    ser("ensemble", "-a", "acoustic/refit", "-l", "linguistic", "--rule", "asr-weighted", "--out", "pretrained")


if __name__ == "__main__":
    main()
