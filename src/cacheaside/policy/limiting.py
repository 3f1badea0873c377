"""How many loads a source can take at once, found from how long they take; between a floor and a ceiling.

By Little's law (1961) loads beyond what a source works on at once only wait inside it, and every load takes longer: a
load that takes twice as long as one that runs nearly alone says that half of those under way wait. So, once a window:

    limit = limit x (tolerance x norm / now, at most 1, at least 1/2) + headroom

The gradient is that of Netflix' concurrency-limits (Gradient2), whose parent is TCP Vegas (Brakmo, Peterson, JSAC
1995); a window with too many signs of overload shrinks the limit by a factor instead, as AIMD does (Chiu, Jain 1989).

*What a load takes nearly alone* is where the family goes wrong: a smoothed past rises with the queue it is to reveal,
and a minimum never learns that a source has become slower. Here it is measured, with at most half of the limit under
way: whenever there are times of little load, and else by having the limit halved for one window, now and then
(ProbeRTT of BBR, Cardwell et al., ACM Queue 2016). It is kept for each kind of load, so that neither slow endpoints
among fast ones, nor large batches, look like a queue.

Rule 1: nothing but what is told is known here: no clock, no chance.
Rule 2: a load that was cancelled, or whose own error is no sign of overload, is not told at all.
Rule 3: the limit rises only when it was reached: what is not used proves nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

__all__ = ["AdaptiveLimit"]

TOLERANCE: Final = 1.2
"""So much longer than nearly alone is no queue."""
HEADROOM: Final = 0.5
"""Times the root of the limit: how many may wait in the source, so that it never runs dry, and the limit finds up."""
SMOOTHING: Final = 0.5
"""Of the way to where a window points."""
BACK_OFF: Final = 0.7
OVERLOADS_SHARE: Final = 0.1
"""Of a window: so many signs of overload shrink the limit."""
OVERLOADS_MIN: Final = 2
OUTLIER: Final = 4.0
"""No load counts for more than so many times its norm."""
WINDOW_MIN: Final = 20
WINDOW_MAX: Final = 200
"""Loads in a window: about two for each that may be under way."""
PROBE_WINDOWS: Final = 25
"""Windows between two probes."""
PROBE_WINDOWS_MIN: Final = 5
"""The same when the limit has fallen, which either is a queue or a source that became slower."""
FALLEN: Final = 0.7
AS_MUCH: Final = 0.6
"""Of the time: with half of the loads under way, the source does at least 83 % of what it did."""
NORM_LOADS: Final = 20
"""Loads that a norm is the mean of, later ones at the expense of earlier ones."""
NORM_LOADS_MIN: Final = 5
KINDS_MAX: Final = 1_024
"""Kinds of loads that have a norm; of further ones nothing is learnt."""
LEAST_S: Final = 1e-6


class _Norm:
    """How long a kind of load takes nearly alone. before_s: what was believed when probing began."""

    __slots__ = ("before_s", "loads", "mean_s", "search")

    def __init__(self) -> None:
        self.loads = 0
        self.mean_s = 0.0
        self.before_s = 0.0
        self.search = 0

    def learn(self, took_s: float) -> None:
        if not self.loads:
            self.mean_s = max(took_s, LEAST_S)
        if self.loads < NORM_LOADS:
            self.loads += 1
        most_s = OUTLIER * self.mean_s
        mean_s = self.mean_s + ((took_s if took_s < most_s else most_s) - self.mean_s) / self.loads
        self.mean_s = mean_s if mean_s > LEAST_S else LEAST_S


class AdaptiveLimit:
    """The limit of one source. Begins at the ceiling, which was declared to be safe, and comes down on evidence.

    allowed: the loads that may be under way now, by their weight. `limit` is what it is without the probe of the
    moment. Not thread-safe.
    """

    __slots__ = (
        "_at_probe", "_light", "_loads", "_norms", "_overloads", "_reached", "_search", "_seen", "_since_probe", "_sum",
        "_votes", "_wanted", "allowed", "backed_off", "ceiling", "floor", "inflation", "limit", "probes", "probing",
    )  # fmt: skip

    def __init__(self, floor: int, ceiling: int) -> None:
        self.floor = floor
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.allowed = ceiling
        self.inflation = 1.0
        """How many times its norm a load took, in the last window that said."""
        self.probing = False
        self.probes = 0
        self.backed_off = 0
        self._norms: dict[Hashable, _Norm] = {}
        self._search = 0
        self._since_probe = PROBE_WINDOWS
        self._at_probe = self.limit
        self._begin()

    def reached(self) -> None:
        """A load had to wait, or took the last place."""
        self._reached = True

    def answered(self, kind: Hashable, took_s: float, beside: int) -> None:
        """A load ended, and took so long from its turn to its end, with `beside` under way, by weight, itself included:
        at its beginning or its end, whichever is more."""
        norm = self._norms.get(kind)
        if norm is None:
            if len(self._norms) >= KINDS_MAX:
                return
            norm = self._norms[kind] = _Norm()
        self._loads += 1
        if beside <= self._light:
            self._seen += 1
            if not self.probing:
                norm.learn(took_s)
            elif (
                self._seen > self.allowed
            ):  # the first to end of those that began together are the short ones
                self._compare(norm, took_s)
                norm.learn(took_s)
        elif norm.loads >= NORM_LOADS_MIN:
            self._votes += 1
            self._sum += min(took_s / norm.mean_s, OUTLIER)
        if self._loads >= self._wanted:
            self._close()

    def _compare(self, norm: _Norm, took_s: float) -> None:
        if norm.search != self._search:
            norm.search, norm.before_s = self._search, norm.mean_s
        if norm.before_s:
            self._votes += 1
            self._sum += min(took_s / norm.before_s, OUTLIER)

    def overloaded(self) -> None:
        """A load ended with a sign of overload: a timeout, or an error that was declared to be one."""
        self._loads += 1
        self._overloads += 1
        if self._overloads >= max(OVERLOADS_MIN, OVERLOADS_SHARE * self._wanted):
            self.backed_off += 1
            self._move_to(self.limit * BACK_OFF)
            self._begin()

    def _close(self) -> None:
        """A window is full."""
        if self.probing:
            if self._seen < self.allowed + NORM_LOADS and self._loads < 4 * self._wanted:
                return
            self._end_probe()
        else:
            if self._votes and self._votes * 4 >= self._loads:
                self.inflation = self._sum / self._votes
                self._follow()
            self._since_probe += 1
            if self._is_probe_due():
                self._search += 1
                self._probe()
        self._begin()

    def _probe(self) -> None:
        self.probing = True
        self.probes += 1

    def _end_probe(self) -> None:
        """With half as many under way loads took less time; in half of it, the source did as much as before: then half
        the limit is enough, and half of that may be, so that a search from far above takes a few windows."""
        inflation = self._sum / self._votes if self._votes else self.inflation
        halves = inflation <= AS_MUCH * self.inflation and self.allowed > self.floor
        self.probing = False
        self._since_probe = 0
        if halves:
            self._move_to(float(self.allowed))
            self.inflation = inflation
            self._probe()
        self._at_probe = self.limit

    def _follow(self) -> None:
        gradient = max(0.5, min(1.0, TOLERANCE / self.inflation))
        target = self.limit * gradient + HEADROOM * self.limit**0.5
        if target > self.limit and not self._reached:
            return
        self._move_to(self.limit + SMOOTHING * (target - self.limit))

    def _is_probe_due(self) -> bool:
        if not self._reached or self._since_probe < PROBE_WINDOWS_MIN:
            # Not reached, there are times of little load. Or so soon after the last probe it would find the same.
            return False
        unknown = self._votes * 4 < self._loads
        return unknown or self._since_probe >= PROBE_WINDOWS or self.limit < FALLEN * self._at_probe

    def _move_to(self, limit: float) -> None:
        self.limit = min(float(self.ceiling), max(float(self.floor), limit))

    def _begin(self) -> None:
        """Another window, under the limit as it is."""
        half = max(self.floor, int(self.limit / 2), 1)
        self.allowed = min(half, self.ceiling) if self.probing else round(self.limit)
        self._light = max(1.0, self.limit / 2, float(half) if self.probing else 0.0)
        self._wanted = min(WINDOW_MAX, max(WINDOW_MIN, int(2 * self.allowed)))
        self._reached = False
        self._loads = self._seen = self._votes = self._overloads = 0
        self._sum = 0.0
