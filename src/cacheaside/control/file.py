"""The control file: for one machine, and for when the shared tier is down.

```json
{"endpoints": {"product": {"ramp": 25, "override": {"ttl": "5s"}, "for": "10m"}, "*": {"kill": true}}}
```

`for` counts from the file's own time, and is needed with an override. What cannot be read, or says what cannot be, is
ignored as a whole: what the file said before stays in force. A file that is gone says nothing any more. Write a new one
beside it and rename that, so that nobody reads the half of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from cacheaside.control.words import ENDPOINTS_MAX, as_lever, checked_word, lasting_s
from cacheaside.errors import DeclarationError
from cacheaside.policy.levers import Layer, Lever, Word

__all__ = ["FILE_MAX_BYTES", "ControlFile", "Read"]

FILE_MAX_BYTES: Final = 65_536


class Read(NamedTuple):
    """What a look at the file came to. layer: its words, when they are to be followed from now on. problem: why
    they are not."""

    layer: Layer | None
    problem: str | None = None


class ControlFile:
    """One path. Not thread-safe."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._seen: tuple[int, int, int] | None = None

    def look(self, now: float, wall_now: float, *, again: bool = False) -> Read | None:
        """What the file says, when it is another than at the last look, or `again`; None: nothing new.

        now: the clock that the words are to end by. wall_now: the clock that files are dated by; it is looked at once,
        when the file is read, so that it may be set afterwards.
        """
        try:
            with open(self.path, "rb", opener=_without_waiting) as opened:
                about = os.fstat(opened.fileno())
                if not stat.S_ISREG(about.st_mode):
                    return self._unreadable(OSError(errno.EINVAL, "it is a device or a pipe, and no file"))
                seen = about.st_mtime_ns, about.st_size, about.st_ino
                if seen == self._seen and not again:
                    return None
                self._seen = seen
                content = opened.read(FILE_MAX_BYTES + 1)
        except FileNotFoundError:
            return self._gone()
        except OSError as error:
            return self._unreadable(error)
        age_s = max(0.0, wall_now - about.st_mtime_ns / 1e9)
        try:
            return Read(_layer(content, now - age_s))
        except (DeclarationError, msgspec.MsgspecError) as error:
            return Read(None, str(error))
        except RecursionError:
            return Read(None, "it is nested too deep to be read.")

    def _gone(self) -> Read | None:
        was_there, self._seen = self._seen is not None, None
        return Read({}) if was_there else None

    def _unreadable(self, error: OSError) -> Read | None:
        seen = (0, error.errno or -1, 0)
        if seen == self._seen:
            return None
        self._seen = seen
        return Read(None, error.strerror or type(error).__name__)


def _without_waiting(path: str, flags: int) -> int:
    """Whoever opens a pipe waits for somebody to write into it, and would follow no lever meanwhile."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _layer(content: bytes, from_moment: float) -> Layer:
    if len(content) > FILE_MAX_BYTES:
        raise DeclarationError(f"it has more than {FILE_MAX_BYTES} bytes: is it the right file?")
    if not content.strip():
        return {}
    said = msgspec.json.decode(content)
    if not isinstance(said, dict) or not set(said) <= {"endpoints"}:
        raise DeclarationError('it holds one object: {"endpoints": {"product": {"kill": true}}}.')
    endpoints = said.get("endpoints", {})
    if not isinstance(endpoints, dict) or len(endpoints) > ENDPOINTS_MAX:
        raise DeclarationError(f"endpoints is an object that names {ENDPOINTS_MAX} endpoints at most.")
    return {name: _levers(name, levers, from_moment) for name, levers in endpoints.items()}


def _levers(name: str, said: Any, from_moment: float) -> Mapping[Lever, Word]:
    if not isinstance(said, dict):
        raise DeclarationError(f'{name}: an object of levers is wanted: {{"kill": true}}.')
    for_ = said.get("for")
    levers: dict[Lever, Word] = {}
    for lever, to in said.items():
        if lever != "for":
            checked = checked_word(name, lever, to)
            lasts_s = lasting_s(name, lever, for_)
            levers[as_lever(lever)] = Word(checked, None if lasts_s is None else from_moment + lasts_s)
    return levers
