"""Plain hits from threads: the value itself in one exchange, or a flow finds out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cacheaside.stores.redis.blocking_tier import BlockingTier
from cacheaside.stores.redis.plain import AWAY
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.testing.servers import Server
from cacheaside.types import TagId
from tests.stores.redis.stage import EVERYTHING, late, takes_a_flow
from tests.stores.redis.test_tier import Process, do

MORE = TagId("shop:tag~categories:i7")


class Threads(Process):
    """A tier for threads that hands on plain hits."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.tier: BlockingTier = BlockingTier(
            self.recorder, *self.parts, moment=self.moment, **self.options(self.pass_time)
        )
        do(self.tier.stamp((EVERYTHING,)))
        self.recorder.said.clear()

    def value(self, key: int) -> Any:
        return self.tier.value(self.row, self.plain(key).key, ())


@pytest.fixture
def process(server: Server) -> Iterator[Threads]:
    server.ask("FLUSHALL")
    process = Threads(server)
    with closing(process.transport):
        yield process


def test_a_plain_hit_is_the_value_itself(process: Threads) -> None:
    """Valid and surely fresh, it takes one command, and is counted as a hit of the shared tier."""
    process.put(process.plain(1), 11)
    process.recorder.said.clear()
    assert process.value(1) == 11
    assert (process.row.tally.fresh, process.row.tally.shared_hits) == (1, 1)
    assert len(process.recorder.said) == 1


def test_declared_tags_are_looked_at(process: Threads) -> None:
    """When one of them moved it takes a flow."""
    call = process.call(1)
    process.put(call, "x")
    assert process.tier.value(process.product, call.key, call.tags[2:]) == "x"
    do(process.tier.bump(call.tags[2:]))
    assert takes_a_flow(process.tier.value(process.product, call.key, call.tags[2:]))


def test_a_missing_generation_matches_nothing(process: Threads) -> None:
    """Nor an entry that does not depend on its tag: what was stored before a tag was declared may be older than an
    invalidation of it whose generation was evicted since."""
    call = process.call(1)
    process.put(call, "x")
    assert takes_a_flow(process.tier.value(process.product, call.key, (*call.tags[2:], MORE)))
    do(process.tier.stamp((MORE,)))
    assert takes_a_flow(process.tier.value(process.product, call.key, (*call.tags[2:], MORE)))


def test_whatever_is_not_plain_takes_a_flow(process: Threads, server: Server) -> None:
    """A miss, garbage, a moved generation, another identity, something owed, an age that is not surely fresh."""
    assert takes_a_flow(process.value(1))
    server.ask("SET", process.plain(2).key, "something else")
    assert takes_a_flow(process.value(2))
    call = process.plain(3)
    process.put(call, 3)
    assert process.value(3) == 3
    process.t += process.row.quick_for_s + 1
    assert takes_a_flow(process.value(3))
    process.t -= process.row.quick_for_s + 1
    process.owed.add((MORE,))
    assert takes_a_flow(process.value(3))
    process.owed.clear()
    process.state.identity = Identity(8)
    assert takes_a_flow(process.value(3))
    process.state.identity = Identity(7)
    assert process.value(3) == 3
    do(process.tier.bump((call.key,)))
    assert takes_a_flow(process.value(3))


def test_only_hits_have_an_age(process: Threads) -> None:
    """What is not handed on says nothing of how old answers are."""
    process.put(process.plain(1), 1)
    process.t += 0.5
    assert process.value(1) == 1
    assert takes_a_flow(process.value(2))
    ages = process.row.tally.age_at_serve
    assert (ages.count, ages.quantile_s(1.0) >= 0.5) == (1, True)


def test_who_is_not_up_or_not_known_is_not_asked(process: Threads) -> None:
    """Nothing is sent: not to a server that is away, nor while the namespace's generation is not known."""
    process.put(process.plain(1), 1)
    process.recorder.said.clear()
    process.hearing.heard((EVERYTHING,))
    assert takes_a_flow(process.value(1))
    process.servers.say(process.state, is_up=False, why=late())
    assert takes_a_flow(process.value(1))
    assert process.recorder.said == []


def test_no_answer_takes_a_flow(process: Threads) -> None:
    """Which is told that the tier was asked in vain; it is counted."""
    process.transport.close()
    assert process.value(1) is AWAY
    assert process.counts.away == 1
