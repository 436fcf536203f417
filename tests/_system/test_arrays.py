"""Arrays out of files that may be anybody's."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from sercli._system import arrays

GIVEN = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "by_columns": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "scalar": np.array("a text"),
    "empty": np.zeros((0, 4), np.float32),
}


def archive(path, *, packed=False, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def header(shape, descr="<f8", fill=b""):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": descr, "fortran_order": False, "shape": shape})
    return content.getvalue() + fill


def reason(path):
    tracemalloc.start()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is what is given back
        arrays.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    return str(caught.value)


def test_what_numpy_writes_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", **GIVEN)
    found = arrays.read(tmp_path / "a.npz")
    assert found.keys() == GIVEN.keys()
    for name, value in GIVEN.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_a_header_that_claims_more_than_there_is_costs_no_memory(tmp_path):
    path = archive(tmp_path / "a.npz", x=header((10**12,), fill=bytes(80)))
    assert reason(path) == "'x.npy' claims the shape (1000000000000,), but has 80 bytes"


def test_a_member_that_claims_more_than_the_file_has_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", x=header((10,), fill=bytes(80)))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    assert reason(path) == "its arrays claim more bytes than the file has"


def test_a_packed_archive_is_not_unpacked(tmp_path):
    path = archive(tmp_path / "a.npz", packed=True, x=header((10**8,), "|u1", fill=bytes(10**8)))
    assert path.stat().st_size < 200_000
    assert reason(path) == "its arrays are compressed; write them with numpy.savez"


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    assert reason(tmp_path / "a.npz") == "it holds Python objects"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(100),
        header((-1, -80), fill=bytes(80)),
        header((2,), "|V0"),
        b"\x93NUMPY\x01\x00\xe8\x03" + b"(" * 1000,
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content):
    assert reason(archive(tmp_path / "a.npz", x=content))


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04" + bytes(200))
    assert reason(tmp_path / "a.npz")
