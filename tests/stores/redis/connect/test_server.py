"""Where a server is and what a connection may use, as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import DeclarationError
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_double_up_to_the_longest(failures: int, chance: float) -> None:
    """A pause is between half and all of the doubled first one, never above the longest."""
    limits = Limits(backoff_s=0.05, backoff_max_s=2.0)
    full = min(2.0, 0.05 * 2.0 ** min(failures - 1, 100))
    assert full / 2 <= limits.pause_s(failures, chance) <= full


def test_a_limit_of_nothing_is_refused() -> None:
    """A limit that would let nothing through is an error that names it."""
    with pytest.raises(DeclarationError, match="deadline_s"):
        Limits(deadline_s=0)


def test_a_password_is_not_shown() -> None:
    """What is printed of a login has no password in it."""
    assert "secret" not in repr(Login("user", "secret"))


def test_an_address_is_shown_as_it_is_dialled() -> None:
    """Messages name a host and a port, or the path of a socket."""
    assert str(ServerAddress("cache", 6380)) == "cache:6380"
    assert str(ServerAddress(path="/run/cache.sock")) == "/run/cache.sock"
