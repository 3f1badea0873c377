"""Observable instruments, as an SDK collects them."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

from cacheaside import Cache, Contract
from cacheaside.errors import DeclarationError
from cacheaside.observe import opentelemetry
from cacheaside.observe.catalog import METRICS, PROCESSES, SNAPSHOT_AGE
from cacheaside.observe.metrics import Kind
from cacheaside.observe.opentelemetry import instrument
from cacheaside.testing.servers import Server


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each collection looks anew."""
    monkeypatch.setattr(opentelemetry, "SNAPSHOT_S", 0.0)


def provided(*caches: Cache) -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    instrument(*caches, meter_provider=MeterProvider([reader]))
    return reader


def collected(reader: InMemoryMetricReader) -> dict[str, Any]:
    found = reader.get_metrics_data()
    if found is None:
        return {}
    (resource,) = found.resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "cacheaside"
    assert scope.scope.version
    return {metric.name: metric for metric in scope.metrics}


def values(metric: Any) -> dict[tuple[str, ...], float]:
    return {tuple(point.attributes.values()): point.value for point in metric.data.data_points}


def declared(cache: Cache) -> Any:
    @cache.read("rows", Contract("60s"))
    def rows(key: int) -> int:
        return key

    return rows


def test_what_was_counted_is_observed() -> None:
    """Counters and gauges arrive with their units and attributes, and go on from one collection to the next."""
    cache = Cache(namespace="shop")
    rows = declared(cache)
    reader = provided(cache)
    for key in (1, 2, 1, 1):
        rows(key)
    found = collected(reader)
    reads = found["cacheaside.reads"]
    assert isinstance(reads.data, Sum)
    assert reads.data.is_monotonic
    assert reads.unit == "{read}"
    assert values(reads)["shop", "rows", "l1"] == 2
    assert {tuple(point.attributes) for point in reads.data.data_points} == {
        ("cache", "cache_endpoint", "outcome")
    }
    assert values(found["cacheaside.forward"])["shop", "rows", "absent"] == 2
    assert isinstance(found["cacheaside.enabled"].data, Gauge)
    assert values(found["cacheaside.enabled"]) == {("shop",): 1}
    assert isinstance(found["cacheaside.entries"].data, Sum)
    assert not found["cacheaside.entries"].data.is_monotonic
    assert found["cacheaside.l1.used"].unit == "By"
    rows(1)
    assert values(collected(reader)["cacheaside.reads"])["shop", "rows", "l1"] == 3


def test_a_histogram_is_three_counters() -> None:
    """Buckets are cumulative and monotonic, the last holds all; count and sum go with them."""
    cache = Cache(namespace="shop")
    rows = declared(cache)
    reader = provided(cache)
    for key in range(5):
        rows(key)
    found = collected(reader)
    buckets = values(found["cacheaside.fill.bucket"])
    assert found["cacheaside.fill.bucket"].data.is_monotonic
    assert buckets["shop", "rows", "+Inf"] == values(found["cacheaside.fill.count"])["shop", "rows"] == 5
    edges = sorted((float(le), number) for (_, _, le), number in buckets.items())
    assert [number for _, number in edges] == sorted(number for _, number in edges)
    assert len(edges) == len(METRICS["cacheaside.fill"].edges_us) + 1
    assert found["cacheaside.fill.sum"].unit == "s"
    assert 0 < values(found["cacheaside.fill.sum"])["shop", "rows"] < 5


def test_every_metric_has_its_instrument() -> None:
    """With a shared tier all of them are observed, but those that only a scrape of several processes has."""
    with Server() as server, Cache(server.url, namespace="shop", deadline="2s") as cache:
        declared(cache)(1)
        found = set(collected(provided(cache)))
    own = [metric for metric in METRICS.values() if metric not in (PROCESSES, SNAPSHOT_AGE)]
    expected = {metric.name for metric in own if metric.kind is not Kind.HISTOGRAM}
    for metric in own:
        if metric.kind is Kind.HISTOGRAM:
            expected |= {f"{metric.name}.{part}" for part in ("bucket", "count", "sum")}
    assert found == expected


def test_two_caches_share_their_instruments() -> None:
    """Each cache is an attribute, not a name."""
    shop, users = Cache(namespace="shop"), Cache(namespace="users")
    declared(shop)(1)
    declared(users)(1)
    loads = values(collected(provided(shop, users))["cacheaside.loads"])
    assert loads == {("shop", "rows"): 1, ("users", "rows"): 1}


def test_one_collection_is_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some forty callbacks of one collection do not take the numbers forty times."""
    monkeypatch.setattr(opentelemetry, "SNAPSHOT_S", 3600.0)
    cache = Cache(namespace="shop")
    declared(cache)(1)
    taken = []
    stats = cache.stats

    def counting() -> Any:
        taken.append(1)
        return stats()

    monkeypatch.setattr(cache, "stats", counting)
    reader = provided(cache)
    assert collected(reader)
    assert len(taken) == 1


def test_a_cache_that_is_gone_is_observed_no_longer() -> None:
    """A provider lives as long as its process, and holds no cache."""
    cache = Cache(namespace="shop")
    declared(cache)(1)
    reader = provided(cache)
    assert collected(reader)
    del cache
    gc.collect()
    assert collected(reader) == {}


def test_what_cannot_be_observed_is_refused() -> None:
    """No cache, or two of one namespace."""
    with pytest.raises(DeclarationError, match="no cache"):
        instrument()
    with pytest.raises(DeclarationError, match="one namespace"):
        instrument(Cache(namespace="shop"), Cache(namespace="shop"))
