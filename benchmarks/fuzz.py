"""Break files byte by byte and look that nothing but a SerError comes of it, in bounded memory and time.

python benchmarks/fuzz.py --minutes 20            every target in turn
python benchmarks/fuzz.py --minutes 5 runs audio  some of them

Valid files are made first: recordings, corpora, word vectors, a prepared dataset, run directories. Then one of them is
broken at a time, and read as the commands read it. A child process does the work, so that a crash of a library is a
finding as well. What is found is kept in --out with the file that caused it.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sercli.dataset import extraction
from sercli.errors import SerError
from sercli.model import feature_provider

MEMORY_BYTES = 3 << 30  # what a process may take beyond what it has after its imports
SLOWEST_S = 30

Edit = tuple[
    str, float, float, int, int
]  # what is done, where and where else as shares of the file, how much, a choice

KINDS = ("set", "flip", "cut", "end", "add", "repeat", "copy", "number", "text", "line")
VALUES = (b"\0", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80", b"\0" * 8, b"\n", b"\r", b'"', b"\t")
NUMBERS = (b"-1", b"0", b"1", b"1e999", b"NaN", b"100000000000", b"1e-300", b"0.5", b"null", b"true", b'"x"', b"[]")
TEXTS = (b'""', b'"../../x"', b'"/etc/passwd"', b"null", b"1", b"[]", b"{}", b'{"a":1}', b'"\\u0000"', b'"\\ud800"')
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_TEXT = re.compile(rb'"[^"\n]{0,80}"')


def mutated(content: bytes, edits: list[Edit]) -> bytes:
    """The content with some edits made to it, one after the other."""
    data = bytearray(content)
    for edit in edits:
        _edit(data, *edit)
    return bytes(data)


def _edit(data: bytearray, kind: str, where: float, elsewhere: float, length: int, choice: int) -> None:
    at, other = int(where * len(data)), int(elsewhere * len(data))
    value = VALUES[choice % len(VALUES)]
    if kind == "set":
        data[at : at + len(value)] = value
    elif kind == "flip" and data:
        data[min(at, len(data) - 1)] ^= 1 << choice % 8
    elif kind == "cut":
        del data[at : at + length]
    elif kind == "end":
        del data[at:]
    elif kind == "add":
        data[at:at] = value * (length if choice % 5 == 0 else 1)
    elif kind == "repeat":
        data[at:at] = data[at : at + length]
    elif kind == "copy":
        data[at : at + length] = data[other : other + length]
    elif kind in ("number", "text"):
        pattern, choices = (_NUMBER, NUMBERS) if kind == "number" else (_TEXT, TEXTS)
        found = list(pattern.finditer(data[:100_000]))
        if found:
            match = found[int(where * len(found))]
            data[match.start() : match.end()] = choices[choice % len(choices)]
    elif kind == "line":
        lines = data.split(b"\n")
        lines.insert(int(elsewhere * len(lines)), lines.pop(int(where * len(lines))))
        data[:] = b"\n".join(lines)


def random_edits(source: random.Random) -> list[Edit]:
    """One to four edits, most of them near an end of the file, where headers and indexes are."""

    def place() -> float:
        near = source.random() ** source.choice((1, 3, 6))
        return min(source.choice((near, near, 1 - near)), 1 - 1e-9)  # below 1, which would be beyond the last line

    return [
        (source.choice(KINDS), place(), source.random(), int(2 ** source.uniform(0, 9)), source.randrange(1000))
        for _ in range(source.choice((1, 1, 1, 2, 4)))
    ]


@dataclass(frozen=True)
class Target:
    """Files below a folder, what reads them, and which of them are broken."""

    root: Path
    read: Callable[[Path], object]  # of the folder; the name of the broken file is given as well where it is asked for
    names: tuple[str, ...]

    def attempt(self, name: str, content: bytes) -> str:
        """Put a broken file in place of a whole one, read, and put the whole one back.

        Returns:
            "read" or "refused".
        """
        path = self.root / name
        whole = path.read_bytes()
        path.write_bytes(content)
        try:
            self.read(path)
        except SerError as error:
            if not str(error).strip():
                raise ValueError("an error without a message") from error
            return "refused"
        finally:
            path.write_bytes(whole)
        return "read"


def no_progress(description: str, total: int) -> object:
    """A ProgressFactory that shows nothing."""
    return nullcontext(lambda n, **shown: None)


def make_film(path: Path, codec: str, sound: np.ndarray, late_s: float, *, picture: bool) -> None:
    """Write a second of two tracks, the second one late, each with a gap in its middle, as if packets were lost."""
    import av

    with av.open(str(path), "w") as container:
        tracks = [container.add_stream(codec, rate=48_000, layout="stereo") for _ in range(2)]
        if picture:
            video = container.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            container.mux([packet for _ in range(10) for packet in video.encode(av.VideoFrame(64, 48, "yuv420p"))])
            container.mux(video.encode())
        for at in range(0, len(sound), 960):
            part = sound[at : at + 960]
            for n, stream in enumerate(tracks):
                frame = av.AudioFrame.from_ndarray(np.stack([part, -part]), format="fltp", layout="stereo")
                gap_s = late_s if at > len(sound) // 2 else 0.0
                frame.rate, frame.pts = 48_000, at + round((n * late_s + gap_s) * 48_000)
                container.mux(stream.encode(frame))
        for stream in tracks:
            container.mux(stream.encode())


def make_audio(root: Path) -> Target:
    """Recordings that libsndfile or FFmpeg reads, joined and unfinished ones; films of two tracks, late, with gaps."""
    import av

    from sercli.audio import reading

    sound = (0.3 * np.sin(np.arange(6000) / 9)).astype(np.float32)
    for suffix, form in (("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", None), ("aiff", "PCM_24")):
        soundfile.write(root / f"a.{suffix}", sound, 16_000, subtype=form)
    for suffix, form in (("au", "FLOAT"), ("caf", "PCM_16"), ("w64", "PCM_16"), ("voc", "PCM_U8")):
        soundfile.write(root / f"b.{suffix}", np.stack([sound, sound], axis=1), 8_000, subtype=form)
    for suffix, codec in (("m4a", "aac"), ("mkv", "libopus"), ("avi", "mp2"), ("asf", "wmav2")):
        with av.open(str(root / f"c.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=48_000)
            stream.bit_rate = 96_000
            for at in range(0, 48_000, 960):
                part = np.tile(sound, 9)[None, at : at + 960]
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout="mono")
                frame.rate, frame.pts = 48_000, at
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    for suffix in ("mp3", "ogg", "flac", "wav"):
        (root / f"d.{suffix}").write_bytes((root / f"a.{suffix}").read_bytes() * 2)
    turns = np.repeat(np.arange(12) % 2, 4_000)[:, None] == np.arange(2)  # a voice on each channel
    for suffix, form in (("wav", "FLOAT"), ("mp3", None), ("ogg", "OPUS")):
        soundfile.write(root / f"f.{suffix}", np.tile(sound, 8)[:, None] * turns, 16_000, subtype=form)
    whole = (root / "a.wav").read_bytes()
    (root / "d-unfinished.wav").write_bytes(whole[:40] + b"\0\0\0\0" + whole[44:])
    films = (("mp4", "aac", 0.0), ("mov", "aac", 1.5), ("mka", "pcm_s16le", 1.5), ("mkv", "libopus", 0.5))
    for suffix, codec, late_s in (*films, ("avi", "mp2", 0.0), ("ts", "aac", 1.5)):
        make_film(root / f"e.{suffix}", codec, np.tile(sound, 9)[:48_000], late_s, picture=suffix != "mka")

    def read(path: Path) -> None:
        for attempt in (
            lambda: reading.inspect(path),
            lambda: reading.duration_s(path),
            lambda: sum(map(len, reading.stream(path, sample_rate_hz=16_000))),
            lambda: reading.read(path, sample_rate_hz=16_000, start_s=0.1, end_s=0.2),
            lambda: reading.read(path, sample_rate_hz=16_000, track=1 + path.name.startswith("e.")),
        ):
            attempt()

    return Target(root, read, tuple(sorted(p.name for p in root.iterdir())))


CORPORA: dict[str, dict[str, str]] = {
    "table/a.csv": {
        "a.csv": "path,label,speaker,text,start_s,end_s,part,age\n"
        'x.wav,angry,s1,"go, now",0.0,0.05,dev,7\nx.wav,sad,s2,,,,test,\n'
    },
    "table/b.csv": {
        "b.csv": "file,emotion,speaker_id,begin,end\n"
        + "".join(f"{n % 2}/x.wav,{label},{n},{n / 200},0.1\n" for n, label in enumerate(("Angry", "anger", "sad") * 4))
        + "1/x.wav,neutral,,0,0.1\nx.wav,neutral,anger,0.0,0.05\n",
        "0/x.wav": "",
        "1/x.wav": "",
    },
    "table/a.tsv": {"a.tsv": "path\tlabel\tsession\nx.wav\tneutral\t1\n"},
    "table/a.jsonl": {
        "a.jsonl": '{"path": "x.wav", "label": "happy", "start_s": 0.01, "votes": [1, {"a": null}]}\n'
        '{"text": "so \\u00e4", "label": "sad", "id": "7", "sex": "F"}\n'
    },
    "audformat": {
        "db.yaml": "name: made-up\nsource: x\nusage: unrestricted\nlanguages: [eng]\nschemes:\n"
        "  emotion:\n    dtype: str\n    labels: [anger, neutral]\n"
        "  speaker:\n    dtype: str\n    labels:\n      ann: {gender: female}\nsplits:\n  test: {type: test}\ntables:\n"
        "  emotion:\n    type: segmented\n    split_id: test\n    columns:\n      emotion: {scheme_id: emotion}\n"
        "  files:\n    type: filewise\n    columns:\n      speaker: {scheme_id: speaker}\n",
        "db.emotion.csv": "file,start,end,emotion\nx.wav,0 days 00:00:00.000000,0 days 00:00:00.050000,anger\n"
        "x.wav,0 days 00:00:00.050000,0 days 00:00:00.100000,neutral\n",
        "db.files.csv": "file,speaker\nx.wav,ann\n",
    },
    "meld": {
        f"{part}_sent_emo.csv": "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode\n"
        '1,"It\x92s me, you know",Joey,joy,positive,0,0,8,21\n2,Hey!,Monica,anger,negative,0,1,8,21\n'
        for part in ("train", "dev", "test")
    },
    "goemotions": {
        "emotions.txt": "admiration\namusement\nanger\nannoyance\nneutral\n",
        **{
            f"{part}.tsv": f"Some words.\t2,3\t{part}1\nMore, of them\t4\t{part}2\n"
            for part in ("train", "dev", "test")
        },
    },
    "nemo": {
        "data.tsv": "file_id\temotion\traw_text\tspeaker_id\tgender\tage\n"
        "x_ang_1.wav\tanger\tAle słodki pies!\tABC\tfemale\t30\nx_neu_1.wav\tneutral\tNie.\tABC\tfemale\t30\n",
        "samples/x_ang_1.wav": "",
        "samples/x_neu_1.wav": "",
    },
    "cremad": {
        "VideoDemographics.csv": "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n",
        "AudioWAV/1001_DFA_ANG_XX.wav": "",
        "AudioWAV/1001_IEO_HAP_HI.wav": "",
    },
    "demo": {"demo.csv": "path,label,speaker,prompt,text,sex\nx.wav,anger,m1,p1,Stop it now,male\n"},
    "iemocap": {
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n\n[10.0100 - 11.3925]\tSes01F_impro01_F001\tang\t[2.0, 3.5, 3.0]\n"
        "C-F1:\tAnger; Other;\t(curious (a bit))\n",
        "Session1/dialog/transcriptions/Ses01F_impro01.txt": "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
        "Ses01F_impro01_F001 [010.0100-011.3925]: Yeah. [LAUGHTER]\nSes01F_impro01_FXX0 [1-2]: Um.\n",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F001.wav": "",
    },
}
"""Small corpora of every kind that has text in it; those without say all in the names of their files."""

NAMED = {
    "ravdess": "Actor_01/03-01-05-01-01-01-01.wav",
    "emodb": "wav/03a01Wa.wav",
    "tess": "OAF_angry/OAF_back_angry.wav",
    "savee": "DC/a01.wav",
    "cremad": "AudioWAV/1001_DFA_ANG_XX.wav",
}
"""A file's name of each corpus that is read from such names."""


def make_corpora(root: Path) -> Target:
    """A corpus of each kind in a folder of its own."""
    from sercli.cli import sources
    from sercli.dataset import preparation

    names = []
    for corpus, content in CORPORA.items():
        folder = root / corpus.replace("/", "-")
        folder.mkdir()
        soundfile.write(folder / "x.wav", np.zeros(1600, np.float32), 16_000)
        for name, text in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".wav"):
                shutil.copy(folder / "x.wav", folder / name)
            else:
                (folder / name).write_text(text, encoding="utf-8")
                names.append(f"{folder.name}/{name}")

    def read(path: Path) -> None:
        folder = root / path.relative_to(root).parts[0]
        name = folder.name.partition("-")[0]
        if name == "table":
            with suppress(SerError):  # which says nothing of the corpus
                sources.listed(path)
        with tempfile.TemporaryDirectory() as out:
            preparation.prepare(name, folder, Path(out) / "data", label_set="native", progress=no_progress)

    return Target(root, read, tuple(names))


def make_vectors(root: Path) -> Target:
    """The same word vectors in every form."""
    from sercli.features import _vectors

    words = ["the", "of", "cat", "naïve", "new york"]
    values = np.random.default_rng(0).normal(size=(len(words), 4)).astype(np.float32)
    lines = "".join(
        f"{w.replace(' ', '_')} {' '.join(f'{x:.4f}' for x in v)}\n" for w, v in zip(words, values, strict=True)
    )
    (root / "glove.txt").write_text(lines, encoding="utf-8")
    (root / "word2vec.txt").write_text(f"{len(words)} 4\n{lines}", encoding="utf-8")
    (root / "glove.txt.gz").write_bytes(gzip.compress(lines.encode()))
    binary = b"".join(w.replace(" ", "_").encode() + b" " + v.tobytes() for w, v in zip(words, values, strict=True))
    (root / "word2vec.bin").write_bytes(f"{len(words)} 4\n".encode() + binary)
    _vectors.save(_vectors.load(root / "glove.txt", 10), root / "vectors.npz")
    return Target(root, lambda path: _vectors.load(path, 1000), tuple(sorted(p.name for p in root.iterdir())))


def make_dataset(root: Path, n_clips: int = 24) -> "Path":
    """A dataset of tones with words, prepared with features, transcripts by a recogniser and folds."""
    import msgspec

    from sercli.dataset import fingerprint, folds, manifest, preparation
    from sercli.dataset.feature_specs import feature_configs
    from sercli.dataset.splits import make_folds

    source, out = root / "corpus", root / "data"
    source.mkdir()
    rows = ["path,label,speaker,text"]
    labels = ("neutral", "happiness", "sadness", "anger")
    for n in range(n_clips):
        tone = 0.2 * np.sin(np.arange(6400) * (0.03 + 0.02 * (n % 4))) * np.linspace(0.3, 1, 6400)
        soundfile.write(source / f"{n}.wav", tone.astype(np.float32), 16_000)
        rows.append(f"{n}.wav,{labels[n % 4]},s{n // 4 % 6},word {labels[n % 4]} {n}")
    table = source / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    os.utime(table, (0, 0))  # what changed just now is not remembered as what it was
    wanted = feature_configs("lld,words", [], [])
    made_from = fingerprint.take("table", table, out, label_set="four", features=[])
    prepared = preparation.prepare("table", table, out, label_set="four", progress=no_progress)
    preparation.finish(prepared, wanted, jobs=1, progress=no_progress, made_from=made_from)
    assert made_from
    assert fingerprint.load_summary(out, made_from)
    made = manifest.load(out)
    folds.write(out / "folds.json", make_folds(made.manifest, "speakers"), "table")
    lines = [
        {
            "id": u.id,
            "digest": u.digest,
            "start_s": None,
            "end_s": None,
            "text": u.transcripts["human"],
            "confidence": 0.9,
        }
        | {"no_speech": 0.0, "words": [{"text": "word", "start_s": 0.0, "end_s": 0.1, "probability": 0.9}]}
        for u in made.manifest.utterances
    ]
    (out / "transcripts").mkdir()
    (out / "transcripts" / "whisper.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return out


def make_datasets(root: Path) -> Target:
    """A prepared dataset with all that is read back from it."""
    from sercli.dataset import feature_cache, fingerprint, folds, manifest, preparation
    from sercli.dataset.feature_specs import feature_configs
    from sercli.dataset.splits import make_split

    out, table = make_dataset(root), root / "corpus" / "table.csv"
    wanted = feature_configs("lld,words", [], [])
    names = [p.relative_to(out).as_posix() for p in sorted(out.rglob("*")) if p.is_file() and p.suffix != ".lock"]

    def read(path: Path) -> None:
        if path.name in ("audio-index.jsonl", ".prepared.json"):
            made_from = fingerprint.take("table", table, out, label_set="four", features=[])
            assert made_from
            fingerprint.load_summary(out, made_from)
            preparation.prepare("table", table, out, label_set="four", progress=no_progress)
            return
        dataset = manifest.load(out)
        manifest.load(out, words="whisper")
        folds.read(out / "folds.json", dataset.manifest)
        make_split(dataset.manifest, dataset.info.split, n_folds=dataset.info.folds)
        saved = {p: p.read_bytes() for p in path.parent.iterdir() if p.is_file() and p.name[0] != "."}
        try:
            for name, config in wanted:
                ids = [u.id for u in dataset.manifest.utterances if extraction.lacks(u, name) is None]
                if ids:
                    features = feature_cache.ensure(dataset, name, config, progress=no_progress)
                    assert all(features[i].ndim == 2 and len(features[i]) for i in ids)
        finally:  # a part that was damaged is made again
            for p, content in saved.items():
                p.write_bytes(content)

    return Target(out, read, tuple(names))


def make_runs(root: Path) -> Target:
    """An acoustic run, a linguistic one and their ensemble, with a training that was broken off."""
    import torch

    from sercli.dataset import manifest
    from sercli.dataset.splits import make_split
    from sercli.model import spec
    from sercli.model.loading import load_model, load_run
    from sercli.training import experiment, fusion

    torch.set_num_threads(1)
    device = torch.device("cpu")
    dataset = manifest.load(make_dataset(root))
    split = make_split(dataset.manifest, "speakers", n_folds=3)
    rows = feature_provider.cached_features(dataset, jobs=1, progress=no_progress)
    runs_made = []
    context = experiment.Context(dataset, rows, 0, device)
    for preset in ("acoustic-lld", "linguistic"):
        small = {"train": {"epochs": 2}, "architecture": {"hidden_size": 4}}
        plan = spec.resolve(preset, None, small)
        out = root / preset
        experiment.train(plan, split, out, context)
        runs_made.append(load_model(out, device))
    rule = fusion.rule_configs(["feature"], ["train.epochs=2"])["feature"]
    fusion.fuse(tuple(runs_made), rule, root / "both", context)
    utterances = dataset.select(split.test[:2])
    trainer = experiment.make_trainer(plan, split.train, split.valid, context)
    next(trainer.epochs())
    trainer.save(root / "linguistic" / "resume.safetensors")

    for path in [p for folder in ("acoustic-lld", "linguistic", "both") for p in (root / folder).rglob("run.json")]:
        content = json.loads(path.read_bytes())  # without digests, which would refuse whatever is broken
        path.write_text(json.dumps({**content, "files": {}, "digest": ""}, indent=2))

    def read(path: Path) -> None:
        from sercli import runs

        folder = root / path.relative_to(root).parts[0]
        if path.name == "resume.safetensors":
            trainer.resume(path)
            return
        system = load_run(folder, device)
        assert np.isfinite(system.predict(utterances, rows).probs).all()
        runs.read_split(folder)
        for part in ("valid", "test"):
            runs.read_predictions(folder, part)

    used = (".json", ".npz", ".safetensors", ".csv")
    folders = ("acoustic-lld", "linguistic", "both")
    names = [
        p.relative_to(root).as_posix()
        for folder in folders
        for p in sorted((root / folder).rglob("*"))
        if p.suffix in used and p.name != "history.jsonl"
    ]
    return Target(root, read, tuple(names))


def make_configs(root: Path) -> Target:
    """Files of settings, and the names of files that corpora are read from."""
    from sercli import config
    from sercli.model import spec

    plan = spec.resolve("acoustic-lld", None, {})
    (root / "a.json").write_text(json.dumps(plan.to_dict()))
    (root / "b.toml").write_text('[model]\nfeature = "lld"\narchitecture = "lstm"\n\n[train]\nlr = 0.01\nepochs = 5\n')

    def read(path: Path) -> None:
        config.read_file(path)
        spec.resolve(None, path, {})

    return Target(root, read, ("a.json", "b.toml"))


TARGETS: dict[str, Callable[[Path], Target]] = {
    "audio": make_audio,
    "corpora": make_corpora,
    "vectors": make_vectors,
    "datasets": make_datasets,
    "runs": make_runs,
    "configs": make_configs,
}


def attempts(target: Target, source: random.Random) -> Iterator[tuple[str, bytes]]:
    """Broken files without end."""
    while True:
        name = source.choice(target.names)
        yield name, mutated((target.root / name).read_bytes(), random_edits(source))


def _work(kind: str, seed: int, seconds: float, current: Path, results: "multiprocessing.Queue[object]") -> None:
    """Try one broken file after another; what is being tried lies in `current`, for the case of a crash."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        target = TARGETS[kind](Path(folder))
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders of MP3 have much to say
        signal.signal(signal.SIGALRM, _too_slow)
        end = time.monotonic() + seconds
        for name, content in attempts(target, random.Random(seed)):
            if time.monotonic() > end:
                break
            current.with_name(f"{current.name}.name").write_text(name)
            current.write_bytes(content)
            signal.alarm(SLOWEST_S)
            try:
                results.put((target.attempt(name, content), name, "", b""))
            except BaseException as error:
                results.put(("found", name, _where(error), content))
            signal.alarm(0)


def _too_slow(number: int, frame: object) -> None:
    raise TimeoutError(f"more than {SLOWEST_S} s")


def _where(error: BaseException) -> str:
    """What came out, and the last lines of ours and of all that it came out of."""
    steps = traceback.extract_tb(error.__traceback__)
    ours = [step for step in steps if "sercli" in step.filename]
    chosen = [*ours[-2:], steps[-1]]
    said = str(error).splitlines()[0][:160] if str(error) else ""
    return f"{type(error).__name__}: {said} @ " + " < ".join(
        f"{Path(s.filename).name}:{s.lineno}" for s in chosen[::-1]
    )


def fuzz(kind: str, seconds: float, seed: int, current: Path) -> tuple[Counter[str], dict[str, tuple[str, bytes]]]:
    """Break the files of one target for some time.

    Args:
        kind: the target.
        seconds: how long.
        seed: of the first process that does it.
        current: where the file under work is kept, for a crash leaves nothing else behind.

    Returns:
        how many inputs were read, refused and found to be trouble, and one file for each finding.
    """
    counts: Counter[str] = Counter()
    findings: dict[str, tuple[str, bytes]] = {}
    end = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < end:
        results = context.SimpleQueue()
        process = context.Process(target=_work, args=(kind, seed, end - time.monotonic(), current, results))
        process.start()
        while process.is_alive() or not results.empty():
            if results.empty():
                time.sleep(0.02)
                continue
            said, name, where, content = results.get()
            counts[said] += 1
            if said == "found":
                findings.setdefault(
                    re.sub(r"\d+", "N", where.partition(" @ ")[0])[:40] + where.rpartition("@")[2],
                    (f"{name}: {where}", content),
                )
        if process.exitcode:
            if not current.exists():
                raise SystemExit(f"{kind}: no valid files could be made")
            counts["crashed"] += 1
            name = current.with_name(f"{current.name}.name").read_text()
            findings.setdefault(f"crash {name}", (f"{name}: exit {process.exitcode}", current.read_bytes()))
        seed += 1
    return counts, findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--minutes", type=float, default=6.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: another one each time")
    parser.add_argument("--out", type=Path, default=Path("findings"), help="where the files of findings are kept")
    options = parser.parse_args()
    chosen = options.targets or list(TARGETS)
    n_found = 0
    print(f"seed {options.seed}")
    print("| files | inputs | read | refused | findings |\n|---|---|---|---|---|")
    for kind in chosen:
        with tempfile.TemporaryDirectory() as folder:
            counts, findings = fuzz(kind, options.minutes * 60 / len(chosen), options.seed, Path(folder) / "current")
        print(f"| {kind} | {counts.total()} | {counts['read']} | {counts['refused']} | {len(findings)} |", flush=True)
        for number, (where, content) in enumerate(findings.values()):
            print(f"  {where}", file=sys.stderr, flush=True)
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{kind}-{number}").write_bytes(content)
        n_found += len(findings)
    sys.exit(1 if n_found else 0)


if __name__ == "__main__":
    main()
