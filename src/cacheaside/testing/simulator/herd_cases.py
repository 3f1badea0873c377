"""What keeps herds from the source, each measured with it and without: `python3 dev.py sim --herd all`.

Each case returns figures, and what is wrong with them: the rule that a figure must keep. Broken variants of the library
(`mutants_herds`) must break one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from cacheaside.contract import Contract
from cacheaside.testing.simulator.herds import Herd

__all__ = ["CASES", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures by name, and the rules that they do not keep."""

    figures: dict[str, float]
    broken: list[str]


def _outcome(figures: dict[str, float], **rules: bool) -> Outcome:
    return Outcome(
        {name: round(figure, 4) for name, figure in figures.items()},
        [rule.replace("_", " ") for rule, holds in rules.items() if not holds],
    )


def _one() -> Callable[[], int]:
    return lambda: 0


def _hot(early_refresh: float) -> Herd:
    herd = Herd(processes=4)
    contract = Contract(10, jitter=0, early_refresh=early_refresh)
    for number, view in enumerate(herd.view("hot", contract, 0.5)):
        for reader in range(5):
            herd.read_often(number, view, 0.05, 200.0, _one(), first_s=1.0 + 0.01 * reader)
    herd.run()
    return herd


def early() -> Outcome:
    """One hot key in four processes, ttl 10 s, a load of 0.5 s, 200 s of reads."""
    without, with_it = _hot(0.0), _hot(1.0)
    late = {"without": without, "with": with_it}
    figures: dict[str, float] = {}
    for name, herd in late.items():
        warm = [one for one in herd.waits["hot"] if one.at > 2.0]
        figures[f"loads {name}"] = len(herd.loads["hot"])
        figures[f"reads {name}"] = len(warm)
        figures[f"reads that waited {name}"] = sum(one.waited_s > 0 for one in warm)
        figures[f"longest wait {name}, s"] = max(one.waited_s for one in warm)
        figures[f"loads at once {name}"] = herd.running_peak
    return _outcome(
        figures,
        a_hot_key_never_expires=figures["reads that waited with"] == 0,
        one_process_of_all_refreshes=figures["loads at once with"] == 1,
        no_more_than_a_load_per_period=figures["loads with"] <= 200 / (10 - 0.5 * 8) + 1,
        without_it_readers_wait=figures["reads that waited without"] > 0,
    )


def _filled_together(keys: int, jitter: float) -> list[float]:
    """When 10,000 keys that were loaded in one second are loaded again, being read once a second; ttl 60 s."""
    herd = Herd(processes=1, limit=100_000)
    contract = Contract(60, jitter=jitter)
    (view,) = herd.view("many", contract, 0.001)
    for reader in range(100):
        mine = count()
        share = range(reader, keys, 100)

        def key(mine: count[int] = mine, share: range = share) -> int:
            return share[next(mine) % len(share)]

        # Once round in the first second, then from 53 s on, once a second.
        herd.read_often(0, view, 1.0 / len(share), 1.0 - 1e-6, key, first_s=0.0)
        herd.read_often(0, view, 1.0 / len(share), 62.0, key, first_s=53.0)
    herd.run()
    return [at for at in herd.loads["many"] if at > 10]


def jitter() -> Outcome:
    """2,000 keys that are filled within one second, ttl 60 s, each read once a second: loads in the busiest second."""
    keys = 2000
    peaks = {}
    for share in (0.0, 0.1):
        at = _filled_together(keys, share)
        peaks[share] = max(Counter(int(one) for one in at).values())
    figures = {
        "keys": float(keys),
        "peak loads a second without": peaks[0.0],
        "peak loads a second with": peaks[0.1],
    }
    return _outcome(
        figures,
        without_they_come_in_a_second_or_two=peaks[0.0] > keys * 0.4,
        with_it_they_are_spread_over_the_tenth=peaks[0.1] < keys / 6 * 1.5,
    )


def passing() -> Outcome:
    """A value that is never stored, loaded in 0.4 s: 4 processes with 3 readers each, for 60 s."""
    herd = Herd(processes=4)
    contract = Contract(60, store=lambda value: False)
    for number, view in enumerate(herd.view("draft", contract, 0.4)):
        for reader in range(3):
            herd.read_often(number, view, 0.35 + 0.011 * number, 60.0, _one(), first_s=0.5 + 0.13 * reader)
    herd.run()
    later = [one.waited_s for one in herd.waits["draft"] if one.at > 3.0]
    figures = {
        "reads": float(len(later)),
        "longest wait, loads": max(later) / 0.4,
        "reads that waited for more than their load": float(sum(one > 0.4 * 1.01 for one in later)),
        "loads at once": float(herd.running_peak),
    }
    return _outcome(
        figures,
        nobody_waits_for_anothers_load_and_then_loads=figures["longest wait, loads"] <= 1.01,
        loads_at_once_no_more_than_processes=herd.running_peak <= 4,
    )


KEYS: Final = 2000
TURNS: Final = 8
TURN_S: Final = 0.05
INVALIDATED_S: Final = 15.0
OVER_S: Final = 45.0


def _invalidated(*, paced: bool) -> Herd:
    herd = Herd(processes=1, limit=TURNS, paced=paced)
    (view,) = herd.view("many", Contract(600, stale_after_invalidation=600, jitter=0), TURN_S)
    (other,) = herd.view("new", Contract(600), TURN_S)
    random = Random(1)
    first, cold = count(), count()
    before_s = INVALIDATED_S - 0.5
    for _ in range(TURNS):
        herd.read_often(0, view, TURN_S, before_s, lambda: next(first) % KEYS)
    for reader in range(50):
        popular = lambda: int(KEYS * random.random() ** 3)  # noqa: E731 - beside its use
        herd.read_often(0, view, 0.05, OVER_S, popular, first_s=before_s + reader * 0.001)
    for reader in range(20):
        herd.read_often(0, other, 1.0, OVER_S, lambda: next(cold), first_s=before_s + reader * 0.05)
    herd.invalidate_all(INVALIDATED_S)
    herd.run()
    return herd


def _after(herd: Herd, name: str) -> dict[str, float]:
    since = INVALIDATED_S
    again = sorted(at for at in herd.loads["many"] if at > since)
    return {
        f"loads at once {name}": float(herd.running_peak),
        f"refreshes at once {name}": float(herd.refreshes_peak),
        f"reads of what was invalidated that waited {name}": float(
            sum(one.waited_s > 0 for one in herd.waits["many"] if one.at > since)
        ),
        f"reads refused {name}": float(
            herd.how("many", since=since)["overloaded"] + herd.how("new", since=since)["overloaded"]
        ),
        f"longest wait of others {name}, loads": herd.waited_s("new", since=since) / TURN_S,
        f"refreshes failed {name}": float(herd.refreshes_failed("many")),
        f"keys loaded again {name}": float(len(again)),
        f"until nine of ten reads are fresh {name}, s": _recovered(herd) - since,
        f"at the source's pace all take {name}, s": len(again) * TURN_S / TURNS,
    }


def _recovered(herd: Herd) -> float:
    """The end of the last second in which more than a tenth of the reads were served what had been invalidated."""
    seconds = Counter(int(one.at) for one in herd.waits["many"] if one.at >= INVALIDATED_S)
    stale = Counter(int(one.at) for one in herd.waits["many"] if one.how == "outdated")
    return max((second + 1.0 for second in seconds if stale[second] > 0.1 * seconds[second]), default=OVER_S)


def pacing() -> Outcome:
    """2,000 keys invalidated at once, which may be served stale; a source that bears 8 loads of 50 ms at once (160 a
    second); 1,000 reads a second of them, by popularity, and 20 a second of keys that nothing is held for."""
    herd = _invalidated(paced=True)
    figures = _after(herd, "with") | _after(_invalidated(paced=False), "without")
    return _outcome(
        figures,
        the_limit_holds=herd.running_peak <= TURNS,
        refreshes_leave_a_quarter=figures["refreshes at once with"] <= TURNS * 3 // 4,
        nobody_who_may_be_served_stale_waits=figures["reads of what was invalidated that waited with"] == 0,
        nobody_is_refused=figures["reads refused with"] == 0,
        others_wait_for_their_own_load_alone=figures["longest wait of others with, loads"] <= 2.01,
        recovered_within_one_and_a_half_of_the_best=figures["until nine of ten reads are fresh with, s"]
        <= 1.5 * figures["at the source's pace all take with, s"],
        without_it_others_wait_and_refreshes_are_refused=figures["longest wait of others without, loads"]
        > 1.5
        and figures["refreshes failed without"] > 100,
    )


CASES: Final[dict[str, Callable[[], Outcome]]] = {
    "early": early,
    "jitter": jitter,
    "passing": passing,
    "pacing": pacing,
}
