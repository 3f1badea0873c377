"""Run a flow whose ports block their thread: it never suspends, so one step is all of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_blocking"]

T = TypeVar("T")


def run_blocking(flow: Coroutine[Any, Any, T]) -> T:
    """Run `flow` to its end here and now. A flow that suspends is a bug of this library, and says so."""
    try:
        flow.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    flow.close()
    raise AssertionError(f"{flow!r} suspended: a blocking port must never wait by suspending")
