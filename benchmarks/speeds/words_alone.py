"""Faster-whisper alone: the words of recordings, with the weights and the settings that ser hears them with.

python benchmarks/speeds/words_alone.py CLIP ...
"""

import sys

from faster_whisper import WhisperModel

from sercli.whisper import weights


def main() -> None:
    model = WhisperModel(str(weights.find(None).folder), device="cpu", compute_type="int8", cpu_threads=1)
    for path in sys.argv[1:]:
        found, _ = model.transcribe(path, language="en", beam_size=1, temperature=0.0, word_timestamps=True)
        print(path, " ".join(segment.text.strip() for segment in found))


if __name__ == "__main__":
    main()
