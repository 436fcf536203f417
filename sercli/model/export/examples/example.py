"""Predict the emotion in a recording with ONNX Runtime: python example.py CLIP.wav.

Needs onnxruntime (and numpy, which comes with it). The clip is one utterance of up to 15 s; other formats become a WAV
by `ffmpeg -i CLIP -ac 1 -ar 16000 -sample_fmt s16 CLIP.wav`.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
about = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(HERE / "model.onnx")  # or model-int8.onnx

with wave.open(sys.argv[1]) as file:
    if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (about["sample_rate_hz"], 1, 2):
        sys.exit(f"{sys.argv[1]} is not 16-bit mono at {about['sample_rate_hz']} Hz; convert it first.")
    samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768

if not about["shortest_s"] <= len(samples) / about["sample_rate_hz"] <= about["longest_s"]:
    sys.exit(f"{sys.argv[1]} does not last from {about['shortest_s']} to {about['longest_s']} s; cut it first.")

probabilities, speech = session.run(["probabilities", "speech"], {"samples": samples})
if speech == 0:
    print("no speech")
else:
    for label, probability in zip(about["labels"], probabilities, strict=True):
        print(f"{label} {probability:.6f}")
