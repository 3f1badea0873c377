"""What an operator says, in the same words whoever is to hear it: this process (`cache.control`), or the whole fleet
(`cache.control.fleet`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Unpack

from cacheaside.control.words import as_lever, checked_word, lasting_s, overridden
from cacheaside.durations import Duration
from cacheaside.endpoint.api import Changes
from cacheaside.endpoint.host import Host
from cacheaside.errors import DeclarationError, UsageError
from cacheaside.policy.levers import EVERY, LEVERS, Layer, Lever, Levers, Word

__all__ = ["Desk", "Update"]

Update = Callable[[Layer, float], Layer]
"""From what was said, and the time on the clock that words end by, to what is said now."""


class Desk(ABC):
    """Thread-safe. Each method replaces what was said of that lever before, by this desk.

    endpoint: the name that it was declared under; `"*"`, where it may be left out, is all of them. An unknown one is a
    `UsageError` that names those there are. for_: for how long; None: until it is reset.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @abstractmethod
    def _say(self, update: Update) -> None:
        """Have what `update` makes of it be said from now on."""

    def kill(self, endpoint: str = EVERY, *, for_: Duration | None = None) -> None:
        """The kill switch: every read goes to the source, through its limit, and callers of one key share a load.
        Nothing stored is served, and nothing is stored. Invalidations go out, and are heard, as ever; so what is still
        valid is served again after `reset`."""
        self._set(endpoint, "kill", True, for_)

    def ramp(self, endpoint: str, percent: float, *, for_: Duration | None = None) -> None:
        """Cache this share of the keys, 0 to 100; reads of all others go to the source, as after `kill`.

        Which keys follows from the keys alone: the same in every process, and those that are in at 10 % are in at 20 %.
        """
        self._set(endpoint, "ramp", percent, for_)

    def override(self, endpoint: str, *, for_: Duration | None = None, **changes: Unpack[Changes]) -> None:
        """Change options of its contract for a while: `override("product", ttl="5s", for_="10m")`.

        Resolved as `Contract.using` does: what contradicts itself is a `DeclarationError`, and so is what would
        loosen a contract that was declared to fail closed. What is held already is judged by it, at once in this
        process.
        """
        if endpoint == EVERY:
            raise UsageError("an override is of one endpoint's contract: name the endpoint.")
        plain = checked_word(endpoint, "override", dict(changes))
        overridden(endpoint, self._known(endpoint), plain)
        self._set(endpoint, "override", plain, for_)

    def shadow(self, endpoint: str, percent: float, *, for_: Duration | None = None) -> None:
        """Load this share of its hits as well, 0 to 100, behind the readers and through the source's limit, and compare
        what was cached with what was loaded: `state()` has the differences, each with a reason. 0: none."""
        self._set(endpoint, "shadow", percent, for_)

    def reset(self, endpoint: str | None = None, *levers: Lever) -> None:
        """Take back what this desk said of these levers of `endpoint`, of all of its levers, or, without an endpoint,
        everything."""
        if unknown := [lever for lever in levers if lever not in LEVERS]:
            raise DeclarationError(f"{unknown[0]!r} is no lever: there are {', '.join(LEVERS)}.")
        if endpoint is None:
            self._say(_nothing)
            return

        def update(layer: Layer, _now: float) -> Layer:
            kept = {} if not levers else {k: w for k, w in layer.get(endpoint, {}).items() if k not in levers}
            return {**{name: said for name, said in layer.items() if name != endpoint}, endpoint: kept}

        self._say(update)  # of an endpoint that is not there any more too

    def _set(self, endpoint: str, lever: Lever, to: Any, for_: Duration | None) -> None:
        if endpoint != EVERY:
            self._known(endpoint)
        checked = checked_word(endpoint, lever, to)
        lasts_s = lasting_s(endpoint, lever, for_)

        def update(layer: Layer, now: float) -> Layer:
            said: Levers = layer.get(endpoint, {})
            word = Word(checked, None if lasts_s is None else now + lasts_s)
            return {**layer, endpoint: {**said, as_lever(lever): word}}

        self._say(update)

    def _known(self, endpoint: str) -> Any:
        """The contract that `endpoint` was declared with."""
        with self._host.lock:
            names = sorted(self._host.endpoints)
            found = self._host.endpoints.get(endpoint)
        if found is None:
            there = ", ".join(names) if names else "none yet: import the module that declares them first"
            raise UsageError(
                f"cache {self._host.namespace}: there is no endpoint {endpoint!r}; there are {there}."
            )
        return found.declared.contract


def _nothing(_layer: Layer, _now: float) -> Layer:
    return {}
