"""Replies: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
import redis.exceptions
from redis._parsers.base import BaseParser

from cacheaside.stores.redis.wire.replies import (
    StoreReplyError,
    count_in,
    done,
    error_code,
    values_in,
    was_set,
)

SET = ("SET", "shop:a", b"the value", "PX", 5)


class Line(Exception):
    """An error reply as a protocol reader gives it."""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("MOVED 3999 10.0.0.1:6381", "MOVED"),
        ("ASK 3999 10.0.0.1:6381", "ASK"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "MASTERDOWN"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("NOPERM this user has no permissions to run the 'set' command", "NOPERM"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
        ("ERR unknown command 'SET', with args beginning with: 'shop:a' 'the value'", "ERR"),
        ("something without a code", "ERR"),
        ("", "ERR"),
    ],
)
def test_an_error_is_known_by_its_code(line: str, code: str) -> None:
    """The first word of an error reply is its code, in full or as redis-py has taken it apart, of any version."""
    assert error_code(Line(line)) == code
    parsed: Any = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    assert error_code(parsed) == code
    parsed.status_code = None  # as before redis-py 7
    assert error_code(parsed) == code


def test_a_servers_text_is_not_repeated() -> None:
    """An error names command, key and code; the server's own words may quote a value, and stay out of it."""
    quoting = Line("ERR unknown command 'SET', with args beginning with: 'shop:a' 'the value'")
    with pytest.raises(StoreReplyError) as raised:
        done(SET, quoting)
    assert str(raised.value) == "SET shop:a: the server answered ERR."
    assert raised.value.code == "ERR"
    assert raised.value.reply is quoting


def test_an_error_says_what_to_do() -> None:
    """Where the cause is known, the message says what to change."""
    with pytest.raises(StoreReplyError, match="another program uses this key; choose another namespace"):
        count_in(("SADD", "shop:a", "w"), redis.exceptions.ResponseError("WRONGTYPE Operation against a key"))


@pytest.mark.parametrize("reply", [None, b"QUEUED", 1, False, [b"OK"], "ok"])
def test_only_ok_is_ok(reply: object) -> None:
    """A reply that is not OK is an error without a code, by its shape and not its content."""
    with pytest.raises(
        StoreReplyError, match=r"^SET shop:a: the server answered .* where OK was expected"
    ) as raised:
        done(SET, reply)
    assert raised.value.code == ""
    assert "QUEUED" not in str(raised.value)


def test_set_nx_tells_whether_it_set() -> None:
    """OK when it did, nothing when there was a value."""
    assert was_set(SET, b"OK")
    assert was_set(SET, True)
    assert not was_set(SET, None)


@pytest.mark.parametrize("reply", [-1, None, b"1", 1.0, [1]])
def test_only_a_count_is_a_count(reply: object) -> None:
    """A count is an integer from 0 on."""
    with pytest.raises(StoreReplyError, match="where a count was expected"):
        count_in(("SREM", "shop:a", "w"), reply)


@pytest.mark.parametrize("reply", [None, [], [b"a"], [b"a", b"b", b"c"], [b"a", "b"], [b"a", 1], b"ab"])
def test_only_as_many_values_as_keys_are_values(reply: object) -> None:
    """An MGET of two keys answers two of bytes or nothing."""
    with pytest.raises(StoreReplyError):
        values_in(("MGET", "a", "b"), reply)
    assert values_in(("MGET", "a", "b"), (None, b"b")) == [None, b"b"]
