"""A small file that is there whole or not at all, whenever its writer dies."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from cacheaside.errors import UsageError

__all__ = ["read_whole", "save"]

LEFT_OVER_S: Final = 600.0
"""How old a file must be that a writer which died left behind, before it is removed."""


def save(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, readable by its owner alone. Raises `OSError`.

    (1) a process writes beside it (2) it dies: the old file stands. (1) two processes write, perhaps of one number in
    two containers (2) each renames its own, since no two have a name: the last one's stands, whole. The content is
    synced before the rename, so that a crash of the machine leaves the old file or the new one.
    """
    import tempfile  # with all that it imports; most services keep no heat

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _remove_left_over(path)


def _remove_left_over(path: Path) -> None:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return  # a folder that may be written to, and not listed
    for name in names:
        if not (name.startswith(f".{path.name}.") and name.endswith(".new")):
            continue
        try:
            other = path.parent / name
            if time.time() - other.stat().st_mtime > LEFT_OVER_S:
                other.unlink(missing_ok=True)
        except OSError:
            continue  # another process was first


def read_whole(path: Path, bytes_max: int) -> bytes:
    """What is in `path`; a `UsageError` when it cannot be read, or is longer than `bytes_max`."""
    problem = ""
    content = b""
    try:
        with path.open("rb") as opened:
            content = opened.read(bytes_max + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise UsageError(f"{path}: it cannot be read: {problem}.")
    if len(content) > bytes_max:
        raise UsageError(f"{path}: it is longer than {bytes_max} bytes: is it the right file?")
    return content
