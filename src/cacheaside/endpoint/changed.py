"""What was changed of an endpoint while the program runs, as its reads see it: one object that never changes.

An endpoint as it was declared has none (`Endpoint.changed` is None). Its fast path is the same code either way: an
endpoint whose reads all need looking at has its gate closed, so that they come the slow way, where this waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import msgspec

from cacheaside.flow.call import Call
from cacheaside.policy.ramping import is_in

__all__ = ["Changed", "Switched", "switched", "to_the_source"]


class Changed(Protocol):
    """Asked once for each call that is prepared."""

    def applied_to(self, call: Call) -> None:
        """Make of `call` what is to be done with it now."""


class Switched(msgspec.Struct, frozen=True):
    """The kill switch, or a ramp: which reads go to the source as if there were no cache. Invalidations go out as
    ever."""

    killed: bool
    ramp: float

    def applied_to(self, call: Call) -> None:
        if self.killed or not is_in(call.key, self.ramp):
            to_the_source(call)


def switched(changed: Changed | None) -> tuple[bool, float]:
    """Whether its reads are killed, and the share of its keys that is cached, 0 to 1."""
    return (changed.killed, changed.ramp / 100) if isinstance(changed, Switched) else (False, 1.0)


def to_the_source(call: Call) -> None:
    """A read that nothing stored answers, and that stores nothing. Through the source's limit, and shared with those
    who ask for the same key at once."""
    call.terms = replace(call.terms, strong=True, store=False)
    call.bypass = True
