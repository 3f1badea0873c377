"""Fixtures for pytest: `pytest_plugins = ["cacheaside.testing.pytest_plugin"]` in the topmost conftest.py.

It is not loaded by itself: who does not name it gets nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cacheaside.testing.clock import Clock, used
from cacheaside.testing.inside import every_host
from cacheaside.testing.isolation import isolated

__all__ = ["cache_clock", "isolated_caches"]


@pytest.fixture
def isolated_caches() -> Iterator[None]:
    """Every cache of the process is empty and uncounted when the test begins, and strict while it runs.

    For all tests: `@pytest.fixture(autouse=True)` over a fixture of yours that asks for this one.
    """
    with isolated():
        yield


@pytest.fixture
def cache_clock(isolated_caches: None) -> Iterator[Clock]:  # noqa: ARG001 - so that it comes before
    """A clock that every cache tells the time by, and that moves when told to: `cache_clock.advance("61s")`.

    A cache that the test itself makes does not know of it: `with cache_clock.use(cache):`.
    """
    clock = Clock()
    with used(clock.now, every_host()):
        yield clock
