"""How cost grows with hours of sound: seconds, and memory, which should not.

    python benchmarks/growth.py --predict 1 3 10 --prepare 1 3 10 70
    python benchmarks/growth.py                       only the rows and the plot, from what was measured before

`predict` hears one recording of so many hours by sound alone, made of the clips that come with ser. `prepare` reads a
table of clips with lengths as in IEMOCAP (about 790 an hour), looks at each and computes one feature. What is measured
is kept in growth.json at once, so that the hours can be measured on different days; then growth.svg is drawn and the
rows are printed. Linux; 70 h take up 3 GB in the folder for temporary files.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from dataclasses import asdict
from itertools import count
from pathlib import Path
from random import Random

import soundfile
from make_iemocap import realistic
from speeds.pairs import SER, Cost, command
from speeds.sounds import RATE_HZ, voice, write_recording

from sercli.types import FOUR

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "growth.json"
PLOT = HERE / "growth.svg"
FEATURE = "lld"
JOBS = 2  # of prepare
N_SOUNDS = 512  # different recordings; each has many names where there are more clips
N_SPEAKERS = 10

Figures = dict[str, dict[float, Cost]]
"""What was measured: command -> hours -> cost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in MEASURES:
        parser.add_argument(f"--{name}", nargs="+", type=float, default=[], metavar="HOURS", help="hours to measure")
    arguments = parser.parse_args()
    figures = _read()
    for name, measure in MEASURES.items():
        for hours in getattr(arguments, name):
            with tempfile.TemporaryDirectory() as folder:
                figures[name][hours] = measure(Path(folder), hours)
            _write(figures)
            print(f"{name} {hours:g} h: {figures[name][hours]}", file=sys.stderr)
    _plot(figures)
    print("| what | hours | CPU time | of it an hour of sound | wall time | memory at most |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, costs in figures.items():
        for hours, cost in sorted(costs.items()):
            print(
                f"| `{name}` | {hours:g} | {cost.cpu_s:.0f} s | {cost.cpu_s / hours:.1f} s | {cost.wall_s:.0f} s "
                f"| {cost.memory_mb:.0f} MB |"
            )


def predict(folder: Path, hours: float) -> Cost:
    """One recording, by sound alone, in one process."""
    recording = folder / "recording.flac"
    write_recording(recording, hours=hours)
    return _ser("predict", recording, "--no-asr", "--json")


def prepare(folder: Path, hours: float) -> Cost:
    """A corpus of so many hours, from nothing."""
    table = folder / "corpus" / "corpus.csv"
    write_corpus(table, hours)
    return _ser("prepare", "table", table, "--out", folder / "out", "--features", FEATURE, "--jobs", str(JOBS))


MEASURES = {"predict": predict, "prepare": prepare}


def _ser(*words: str | Path) -> Cost:
    return command(*SER, *words, look_at_memory=True)()


def write_corpus(table: Path, hours: float) -> None:
    """Clips that are links to some recordings of other lengths each, and the table that names them."""
    random = Random(0)
    table.parent.mkdir(parents=True)
    lengths = [realistic(random) for _ in range(N_SOUNDS)]
    for n, length in enumerate(lengths):
        soundfile.write(table.parent / f"sound-{n}.wav", voice(length, n), RATE_HZ, subtype="PCM_16")
    left_s = hours * 3600
    with table.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "label", "speaker", "text"))
        for n in count():
            if left_s <= 0:
                return
            name = f"clip-{n:06d}.wav"
            os.link(table.parent / f"sound-{n % N_SOUNDS}.wav", table.parent / name)
            rows.writerow((name, FOUR[n % len(FOUR)], f"speaker-{n % N_SPEAKERS}", "Nothing that anybody said."))
            left_s -= lengths[n % N_SOUNDS]


def _read() -> Figures:
    kept = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return {name: {float(h): Cost(**cost) for h, cost in kept.get(name, {}).items()} for name in MEASURES}


def _write(figures: Figures) -> None:
    plain = {name: {f"{h:g}": asdict(costs[h]) for h in sorted(costs)} for name, costs in figures.items()}
    FIGURES.write_text(json.dumps(plain, indent=2) + "\n")


def _plot(figures: Figures) -> None:
    """Seconds and memory against hours, with a line for each command."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9}
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.8), layout="constrained")
    for panel, key, title in zip(panels, ("cpu_s", "memory_mb"), ("CPU time, s", "memory at most, MB"), strict=True):
        for name, costs in figures.items():
            hours = sorted(costs)
            panel.plot(hours, [getattr(costs[h], key) for h in hours], "o-", markersize=4, label=f"ser {name}")
        panel.set(xscale="log", yscale="log", xlabel="hours of sound", title=title)
        measured = sorted({h for costs in figures.values() for h in costs})
        panel.set_xticks(measured, [f"{h:g}" for h in measured])
        panel.xaxis.minorticks_off()
        panel.grid(alpha=0.3)
    panels[1].set_ylim(50, 1000)
    panels[1].axhline(500, color="grey", linestyle="--", linewidth=1)
    panels[0].legend(frameon=False)
    figure.savefig(PLOT, metadata={"Date": None})


if __name__ == "__main__":
    main()
