"""Recordings of every container, made on the spot with FFmpeg's encoders."""

import av
import numpy as np
import pytest

RATE_HZ = 48_000


def tone(n_samples, rate_hz=RATE_HZ):
    """(n,) a tone that rises, so that its place in time can be told."""
    t = np.arange(n_samples) / rate_hz
    return (0.3 * np.sin(2 * np.pi * (200 + 150 * t) * t)).astype(np.float32)


def encode(path, signal=None, rate_hz=RATE_HZ, *, codec, video=None, form=None, starts=None, options=None):
    """Write a signal (n,) or (n, channels) as the first sound of a container; skips the test where that cannot be done.

    Args:
        path: the file; its suffix names the container.
        signal: None: two seconds of `tone`; no sound at all where it is empty.
        rate_hz: of the signal.
        codec: of the sound.
        video: codec of a second of pictures, or None.
        form: name of the container where the suffix does not tell.
        starts: frame -> the time stamp, in frames, that the sound goes on with from there.
        options: of the container.
    """
    signal = tone(2 * rate_hz, rate_hz) if signal is None else signal
    path.parent.mkdir(exist_ok=True)
    channels = np.atleast_2d(np.asarray(signal, np.float32).T)
    try:
        with av.open(str(path), "w", format=form, options=options or {}) as container:
            pictures = container.add_stream(video, rate=10) if video else None
            sound = container.add_stream(codec, rate=rate_hz) if channels.size else None
            if sound:
                sound.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
                sound.bit_rate = 12_200 if "amr" in codec else 128_000
            if pictures:
                _film(container, pictures)
            if sound:
                _sound(container, sound, channels, rate_hz, starts or {})
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"FFmpeg here has no {codec} or {video}: {error}")
    return path


def _film(container, pictures):
    pictures.width = pictures.height = 64
    pictures.pix_fmt = "yuv420p"
    for n in range(10):
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * n, np.uint8), format="rgb24")
        container.mux(pictures.encode(picture))
    container.mux(pictures.encode())


def _sound(container, sound, channels, rate_hz, starts):
    step, shift = 960, 0
    for at in range(0, channels.shape[1], step):
        shift = starts.get(at, at + shift) - at
        part = np.ascontiguousarray(channels[:, at : at + step])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=sound.layout.name)
        frame.rate, frame.pts = rate_hz, at + shift
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def cut(path, share=0.6):
    """Leave the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
