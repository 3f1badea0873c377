"""The order in which a comparison looks, loads, hears, and asks the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cacheaside import Cache, Contract
from cacheaside.flow.ports import Heard, Position, TierAway
from cacheaside.flow.shadowing import Compared, load_to_compare
from cacheaside.types import TagId


class Late:
    """Hears of a change that was acknowledged during the load by the heartbeat after it, and no sooner."""

    def __init__(self, real: Heard, said: list[str], *, away: bool = False) -> None:
        self._real = real
        self._said = said
        self._away = away
        self._heard = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def sync(self) -> None:
        self._said.append("heartbeat")
        if self._away:
            raise TierAway
        self._heard = True

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        self._said.append("log")
        return not self._heard


async def compared(said: list[str], *, away: bool = False) -> Compared:
    cache = Cache(namespace="shop")

    @cache.read("product", Contract("60s"))
    async def product(number: int) -> int:
        said.append("load")
        return number

    ports = cache._host.ports
    call = cache._host.endpoints["product"].call((1,))
    found = await load_to_compare(
        call, ports.heard.position(), replace(ports, heard=Late(ports.heard, said, away=away))
    )
    assert await product(1) == 1  # nothing was stored: it is loaded
    await cache.aclose()
    return found


async def test_the_log_is_asked_after_a_heartbeat_that_was_sent_after_the_load() -> None:
    """Otherwise a value that only changed would count as served after its invalidation."""
    said: list[str] = []
    found = await compared(said)
    assert said == ["load", "heartbeat", "log", "load"]
    assert not found.still


async def test_without_an_answer_nothing_is_shown() -> None:
    """A tier that does not answer leaves open what was heard."""
    said: list[str] = []
    found = await compared(said, away=True)
    assert (found.still, found.value, found.error) == (False, 1, None)
