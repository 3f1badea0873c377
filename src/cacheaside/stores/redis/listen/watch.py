"""An event loop that hears too: it reads what comes, and sends heartbeats, where the keeper's thread is kept from
it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from cacheaside.stores.redis.listen.ear import Ear

__all__ = ["Keeping", "LoopWatch"]


class Keeping(Protocol):
    """The keeper, as a loop knows it."""

    def pump(self, ear: Ear) -> None:
        """Read what has come."""

    def beat_if_due(self) -> None:
        """Send heartbeats."""


class LoopWatch:
    """Each ear is watched by a descriptor of the loop's own, so that nobody closes one that another still watches.

    Every method may be called from any thread.
    """

    def __init__(self, keeper: Keeping, loop: asyncio.AbstractEventLoop, beat_s: float) -> None:
        self._keeper = weakref.ref(keeper)
        self._loop = weakref.ref(loop)
        self._descriptors: dict[Ear, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._beat_s = beat_s

    def add(self, ear: Ear) -> None:
        """Watch `ear` too."""
        self._call(self._add, ear)

    def _add(self, ear: Ear) -> None:
        loop = self._loop()
        if loop is None or ear.gone is not None or ear in self._descriptors:
            return
        if self._timer is None:
            self._timer = loop.call_later(self._beat_s, self._tick)
        with contextlib.suppress(OSError):
            descriptor = self._descriptors[ear] = os.dup(ear.fileno())
            loop.add_reader(descriptor, self._pump, ear)
            self._pump(ear)

    def _pump(self, ear: Ear) -> None:
        keeper = self._keeper()
        if keeper is None or ear.gone is not None:
            self._remove(ear)
        else:
            keeper.pump(ear)

    def _tick(self) -> None:
        keeper, loop = self._keeper(), self._loop()
        if keeper is None or loop is None or not self._descriptors:
            self._end()
            return
        keeper.beat_if_due()
        self._timer = loop.call_later(self._beat_s, self._tick)

    def remove(self, ear: Ear) -> None:
        """Watch `ear` no longer."""
        self._call(self._remove, ear)

    def _remove(self, ear: Ear) -> None:
        descriptor = self._descriptors.pop(ear, None)
        if descriptor is None:
            return
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(descriptor)
        with contextlib.suppress(OSError):
            os.close(descriptor)
        if not self._descriptors:
            self._rest()

    def end(self) -> None:
        """Watch nothing any more."""
        self._call(self._end)

    def _end(self) -> None:
        for ear in list(self._descriptors):
            self._remove(ear)
        self._rest()

    def _rest(self) -> None:
        """Where there is nothing to hear, nothing is left on the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin_as_child(self) -> None:
        """In a child made by fork: the parent's loop goes on watching, in the parent."""
        self._close_all()

    def _close_all(self) -> None:
        descriptors, self._descriptors = self._descriptors, {}
        for descriptor in descriptors.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        loop = self._loop()
        try:
            if loop is None or loop.is_closed():
                raise RuntimeError("closed")
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._close_all()
