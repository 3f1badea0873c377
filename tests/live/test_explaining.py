"""`explain` over a real server: two caches of one namespace stand for two processes."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward, Served, Tier, Unacknowledged
from cacheaside.observe.explanation import Does, TagState
from cacheaside.testing.servers import Cluster, Server
from cacheaside.testing.servers.server import wait_until

_names = itertools.count()


class Process:
    """What one process has: a cache, an endpoint, and the loads that it made."""

    def __init__(self, url: str, namespace: str, **options: Any) -> None:
        self.cache = Cache(url, namespace=namespace, **{"deadline": "2s", **options})
        self.products, self.boards = self.cache.tag("products", int), self.cache.tag("boards", str)
        self.hold: threading.Event | None = None
        self.loads = 0

        @self.cache.read(
            "product",
            Contract("60s", grace="5m", stale_after_invalidation="1s"),
            tags=lambda product_id: [self.products(product_id)],
            value_tags=lambda value: [self.boards(value[1])],
        )
        def product(product_id: int) -> tuple[int, str]:
            self.loads += 1
            if self.hold is not None:
                assert self.hold.wait(20)
            return product_id, "JFK"

        self.product = product
        self.cold = self.cache.read("cold", Contract("60s"))(lambda_of_int)


def lambda_of_int(product_id: int) -> int:
    """A loader without tags."""
    return product_id


Start = Callable[..., Process]


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Begins processes that share one namespace of the server (or of another, by its URL)."""
    namespace = f"explained-{next(_names)}"
    with ExitStack() as ends:

        def begin(url: str = server.url, **options: Any) -> Process:
            made = Process(url, namespace, **options)
            ends.callback(made.cache.close)
            return made

        yield begin


def stored(process: Process, key: int) -> None:
    """Have `key` on the server: the second load stamps what the value names."""
    wait_until(lambda: process.product.lookup(key).tier is not Tier.SOURCE, "the value is stored", 10)


def test_what_another_process_stored_is_found(start: Start, server: Server) -> None:
    """A process that holds nothing sees the entry on the server: age, size, end, each tag, and would be served it."""
    one, two = start(), start()
    stored(one, 42)
    seen = two.product.explain(42)
    assert seen.l2 is not None
    assert (seen.l1.held, seen.l2.held, seen.l2.freshness) == (False, True, "fresh")
    assert seen.l2.size_bytes == len(server.ask("GET", seen.key).encode("utf-8", "surrogateescape"))
    assert 0 <= (seen.l2.age_s or -1) < 30
    assert 300 < (seen.l2.ends_in_s or 0) <= 360
    tags = {one.name: (one.role, one.state) for one in seen.tags if one.role in ("declared", "value")}
    assert tags == {
        "products(42)": ("declared", TagState.CURRENT), "boards('JFK')": ("value", TagState.CURRENT),
    }  # fmt: skip
    assert (seen.next_read.does, seen.next_read.tier) == (Does.SERVE, Tier.L2)
    assert seen.coherence is not None
    assert (seen.coherence.up, seen.coherence.server) == (True, f"127.0.0.1:{server.port}")
    # The first load could not store what its value named: for a second nobody waits for anybody.
    assert seen.load.lease == "everybody"
    wait_until(lambda: two.product.explain(42).load.lease == "free", "the second is over", 10)
    assert two.loads == 0


def test_which_tag_another_process_moved(start: Start) -> None:
    """The entry that lies there is out of date by the one tag whose generation moved; old and new are shown."""
    one, two = start(), start()
    stored(one, 42)
    two.cache.blocking.invalidate(two.boards("JFK"))
    seen = two.product.explain(42)
    assert [tag.name for tag in seen.invalidated_by] == ["boards('JFK')"]
    (moved,) = seen.invalidated_by
    assert (moved.role, len(moved.stamped or ""), len(moved.current or "")) == ("value", 16, 16)
    assert moved.stamped != moved.current
    assert seen.l2 is not None
    assert seen.l2.invalidated_by == one.boards("JFK").id
    assert two.product.lookup(42).forward in (
        Forward.INVALIDATED,
        None,
    )  # None: stale_after_invalidation, 1 s


def test_a_generation_that_is_gone_is_told_apart(start: Start, server: Server) -> None:
    """A tag whose generation the server dropped puts the entry out of date, and is said to be gone, not invalidated."""
    one, two = start(), start()
    stored(one, 42)
    name = next(
        name
        for name in server.ask("KEYS", f"{one.cache.namespace}:!*")
        if "products" in name and name[-1] == "}"
    )
    server.ask("DEL", name)
    seen = two.product.explain(42)
    (moved,) = seen.invalidated_by
    assert (moved.name, moved.current) == ("products(42)", None)
    assert "its generation is gone from the server" in str(seen)


def test_the_lease_of_another_process(start: Start) -> None:
    """While another process loads, its lease is seen with its end, and the next read here would wait for it."""
    one, two = start(), start()
    one.hold = threading.Event()
    loader = threading.Thread(target=one.product, args=(7,))
    loader.start()
    try:
        wait_until(lambda: one.loads == 1, "the load has begun", 20)
        seen = two.product.explain(7)
        assert seen.load.lease == "another process"
        assert 0 < (seen.load.lease_ends_in_s or 0) <= 30
        assert (seen.next_read.does, seen.next_read.forward) == (Does.WAIT, Forward.ABSENT)
        assert one.product.explain(7).load.lease == "this process"
        assert one.product.explain(7).next_read.does is Does.JOIN
    finally:
        one.hold.set()
        loader.join()
    assert two.product.explain(7).load.holder is None


def test_the_mark_of_another_process(start: Start) -> None:
    """A write under way anywhere is seen on the server, until its mark ends."""
    one, two = start(), start()
    stored(one, 42)
    with one.cache.changing(one.products(42)):
        (tag,) = [tag for tag in two.product.explain(42).tags if tag.role == "declared"]
        assert (tag.writer, tag.state) == (True, TagState.MOVED)
        assert 0 < (tag.writer_ends_in_s or 0) <= 30
    (tag,) = [tag for tag in two.product.explain(42).tags if tag.role == "declared"]
    assert tag.writer is False


def test_a_server_that_is_away(start: Start) -> None:
    """With the server dead it is said why, what is owed, and that a read loads; nothing is an error."""
    with Server() as victim:
        one = start(victim.url)
        stored(one, 42)
        victim.kill()
        with pytest.raises(Unacknowledged):
            one.cache.blocking.invalidate(one.products(42))
        wait_until(lambda: not _is_up(one), "it is noticed", 20)
        seen = one.product.explain(42)
        assert seen.coherence is not None
        assert (seen.coherence.owed, bool(seen.coherence.why_away)) == (1, True)
        assert seen.l2 is not None
        assert (seen.l2.looked, seen.l2.why.startswith("no answer: ")) == (False, True)
        assert [tag.name for tag in seen.tags if tag.owed] == ["products(42)"]
        assert one.cold.explain(1).next_read.forward is Forward.AWAY  # type: ignore[attr-defined]


def _is_up(process: Process) -> bool:
    seen = process.product.explain(42).coherence
    assert seen is not None
    return seen.up


def test_a_server_that_is_frozen_is_waited_for_no_longer_than_by_a_read(start: Start) -> None:
    """An explanation of a key on a server that answers nothing ends within a deadline or two, and says so."""
    with Server() as victim:
        one = start(victim.url, deadline="100ms")
        stored(one, 42)
        victim.freeze()
        began = time.monotonic()
        seen = one.product.explain(42)
        assert time.monotonic() - began < 5
        assert seen.l2 is not None
        assert (seen.l2.looked, seen.l2.why.startswith("no answer: ")) == (False, True)
        victim.thaw()


def test_on_a_cluster_the_node_is_named(start: Start) -> None:
    """Which of the nodes a key lies on is said, and its tags, which lie on others, are compared."""
    with Cluster() as cluster:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
        one, two = start(url), start(url)
        for key in range(6):
            stored(one, key)
            seen = two.product.explain(key)
            assert seen.coherence is not None
            assert seen.coherence.server == f"127.0.0.1:{cluster.owner(seen.key).port}"
            assert {tag.state for tag in seen.tags} == {TagState.CURRENT}
        one.cache.blocking.invalidate(one.boards("JFK"))
        assert [tag.name for tag in two.product.explain(3).invalidated_by] == ["boards('JFK')"]


def test_an_entry_of_a_process_with_other_secrets_is_told_apart(start: Start) -> None:
    """What is not signed with a secret of this process's is no entry to it, and it is said why."""
    one, two = start(), start(secrets=[b"a secret of 32 bytes, for tests."])
    stored(one, 42)
    seen = two.product.explain(42)
    assert seen.l2 is not None
    assert (seen.l2.held, seen.l2.why) == (False, "what lies there is no entry: unsigned")
    assert "the process that stored it has no secrets" in str(seen)
    assert seen.next_read.does is Does.LOAD
    stored(two, 42)
    assert two.product.explain(42).l2.held  # type: ignore[union-attr]


def test_looking_leaves_the_server_and_the_numbers_alone(start: Start, server: Server) -> None:
    """Explaining keys that are there, that are not, and that hold rubbish changes no key, no counter and no entry."""
    one, two = start(), start()
    stored(one, 1)
    garbage = two.product.key(3)
    server.ask("SET", garbage, "not an entry")
    two.product.explain(1)

    def everything() -> dict[str, Any]:
        names = sorted(server.ask("KEYS", f"{one.cache.namespace}:*"))
        return {name: server.ask("DUMP", name) for name in names if server.ask("EXISTS", name)}

    before, numbers = everything(), (one.cache.stats().endpoints, two.cache.stats().endpoints)
    counts = [(p.cache.stats().shared, len(p.cache._host.l1)) for p in (one, two)]
    for key in (1, 2, 3):
        one.product.explain(key)
        two.product.explain(key)
    assert two.product.explain(3).l2.why == "what lies there is no entry: foreign"  # type: ignore[union-attr]
    assert everything() == before
    assert (one.cache.stats().endpoints, two.cache.stats().endpoints) == numbers
    for (was, held), process in zip(counts, (one, two), strict=True):
        now = process.cache.stats().shared
        assert was is not None
        assert now is not None
        assert (now.unanswered, now.refused, now.entries_rejected, now.from_the_future) == (
            was.unanswered, was.refused, was.entries_rejected, was.from_the_future,
        )  # fmt: skip
        assert len(process.cache._host.l1) == held


def test_it_agrees_with_the_reads_that_follow(start: Start, seed: int) -> None:
    """At random, over two processes: what is explained is what the next read then does."""
    rng = random.Random(seed)
    one, two = start(), start(l1_entries=0)
    for _ in range(150):
        process, key = rng.choice([one, two]), rng.randrange(3)
        match rng.randrange(4):
            case 0:
                process.cache.blocking.invalidate(rng.choice([process.products(key), process.boards("JFK")]))
            case _:
                seen = process.product.explain(key)
                got = process.product.lookup(key)
                _until_quiet(one, two)
                if got.tier is not seen.next_read.tier and seen.next_read.tier is Tier.L1:
                    continue  # what the other process changed was heard in between
                if seen.next_read.does is Does.LOAD:
                    assert got.served is Served.LOADED
                    assert got.forward is seen.next_read.forward
                elif seen.next_read.served is Served.FRESH:
                    assert (got.served, got.tier) == (Served.FRESH, seen.next_read.tier)


def _until_quiet(*processes: Process) -> None:
    wait_until(
        lambda: not any(len(p.cache._host.blocking_ports.flights) for p in processes),
        "no load is under way",
        10,
    )


async def test_an_event_loop_is_not_blocked(start: Start) -> None:
    """`await cache.explain(…)` asks the server off the loop's thread."""
    one = start()

    @one.cache.read("awaited", Contract("60s"))
    async def awaited(key: int) -> int:
        return key

    await awaited(1)
    seen = await one.cache.explain("awaited", 1)
    assert seen.l2 is not None
    assert seen.l2.held
    await one.cache.aclose()
