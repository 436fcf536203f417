"""Finding and reading the files of a corpus: what every reader needs and no reader should do in its own way."""

import codecs
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from sercli.errors import SerError
from sercli.types import Remark

# What libsndfile reads, best first: where a clip is there in two kinds, the one without loss is taken.
ENDINGS = (
    ".wav",
    ".flac",
    ".aiff",
    ".aif",
    ".aifc",
    ".au",
    ".snd",
    ".caf",
    ".w64",
    ".rf64",
    ".wave",
    ".sph",
    ".voc",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
)
UNREADABLE = (".mp4", ".m4a", ".avi", ".flv", ".mkv", ".mov", ".webm", ".wma", ".aac")  # sound, but not for libsndfile


def need_folder(root: Path, corpus: str, holds: str) -> None:
    """Refuse a root that cannot be the corpus, before anything is read.

    Args:
        root: what the user gave.
        corpus: the corpus' name as people write it, such as "RAVDESS".
        holds: what a right root holds, to finish the sentence "give the folder that holds ...".

    Raises:
        SerError: there is no such folder, it is a file, or it is empty.
    """
    advice = f"{corpus} is read from the folder that holds {holds}."
    if not root.exists():
        raise SerError(f"{root}: no such folder. {advice}")
    if not root.is_dir():
        raise SerError(f"{root} is a file, not a folder. {advice}")
    if next(walk(root), None) is None:
        raise SerError(f"{root} is empty. {advice}")


def not_this_corpus(root: Path, corpus: str, looked_for: str) -> SerError:
    """The error for a folder that is there and full, but of something else."""
    return SerError(f"{root} does not look like {corpus}: no {looked_for} in it. Give the folder that holds them.")


def find_files(paths: Iterable[str], name: str) -> list[str]:
    """The paths that end in this file name, in whatever case; those in the fewest folders first.

    >>> find_files(["x/y/data.tsv", "z/Data.tsv", "mydata.tsv"], "data.tsv")
    ['z/Data.tsv', 'x/y/data.tsv']
    """
    found = [path for path in paths if PurePosixPath(path).name.lower() == name.lower()]
    return sorted(found, key=lambda path: (path.count("/"), path))


def walk(root: Path) -> Iterator[str]:
    """Every file below a folder as a sorted path relative to it, "/" between folders.

    Hidden files and folders are left out, and with them the `._*` twins that macOS leaves in archives. Links to
    folders are followed, each real folder once.

    Raises:
        SerError: a folder cannot be listed.
    """
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_visible(name))
        below = Path(folder).relative_to(root).as_posix()
        for name in sorted(filter(_is_visible, names)):
            yield name if below == "." else f"{below}/{name}"


def list_folder(folder: Path) -> list[str]:
    """The visible file names of one folder, sorted; none where the folder is missing."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(folder) if _is_visible(entry.name) and entry.is_file())


def is_there(path: Path) -> bool:
    """Whether there is such a file; also of a name that a table gives and that no file could have."""
    try:
        return path.is_file()
    except OSError:  # a very long one
        return False


def is_audio(path: str) -> bool:
    """Whether a path ends like a sound file that can be read, in whatever case.

    >>> is_audio("DC/a01.WAV"), is_audio("a01.mp4")
    (True, False)
    """
    return _ending(path).lower() in ENDINGS


def is_unreadable_audio(path: str) -> bool:
    """Whether a path ends like a film or a sound file that must be converted first."""
    return _ending(path).lower() in UNREADABLE


def without_ending(path: str) -> str:
    """A path less its ending.

    >>> without_ending("Actor_01/03-01.wav")
    'Actor_01/03-01'
    """
    return path[: len(path) - len(_ending(path))]


def one_each(paths: Iterable[str], key: Callable[[str], str]) -> tuple[dict[str, str], list[Remark]]:
    """Of the recordings with the same key take one: wav before flac before the others, then the first path.

    Returns:
        The path taken for each key, keys sorted, and a remark on each path that was not.
    """
    chosen: dict[str, str] = {}
    ranked = sorted(paths, key=lambda path: (_rank(path), path))
    for path in ranked:
        chosen.setdefault(key(path), path)
    kept = set(chosen.values())
    reason = "second copy of a recording (wav goes before flac before others)"
    return dict(sorted(chosen.items())), [Remark("skipped", path, reason) for path in ranked if path not in kept]


def read_text(path: Path) -> tuple[str, list[Remark]]:
    """A text file's content, its line ends as they are, with a warning where it is not UTF-8.

    Lines that are not UTF-8 are read as Windows-1252, one by one, so that one stray quote does not spoil the rest.

    Raises:
        SerError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return raw.decode("utf-16"), []
    except OSError as error:
        raise SerError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SerError(f"{path} begins like UTF-16 text, but is not; save it as UTF-8.") from None
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        text = "\n".join(map(_decode_line, raw.removeprefix(codecs.BOM_UTF8).split(b"\n")))
        return text, [Remark("warning", str(path), "not UTF-8; the lines in question are read as Windows-1252")]


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and content of each line; only real line ends count, not Unicode's other separators."""
    return enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _cannot_list(error: OSError) -> None:
    raise SerError(f"{error.filename} cannot be listed: {error.strerror}.") from None


def _rank(path: str) -> int:
    return ENDINGS.index(_ending(path).lower())


def _ending(path: str) -> str:
    """From the last dot of its name on; PurePosixPath says the same and takes five times as long."""
    dot = path.rfind(".")
    return path[dot:] if path.rfind("/") + 1 < dot < len(path) - 1 else ""


def _decode_line(raw: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")  # five bytes mean nothing in Windows-1252; here every byte means something
