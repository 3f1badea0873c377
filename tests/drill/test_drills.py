"""Which drills there are, and what each says that it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cacheaside.drill.drills import DRILLS, budget_of, steps_of
from cacheaside.drill.settings import Abort, Radius, Settings

NAMED = {
    "flush", "eviction-storm", "l2-killed", "l2-slow", "l2-frozen", "rolling-restart", "hot-key", "mass-invalidation",
    "source-slow",
}  # fmt: skip


def test_every_failure_has_its_drill() -> None:
    """What a cache meets on its bad days, each by its name."""
    assert set(DRILLS) == NAMED


@pytest.mark.parametrize("name", sorted(NAMED))
def test_steps_name_target_radius_and_way_back(name: str) -> None:
    """What is touched, how far, when it is called off, and what undoes it: before anything is done."""
    settings = replace(Settings(), radius=Radius(share=0.25, seconds=7), abort=Abort(errors=0.1))
    steps = steps_of(DRILLS[name], settings, target="shop@cache-1:6379", namespace="shop")
    text = "\n".join(steps)
    assert "shop@cache-1:6379" in steps[0]
    assert "10% of requests fail" in text
    assert "{" not in text
    assert "restore" in text
    if DRILLS[name].lasts:
        assert "7 s" in text
        assert DRILLS[name].undo in text


def test_recovery_from_cold_is_bounded_by_the_capacity() -> None:
    """One and a half times what loading each hot key once takes; what leaves the cache warm has a few seconds."""
    assert budget_of(DRILLS["flush"], 400, 80.0) == pytest.approx(7.5 + 1.0)
    assert budget_of(DRILLS["flush"], 400, None) is None
    assert budget_of(DRILLS["l2-slow"], 400, 80.0) == 5.0
