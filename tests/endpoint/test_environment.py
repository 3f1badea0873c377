"""`Cache.from_env`: what the environment says of a cache."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError

NOWHERE = "redis://127.0.0.1:1/0"
SHARED = {"CACHEASIDE_URL": NOWHERE, "CACHEASIDE_NAMESPACE": "shop"}


def refusal(environ: dict[str, str], **options: Any) -> str:
    """What is said of an environment that cannot be used, on one line, and nothing travels with it."""
    with pytest.raises(DeclarationError) as raised:
        Cache.from_env(environ, **options)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    (line,) = str(raised.value).splitlines()
    return line


def test_an_empty_environment_makes_an_embedded_cache() -> None:
    """As `Cache()` does."""
    cache = Cache.from_env({})
    assert (cache.namespace, cache.enabled, cache.stats().shared) == ("app", True, None)


def test_what_it_says_counts_before_what_the_code_says() -> None:
    """And what it does not say is the code's."""
    environ = {
        "CACHEASIDE_URL": NOWHERE,
        "CACHEASIDE_NAMESPACE": "shop",
        "CACHEASIDE_DEADLINE": "20ms",
        "CACHEASIDE_MAX_UNSYNCED": "5s",
        "CACHEASIDE_SECRETS": "s" * 32,
    }
    cache = Cache.from_env(environ, namespace="else", deadline="1s", on_failover="forget")
    shared = cache._host.shared
    assert shared is not None
    options = shared.options
    assert cache.namespace == "shop"
    assert (options.limits.deadline_s, options.max_unsynced_s, options.on_failover) == (
        0.02,
        5.0,
        "forget",
    )
    assert options.wire.ring is not None


def test_it_may_begin_switched_off() -> None:
    """Then every read goes to its source until it is enabled."""
    cache = Cache.from_env({"CACHEASIDE_DISABLED": "yes"})
    loads = itertools.count(1)

    @cache.read("count", Contract("60s"))
    def count(key: int) -> int:
        return next(loads)

    assert not cache.enabled
    assert [count(1), count(1)] == [1, 2]
    cache.enable()
    assert [count(1), count(1)] == [3, 3]


def test_a_mistake_in_it_is_one_at_once() -> None:
    """A variable that is misspelt."""
    with pytest.raises(DeclarationError, match=r"CACHEASIDE_URLS is no setting.*CACHEASIDE_URL"):
        Cache.from_env({"CACHEASIDE_URLS": NOWHERE})


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("CACHEASIDE_DEADLINE", "0.5ms", "leaves a server no time to answer: 1 ms is the least."),
        ("CACHEASIDE_MAX_UNSYNCED", "50ms", "is too short to listen by: 100 ms is the least."),
        ("CACHEASIDE_MAX_UNSYNCED", "365d", "1 h is the most"),
        (
            "CACHEASIDE_URL",
            "http://Zq9xW:Zq9xW@host",
            "The URL of the server: it begins with none of redis://",
        ),
        ("CACHEASIDE_URL", "redis://Zq9xW@host", "The URL of the server: there is one word before the @"),
        ("CACHEASIDE_NAMESPACE", "Zq9xW" * 30, "takes 150 characters in a key, and 100 is the most"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_its_variable(name: str, written: str, said: str) -> None:
    """Whoever reads the error knows which variable to mend, and no value is quoted."""
    line = refusal(SHARED | {name: written})
    assert line.startswith(name)
    assert said in line
    assert written not in line
    assert "Zq9xW" not in line


def test_a_url_needs_a_namespace() -> None:
    """The error names the variable; code may give it instead."""
    assert refusal({"CACHEASIDE_URL": NOWHERE}).startswith(
        "CACHEASIDE_NAMESPACE is not set, and a cache with a URL"
    )
    assert Cache.from_env({"CACHEASIDE_URL": NOWHERE}, namespace="shop").namespace == "shop"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("CACHEASIDE_DEADLINE", "80ms"),
        ("CACHEASIDE_MAX_UNSYNCED", "3s"),
        ("CACHEASIDE_SECRETS", "Zq9xW" * 8),
    ],
)
def test_what_would_not_be_in_force_without_a_url_is_an_error(name: str, written: str) -> None:
    """Whoever set it counts on servers; where the code names them it is in force."""
    line = refusal({name: written, "CACHEASIDE_NAMESPACE": "shop"})
    assert line.startswith(name)
    assert "would not be in force: CACHEASIDE_URL is not set. Set it, or unset CACHEASIDE_" in line
    assert "CACHEASIDE_DISABLED=1" in line
    assert written not in line
    assert Cache.from_env({name: written}, url=NOWHERE, namespace="shop").stats().shared is not None


def test_without_a_url_something_is_held_here() -> None:
    """No entries at all are for caches with servers."""
    line = refusal({"CACHEASIDE_L1_ENTRIES": "0"})
    assert line == (
        "CACHEASIDE_L1_ENTRIES must be at least 1 where CACHEASIDE_URL is not set: then all is held here."
    )
    Cache.from_env(SHARED | {"CACHEASIDE_L1_ENTRIES": "0"})


def test_replicas_are_not_waited_for_beyond_a_deadline_of_the_environment() -> None:
    """The deadline of a variable is checked with what the code says, and not quoted."""
    line = refusal(SHARED | {"CACHEASIDE_DEADLINE": "21ms"}, wait_replicas=1)
    assert "give a deadline of more than 30 ms" in line
    assert "21" not in line


class TestAlone:
    """A namespace without a URL: one of several processes may have lost it."""

    @staticmethod
    def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    @pytest.mark.parametrize("environ", [{"CACHEASIDE_NAMESPACE": "shop"}, {}])
    def test_it_is_said_once(self, environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
        """One line when the cache is made, wherever the namespace comes from; reads say nothing."""
        cache = Cache.from_env(environ, **({} if environ else {"namespace": "shop"}))

        @cache.read("same", Contract("60s"))
        def same(key: int) -> int:
            return key

        assert [same(1), same(1), same(2)] == [1, 1, 2]
        (line,) = self.warnings(caplog)
        assert line == (
            "cache shop: CACHEASIDE_URL is not set, so this process caches alone: what other processes write it sees "
            "when the ttl ends"
        )

    def test_where_there_is_nothing_to_say_nothing_is(self, caplog: pytest.LogCaptureFixture) -> None:
        """Not where nothing is served from the cache, not with a URL, and not of a cache that no name was given to."""
        Cache.from_env({"CACHEASIDE_NAMESPACE": "shop", "CACHEASIDE_DISABLED": "1"})
        Cache.from_env(SHARED)
        Cache.from_env({"CACHEASIDE_NAMESPACE": "shop"}, url=NOWHERE)
        Cache.from_env({})
        Cache(namespace="shop")
        assert self.warnings(caplog) == []
