"""What every test gets: examples and seeds that are the same on every run, and a loop that is not blocked."""

from __future__ import annotations

import inspect
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples on every run: a failure belongs to the change at hand. `dev.py soak` draws new ones.
settings.register_profile("check", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=5_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="what the `seed` fixture gives to every test")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed that is this test's own and the same on every run; printed, and so shown when the test fails."""
    given = request.config.getoption("--seed")
    number = zlib.crc32(request.node.nodeid.encode()) if given is None else given
    print(f"seed {number}: again with --seed={number}")
    return number


@pytest.fixture(autouse=True)
def _loop_stays_free(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails an `async def` test in which the library blocks the loop: by a file, a socket or a wait.

    A test of `def` endpoints called in a loop, which do block it, says so with the mark `blocks_loop`.
    """
    if not inspect.iscoroutinefunction(request.function) or request.node.get_closest_marker("blocks_loop"):
        yield
        return
    with blockbuster_ctx("cacheaside"):
        yield
