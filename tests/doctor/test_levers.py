"""What operators changed is said, with who says so and until when; what is as declared is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cacheaside import Cache, Contract
from cacheaside.control.looking import looked
from cacheaside.doctor import Finding, Severity, Times, examine
from cacheaside.testing.servers import Server
from cacheaside.testing.servers.server import wait_until

AT_ONCE = Times(pause=lambda _s: None)
SECRET = b"a secret of 32 bytes, for tests."


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(maxmemory="64mb") as started:
        yield started


def declared(url: str | None = None) -> Cache:
    """A cache with one endpoint."""
    cache = (
        Cache(url, namespace="levers", secrets=[SECRET], deadline="2s") if url else Cache(namespace="levers")
    )

    @cache.read("product", Contract("60s", grace="5m"))
    def product(number: int) -> int:
        return number

    return cache


def of(findings: list[Finding]) -> list[tuple[str, Severity, str]]:
    """What is said of levers."""
    return [(one.check, one.severity, one.found) for one in findings if one.check.startswith("lever")]


def test_each_lever_is_said() -> None:
    """Killed and cached for nobody are warnings, the others notes; at 100 %, or reset, there is nothing to say."""
    cache = declared()
    control = cache.control
    assert of(examine(cache)) == []
    control.ramp("product", 100)
    assert of(examine(cache)) == []
    control.ramp("product", 25)
    control.shadow("product", 1)
    control.override("product", ttl="5s", for_="10m")
    control.kill("product")
    found = of(examine(cache))
    assert [(check, severity) for check, severity, _ in found] == [
        ("lever_kill", Severity.WARNING),
        ("lever_override", Severity.NOTE),
        ("lever_ramp", Severity.NOTE),
        ("lever_shadow", Severity.NOTE),
    ]
    said = {check: words for check, _, words in found}
    assert said["lever_kill"] == "is killed: every read goes to its source (says the code, until it is reset)"
    assert said["lever_ramp"].startswith("25 % of its keys are cached (says the code")
    assert said["lever_override"].startswith("its contract is changed, ttl=5s (says the code, for ")
    control.ramp("product", 0)
    assert ("lever_ramp", Severity.WARNING) in [one[:2] for one in of(examine(cache))]
    control.reset()
    assert of(examine(cache)) == []


def test_what_the_fleet_is_told_is_looked_up(server: Server) -> None:
    """A process that has only just begun, as the command's is, finds what another told the fleet; and when it cannot
    read that, it says so, and is not long about it."""
    with declared(server.url) as operator:
        operator.control.fleet.kill("product", for_="10m")
    with declared(server.url) as cache:
        ((check, severity, words),) = of(examine(cache, times=AT_ONCE))
        assert (check, severity) == ("lever_kill", Severity.WARNING)
        assert "(says the fleet, for " in words
    url = server.url
    with Cache(url, namespace="levers", secrets=[SECRET[::-1]], deadline="2s") as other:
        ((check, severity, words),) = of(examine(other, times=AT_ONCE))
        assert (check, severity) == ("levers_unread", Severity.WARNING)
        assert "not among CACHEASIDE_SECRETS" in words
    server.kill()
    with declared(url) as cache:
        wait_until(lambda: not cache.stats().shared.up, "it is away", 10)  # type: ignore[union-attr]
        began = time.monotonic()
        _, why = looked(cache.control)
        assert time.monotonic() - began < 4  # one second, on a busy machine; an operator's call takes five
        assert why is not None
        assert "could not be read" in why
        assert [one[0] for one in of(examine(cache, times=AT_ONCE))] == ["levers_unread"]
