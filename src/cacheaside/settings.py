"""Settings from the environment: strings in, checked values out, and no more.

| variable | what it sets |
|---|---|
| CACHEASIDE_URL | the servers of the shared tier |
| CACHEASIDE_NAMESPACE | the first part of every key and tag |
| CACHEASIDE_SECRETS | what entries are signed with, separated by commas; the first signs, every one is accepted |
| CACHEASIDE_SECRETS_FILE | a file with them, separated by commas or line breaks |
| CACHEASIDE_L1_ENTRIES, CACHEASIDE_L1_BYTES | the bounds of what a process holds |
| CACHEASIDE_DEADLINE | how long a read waits for the shared tier: `50ms` |
| CACHEASIDE_MAX_UNSYNCED | how long L1 answers by itself after it last heard of changes: `2s` |
| CACHEASIDE_DISABLED | `yes`: begin with the cache switched off |
| CACHEASIDE_CONTROL_FILE | where operators change things while it runs, on this machine: a path, of no file perhaps |

No message quotes a value: which variable a secret was put into by mistake cannot be told.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Self

from cacheaside.bounds import DEADLINE, MAX_UNSYNCED, Bounds
from cacheaside.durations import byte_count, seconds
from cacheaside.errors import DeclarationError

__all__ = ["SECRET_MIN_BYTES", "Settings"]

SECRET_MIN_BYTES: Final = 16

_PREFIX: Final = "CACHEASIDE_"
_NAMES: Final = tuple(
    f"{_PREFIX}{name}"
    for name in (
        "URL",
        "NAMESPACE",
        "SECRETS",
        "SECRETS_FILE",
        "L1_ENTRIES",
        "L1_BYTES",
        "DEADLINE",
        "MAX_UNSYNCED",
        "DISABLED",
        "CONTROL_FILE",
    )
)
_OPTIONS: Final = (
    "load_timeout",
    "commit_timeout",
    "when_away",
    "on_failover",
    "wait_replicas",
    "compress_from",
)
"""What a cache can be told that is no variable: it belongs to the code, which relies on it."""
_NOT_SETTINGS: Final = ("CACHEASIDE_APP", "CACHEASIDE_TEST_SERVER", "CACHEASIDE_TRACES")
"""Of the command line; of the library's own tests and benchmarks."""

_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_BASE64: Final = "base64:"
_SECRETS_FILE_MAX_BYTES: Final = 65_536
_SWITCH: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says of a cache; None where it says nothing.

    secrets: none means that entries go unsigned. The URL is as it was written: whoever connects reads it.
    """

    url: str | None = field(default=None, repr=False)
    namespace: str | None = None
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    l1_entries: int | None = None
    l1_bytes: int | None = None
    deadline_s: float | None = None
    max_unsynced_s: float | None = None
    disabled: bool = False
    control_file: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`, such as `os.environ`. Reads the file of secrets, if one is named.

        Raises `DeclarationError`, with one line that names the variable and quotes no value, for a value that cannot be
        used, an empty one, and a variable that begins with CACHEASIDE_ and is not known: a setting that is misspelt
        would not be in force.
        """
        given = _given(environ)
        return cls(
            url=given.get("CACHEASIDE_URL"),
            namespace=given.get("CACHEASIDE_NAMESPACE"),
            secrets=_secrets(given),
            l1_entries=_entries(given, "CACHEASIDE_L1_ENTRIES"),
            l1_bytes=_bytes(given, "CACHEASIDE_L1_BYTES"),
            deadline_s=_duration(given, "CACHEASIDE_DEADLINE", DEADLINE),
            max_unsynced_s=_duration(given, "CACHEASIDE_MAX_UNSYNCED", MAX_UNSYNCED),
            disabled=_switch(given, "CACHEASIDE_DISABLED"),
            control_file=given.get("CACHEASIDE_CONTROL_FILE"),
        )


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in environ.items():
        if not name.upper().startswith(_PREFIX) or name in _NOT_SETTINGS:
            continue
        if name not in _NAMES:
            option = name.upper().removeprefix(_PREFIX).lower()
            if option in _OPTIONS:
                raise DeclarationError(
                    f"{_printable(name)} is no setting of cacheaside: {option} is an option of `Cache(…)`, not a "
                    f"variable. Unset it, and write Cache.from_env({option}=…) in the code."
                )
            near = get_close_matches(name.upper(), _NAMES, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(_NAMES)}."
            raise DeclarationError(f"{_printable(name)} is no setting of cacheaside: {meant}")
        if not value.strip():
            # As an interpolation leaves it that found nothing: no URL would mean no shared tier, and no secret no
            # signatures, without a word.
            raise DeclarationError(f"{name} is empty: give it a value, or unset it.")
        given[name] = value.strip()
    return given


def _printable(name: str) -> str:
    """On one line, whatever is in it."""
    return name.encode("ascii", "backslashreplace").decode() if name.isprintable() else ascii(name)


def _entries(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not _WHOLE.fullmatch(value):
        raise DeclarationError(f"{name} is no number of entries: write a whole number.")
    return int(value)


def _bytes(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        return byte_count(int(value) if _WHOLE.fullmatch(value) else value, name=name)
    except DeclarationError:
        pass  # it quotes the value, so it does not go along
    raise DeclarationError(f'{name} is no size: write bytes (65536), or a number with its unit ("256MiB").')


def _duration(given: Mapping[str, str], name: str, bounds: Bounds) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        found = seconds(value, name=name)
    except DeclarationError:
        found = 0.0
    if not found:
        raise DeclarationError(
            f'{name} is no duration above zero: write a number with its unit ("50ms", "2s").'
        )
    problem = bounds.problem(found)
    if problem is not None:
        raise DeclarationError(f"{name} {problem}")
    return found


def _switch(given: Mapping[str, str], name: str) -> bool:
    found = _SWITCH.get(given.get(name, "no").lower())
    if found is None:
        raise DeclarationError(
            f"{name} is neither yes nor no: write 1, true, yes or on, or 0, false, no or off."
        )
    return found


# -- secrets -----------------------------------------------------------------------------------------------------


def _secrets(given: Mapping[str, str]) -> tuple[bytes, ...]:
    name = "CACHEASIDE_SECRETS"
    text = given.get(name)
    file = given.get("CACHEASIDE_SECRETS_FILE")
    if file is not None:
        if text is not None:
            raise DeclarationError(
                "CACHEASIDE_SECRETS and CACHEASIDE_SECRETS_FILE are both set: unset one of them."
            )
        name = "CACHEASIDE_SECRETS_FILE"
        text = ",".join(line for line in _content(file, name).splitlines() if line.strip())
    if text is None:
        return ()
    return tuple([_secret(one.strip(), number, name) for number, one in enumerate(text.split(","), 1)])


def _content(file: str, name: str) -> str:
    content, problem = b"", ""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_SECRETS_FILE_MAX_BYTES + 1)
    except OSError as error:
        problem = error.strerror or "unknown error"
    except ValueError:
        problem = "no path"
    if problem:
        raise DeclarationError(f"{name} names no file that can be read ({problem}): write its path.")
    if len(content) > _SECRETS_FILE_MAX_BYTES:
        raise DeclarationError(
            f"{name} names a file of more than {_SECRETS_FILE_MAX_BYTES} bytes: is it the right one?"
        )
    text = content.decode(errors="replace")
    if text.encode() != content:
        raise DeclarationError(
            f"{name} names a file that is not UTF-8: write a secret of any bytes as base64:…"
        )
    return text


def _secret(text: str, number: int, name: str) -> bytes:
    """`base64:` says that the rest is base64; anything else is itself, in UTF-8, base64 of something or not.

    Guessing would not do: `abcdefghijklmnop` is both, and services that guess differently refuse each other's entries.
    """
    secret: bytes | None = None
    try:
        if text.startswith(_BASE64):
            secret = base64.b64decode(text.removeprefix(_BASE64), validate=True)
        else:
            secret = text.encode()
    except ValueError:
        pass  # it quotes what it could not encode
    if secret is None:
        raise DeclarationError(
            f"Secret {number} in {name} is neither UTF-8 nor base64: write base64: and its base64."
        )
    if len(secret) < SECRET_MIN_BYTES:
        raise DeclarationError(
            f"Secret {number} in {name} has {len(secret)} bytes, fewer than {SECRET_MIN_BYTES}: use 32 from a random "
            "source."
        )
    return secret
