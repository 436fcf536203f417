"""How many recordings of corpora are taken for the same sound, and how many copies of them are known as such.

Recordings are compared with each other, and some of them with copies: other rates, levels, codecs, a later start.

    python benchmarks/same_sounds.py FOLDER...
"""

import io
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sercli.audio.reading import inspect
from sercli.audio.sound_print import Printer
from sercli.dataset.audio_index import IndexedAudio
from sercli.dataset.same_sounds import alike, reference
from sercli.types import Array

N_COPIED = 40  # recordings of each folder
QUALITY = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
Copy = tuple[Array, int]


def coded(signal: Array, rate_hz: int, codec: str, compression: float) -> Copy:
    """The signal written with a codec and read again."""
    file, (form, subtype) = io.BytesIO(), QUALITY[codec]
    options = {"format": form, "subtype": subtype, "compression_level": compression}
    with soundfile.SoundFile(file, "w", rate_hz, 1, **options) as out:
        out.write(signal)
    file.seek(0)
    copy, copy_hz = soundfile.read(file, dtype="float32")
    return copy, copy_hz


def copies(signal: Array, hz: int) -> dict[str, Copy]:
    """Copies of a recording by what was done to it."""
    noise = np.random.default_rng(0).standard_normal(len(signal)).astype(np.float32)
    at_44k = soxr.resample(signal, hz, 44_100)
    return {
        "8 kHz": (soxr.resample(signal, hz, 8_000), 8_000),
        "11.025 kHz": (soxr.resample(signal, hz, 11_025), 11_025),
        "44.1 kHz": (at_44k, 44_100),
        "20 dB softer": (0.1 * signal, hz),
        "6 dB over full scale, clipped": ((2 * signal / np.abs(signal).max()).clip(-1, 1), hz),
        "MP3, best": coded(signal, hz, "mp3", 0.0),
        "MP3, middle, 44.1 kHz": coded(at_44k, 44_100, "mp3", 0.5),
        "MP3, nearly worst": coded(signal, hz, "mp3", 0.9),
        "Ogg Vorbis, middle": coded(signal, hz, "ogg", 0.5),
        "Opus, nearly worst": coded(signal, hz, "opus", 0.9),
        "30 ms later": (np.concatenate([np.zeros(3 * hz // 100, np.float32), signal]), hz),
        "first 100 ms cut": (signal[hz // 10 :], hz),
        "noise 20 dB below": (signal + 0.1 * signal.std() * noise, hz),
        "first 500 ms cut": (signal[hz // 2 :], hz),
        "10 % faster": (signal, round(1.1 * hz)),
    }


def printed(name: str, signal: Array, rate_hz: int) -> IndexedAudio:
    """A signal as the audio index has it."""
    printer = Printer(rate_hz)
    printer.add(np.asarray(signal, np.float32))
    return IndexedAudio(name, 0, 0, "0" * 32, len(signal) / rate_hz, printer.finish())


def indexed(path: Path) -> IndexedAudio:
    """A recording as the audio index has it."""
    facts = inspect(path)
    return IndexedAudio(path.name, 0, 0, facts.digest, facts.duration_s, facts.sound)


def main(folders: list[Path]) -> None:
    """Print what is found in each folder, and the share of copies that are known."""
    known: dict[str, list[bool]] = {}
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in {".wav", ".flac"})
        began = time.process_time()
        audio = [indexed(path) for path in paths]
        read = time.process_time()
        found = {tuple(sorted((audio[i].path, audio[j].path))) for i, j in alike(audio, [*map(reference, audio)])}
        same = sorted(pair for pair in found if pair[0] != pair[1])
        print(f"{folder}: {len(paths)} recordings, {read - began:.1f} s, {time.process_time() - read:.1f} s to compare")
        print(f"  the same: {', '.join(' = '.join(pair) for pair in same) or 'none'}")
        for number in range(0, len(paths), max(1, len(paths) // N_COPIED)):
            signal, hz = soundfile.read(paths[number], dtype="float32")
            for what, copy in copies(signal, hz).items():
                pairs = alike([printed(what, *copy)], [reference(audio[number])])
                known.setdefault(what, []).append(any(True for _ in pairs))
    print("\n| copy | known |\n|---|---|")
    for what, hits in known.items():
        print(f"| {what} | {sum(hits)} of {len(hits)} |")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
