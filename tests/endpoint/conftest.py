"""Every test that takes `world` runs twice: with `async def` endpoints and with `def` ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.endpoint.world import World


@pytest.fixture(params=["async", pytest.param("blocking", marks=pytest.mark.blocks_loop)])
async def world(request: Any) -> AsyncIterator[World]:
    made = World(request.param)
    yield made
    await made.cache.aclose()
