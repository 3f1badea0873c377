"""Writers whose invalidation is interrupted while the server is silent: their process knows, and tells it later."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from cacheaside import Tier
from tests.live.service import Rows, Service
from tests.live.test_loops import wait_for

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server

INTERRUPTED_AFTER_S = 0.2


class Interrupted(Exception):
    """What the handler of a signal raises, as those of request timeouts do."""


def _interrupt(*_: object) -> None:
    raise Interrupted


async def _invalidate(service: Service) -> None:
    await asyncio.wait_for(service.cache.invalidate(service.products(1)), INTERRUPTED_AFTER_S)


@pytest.mark.parametrize("how", ["cancelled", "by a signal"])
def test_an_invalidation_that_is_interrupted(victim: Server, namespace: str, rows: Rows, how: str) -> None:
    """An invalidation that was interrupted before it was acknowledged is owed: this process serves nothing older from
    then on, and the others hear of it when the server answers again."""
    writer = Service(victim.url, rows, colour="threads", namespace=namespace, deadline="1s")
    other = Service(victim.url, rows, colour="threads", namespace=namespace, deadline="1s")
    for service in (writer, other):
        wait_for(lambda service=service: service.product.lookup(1).tier is Tier.L1)
    rows.values[1] = 2
    victim.freeze()
    if how == "cancelled":
        with pytest.raises(TimeoutError):
            asyncio.run(_invalidate(writer))
    else:
        before = signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, INTERRUPTED_AFTER_S)
        try:
            with pytest.raises(Interrupted):
                writer.cache.blocking.invalidate(writer.products(1))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert writer.cache.stats().shared.owed == 1
    assert writer.product.lookup(1).value == 2
    victim.thaw()
    wait_for(lambda: other.product.lookup(1).value == 2)
    wait_for(lambda: writer.cache.stats().shared.owed == 0)
    wait_for(lambda: writer.product.lookup(1).tier is Tier.L1)
    assert writer.product.lookup(1).value == 2
    for service in (writer, other):
        service.cache.close()
