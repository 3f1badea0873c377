"""The shared tier of a cache, put together: it connects when it is used, pays what is owed, forgets what it must."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cacheaside import Cache, Contract, Unacknowledged
from cacheaside.policy.timebase import Timebase
from cacheaside.stores.redis import complaints
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.shared import OWN_GENERATION_MIN_S, SHARED_GENERATION_S, Shared
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.names import generation_name
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import wait_for
from tests.stores.redis.descriptors import none_left

HOUR = Contract("1h", jitter=0)


def url_of(address: tuple[str, int]) -> str:
    return "redis://{}:{}/0".format(*address)


class Service:
    """A cache on a server, with one endpoint that counts its loads."""

    def __init__(self, address: tuple[str, int], **options: Any) -> None:
        self.cache = Cache(url_of(address), namespace="shop", **{"deadline": "5s", **options})
        self.loads = 0
        self.rows = self.cache.tag("rows", int)

        @self.cache.read("row", HOUR, tags=lambda key: [self.rows(key)])
        def row(key: int) -> int:
            self.loads += 1
            return key

        self.row = row

    @property
    def shared(self) -> Shared:
        shared = self.cache._host.shared
        assert shared is not None
        return shared


@contextmanager
def service(address: tuple[str, int], **options: Any) -> Iterator[Service]:
    one = Service(address, **options)
    try:
        yield one
    finally:
        one.cache.close()


@pytest.fixture
def empty(server: Server) -> Server:
    server.ask("FLUSHALL")
    return server


def connections(server: Server) -> int:
    """Of caches, by the name that they have."""
    return str(server.ask("CLIENT", "LIST")).count("name=cacheaside")


def keepers() -> int:
    return sum(thread.name == "cacheaside-keeper" for thread in threading.enumerate())


class TestItsLife:
    """When it connects, and when it does not."""

    def test_nothing_is_opened_before_it_is_used(self, empty: Server) -> None:
        """Declaring a cache and its endpoints connects to nothing and starts no thread."""
        with service(empty.address):
            assert (connections(empty), keepers()) == (0, 0)

    def test_closing_leaves_nothing_and_using_begins_again(self, empty: Server) -> None:
        """Threads and connections end; a later read connects anew, and finds what was stored."""
        with service(empty.address) as one:
            assert one.row(1) == 1
            assert keepers() == 1
            one.cache.close()
            assert keepers() == 0
            wait_for(lambda: connections(empty) == 0)
            one.cache.clear()
            assert (one.row(1), one.loads) == (1, 1)
            assert keepers() == 1

    def test_what_is_used_while_it_is_closed_is_not_left_without_servers(self, empty: Server) -> None:
        """(1) closing ends the keeper (2) another thread's read starts it again, and it finds the same servers (3)
        closing goes on: from then on blocking reads and writes go to the servers, as before."""
        with service(empty.address) as one:
            one.row(1)
            close = one.shared.keeper.close

            def close_beside_a_read() -> None:
                close()
                one.row(2)
                wait_for(lambda: one.shared.servers.all_up)

            one.shared.keeper.close = close_beside_a_read  # type: ignore[method-assign]
            one.cache.close()
            one.shared.keeper.close = close  # type: ignore[method-assign]
            one.cache.clear()
            assert one.row.lookup(2).tier == "l2"
            one.cache.blocking.invalidate(one.rows(2))

    def test_a_first_read_without_descriptors(self, empty: Server) -> None:
        """Where nothing can be opened, a read goes to its source; when something can, to the tier."""
        with service(empty.address) as one:
            with none_left():
                assert (one.row(1), one.loads) == (1, 1)

            def is_shared() -> bool:
                one.cache.clear()
                return bool(one.row.lookup(1).tier == "l2")

            wait_for(is_shared)

    def test_closing_what_was_never_used_is_nothing(self, empty: Server) -> None:
        """Twice is once, too."""
        with service(empty.address) as one:
            one.cache.close()
            one.cache.close()
            assert one.row(1) == 1

    async def test_closing_on_a_loop_leaves_nothing_either(self, empty: Server) -> None:
        """Also the loop's own connection."""
        cache = Cache(url_of(empty.address), namespace="shop", deadline="5s")

        @cache.read("awaited", HOUR)
        async def awaited(key: int) -> int:
            return key

        for _ in range(2):
            assert await awaited(1) == 1
            await cache.aclose()
            while await asyncio.to_thread(connections, empty):  # noqa: ASYNC110 - a server sets no event
                await asyncio.sleep(0.001)
            cache.clear()

    def test_a_server_that_is_not_there_costs_the_first_reader_its_deadline_at_most(
        self, proxy: Proxy
    ) -> None:
        """Nobody listens: a read goes to its source, and later ones do not even try."""
        proxy.refuse()
        with service(proxy.address, deadline="2s") as one:
            begun = time.monotonic()
            assert [one.row(key) for key in range(50)] == list(range(50))
            assert time.monotonic() - begun < 1.9
            assert one.loads == 50

    def test_a_programs_own_sequence_of_chance_is_left_alone(self, proxy: Proxy) -> None:
        """What follows `random.seed` is the same beside a cache that waits by chance, connects and stores."""
        with service(proxy.address, deadline="2s") as one:
            before = random.getstate()
            assert one.row(1) == 1
            proxy.refuse()
            proxy.reset()
            wait_for(lambda: one.shared.keeper._failures > 2)
            assert [one.row(key) for key in range(10)] == list(range(10))
            assert random.getstate() == before


class TestOwing:
    """Invalidations that no server acknowledged."""

    def test_what_is_owed_is_paid_when_the_server_is_back(
        self, victim: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Meanwhile this process loads what it reads of the tag; then it is stored again, and the log says so."""
        with caplog.at_level(logging.INFO, "cacheaside"), service(victim.address) as one:
            one.row(1)
            victim.kill()
            wait_for(lambda: not one.shared.servers.all_up)
            with pytest.raises(Unacknowledged, match="rows"):
                one.cache.blocking.invalidate(one.rows(1))
            assert len(one.shared.owed) == 1
            assert one.cache.stats().shared.owed == 1  # type: ignore[union-attr]
            loads = one.loads
            assert [one.row(1), one.row(1)] == [1, 1]
            assert one.loads == loads + 2
            victim.start()
            wait_for(lambda: not one.shared.owed)
            wait_for(lambda: "invalidations got through after all" in caplog.text)
            loads = one.loads
            assert [one.row(1), one.row(1)] == [1, 1]
            assert one.loads == loads + 1

    def test_another_process_does_not_serve_what_was_paid_late(self, empty: Server, proxy: Proxy) -> None:
        """What it holds is out of date as soon as the invalidation gets through."""
        with service(proxy.address) as one, service(empty.address) as other:
            one.row(1)
            other.row(1)
            assert other.loads == 0
            proxy.refuse()
            proxy.reset()
            wait_for(lambda: not one.shared.servers.all_up)
            one.cache.blocking.invalidate(one.rows(1), when_away="retry")
            assert (other.row(1), other.loads) == (1, 0)
            proxy.heal()
            wait_for(lambda: not one.shared.owed)

            def is_loaded() -> bool:
                other.row(1)
                return other.loads == 1

            wait_for(is_loaded)

    @pytest.mark.parametrize("how", ["close", "aclose", "forgotten"])
    def test_what_is_owed_at_the_end_is_said(
        self, proxy: Proxy, caplog: pytest.LogCaptureFixture, how: str
    ) -> None:
        """Nobody will tell of it any more: the log says so, once, and names kinds of tags without their arguments."""
        proxy.refuse()
        with service(proxy.address, when_away="retry") as one:
            one.cache.blocking.invalidate(one.rows(4711), one.rows(4712))
            caplog.clear()
            if how == "close":
                one.cache.close()
            elif how == "aclose":
                asyncio.run(one.cache.aclose())
        del one
        gc.collect()
        (said,) = [record for record in caplog.records if "closed" in record.getMessage()]
        assert said.levelname == "WARNING"
        assert said.getMessage().startswith("cache shop: closed with 2 invalidations not told: rows. ")

    def test_a_process_that_ends_says_what_it_owes(self) -> None:
        """Also where nobody closed its cache; a child made by fork leaves that to its parent."""
        done = subprocess.run(
            [sys.executable, "-c", OWING], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0
        (said,) = [line for line in done.stderr.splitlines() if "closed with" in line]
        assert said.startswith("parent: cache shop: closed with 1 invalidations not told: rows. ")


OWING = """
import logging, os, sys
from cacheaside import Cache
from cacheaside.testing.servers.ports import PortKept

who = "parent"
logging.basicConfig(format="%(message)s")
logging.getLogger("cacheaside").addFilter(lambda record: setattr(record, "msg", f"{who}: {record.msg}") or True)
kept = PortKept()
cache = Cache(f"redis://127.0.0.1:{kept.number}/0", namespace="shop", when_away="retry")
cache.blocking.invalidate(cache.tag("rows", int)(4711))
if os.fork() == 0:
    who = "child"
    sys.exit()
os.wait()
"""


class TestForgetting:
    """What makes everything out of date."""

    def test_a_clock_that_was_set_back_makes_everything_out_of_date(
        self, empty: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is stored looks younger than it is: it is invalidated, here and for all, and the log says why."""
        with service(empty.address) as one:
            one.row(1)
            before = empty.ask("GET", generation_name(one.shared._everything))
            (state,) = one.shared.servers.states
            base = state.base
            assert base is not None
            state.base = Timebase(base.at, base.low_s + 100.0, base.high_s + 100.0)
            one.shared.keeper.beat_soon()
            wait_for(lambda: "everything is forgotten, because the clock of" in caplog.text)
            wait_for(lambda: not one.shared.owed)
            assert empty.ask("GET", generation_name(one.shared._everything)) != before
            assert (one.row(1), one.loads) == (1, 2)

    @pytest.mark.parametrize(
        ("on_failover", "of_old", "of_new"), [("distrust", 1, 0), ("forget", 1, 1), ("trust", 0, 0)]
    )
    def test_another_history(self, empty: Server, on_failover: str, of_old: int, of_new: int) -> None:
        """What the old one vouched for is loaded again where that is distrusted or forgotten, and what the new one
        vouches for where all is forgotten; trusted, either is served."""
        with service(empty.address, on_failover=on_failover, max_unsynced="1h") as one:
            one.row(1)
            (state,) = one.shared.servers.states
            now, state.identity = state.identity, Identity(12345)
            one.cache.clear()
            one.row(2)
            one.shared.keeper.beat_soon()
            wait_for(lambda: state.identity == now)
            wait_for(lambda: not one.shared.owed)
            one.cache.clear()
            loads = one.loads
            assert (one.row(2), one.loads - loads) == (2, of_old)
            loads = one.loads
            assert (one.row(1), one.loads - loads) == (1, of_new)


class TestGenerations:
    """How long they live."""

    def test_each_lives_as_long_as_it_must(self, empty: Server) -> None:
        """An entry's own outlives the entry; a declared tag's, a month or two, apart from one another; the namespace's,
        for ever."""
        with service(empty.address) as one:
            one.row(1)
            call = one.row.endpoint.call((1,))
            own, everything, tag = (
                int(empty.ask("PTTL", generation_name(one_tag))) / 1000 for one_tag in call.tags
            )
            assert everything < 0
            assert max(OWN_GENERATION_MIN_S, 2 * 3600.0) - 10 < own <= 2 * 3600.0
            assert SHARED_GENERATION_S - 10 < tag <= 2 * SHARED_GENERATION_S

    @pytest.mark.parametrize(
        "contract", [Contract(sys.maxsize), Contract(1e308, grace=1e308), Contract("4000d")]
    )
    def test_a_contract_for_ever_harms_nobody(self, empty: Server, contract: Contract) -> None:
        """A server refuses an end that is too far away; so none is sent, and all of the namespace is shared and
        invalidated as before."""
        with service(empty.address) as one, service(empty.address) as other:
            for cache in (one.cache, other.cache):

                @cache.read("constant", contract)
                def constant(key: int) -> int:
                    return key

                assert (constant(1), constant.lookup(1).hit) == (1, True)
            one.row(1)
            assert other.row.lookup(1).tier == "l2"
            one.cache.blocking.invalidate(one.rows(1))
            assert (one.shared.stats().owed, one.shared.stats().refused) == (0, 0)
            key = constant.key(1)
            for name, years in ((key, 5), (generation_name(key), 10)):
                left_ms = empty.ask("PTTL", name)
                assert isinstance(left_ms, int)
                assert left_ms <= years * 365 * 86_400_000


class TestSeeing:
    """What is shown of it."""

    def test_stats_say_how_things_stand(self, victim: Server) -> None:
        """Before its use, when it is up, and when it is away."""
        with service(victim.address) as one:
            stats = one.shared.stats()
            assert (stats.up, stats.unsynced_s, stats.owed, stats.blind) == (False, None, 0, False)
            assert "AWAY (this process has not connected to it yet), never in touch" in str(stats)
            one.row(1)
            wait_for(lambda: one.shared.stats().unsynced_s is not None)
            stats = one.shared.stats()
            assert (stats.up, stats.why_away) == (True, None)
            assert str(stats).startswith("shared tier: up, in touch 0.")
            victim.kill()
            wait_for(lambda: not one.shared.stats().up)
            assert one.shared.stats().why_away is not None

    def test_a_tier_that_is_up_and_does_not_answer_is_said(
        self, empty: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The listener is well, and other connections are swallowed: the log says it, from where no read waits."""
        monkeypatch.setattr(complaints, "EVERY_S", 0.2)
        with Proxy(empty.address) as proxy, service(proxy.address, deadline="100ms") as one:
            wait_for(lambda: one.row(1) and one.shared.servers.all_up)
            one.shared._blocking.execute = _swallowed  # type: ignore[method-assign]
            one.cache.clear()
            assert [one.row(key) for key in (1, 2)] == [1, 2]
            wait_for(lambda: "cache shop: the shared tier is up, but " in caplog.text)
            assert " within 100 ms in the last " in caplog.text
            assert one.shared.servers.all_up


async def _swallowed(commands: Any) -> Any:
    raise ConnectionAway("no answer", endpoint="swallowed", reason=Away.LATE)
