"""`ser predict mic`, behind a sounddevice of the test, and raw samples on stdin."""

import io
import json
import os
import signal
import sys
import threading
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import sercli
from sercli.audio import live, reading
from sercli.cli.render.live import LiveView
from sercli.types import Adapted, Prediction

RATE_HZ = 48_000
DEVICES = [
    {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 44_100.0},
    {"name": "Desk mic", "max_input_channels": 1, "default_samplerate": 48_000.0},
    {"name": "Head set", "max_input_channels": 2, "default_samplerate": 48_000.0},
]


class PortAudioError(Exception):
    pass


@pytest.fixture
def said(demo_clips):
    """Two sentences with pauses, float32 at 48 kHz."""
    parts = [reading.read(demo_clips(name), sample_rate_hz=RATE_HZ) for name in ("m1-anger-1", "f1-sadness-1")]
    return np.concatenate([np.concatenate([part, np.zeros(RATE_HZ, np.float32)]) for part in parts])


@pytest.fixture
def device(monkeypatch, said):
    """A sounddevice whose microphone gives what is said; then its user presses Ctrl-C, or unplugs it."""
    module = ModuleType("sounddevice")
    module.PortAudioError, module.default = PortAudioError, SimpleNamespace(device=[1, 0])
    module.overflows, module.unplugged, module.opened = (), False, []

    def query_devices(device=None, kind=None):
        if kind is None:
            return DEVICES
        found = [one for one in DEVICES if one["max_input_channels"] and str(device or "Desk") in one["name"]]
        if len(found) != 1:
            raise ValueError(f"No input device matching {device!r}")
        return found[0]

    @contextmanager
    def stream(rate_hz, blocksize, device, *, channels, dtype, callback, finished_callback):
        module.opened.append((rate_hz, device, channels, dtype))

        def speak():
            for n, block in enumerate(np.split(said, range(blocksize, len(said), blocksize))):
                callback(block[:, None], len(block), None, SimpleNamespace(input_overflow=n in module.overflows))
            finished_callback() if module.unplugged else os.kill(os.getpid(), signal.SIGINT)

        speaker = threading.Thread(target=speak)
        speaker.start()
        yield SimpleNamespace(active=not module.unplugged)
        speaker.join(10)

    module.query_devices, module.InputStream = query_devices, stream
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.mark.parametrize("unplugged", [False, True])
def test_a_microphone_is_predicted_until_ctrl_c_which_ends_with_the_shares_of_time(ser, device, unplugged):
    """Ctrl-C comes while most of what was said still waits to be predicted."""
    device.unplugged, before = unplugged, signal.getsignal(signal.SIGINT)
    shown = ser("predict", "mic", "--no-asr", "--input-device", "Head")
    assert shown.code == 0
    assert "Listening to Head set. Ctrl-C ends." in shown.err
    assert ("warning: mic: Head set stopped" in shown.err) == unplugged
    assert "interrupted" not in shown.err
    assert signal.getsignal(signal.SIGINT) == before
    lines = shown.out.splitlines()
    assert lines[0] == "mic"
    assert sum(line.startswith("   0:0") for line in lines) == 2
    assert " of speech: " in shown.out
    assert device.opened == [(RATE_HZ, "Head", 1, "float32")]


def test_the_summary_of_a_microphone_comes_at_the_end(ser, device):
    shown = ser("predict", "mic", "--no-asr", "--summary")
    assert shown.code == 0
    assert shown.out.startswith("mic\n")
    assert "mean probability: " in shown.out


def test_sound_that_the_device_loses_is_told_on_stderr_and_with_each_prediction(ser, device):
    device.unplugged, device.overflows = True, (10, 20)
    shown = ser("predict", "mic", "--no-asr", "--json")
    remark = "sound was lost 2 times, last at 0:01.0: the computer is too slow; leave out words (--no-asr), or close"
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [one["path"] for one in found] == ["mic", "mic"]
    assert all(one["remarks"][0].startswith(remark) for one in found)
    assert f"warning: mic: {remark}" in shown.err


def test_blocks_that_nobody_takes_do_not_fill_the_memory(device, said, monkeypatch):
    device.unplugged = True
    monkeypatch.setattr(live, "_MOST_WAITING", 3)
    sound = live.microphone()
    first = next(sound.blocks)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.name.endswith("(speak)"):
            thread.join(10)
    assert len(first) + sum(map(len, sound.blocks)) < len(said) / 4
    assert sound.remarks[0].startswith("sound was lost ")


def test_devices_are_listed_and_one_that_is_not_there_is_refused(ser, device):
    shown = ser("predict", "mic", "--input-device", "list")
    assert shown.out == " 1  Desk mic, 48000 Hz (default)\n 2  Head set, 48000 Hz\n"
    shown = ser("predict", "mic", "--input-device", "Phone")
    assert shown.code == 2
    assert shown.err == (
        "ser: There is no input device Phone (No input device matching 'Phone'); "
        "ser predict mic --input-device list shows them.\n"
    )


def test_without_the_extra_or_portaudio_it_is_said_what_to_install(ser, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    shown = ser("predict", "mic")
    assert (shown.code, shown.err) == (2, "ser: sounddevice is not installed; run: pip install 'sercli[mic]'\n")

    def missing(name):
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(sercli.SerError, match=r"PortAudio library not found; install it, .* libportaudio2"):
        live.microphone()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mic", "--plot", "x.png"], "--plot needs a recording, and mic is predicted while it comes in; leave it out."),
        (["mic", "a.wav"], "mic is the microphone; give it alone."),
        (["-", "--raw", 16000, "--speakers", 2], "--speakers needs a recording, and - is predicted while"),
        (["a.wav", "--raw", 16000], "--raw is for samples on stdin: ser predict - --raw 16000."),
        (["a.wav", "--input-device", "x"], "--input-device is for a microphone: ser predict mic --input-device NAME."),
    ],
)
def test_what_needs_a_recording_or_something_else_is_refused(ser, words, said):
    shown = ser("predict", *words)
    assert shown.code == 2
    assert shown.err.startswith(f"ser: {said}")


def test_a_file_called_mic_is_a_file(ser, tmp_path, monkeypatch, demo_clips):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mic").write_bytes(demo_clips("m1-anger-1").read_bytes())
    shown = ser("predict", "mic", "--no-asr", "--json")
    assert json.loads(shown.out)["remarks"] == []


@pytest.fixture
def piped(monkeypatch):
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_raw_samples_on_stdin_are_predicted_as_a_stream(ser, piped, said, tmp_path):
    samples = (said * 32_767).astype("<i2")
    piped(samples.tobytes() + b"\0")
    shown = ser("predict", "-", "--raw", RATE_HZ, "--no-asr", "-o", tmp_path, "-q")
    assert "warning: -: its last byte is half a sample and left out" in shown.err
    found = [json.loads(line) for line in (tmp_path / "stdin.json").read_text("utf-8").splitlines()]
    expected = list(sercli.load(asr=None).stream([samples], RATE_HZ))
    assert [(p["path"], p["start_s"], p["label"]) for p in found] == [("-", p.start_s, p.label) for p in expected]


def test_an_empty_stdin_is_refused(ser, piped):
    piped(b"")
    shown = ser("predict", "-", "--raw", 16000, "--no-asr", "-q")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "ser: Nothing came in on stdin (0 bytes); check the command before the pipe.\n"


@pytest.mark.parametrize("width", [40, 100])
def test_the_view_shows_level_label_probabilities_words_shares_and_adaptation(width):
    view = LiveView("Listening to Desk mic. Ctrl-C ends.")
    view.heard(np.full(800, 3277, np.int16), 16_000, ["sound was lost"])
    probabilities = {"neutral": 0.25, "anger": 0.75}
    adapted = Adapted("recording", 6, "auto")
    view.predicted(Prediction("mic", 3.0, 5.0, "anger", 0.75, probabilities, text="Stop it.", adapted=adapted))
    console = Console(file=io.StringIO(), width=width)
    console.print(view)
    head, level, last, neutral, anger, *below = console.file.getvalue().splitlines()
    assert head == "Listening to Desk mic. Ctrl-C ends."
    assert level.endswith(" -20 dB  0:00")
    assert last == "0:03.0  anger 0.75  Stop it."
    assert (neutral.startswith("neutral  0.250  █"), anger.startswith("anger    0.750  █")) == (True, True)
    assert 2.5 < anger.count("█") / neutral.count("█") < 3.5
    told = ["0:02.0 of speech: anger", "adapted to the recording (auto, 6 so far)", "sound was lost"]
    assert below == [line if len(line) <= width - 2 else f"{line[: width - 3]}…" for line in told]
