"""Make data/demo: a small, plainly synthetic corpus of emotional speech, spoken by espeak-ng.

    apt-get install espeak-ng
    python benchmarks/make_demo.py

Six voices speak 32 clips each, 8 for each of four emotions: 6 of sentences of that emotion and 2 of sentences that go
with any. Prosody follows the emotion with much variation, so neither sound nor words alone tell the emotion each time.
The same versions of espeak-ng, soxr and libsndfile give the same bytes.
"""

import csv
import io
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from demo_sentences import ANY, SENTENCES

FOLDER = Path(__file__).parents[1] / "data" / "demo"
SEED = 20
RATE_HZ = 16_000
SHORTEST_S, LONGEST_S = 1.5, 3.5
COMPRESSION = 0.75  # of libsndfile, 0 to 1; keeps the corpus below 3 MB
N_OWN, N_ANY = 6, 2  # sentences of a class that a speaker speaks: of the emotion, and of those that go with any

README = """This is synthetic speech made with espeak-ng by benchmarks/make_demo.py, to try ser with: no human spoke it,
and it says nothing about how well ser does on people. It is given to the public domain under CC0 1.0,
https://creativecommons.org/publicdomain/zero/1.0/

demo.csv: path, label, speaker, session (none), prompt (sentence), text, sex.
"""


@dataclass(frozen=True)
class Prosody:
    """How a clip is spoken."""

    pitch_st: float  # semitones above the voice's own pitch
    range_pct: float  # of the voice's own pitch range
    rate: float  # factor of the speed
    level_db: float
    tilt_db: float  # per octave about 1 kHz: vocal effort
    gap: float  # pause between words, in espeak's units
    formant_pct: float  # formants up or down: a smile shortens the vocal tract


EMOTIONS = {
    "neutral": Prosody(0.0, 90, 1.00, 0.0, 0.0, 1.0, 0),
    "happiness": Prosody(3.5, 170, 1.08, 2.0, 1.0, 0.0, 9),
    "sadness": Prosody(-2.0, 40, 0.80, -4.0, -3.2, 3.0, -4),
    "anger": Prosody(1.0, 110, 1.15, 5.0, 4.2, 0.0, -3),
}
SPREAD = Prosody(1.2, 25, 0.06, 2.0, 0.7, 0.6, 1.5)  # deviation from clip to clip
INTENSITY = (0.6, 1.4)  # share of the way from neutral to the emotion
# The voices of espeak-ng, and what each adds to every clip.
VOICES = {
    "f1": ("en-us+f2", Prosody(0.5, 5, 0.00, 1.0, 0.4, 0, 0)),
    "f2": ("en-gb-scotland+f5", Prosody(-0.8, -10, -0.05, -2.0, -0.5, 0.5, 0)),
    "f3": ("en-gb-x-rp+f3", Prosody(0.8, 10, 0.05, 0.0, 0.0, 0, 0)),
    "m1": ("en-us-nyc+m4", Prosody(0.0, 5, 0.02, 2.0, -0.4, 0, 0)),
    "m2": ("en-029+m5", Prosody(1.0, 0, -0.03, -1.0, 0.6, 0, 0)),
    "m3": ("en-gb-x-rp+m3", Prosody(-1.0, -15, 0.03, 0.0, -0.2, 0.5, 0)),
}


def main() -> None:
    if shutil.which("espeak-ng") is None:  # before the clips are deleted
        sys.exit("espeak-ng is not installed: apt-get install espeak-ng")
    audio = FOLDER / "audio"
    if audio.exists():
        shutil.rmtree(audio)
    audio.mkdir(parents=True)
    rows = []
    random = np.random.default_rng(SEED)
    scripts = deal_sentences(random)
    for speaker in VOICES:
        for label in EMOTIONS:
            for number, (prompt, text) in enumerate(scripts[speaker][label], start=1):
                path = f"audio/{speaker}-{label}-{number}.ogg"
                write_ogg(FOLDER / path, speak(text, speaker, label, random), serial=len(rows) + 1)
                rows.append((path, label, speaker, "", prompt, text, "female" if speaker[0] == "f" else "male"))
    with (FOLDER / "demo.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("path", "label", "speaker", "session", "prompt", "text", "sex"))
        table.writerows(rows)
    (FOLDER / "README").write_text(README, encoding="utf-8")
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{FOLDER}: {len(rows)} clips, {size:,} bytes")


def deal_sentences(random: np.random.Generator) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """By speaker and label: (sentence id, sentence). No speaker says one twice; each is said about equally often."""
    scripts: dict[str, dict[str, list[tuple[str, str]]]] = {speaker: {} for speaker in VOICES}
    for label in EMOTIONS:
        pool = [(f"{label}-{number:02d}", text) for number, text in enumerate(SENTENCES[label], start=1)]
        order = random.permutation(len(pool))
        half = len(pool) // 2  # the second round begins with what was said longest ago
        order = [pool[at] for at in (*order, *random.permutation(order[:half]), *random.permutation(order[half:]))]
        for nth, script in enumerate(scripts.values()):
            script[label] = order[nth * N_OWN : (nth + 1) * N_OWN]
    pool = [(f"any-{at + 1:02d}", ANY[at]) for at in random.permutation(len(ANY))]
    for turn, script in enumerate(scripts.values()):
        for nth, label in enumerate(EMOTIONS):  # going round: each sentence once with each emotion, by four voices
            first = (turn + nth) * N_ANY % len(pool)
            script[label] += pool[first : first + N_ANY]
    return scripts


def speak(text: str, speaker: str, label: str, random: np.random.Generator) -> np.ndarray:
    """One clip (samples,) at 16 kHz: the voice's way, moved towards the emotion, and varied."""
    voice, own = VOICES[speaker]
    neutral, emotion, spread = (np.array(_values(way)) for way in (EMOTIONS["neutral"], EMOTIONS[label], SPREAD))
    mixed = neutral + random.uniform(*INTENSITY) * (emotion - neutral) + random.normal(size=len(spread)) * spread
    way = Prosody(*map(float, mixed + np.array(_values(own))))
    before, after = (int(RATE_HZ * random.uniform(0.1, 0.2)) for _ in range(2))
    for _ in range(4):
        speech = synthesise(text, voice, way)
        seconds = (before + len(speech) + after) / RATE_HZ
        if SHORTEST_S <= seconds <= LONGEST_S:
            break
        limit = np.clip(seconds, SHORTEST_S * 1.08, LONGEST_S / 1.08)
        way = replace(way, rate=way.rate * float(seconds / limit))
    speech = tilt(speech, way.tilt_db)
    level_db = float(np.clip(-27 + way.level_db, -38, -21))
    speech *= min(10 ** (level_db / 20) / np.sqrt(np.mean(speech**2)), 0.8 / np.abs(speech).max())
    clip = np.pad(speech, (before, after))
    return np.clip(clip + random.normal(size=len(clip)) * 10 ** (-66 / 20), -0.99, 0.99)


def synthesise(text: str, voice: str, way: Prosody) -> np.ndarray:
    """What espeak-ng says, without the silence around it; a unit of its pitch is about 0.155 semitones.

    The formants move by playing the voice faster, which its pitch and rate make up for beforehand.
    """
    shift = 1 + way.formant_pct / 100
    pitch = int(np.clip(round(50 + (way.pitch_st - 12 * np.log2(shift)) / 0.155), 0, 99))
    marked = f'<speak><prosody range="{max(way.range_pct, 5):.0f}%">{text}</prosody></speak>'
    options = ["-v", voice, "-p", pitch, "-s", round(175 * way.rate / shift), "-g", max(round(way.gap), 0), "-m", "-z"]
    done = subprocess.run(["espeak-ng", *map(str, options), "--stdout", marked], capture_output=True, check=True)
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout))
    speech = soxr.resample(samples, rate_hz * shift, RATE_HZ)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


def tilt(speech: np.ndarray, db_per_octave: float) -> np.ndarray:
    """Turn the spectrum about 1 kHz, between 250 Hz and 6 kHz."""
    spectrum = np.fft.rfft(speech)
    hz = np.clip(np.fft.rfftfreq(len(speech), 1 / RATE_HZ), 250, 6000)
    return np.fft.irfft(spectrum * 10 ** (db_per_octave * np.log2(hz / 1000) / 20), len(speech))


def write_ogg(path: Path, clip: np.ndarray, *, serial: int) -> None:
    """Ogg Vorbis with a serial number of our own: libsndfile draws one by the clock, and no two runs would agree."""
    stream = io.BytesIO()
    soundfile.write(stream, clip, RATE_HZ, format="OGG", subtype="VORBIS", compression_level=COMPRESSION)
    pages = bytearray(stream.getvalue())
    at = 0
    while at < len(pages):
        segments = pages[at + 26]
        end = at + 27 + segments + sum(pages[at + 27 : at + 27 + segments])
        pages[at + 14 : at + 18] = serial.to_bytes(4, "little")
        pages[at + 22 : at + 26] = bytes(4)
        pages[at + 22 : at + 26] = ogg_crc(pages[at:end]).to_bytes(4, "little")
        at = end
    path.write_bytes(pages)


def ogg_crc(page: bytes) -> int:
    """CRC-32 as Ogg has it (RFC 3533): polynomial 04c11db7, no reflection, start 0."""
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ CRC_TABLE[(crc >> 24) ^ byte]
    return crc


def _crc_entry(byte: int) -> int:
    crc = byte << 24
    for _ in range(8):
        crc = ((crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def _values(prosody: Prosody) -> tuple[float, ...]:
    return tuple(vars(prosody).values())


CRC_TABLE = [_crc_entry(byte) for byte in range(256)]

if __name__ == "__main__":
    main()
