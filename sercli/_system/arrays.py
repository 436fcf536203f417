"""Named arrays in an .npz, read safely whoever wrote the file: no pickle, and no more memory than the file's size.

`numpy.load` allocates what a header claims, and unpacks what is compressed. `numpy.savez` does not compress, so each
array is as large as its part of the file.
"""

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sercli._system.files import write_atomic
from sercli.types import Array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def write(path: Path, named: Mapping[str, Array]) -> None:
    """Write arrays to an .npz atomically, without pickle."""
    content = io.BytesIO()
    np.savez(content, **{name: np.asarray(value) for name, value in named.items()})  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def read(file: Path | BinaryIO) -> dict[str, Array]:
    """Return the arrays of a file, read-only.

    Raises:
        ValueError: the file is damaged or compressed, holds no arrays, or holds Python objects.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            assert archive.fp is not None
            there = archive.fp.seek(0, 2)
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("its arrays are compressed; write them with numpy.savez")
            if sum(member.file_size for member in members) > there:
                raise ValueError("its arrays claim more bytes than the file has")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (zipfile.BadZipFile, EOFError, struct.error, zlib.error) as error:
        raise ValueError(str(error)) from None
    # zipfile and numpy raise these for a corrupt archive or header; too deep a nesting is a RuntimeError.
    except (RuntimeError, TypeError, KeyError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of numpy's format is not supported")
        shape, by_columns, kind = _HEADERS[version](stream)
        content = stream.read()
    if kind.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0 or prod(shape) * kind.itemsize != len(content):
        raise ValueError(f"'{member.filename[:40]}' claims the shape {shape}, but has {len(content)} bytes")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")
