"""Named arrays out of an .npz that may be anybody's: no pickle, and no memory but what the file itself has.

`numpy.load` makes room for as many numbers as a header claims, and unpacks whatever is packed. What `numpy.savez`
writes is not packed, so that each array is just as large as its part of the file.
"""

import struct
import tokenize
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sercli.types import Array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read(file: Path | BinaryIO) -> dict[str, Array]:
    """The arrays of a file, read-only.

    Raises:
        ValueError: damaged, packed, no arrays, or arrays of Python objects.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_sizes(archive, members)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (zipfile.BadZipFile, EOFError, struct.error, zlib.error) as error:
        raise ValueError(str(error)) from None
    # What zipfile and numpy say of an archive or a header that makes no sense, the depth of nesting among it.
    except (RuntimeError, TypeError, KeyError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _check_sizes(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Refuse what would take more memory than the file has bytes."""
    assert archive.fp is not None
    there = archive.fp.seek(0, 2)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its arrays are packed; write them with numpy.savez")
    if sum(member.file_size for member in members) > there:
        raise ValueError("it claims more than it holds")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of numpy's format")
        shape, by_columns, kind = _HEADERS[version](stream)
        content = stream.read()
    if kind.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0 or prod(shape) * kind.itemsize != len(content):
        raise ValueError(f"'{member.filename[:40]}' claims the shape {shape}, which its {len(content)} bytes are not")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")
