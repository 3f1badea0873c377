"""The metrics: named by the conventions of both exporters, complete, bounded, and exact."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

from cacheaside import Cache, Contract, EndpointStats, SharedStats
from cacheaside.histogram import Histogram
from cacheaside.observe.catalog import METRICS, PROCESSES, samples_of
from cacheaside.observe.metrics import Kind, Metric, Sample, shown_buckets
from cacheaside.observe.ratchet import Ratchet
from cacheaside.observe.stats import Distribution
from cacheaside.testing.servers import Server
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


def until(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10.0
    while not (so := is_so()) and time.monotonic() < end:
        time.sleep(0.01)
    return so


def test_names_are_those_of_both_conventions() -> None:
    """Lower case, dots between words, no unit in OpenTelemetry's name and no `total`, which both exporters add."""
    for name, metric in METRICS.items():
        assert name == metric.name
        assert re.fullmatch(r"cacheaside(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+", name)
        assert not name.endswith(("total", "seconds", "bytes", "count", "sum", "bucket", "info", "created"))
        assert metric.help.endswith(".")
        assert metric.labels[0] == "cache"
        assert metric.unit in ("s", "By", "") or re.fullmatch(r"\{[a-z]+\}", metric.unit)
    names = [metric.prometheus_name for metric in METRICS.values()]
    assert len(set(names)) == len(names)


def test_no_label_has_a_name_that_is_the_targets() -> None:
    """Labels that service discovery gives to targets would be renamed when they are scraped."""
    given = {"namespace", "endpoint", "service", "pod", "container", "instance", "job"}
    assert not given & {label for metric in METRICS.values() for label in metric.labels}


def test_the_edges_that_are_shown_are_edges_that_are_counted() -> None:
    """What is counted below an edge of an exported histogram is known, not guessed."""
    for metric in METRICS.values():
        assert bool(metric.edges_us) == (metric.kind is Kind.HISTOGRAM)
        for edge_us in metric.edges_us:
            below, above = Histogram(), Histogram()
            below.record((edge_us - 1) / 1e6)
            above.record((edge_us + 0.5) / 1e6)
            assert next(upper for upper, _ in below.buckets()) <= edge_us
            assert next(upper for upper, _ in above.buckets()) > edge_us


def test_buckets_are_cumulative_and_hold_everything() -> None:
    """Each bucket holds what is at or below its edge; the last one all, also what is beyond every edge."""
    counted = Histogram()
    for us in (0, 100, 255, 256, 300, 70_000, 10**9):
        counted.record(us / 1e6)
    metric = Metric("cacheaside.some", Kind.HISTOGRAM, "s", (), "Some.", edges_us=(128, 256, 512, 131_072))
    assert shown_buckets(metric, Distribution.of(counted)) == [
        ("0.000128", 2), ("0.000256", 3), ("0.000512", 5), ("0.131072", 6), ("+Inf", 7),
    ]  # fmt: skip


def by_name(samples: Any) -> dict[tuple[str, ...], Any]:
    return {(sample.metric.name, *sample.labels): sample.value for sample in samples}


async def test_every_number_of_an_endpoint_is_exported(world: World) -> None:
    """A counter that is added to the statistics and forgotten here would be missing in an incident."""

    @world.read("rows", MINUTE)
    def rows(key: int) -> int:
        return key

    await world.do(rows, 1)
    counters = [field.name for field in fields(EndpointStats)]
    shown = {
        "name": "",
        "hits": "reads", "shared_hits": "reads", "shared_stale": "reads", "grace": "reads", "outdated": "reads",
        "remembered_errors": "reads", "loaded": "reads", "collapsed": "reads", "failed": "reads",
        "misses": "forward", "killed": "control.killed", "ramp": "control.ramp",
    }  # fmt: skip
    names = {sample.metric.name for sample in samples_of(world.cache.stats())}
    missing = [name for name in counters if f"cacheaside.{shown.get(name, name)}" not in names]
    assert missing == ["name"]


def test_every_number_of_a_shared_tier_is_exported() -> None:
    """The same for the shared tier, on a real server."""
    with Server() as server, Cache(server.url, namespace="shop", deadline="2s") as cache:

        @cache.read("rows", MINUTE)
        def rows(key: int) -> int:
            return key

        rows(1)
        found = by_name(samples_of(cache.stats()))
        shown = {"why_away": "tier.up", "unsynced_s": "tier.unsynced"} | {
            "from_the_future": "tier.entries_from_the_future"
        }
        names = {name for name, *_ in found}
        assert {f"cacheaside.{shown.get(f.name, f'tier.{f.name}')}" for f in fields(SharedStats)} <= names
        assert found["cacheaside.tier.up", "shop"] == 1
        assert found["cacheaside.tier.heartbeat", "shop"].count >= 1
        assert all(sample.metric.name in METRICS for sample in samples_of(cache.stats()))


async def test_reads_stand_on_two_axes(world: World) -> None:
    """Each read that ended is in one outcome; those that went forward are once more under the reason; nothing else."""
    contract = Contract("60s", grace="60s", error_ttl={LookupError: "5s"}, jitter=0)

    @world.read("rows", contract)
    def rows(key: int) -> int:
        if key < 0:
            raise LookupError
        return key

    for _ in range(3):
        await world.do(rows, 1)
    world.t += 61
    await world.do(rows, 1)
    await world.do(rows.strong, 1)
    for _ in range(2):
        with suppress(LookupError):
            await world.do(rows, -1)
    await world.cache.aclose()
    one = world.cache.stats().endpoints["rows"]
    assert one.served == {
        "l1": 2, "l2": 0, "grace": 1, "outdated": 0, "remembered": 1, "loaded": 2, "collapsed": 0, "failed": 1,
    }  # fmt: skip
    assert sum(one.served.values()) == one.reads == 7
    found = by_name(samples_of(world.cache.stats()))
    assert found["cacheaside.reads", "shop", "rows", "grace"] == 1
    assert found["cacheaside.forward", "shop", "rows", "absent"] == 2
    assert found["cacheaside.forward", "shop", "rows", "strong"] == 1


def test_hits_of_the_shared_tier_are_told_from_those_of_memory() -> None:
    """What another process loaded is a hit of L2 once, and of L1 after."""
    with (
        Server() as server,
        Cache(server.url, namespace="shop", deadline="2s") as one,
        Cache(server.url, namespace="shop", deadline="2s") as other,
    ):

        def declared(cache: Cache) -> Any:
            @cache.read("rows", MINUTE)
            def rows(key: int) -> int:
                return key

            return rows

        first, second = declared(one), declared(other)
        first(1)
        reads = 0

        def served() -> Any:
            nonlocal reads
            second(1)
            reads += 1
            return other.stats().endpoints["rows"].served

        assert served()["l2"] == 1
        assert until(lambda: served()["l1"] >= 2)  # once a heartbeat has shown that it hears
        last = other.stats().endpoints["rows"].served
        assert (last["l1"] + last["l2"], last["loaded"]) == (reads, 0)


def test_a_breaker_that_opens_is_counted_and_lag_is_measured() -> None:
    """A server that is killed is found away, once; its heartbeats, and what passed between them, are in histograms."""
    with (
        Server() as server,
        Cache(server.url, namespace="shop", deadline="2s", max_unsynced="400ms") as cache,
    ):

        @cache.read("rows", MINUTE)
        def rows(key: int) -> int:
            return key

        def tier() -> SharedStats:
            found = cache.stats().shared
            assert found is not None
            return found

        rows(1)
        assert until(lambda: tier().lag.count >= 3)
        assert (tier().servers, tier().servers_up, tier().went_away) == (1, 1, 0)
        assert tier().heartbeat.count >= tier().lag.count
        assert tier().lag.p50_s >= 0.05  # a heartbeat every 50 ms
        server.kill()
        assert until(lambda: not tier().up)
        rows(2)
        assert (tier().servers_up, tier().went_away) == (0, 1)


def test_as_many_series_as_endpoints_whatever_is_asked() -> None:
    """Keys are never labels: a thousand of them add no series."""
    cache = Cache(namespace="shop")

    @cache.read("rows", MINUTE)
    def rows(key: str) -> str:
        return key

    before = len(list(samples_of(cache.stats())))
    for number in range(1000):
        rows(f"secret-{number}")
    assert (
        len(list(samples_of(cache.stats()))) == before < 80
    )  # about 45 of an endpoint and a cache, 20 of a source


COUNTED = METRICS["cacheaside.loads"]
TIMED = METRICS["cacheaside.fill"]


def test_what_is_exported_never_goes_back() -> None:
    """A counter that is read one too low is shown as it was, and one that stands still stays; a gauge may fall."""
    ratchet = Ratchet()

    def shown(*values: Any) -> list[Any]:
        metrics = (COUNTED, TIMED, PROCESSES)
        made = [Sample(metric, ("shop",), value) for metric, value in zip(metrics, values, strict=True)]
        return [sample.value for sample in ratchet.forward(made)]

    high = Distribution(3, 30, ((8, 2), (16, 1)))
    assert shown(5, high, 3) == [5, high, 3]
    assert shown(4, Distribution(2, 20, ((8, 1), (16, 1))), 2) == [5, high, 2]
    assert shown(6, Distribution(3, 40, ((16, 2), (32, 1))), 2) == [
        6,
        Distribution(5, 40, ((8, 2), (16, 2), (32, 1))),
        2,
    ]
