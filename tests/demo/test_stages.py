"""What a run goes through."""

from __future__ import annotations

import pytest

from cacheaside.demo.stages import WITH, WITHOUT, Event, seconds_of, turns


@pytest.mark.parametrize(("seconds", "tier"), [(26.0, "Valkey"), (5.0, "Valkey"), (30.0, None), (1.0, None)])
def test_the_stages_take_the_time_that_was_asked_for(seconds: float, tier: str | None) -> None:
    """All turns together last as long as asked for, and both sides as long as each other before anything happens."""
    planned = turns(seconds, tier=tier, max_unsynced_s=2.0)
    assert sum(map(seconds_of, planned)) == pytest.approx(seconds)
    quiet = [turn for turn in planned if all(stage.event is None for stage in turn.stages)]
    with_, without = (
        sum(seconds_of(turn) for turn in quiet if turn.cache is cache) for cache in (True, False)
    )
    assert with_ == pytest.approx(without)


def test_the_sides_take_turns_there_and_back() -> None:
    """Neither side always comes first, and the name of a stage says which side it is."""
    planned = turns(10.0, tier=None, max_unsynced_s=2.0)
    assert [turn.cache for turn in planned] == [False, True, True, False]
    assert [stage.name for turn in planned for stage in turn.stages] == [WITHOUT, WITH, WITH, WITHOUT]


def test_the_tier_is_killed_comes_back_is_frozen_and_goes_on() -> None:
    """After the comparison come both outages and both returns, in one turn of the side with the cache."""
    *quiet, last = turns(26.0, tier="Redis", max_unsynced_s=2.0)
    assert all(stage.event is None for turn in quiet for stage in turn.stages)
    assert last.cache
    assert [(stage.name, stage.event) for stage in last.stages] == [
        ("Redis killed", Event.KILL),
        ("Redis back", Event.RETURN),
        ("Redis frozen", Event.FREEZE),
        ("Redis thawed", Event.THAW),
    ]
    assert {stage.seconds for stage in last.stages} == {4.0}


def test_an_outage_lasts_longer_than_l1_may_answer() -> None:
    """By default one sees L1 fall silent, and for a while what comes after."""
    *_, last = turns(26.0, tier="Valkey", max_unsynced_s=2.0)
    assert min(stage.seconds for stage in last.stages) >= 2 * 2.0
    assert "2 s" in last.stages[0].means
