import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_files(tmp_path):
    """Writes files below tmp_path: a tenth of a second of sound where the name ends in .wav, else nothing."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() == ".wav":
                soundfile.write(path, np.zeros(1600, np.float32), 16_000, format="WAV")
            else:
                path.write_bytes(b"")
        return tmp_path

    return make


@pytest.fixture
def write(tmp_path):
    """Writes one text file below tmp_path, its line ends as given."""

    def write_one(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_one
