"""How fast ser is, each figure a ratio against a named peer, both measured in turn in one run.

    python benchmarks/speed.py lld spectrogram        some rows
    python benchmarks/speed.py all                    all of them, in this order

Peers beyond what ser itself needs (numpy, torch, librosa, matplotlib, faster-whisper are there already):

    lld           pip install pyAudioAnalysis scikit-learn matplotlib hmmlearn eyed3 plotly pydub simplejson imblearn
    spectrogram   pip install scikit-image

Prints a row of Markdown for each figure: the median of the ratios over the pairs (least and most), of CPU time and of
wall time; the one in bold is judged by the aim. What each row does with its peer stands in benchmarks/speeds/.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

ROWS = {
    "lld": "features",
    "spectrogram": "features",
    "log-mel": "features",
    "cold": "commands",
    "help": "commands",
    "predict": "commands",
    "epoch": "training",
    "tune": "searching",
    "prepare": "data",
}
"""Each row, and the file of speeds/ that measures it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", choices=[*ROWS, "all"], metavar="ROW", help=", ".join([*ROWS, "all"]))
    parser.add_argument("--pairs", type=int, default=5, help="how often peer and ours are measured (default 5)")
    arguments = parser.parse_args()
    from speeds.pairs import HEADER

    print(HEADER)
    for name in ROWS if "all" in arguments.rows else arguments.rows:
        measure: Callable[[int], list] = getattr(import_module(f"speeds.{ROWS[name]}"), name.replace("-", "_"))
        for result in measure(arguments.pairs):
            print(result.line(), flush=True)


if __name__ == "__main__":
    main()
