"""A server at a fixed address."""

from __future__ import annotations

from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.connect.topology import Single


def test_nothing_is_asked() -> None:
    """The server is named whether it is there or not, so that starting waits for nobody."""
    address = ServerAddress("no such host.invalid", 1)
    assert Single(address).find(0.0) == Fleet((address,))
