"""Each check of the cache's own settings, where it fires and where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cacheaside import Cache, Contract
from cacheaside.doctor import Finding, Severity, Times, examine
from cacheaside.testing.servers import Server
from cacheaside.testing.servers.server import wait_until

AT_ONCE = Times(pause=lambda _s: None)
SECRET = b"a secret of 32 bytes, for tests."


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(maxmemory="64mb") as started:
        yield started


def of(check: str, findings: list[Finding]) -> list[Severity]:
    """How grave what `check` found is."""
    return [one.severity for one in findings if one.check == check]


def test_a_cache_that_is_switched_off() -> None:
    """Disabled, it is a warning; enabled, nothing."""
    cache = Cache(namespace="settings")
    assert of("switched_off", examine(cache)) == []
    cache.disable()
    assert of("switched_off", examine(cache)) == [Severity.WARNING]


def test_processes_that_cache_alone(server: Server) -> None:
    """Without a URL one process is a note, several an error; with a URL there is nothing."""
    alone = Cache(namespace="settings")
    assert of("alone", examine(alone)) == [Severity.NOTE]
    assert of("alone", examine(alone, processes=4)) == [Severity.ERROR]
    with Cache(server.url, namespace="settings") as shared:
        assert of("alone", examine(shared, processes=4, times=AT_ONCE)) == []


def test_entries_that_are_not_signed(server: Server) -> None:
    """A shared tier without secrets is a note, for several processes a warning; with secrets there is nothing."""
    with (
        Cache(server.url, namespace="settings") as open_,
        Cache(server.url, namespace="settings", secrets=[SECRET]) as signed,
    ):
        assert of("unsigned", examine(open_, times=AT_ONCE)) == [Severity.NOTE]
        assert of("unsigned", examine(open_, processes=2, times=AT_ONCE)) == [Severity.WARNING]
        assert of("unsigned", examine(signed, processes=2, times=AT_ONCE)) == []


def test_processes_of_one_namespace_that_differ(server: Server) -> None:
    """What this process found and did not take shows that another one has other secrets, or writes rubbish."""
    with (
        Cache(server.url, namespace="differ", deadline="2s") as open_,
        Cache(server.url, namespace="differ", deadline="2s", secrets=[SECRET]) as signed,
    ):
        for cache in (open_, signed):

            @cache.read("thing", Contract("60s"))
            def thing(number: int) -> int:
                return number

        first = open_.read("other", Contract("60s"))(_same)
        second = signed.read("other", Contract("60s"))(_same)
        first(1)
        assert of("differing", examine(open_, times=AT_ONCE)) == []
        wait_until(lambda: bool(server.ask("EXISTS", first.key(1))), "it is stored", 10)
        second(1)
        assert of("differing", examine(signed, times=AT_ONCE)) == [Severity.WARNING]
        server.ask("SET", first.key(2), "rubbish")
        first(2)
        assert of("differing", examine(open_, times=AT_ONCE)) == [Severity.ERROR]


def _same(number: int) -> int:
    return number


def test_a_process_that_holds_nothing(server: Server) -> None:
    """l1_entries=0 is a note; the default is nothing."""
    with Cache(server.url, namespace="s", l1_entries=0) as none, Cache(server.url, namespace="s") as some:
        assert of("holds_nothing", examine(none, times=AT_ONCE)) == [Severity.NOTE]
        assert of("holds_nothing", examine(some, times=AT_ONCE)) == []
