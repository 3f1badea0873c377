"""What lies in the shared tier in place of a control state, and is none to follow: why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cacheaside.control.message import Ignored
from cacheaside.control.state import ControlState

__all__ = ["in_words", "may_be_overwritten", "unread", "unread_of"]

_WORDS: Final[Mapping[Ignored, str]] = {
    Ignored.UNKNOWN_KEY: "it is signed with a secret that is not among CACHEASIDE_SECRETS here: take the service's. "
    "What you say with others is not followed by it",
    Ignored.FOREIGN: "it is not signed, is none of this library, or of a version that this one does not know",
    Ignored.EXPIRED: "its time is over",
    Ignored.FROM_THE_FUTURE: "it is dated after the server's clock",
    Ignored.OTHER_NAMESPACE: "it was written for another namespace",
}
_UNTRUE: Final = "it is not what this library would have signed"


def in_words(why: Ignored) -> str:
    """Why it is not followed, and for what can be mended, how."""
    return _WORDS.get(why, _UNTRUE)


def may_be_overwritten(why: Ignored) -> bool:
    """Whether nothing can be lost by it. Everything but what is over may be what operators said, in words that this
    process cannot read."""
    return why is Ignored.EXPIRED


def unread(state: ControlState) -> list[Ignored]:
    """Why what the fleet was told is not followed here, where that may be in force elsewhere."""
    if state.fleet is None or state.fleet.version is not None:
        return []
    return [why for why in map(Ignored, state.fleet.ignored) if not may_be_overwritten(why)]


def unread_of(state: ControlState) -> str | None:
    """The same, and what is wrong with the control file, in words; None: all is read."""
    words = [f"what the fleet was told is not followed here: {in_words(why)}" for why in unread(state)]
    if state.file is not None and state.file.problem is not None:
        words.append(f"the control file is not followed here: {state.file.problem}")
    return "; ".join(words) or None
