"""A source under a multiple of its capacity, in virtual time: what is under way, what is answered, who is served."""

from __future__ import annotations

import pytest

from cacheaside.source.limit import Limit
from tests.source.queueing import Phase, Queueing, adaptive, fixed

CAPACITIES = {
    "half its servers": [Phase(0.0, 32, 0.02), Phase(6.0, 16, 0.02), Phase(12.0, 32, 0.02)],
    "each load twice as slow": [Phase(0.0, 32, 0.02), Phase(6.0, 32, 0.04), Phase(12.0, 32, 0.02)],
}


@pytest.mark.parametrize("change", CAPACITIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_adaptive_limit_is_near_the_best_fixed_one(change: str, seed: int) -> None:
    """When a source's capacity halves and comes back, as many loads are answered as under the best fixed limit, less a
    fifth at most; over all, and while the capacity is halved."""
    print(f"seed {seed}")

    def run(limit: object) -> Queueing:
        made = Queueing(limit, CAPACITIES[change], seed=seed, offered=2_400.0, until_s=18.0)  # type: ignore[arg-type]
        made.run()
        return made

    fixed_ones = [run(fixed(most)).outcome for most in (16, 32, 48)]
    outcome = run(adaptive(8, 64)).outcome
    best = max(one.answered for one in fixed_ones)
    halved = max(one.by_phase[1] for one in fixed_ones)
    print(f"answered {outcome.answered} of {best}; while halved {outcome.by_phase[1]} of {halved}")
    assert outcome.answered >= 0.8 * best
    assert outcome.by_phase[1] >= 0.7 * halved  # from the moment at which it changes
    assert outcome.peak <= 64


def test_a_ceiling_far_too_high_is_found_out() -> None:
    """A source of 8 servers under a ceiling of 64: after a few seconds it does four fifths of what it can, where the
    ceiling alone would have it do a third."""
    seed = 3
    print(f"seed {seed}")
    phases = [Phase(0.0, 8, 0.02), Phase(6.0, 8, 0.02)]
    found = Queueing(adaptive(4, 64), phases, seed=seed, offered=800.0, until_s=14.0).run()
    best = Queueing(fixed(8), phases, seed=seed, offered=800.0, until_s=14.0).run()
    alone = Queueing(fixed(64), phases, seed=seed, offered=800.0, until_s=14.0).run()
    assert found.by_phase[1] >= 0.8 * best.by_phase[1]
    assert alone.by_phase[1] < 0.5 * best.by_phase[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_times_the_capacity_leaves_the_source_at_its_capacity(seed: int) -> None:
    """Ten times what a source can do, for ten seconds: never more under way than the limit, nine tenths of its
    capacity answered, every high load served before others wait for theirs, and no queue beyond its bound."""
    print(f"seed {seed}")
    servers, mean_s, until_s = 16, 0.02, 10.0
    capacity = servers / mean_s
    run = Queueing(
        adaptive(4, 24),
        [Phase(0.0, servers, mean_s)],
        seed=seed,
        offered=10 * capacity,
        until_s=until_s,
        priorities=(0.05, 0.55, 0.4),
    )
    outcome = run.run()
    limit: Limit = run.limit
    high = outcome.given_by_priority[0] / (0.05 * 10 * capacity * until_s)
    print(f"peak {outcome.peak}, answered {outcome.answered / (capacity * until_s):.3f}, high {high:.3f}")
    assert outcome.peak <= 24
    assert outcome.answered >= 0.9 * capacity * until_s
    assert high >= 0.95
    assert outcome.waiting_peak <= limit.queue_max == 24 * 16
    assert outcome.given_by_priority[2] > 0
    assert limit.holders <= 24
    assert len(limit) <= limit.queue_max
    assert outcome.refused + sum(limit.given) + len(limit) == pytest.approx(10 * capacity * until_s, rel=0.05)
