"""Make a folder shaped like a whole IEMOCAP: its layout, quirks and counts, with made-up sound and words.

    python benchmarks/make_iemocap.py OUT [--seconds 0.6] [--realistic]

It holds 10,039 labelled turns in 151 dialogs: about 200 MB as it is, 1.5 GB with --realistic.
"""

import argparse
import math
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from iemocap_plan import full_plan
from iemocap_tree import write_tree

# Log-normal with the release's median of 3.58 s and mean of 4.55 s, cut to its shortest and longest turn.
MEDIAN_S, MEAN_S = 3.58, 4.55
SHORTEST_S, LONGEST_S = 0.585, 34.1


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder shaped like a whole IEMOCAP, with made-up sound.")
    parser.add_argument("out", type=Path, help="folder to make; must not exist")
    parser.add_argument("--seconds", type=float, default=0.6, help="length of every turn (default 0.6)")
    parser.add_argument("--realistic", action="store_true", help="lengths spread as in the release instead")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} exists; name a new folder")
    if not SHORTEST_S <= args.seconds <= LONGEST_S:
        parser.error(f"--seconds {args.seconds}: must be {SHORTEST_S} to {LONGEST_S}")
    seconds = realistic if args.realistic else lambda random: args.seconds
    write_tree(args.out, full_plan(), seconds=seconds, n_unlabelled=48, n_empty_dominance=36)


def realistic(random: Random) -> float:
    spread = math.sqrt(2 * math.log(MEAN_S / MEDIAN_S))
    return min(max(random.lognormvariate(math.log(MEDIAN_S), spread), SHORTEST_S), LONGEST_S)


if __name__ == "__main__":
    main()
