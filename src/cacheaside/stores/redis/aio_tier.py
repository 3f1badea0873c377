"""The shared tier on event loops."""

from __future__ import annotations

from cacheaside.stores.redis.tier import RedisTier

__all__ = ["AioTier"]


class AioTier(RedisTier):
    """As `RedisTier`."""
