"""Faster-whisper alone: the words of recordings, with the weights and the settings that ser hears them with.

python benchmarks/speeds/words_alone.py CLIP ...
"""

import sys

from faster_whisper import WhisperModel, decode_audio

from sercli.asr import whisper
from sercli.types import SAMPLE_RATE_HZ
from sercli.whisper import weights


def main() -> None:
    model = WhisperModel(str(weights.find(None).folder), device="cpu", compute_type="int8", cpu_threads=1)
    for path in sys.argv[1:]:
        sound = decode_audio(path, SAMPLE_RATE_HZ)
        options = whisper.options(whisper.Config(), len(sound) / SAMPLE_RATE_HZ)
        found, _ = model.transcribe(sound, language="en", **options)
        print(path, " ".join(segment.text.strip() for segment in found))


if __name__ == "__main__":
    main()
