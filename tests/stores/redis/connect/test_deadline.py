"""Waiting for sockets until an instant, and the little that is granted after it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside.stores.redis.connect import deadline as deadlines
from cacheaside.stores.redis.connect.deadline import Deadline, has_more

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["poll", "select"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Two ends; each rule holds where the system has `poll`, and where it has not."""
    monkeypatch.setattr(deadlines, "_ready", getattr(deadlines, f"_ready_by_{request.param}"))
    ends = socket.socketpair()
    yield list(ends)
    for end in ends:
        end.close()


def test_it_returns_when_one_is_ready(pair: list[socket.socket]) -> None:
    """The first that has something to give, or takes bytes, ends the wait."""
    near, far = pair
    far.sendall(b"x")
    soon = Deadline.after(20, time.monotonic)
    assert soon.wait([(near, False)]) == {near.fileno()}
    assert soon.wait([(far, True)]) == {far.fileno()}
    assert soon.wait([(near, False), (far, False)]) == {near.fileno()}
    assert has_more(near)
    assert not has_more(far)


def test_an_end_is_something_to_be_told_of(pair: list[socket.socket]) -> None:
    """A connection that the other side closed is ready at once."""
    near, far = pair
    far.close()
    assert has_more(near)


def test_nothing_is_found_when_it_has_passed(pair: list[socket.socket]) -> None:
    """It waits until the instant, and not longer."""
    start = time.monotonic()
    assert Deadline(start + 0.05, time.monotonic).wait([(pair[0], False)]) == set()
    assert 0.05 <= time.monotonic() - start < 1.0


def test_what_lies_there_already_is_not_late_for_a_few_looks(pair: list[socket.socket]) -> None:
    """After the deadline what has come is found, without waiting, and only so often."""
    near, far = pair
    far.sendall(b"x")
    passed = Deadline(0.0, time.monotonic)
    found = [bool(passed.wait([(near, False)])) for _ in range(20)]
    assert found == sorted(found, reverse=True)
    assert 1 <= sum(found) < 20


def test_a_share_is_never_longer_than_the_whole() -> None:
    """`within` gives so many seconds, and no more than there are."""
    whole = Deadline(10.0, lambda: 4.0)
    assert whole.within(2.0).left_s() == 2.0
    assert whole.within(60.0).left_s() == 6.0
    assert Deadline(3.0, lambda: 4.0).left_s() == 0.0


def test_a_wait_is_never_longer_than_the_kernel_takes(pair: list[socket.socket]) -> None:
    """A deadline of months is one."""
    near, far = pair
    far.sendall(b"x")
    assert Deadline.after(100 * 86_400.0, time.monotonic).wait([(near, False)]) == {near.fileno()}
