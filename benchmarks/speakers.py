"""Measure who speaks on recordings made of acted clips, and fit the clustering that ships.

    python benchmarks/speakers.py CORPORA [--write]

CORPORA holds RAVDESS, EmoDB and nEMO as their releases have them. For each of them in turn everything is fitted on the
other two; --write then fits on all three and writes sercli/speakers/models/clustering.safetensors, with scikit-learn.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sercli import speakers
from sercli.audio import reading, segments
from sercli.corpora import emodb, nemo, ravdess
from sercli.speakers import clustering
from sercli.speakers.clustering import Fitted, Split
from sercli.types import SAMPLE_RATE_HZ, Array, Utterance

CORPORA = {"RAVDESS": ravdess, "EmoDB": emodb, "nEMO": nemo}
SEED = 2026
N_UTTERANCES, N_RECORDINGS = 30, 20
PAUSE_S = (0.3, 1.0)  # between two clips of a recording

N_DIRECTIONS = 4
DAMPING = 3.0  # in variances of the directions
N_FITTED = 400  # recordings of each corpus that the logistic regressions are fitted on
FEWEST, MOST = 6, 60  # utterances of these
# How sure a second speaker and a further one must be, in log odds: one who is split in two is the worse mistake.
SECOND, FURTHER = 2.5, 1.5
BY = [0, 3, 4]  # the evidence for a second speaker: with all of it, one speaker was split in two more often


@dataclass(frozen=True)
class Clips:
    """The speech of all clips of a corpus."""

    signals: list[Array]  # from where speech begins to where it ends
    embeddings: Array  # (N, E)
    speakers: Array  # (N,) names
    emotions: Array  # (N,) names
    sexes: Array  # (N,) names

    @property
    def durations_s(self) -> Array:
        """(N,) their lengths."""
        return np.array([len(signal) / SAMPLE_RATE_HZ for signal in self.signals])


def main() -> None:
    root = Path(sys.argv[1])
    corpora = {folder: read(plugin, root / folder) for folder, plugin in CORPORA.items()}
    print("| corpus | speakers | right | number | right, segments | number, segments | right, number given |")
    for folder, clips in corpora.items():
        fitted = fit([other for name, other in corpora.items() if name != folder])
        rng = np.random.default_rng(SEED)
        for n in (1, 2, 3, 4):
            rows = [measure(clips, *talk, fitted, rng) for talk in talks(clips, n, rng)]
            right, number, cut_right, cut_number, given = np.mean(rows, axis=0)
            print(
                f"| {folder} | {n} | {right:.3f} | {number:.2f} | {cut_right:.3f} | {cut_number:.2f} | {given:.3f} |",
                flush=True,
            )
    if "--write" in sys.argv:
        fitted = fit(list(corpora.values()))
        arrays = {"directions": fitted.directions, "second": fitted.second, "further": fitted.further}
        arrays |= {"damping": np.array(fitted.damping)}
        clustering.FITTED.write_bytes(save({name: np.asarray(value, np.float32) for name, value in arrays.items()}))


def read(plugin: Any, folder: Path) -> Clips:
    """Return the clips of a corpus in which speech is found."""
    utterances = [one for one in plugin.read(folder) if isinstance(one, Utterance)]
    kept, signals = [], []
    for utterance in utterances:
        signal = np.concatenate(list(reading.stream(folder / str(utterance.audio), sample_rate_hz=SAMPLE_RATE_HZ)))
        spoken = list(segments.segments([signal]))
        if spoken:
            start, end = (round(at * SAMPLE_RATE_HZ) for at in (spoken[0].start_s, spoken[-1].end_s))
            kept.append(utterance)
            signals.append(signal[start:end])
    columns = ([u.speaker for u in kept], [u.label for u in kept], [u.attributes["sex"] for u in kept])
    return Clips(signals, speakers.embed(signals), *map(np.array, columns))


def talks(clips: Clips, n_speakers: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield recordings: the clips in turn, and who speaks each of them. Every other pair of speakers is of one sex."""
    by_sex = [np.unique(clips.speakers[clips.sexes == sex]) for sex in np.unique(clips.sexes)]
    for number in range(N_RECORDINGS):
        if n_speakers == 2 and number % 2:
            chosen = [rng.choice(of_sex) for of_sex in by_sex]
        elif n_speakers == 2:
            chosen = list(rng.choice(by_sex[number // 2 % 2], 2, replace=False))
        else:
            chosen = list(rng.choice(np.unique(clips.speakers), n_speakers, replace=False))
        turns = np.concatenate([rng.permutation(n_speakers) for _ in range(N_UTTERANCES)])[:N_UTTERANCES]
        pools = [rng.permutation(np.flatnonzero(clips.speakers == speaker)).tolist() for speaker in chosen]
        yield np.array([pools[turn].pop() for turn in turns]), turns


def measure(clips: Clips, places: Array, turns: Array, fitted: Fitted, rng: np.random.Generator) -> list[float]:
    """Return for a recording the share of utterances right and whether the number is: by true utterances, by segments.

    The last value is the share by true utterances with the number of speakers given.
    """
    n_true = len(np.unique(turns))
    durations_s = clips.durations_s[places]
    found = speakers.assign(clips.embeddings[places], durations_s, fitted=fitted)
    told = speakers.assign(clips.embeddings[places], durations_s, n_speakers=n_true, fitted=fitted)
    joined, spans = join([clips.signals[place] for place in places], rng)
    cut = list(segments.segments([joined], pause_s=segments.TURN_S))
    lengths = [segment.end_s - segment.start_s for segment in cut]
    of_segment = speakers.assign(speakers.embed([segment.signal for segment in cut]), lengths, fitted=fitted)
    heard = [of_segment[np.argmax([overlap_s(span, (s.start_s, s.end_s)) for s in cut])] for span in spans]
    numbers = [float(labels.max() + 1 == n_true) for labels in (found, of_segment)]
    return [right(found, turns), numbers[0], right(np.array(heard), turns), numbers[1], right(told, turns)]


def join(signals: Sequence[Array], rng: np.random.Generator) -> tuple[Array, list[tuple[float, float]]]:
    """Return the clips one after the other with pauses of quiet noise between, and where each begins and ends in s."""
    pieces, spans, at = [], [], 0
    for signal in signals:
        pause = rng.normal(0, 1e-4, round(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ)).astype(np.float32)
        spans.append(((at + len(pause)) / SAMPLE_RATE_HZ, (at + len(pause) + len(signal)) / SAMPLE_RATE_HZ))
        pieces += [pause, signal]
        at += len(pause) + len(signal)
    return np.concatenate(pieces), spans


def overlap_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def right(found: Array, true: Array) -> float:
    """Return the share of utterances whose speaker is right, by the best one-to-one matching of names."""
    table = np.zeros((found.max() + 1, true.max() + 1))
    np.add.at(table, (found, true), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(true))


def fit(corpora: Sequence[Clips]) -> Fitted:
    """Return what clustering needs, fitted on corpora."""
    moved = np.concatenate([by_emotion(clips) for clips in corpora])
    directions = np.linalg.svd(moved, full_matrices=False)[2][:N_DIRECTIONS]
    along = np.concatenate([clips.embeddings @ directions.T for clips in corpora])
    damping = DAMPING * float(along.std(axis=0).mean()) ** 2
    fitted = Fitted(directions, damping, np.zeros(6), np.zeros(6))
    rng = np.random.default_rng(SEED)
    rows = [row for clips in corpora for _ in range(N_FITTED) for row in examples(clips, fitted, rng)]
    evidence, further, real = (np.array(column) for column in zip(*rows, strict=True))
    two, more = (evidence[~further], real[~further]), (evidence[further], real[further])
    return Fitted(directions, damping, regression(*two, SECOND, BY), regression(*more, FURTHER))


def by_emotion(clips: Clips) -> Array:
    """Return how far the mean of each emotion of each speaker is from the mean of the speaker, (n, E)."""
    found = []
    for speaker in np.unique(clips.speakers):
        mine = clips.speakers == speaker
        for emotion in np.unique(clips.emotions[mine]):
            mean = clips.embeddings[mine & (clips.emotions == emotion)].mean(axis=0)
            found.append(mean - clips.embeddings[mine].mean(axis=0))
    return np.array(found)


def examples(clips: Clips, fitted: Fitted, rng: np.random.Generator) -> list[tuple[Array, bool, bool]]:
    """Return for a recording of random speakers, lengths and emotions: evidence, whether k > 2, whether k are there."""
    n_true = int(rng.integers(1, 5))
    sex = rng.choice(np.unique(clips.sexes))
    among = clips.speakers[clips.sexes == sex] if n_true > 1 and rng.random() < 0.6 else clips.speakers
    chosen = rng.choice(np.unique(among), min(n_true, len(np.unique(among))), replace=False)
    shares = rng.dirichlet(np.full(len(chosen), 5.0)) * rng.integers(FEWEST, MOST + 1)
    places = np.concatenate([some_of(clips, *one, rng) for one in zip(chosen, shares, strict=True)])
    embeddings = clips.embeddings[places]
    voices = clustering.without_emotion(embeddings, fitted, np.arange(len(places)))
    most = min(clustering.MOST_SPEAKERS, len(places) // 2, len(chosen) + 1)
    splits: list[Split] = list(clustering._splits(voices, most))
    return [(split.evidence, k > 2, k <= len(chosen)) for k, split in enumerate(splits[1:], start=2)]


def some_of(clips: Clips, speaker: str, n: float, rng: np.random.Generator) -> Array:
    """Return the places of about n clips of a speaker, in which some emotions may be far more frequent than others."""
    (mine,) = np.nonzero(clips.speakers == speaker)
    emotions, of_clip = np.unique(clips.emotions[mine], return_inverse=True)
    weights = rng.dirichlet(np.full(len(emotions), rng.choice([0.5, 2.0, 20.0])))[of_clip] + 1e-6
    return rng.choice(mine, int(np.clip(round(n), 2, len(mine) - 1)), replace=False, p=weights / weights.sum())


def regression(evidence: Array, real: Array, least: float, by: Sequence[int] = range(5)) -> Array:
    """Return weights and constant (6,): positive where the log odds, by some of the evidence, are above `least`."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000)).fit(evidence[:, by], real)
    weights = np.zeros(5)
    weights[by] = model[-1].coef_[0] / model[0].scale_
    return np.array([*weights, model[-1].intercept_[0] - weights[by] @ model[0].mean_ - least])


if __name__ == "__main__":
    main()
