"""The collector, as Prometheus reads it: through the parsers of both formats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import DuplicateTimeseries

from cacheaside import Cache, Contract
from cacheaside.errors import DeclarationError
from cacheaside.observe.prometheus import CacheCollector
from cacheaside.testing.servers import Server

Numbers = dict[tuple[str, ...], float]


def declared(cache: Cache) -> Callable[[int], int]:
    @cache.read("rows", Contract("60s"))
    def rows(key: int) -> int:
        return key

    return rows


def registered(*caches: Cache, **options: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(CacheCollector(*caches, environ={}, **options))
    return registry


def numbers(families: Iterator[Any]) -> Numbers:
    """Each series by its name and label values, in the order of the labels' names."""
    return {
        (sample.name, *[value for _, value in sorted(sample.labels.items())]): sample.value
        for family in families
        for sample in family.samples
    }


def test_levers_are_gauges_of_their_endpoint() -> None:
    """A kill switch and a ramp are seen where they are thrown, and no more once they are reset."""
    cache = Cache(namespace="shop")
    rows = declared(cache)
    registry = registered(cache)

    def seen() -> tuple[float, float]:
        found = numbers(parse(generate_latest(registry).decode()))
        return found["cacheaside_control_killed", "shop", "rows"], found[
            "cacheaside_control_ramp", "shop", "rows"
        ]

    rows(1)
    assert seen() == (0, 1)
    cache.control.ramp("rows", 25)
    assert seen() == (0, 0.25)
    cache.control.kill()
    assert seen() == (1, 0.25)
    cache.control.reset()
    assert seen() == (0, 1)


def test_both_formats_say_the_same() -> None:
    """The text format and OpenMetrics are valid, and what was counted by hand is in both."""
    cache = Cache(namespace="shop")
    rows = declared(cache)
    for key in (1, 2, 1, 1):
        rows(key)
    registry = registered(cache)
    plain = numbers(parse(generate_latest(registry).decode()))
    strict = numbers(parse_openmetrics(generate_openmetrics(registry).decode()))
    assert plain == strict
    assert plain["cacheaside_reads_total", "shop", "rows", "l1"] == 2
    assert plain["cacheaside_reads_total", "shop", "rows", "loaded"] == 2
    assert plain["cacheaside_forward_total", "shop", "rows", "absent"] == 2
    assert plain["cacheaside_loads_total", "shop", "rows"] == 2
    assert plain["cacheaside_fill_seconds_count", "shop", "rows"] == 2
    assert plain["cacheaside_fill_seconds_bucket", "shop", "rows", "+Inf"] == 2
    assert plain["cacheaside_entries", "shop", "rows"] == plain["cacheaside_l1_entries", "shop"] == 2
    assert plain["cacheaside_l1_used_bytes", "shop"] > 0
    assert plain["cacheaside_enabled", "shop"] == 1


def test_types_help_and_the_version_are_told() -> None:
    """Each family has its type and a sentence, and one tells which version they are of; none says when it began."""
    cache = Cache(namespace="shop")
    declared(cache)
    text = generate_openmetrics(registered(cache)).decode()
    families = {family.name: family for family in parse_openmetrics(text)}
    assert families["cacheaside_reads"].type == "counter"
    assert families["cacheaside_fill_seconds"].type == "histogram"
    assert families["cacheaside_entries"].type == "gauge"
    assert families["cacheaside"].type == "info"
    assert all(family.documentation.endswith(".") for family in families.values())
    assert "_created" not in text
    (sample,) = families["cacheaside"].samples
    assert set(sample.labels) == {"cache", "version"}


def test_a_shared_tier_adds_its_families() -> None:
    """Breaker, coherence lag and owed invalidations are there where there is a shared tier, and only there."""
    with Server() as server, Cache(server.url, namespace="shop", deadline="2s") as cache:
        declared(cache)(1)
        found = numbers(parse(generate_latest(registered(cache)).decode()))
    assert found["cacheaside_tier_up", "shop"] == 1
    assert found["cacheaside_tier_owed", "shop"] == 0
    assert found["cacheaside_tier_went_away_total", "shop"] == 0
    assert 0 <= found["cacheaside_tier_unsynced_seconds", "shop"] < 2
    assert found["cacheaside_tier_heartbeat_seconds_count", "shop"] >= 1
    assert ("cacheaside_tier_lag_seconds_bucket", "shop", "+Inf") in found
    alone = Cache(namespace="alone")
    assert "tier" not in generate_latest(registered(alone)).decode()


def test_a_tier_that_never_answered_has_no_lag_but_is_not_up() -> None:
    """Before the first heartbeat nothing is made up: no value is shown, where 0 would say that all is well."""
    with Server() as server:
        url = server.url
    with Cache(url, namespace="shop") as cache:
        declared(cache)(1)
        found = numbers(parse(generate_latest(registered(cache)).decode()))
    assert found["cacheaside_tier_up", "shop"] == 0
    assert ("cacheaside_tier_unsynced_seconds", "shop") not in found


def test_any_name_of_an_endpoint_is_one_label() -> None:
    """Quotes, backslashes and line breaks in a name do not break the page."""
    cache = Cache(namespace="shop")
    name = 'a "quoted" \\ name\nof two lines'

    @cache.read(name, Contract("60s"))
    def rows(key: int) -> int:
        return key

    rows(1)
    found = numbers(parse(generate_latest(registered(cache)).decode()))
    assert found["cacheaside_loads_total", "shop", name] == 1


def test_two_caches_are_one_collector() -> None:
    """Series of several caches are told apart by the label; a second collector in one registry is refused."""
    shop, users = Cache(namespace="shop"), Cache(namespace="users")
    declared(shop)(1)
    declared(users)(1)
    registry = registered(shop, users)
    found = numbers(parse(generate_latest(registry).decode()))
    assert found["cacheaside_loads_total", "shop", "rows"] == 1
    assert found["cacheaside_loads_total", "users", "rows"] == 1
    with pytest.raises(DuplicateTimeseries):
        registry.register(CacheCollector(shop, environ={}))


def test_what_cannot_be_collected_is_refused() -> None:
    """No cache, two of one namespace, and an interval beyond its bounds are errors where they are written."""
    with pytest.raises(DeclarationError, match="no cache"):
        CacheCollector()
    with pytest.raises(DeclarationError, match="one namespace"):
        CacheCollector(Cache(namespace="shop"), Cache(namespace="shop"))


def test_without_the_package_the_error_says_what_to_install() -> None:
    """Whoever forgot the extra reads its name, for both exporters; the library itself imports without them."""
    for module, package in (("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry")):
        probe = f"import sys; sys.modules[{package!r}] = None\nimport cacheaside\nimport cacheaside.observe.{module}"
        done = subprocess.run(
            [sys.executable, "-c", probe],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ,
            check=False,
        )
        assert done.returncode == 1
        assert f"pip install cacheaside[{module}]" in done.stderr.splitlines()[-1]
