"""One server, always the same."""

from __future__ import annotations

from dataclasses import dataclass

from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import ServerAddress

__all__ = ["Single"]


@dataclass(frozen=True, slots=True)
class Single:
    """Implements `fleet.Topology` for a server at a fixed address. Nothing is asked, and nothing can fail."""

    address: ServerAddress

    def find(self, within_s: float) -> Fleet:
        return Fleet((self.address,))
