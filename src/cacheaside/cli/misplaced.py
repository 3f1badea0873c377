"""What was typed in another place than it belongs: the line says where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from cacheaside.errors import UsageError

__all__ = ["refuse_misplaced"]

_OF_ALL: Final = ("--help", "-h", "--version")


def refuse_misplaced(arguments: Sequence[str], commands: Collection[str], levers: Collection[str]) -> None:
    """A `UsageError` for a lever without `control` before it, and for a command's option before the command. What
    stands behind is not repeated: it may be a key."""
    place = next((at for at, word in enumerate(arguments) if word in commands or word in levers), None)
    if place is None or arguments[0] in _OF_ALL:
        return
    word, option = arguments[place], arguments[0].partition("=")[0]
    if word in levers and (place == 0 or option.startswith("-")):
        raise UsageError(f"{word} is a lever, and no command: cacheaside control {word} …")
    if place and option.startswith("-"):
        raise UsageError(f"{option} stands after the command: cacheaside {word} {option} …")
