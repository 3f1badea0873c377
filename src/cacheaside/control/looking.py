"""The levers as a program that has only just begun sees them: the doctor's, and those that run from a shell."""

from __future__ import annotations

from typing import Final

from cacheaside.control.control import Control
from cacheaside.control.state import ControlState
from cacheaside.control.unread import unread_of
from cacheaside.errors import Unacknowledged

__all__ = ["looked"]

WITHIN_S: Final = 1.0
"""How long the shared tier may take to say what the fleet is told: a look goes on without it."""


def looked(control: Control) -> tuple[ControlState, str | None]:
    """What is changed now, and why that may be less than what the service follows; None: it is all. Blocks, up to
    about a second while the shared tier is away."""
    try:
        state = control.look(WITHIN_S)
    except Unacknowledged as away:
        return control.state(), f"what the fleet is told could not be read ({away.why})"
    return state, unread_of(state)
