"""The ports of a real cache, with each call noted in order, and a tier that can be away."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from cacheaside import Cache
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Ports, TierAway


class Recorded:
    """Passes every call on to the real part and notes it. `meanwhile` runs something just after a call of that name.

    inside: steps that are noted also where the part takes them by itself, within another."""

    def __init__(self, part: Any, name: str, log: list[str], inside: tuple[str, ...] = ()) -> None:
        self._part = part
        self._name = name
        self._log = log
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.away: set[str] = set()
        self._inside: dict[str, Any] = {}
        for attribute in inside:
            self._inside[attribute] = getattr(self, attribute)
            setattr(part, attribute, self._inside[attribute])

    def __getattr__(self, attribute: str) -> Any:
        if attribute in self._inside:
            return self._inside[attribute]
        real = getattr(self._part, attribute)
        if not callable(real):
            return real

        def note() -> None:
            self._log.append(f"{self._name}.{attribute}")
            if attribute in self.away:
                raise TierAway

        def after(result: Any) -> Any:
            happens = self.meanwhile.pop(attribute, None)
            if happens is not None:
                happens()
            return result

        if inspect.iscoroutinefunction(real):

            async def awaited(*args: Any, **kwargs: Any) -> Any:
                note()
                return after(await real(*args, **kwargs))

            return awaited

        def plain(*args: Any, **kwargs: Any) -> Any:
            note()
            return after(real(*args, **kwargs))

        return plain


class World:
    """One cache, its recorded ports, and a way to run flows over them."""

    def __init__(self, *, shared: bool = False) -> None:
        self.cache = Cache(namespace="flow")
        self.log: list[str] = []
        real = self.cache._host.blocking_ports
        self.tier: Any = Recorded(real.tier, "tier", self.log, ("writers", "enlist", "bump"))
        self.heard: Any = Recorded(real.heard, "heard", self.log)
        self.near: Any = Recorded(real.near, "near", self.log)
        self.loads: Any = Recorded(real.loads, "loads", self.log)
        self.flights: Any = Recorded(real.flights, "flights", self.log)
        self.ports: Ports = replace(
            real,
            tier=self.tier,
            heard=self.heard,
            near=self.near,
            loads=self.loads,
            flights=cast(Any, self.flights),
            shared=shared,
        )

    def call(self, name: str, *values: Any) -> Call:
        return self.cache._host.endpoints[name].call(values)

    def run(self, flow: Any) -> Any:
        self.log.clear()
        return run_blocking(flow)

    def steps(self, *wanted: str) -> list[str]:
        """The noted calls, in order, that are among `wanted`."""
        return [step for step in self.log if step in wanted]
