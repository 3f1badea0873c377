"""The same worlds as the endpoints' own tests."""

from __future__ import annotations

from tests.endpoint.conftest import world

__all__ = ["world"]
