"""What a cache may be told about its shared tier, and what is said of a mistake."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cacheaside import DeclarationError
from cacheaside.stores.redis.connect.topology import ClusterTopology, SentinelTopology, Single
from cacheaside.stores.redis.options import options_of
from cacheaside.stores.redis.wire.envelope import PLAIN

URL = "redis://localhost:6379/0"


def test_a_url_alone_is_enough() -> None:
    """50 ms to answer, 2 s of answering by itself, entries of another history distrusted, nothing signed."""
    options = options_of(URL)
    assert (options.limits.deadline_s, options.max_unsynced_s) == (0.05, 2.0)
    assert (options.on_failover, options.wait_replicas, options.wire) == ("distrust", 0, PLAIN)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (URL, Single),
        ("unix:///tmp/server.socket", Single),
        ("redis+sentinel://one,other/shop", SentinelTopology),
        ("valkey+cluster://one,other", ClusterTopology),
    ],
)
def test_the_url_says_how_the_primaries_are_found(url: str, kind: type) -> None:
    """Each form of URL has its topology."""
    assert type(options_of(url).topology) is kind


def test_what_is_given_counts() -> None:
    """Durations and sizes in any of their forms, secrets in their order."""
    options = options_of(
        "redis://user:word@host/3",
        deadline=timedelta(milliseconds=40),
        max_unsynced="5s",
        on_failover="forget",
        wait_replicas=2,
        secrets=[b"a" * 32, b"b" * 32],
        compress_from="4KiB",
    )
    assert (options.limits.deadline_s, options.max_unsynced_s) == (0.04, 5.0)
    assert (options.on_failover, options.wait_replicas) == ("forget", 2)
    assert options.wire.compress_from_bytes == 4096
    assert repr(options.wire.ring) == "<key ring of 2>"
    assert (options.login.username, options.login.database) == ("user", 3)


@pytest.mark.parametrize(
    "given", [{"deadline": "60s"}, {"deadline": "1ms"}, {"max_unsynced": "1h"}, {"max_unsynced": 0.1}]
)
def test_the_bounds_are_included(given: dict[str, Any]) -> None:
    """What is named as the least or the most can be given."""
    options_of(URL, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deadline": 0}, "deadline=0 leaves a server no time to answer: 1 ms is the least."),
        ({"deadline": "500us"}, "deadline='500us'"),
        ({"deadline": "soon"}, "deadline"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": "61s"}, "deadline='61s' is longer than a read should wait for a cache: 60 s is the most."),
        ({"deadline": "30d"}, "deadline='30d' is longer"),
        ({"max_unsynced": "61m"}, "max_unsynced='61m' is longer than L1 may answer without having heard of writes"),
        ({"max_unsynced": "365d"}, "max_unsynced='365d' is longer"),
        ({"max_unsynced": "50ms"}, "max_unsynced='50ms' is too short to listen by: 100 ms is the least."),
        ({"max_unsynced": 0}, "max_unsynced=0 is too short"),
        ({"max_unsynced": None}, "max_unsynced"),
        ({"on_failover": "panic"}, "on_failover='panic' must be one of distrust, forget, trust."),
        ({"on_failover": None}, "on_failover=None must be one of"),
        ({"wait_replicas": -1}, "wait_replicas=-1 must be a whole number of replicas."),
        ({"wait_replicas": True}, "wait_replicas=True must be a whole number of replicas."),
        ({"wait_replicas": 101}, "wait_replicas is more than 100: write how many replicas must"),
        ({"wait_replicas": 10**5000}, "wait_replicas is more than 100"),
        ({"wait_replicas": 1, "deadline": "20ms"}, "wait_replicas=1 waits 30 ms for replicas, and the deadline would"),
        ({"wait_replicas": 1, "deadline": "30ms"}, "give a deadline of more than 30 ms and a round trip"),
        ({"wait_replicas": 1.0}, "wait_replicas=1.0 must be a whole number of replicas."),
        ({"secrets": b"a" * 32}, "secrets must be a list of bytes, the one to sign with first."),
        ({"secrets": "a" * 32}, "secrets must be a list of bytes, the one to sign with first."),
        ({"secrets": 7}, "secrets must be a list of bytes, the one to sign with first."),
        ({"secrets": {b"a" * 32}}, "secrets must be a list of bytes, the one to sign with first."),
        ({"secrets": ["a" * 32]}, "secrets must be bytes, 32 from a random source each."),
        ({"secrets": [b"short"]}, "Secret 1 of the key ring has 5 bytes, fewer than 16"),
        ({"secrets": [b"a" * 32, b""]}, "Secret 2 of the key ring has 0 bytes, fewer than 16"),
        ({"compress_from": "large"}, "compress_from"),
        ({"compress_from": -1}, "compress_from"),
    ],
)  # fmt: skip
def test_a_mistake_says_which_option_and_what_to_write(given: dict[str, Any], said: str) -> None:
    """Each is a `DeclarationError`, of one line, that names the option."""
    with pytest.raises(DeclarationError) as raised:
        options_of(URL, **given)
    (line,) = str(raised.value).splitlines()
    assert said in line


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "", 7, None])
def test_a_url_that_names_no_server_is_refused(url: Any) -> None:
    """What cannot be a URL of servers is an error here and not at the first read."""
    with pytest.raises(DeclarationError, match="The URL of the server"):
        options_of(url)


def test_replicas_are_not_waited_for_on_a_cluster() -> None:
    """A WAIT names no key, so on a cluster its node cannot be found: it says so, and what to do instead."""
    with pytest.raises(DeclarationError, match=r'not for clusters yet.*on_failover="forget"'):
        options_of("redis+cluster://one", wait_replicas=1)
    assert options_of("redis+cluster://one", wait_replicas=0).wait_replicas == 0


def test_no_message_shows_a_secret() -> None:
    """Whatever is wrong with a secret, it stays out of the message."""
    for wrong in (["Zq9xW" * 8], [b"Zq9xW"], b"Zq9xW" * 8):
        with pytest.raises(DeclarationError) as raised:
            options_of(URL, secrets=wrong)  # type: ignore[arg-type]
        assert "Zq9xW" not in str(raised.value)
        assert raised.value.__cause__ is None
