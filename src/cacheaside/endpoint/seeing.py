"""What `Cache` shows of itself, beside its numbers: declarations, and what stands behind one key.

A base class, so that `cache.py` stays what users read first.
"""

from __future__ import annotations

from cacheaside.endpoint.host import Host
from cacheaside.endpoint.review import EndpointReview, reviewed

__all__ = ["Seeing"]


class Seeing:
    """The half of `Cache` that looks and changes nothing."""

    _host: Host

    def contracts(self) -> list[EndpointReview]:
        """What every endpoint has declared, by name: the window of staleness that each read may be served in, for
        review."""
        with self._host.lock:
            endpoints = sorted(self._host.endpoints.items())
        return [reviewed(endpoint) for _, endpoint in endpoints]
