"""What a metric is, before any exporter has seen it: a name, a unit, labels; and how values of several processes are
made one.

Names are OpenTelemetry's, dots between words and the unit apart; those of Prometheus follow from them
(`cacheaside.fill` in seconds is `cacheaside_fill_seconds`), so both feed the same dashboards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Final, NamedTuple

from cacheaside.observe.stats import Distribution

__all__ = ["Across", "Kind", "Metric", "Sample", "doubling", "up_to"]


class Kind(Enum):
    """Counters and histograms never go back; a gauge is how things stand."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(Enum):
    """What a gauge is over several processes. Counters and histograms are always added up."""

    SUM = "sum"
    MOST = "most"
    LEAST = "least"


_SUFFIXES: Final = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, slots=True)
class Metric:
    """unit: "s", "By", or what is counted, in braces, as in UCUM. labels: names, in the order of a sample's values.

    edges_us: for a histogram, the upper edges that exporters show. Each is an edge of `cacheaside.histogram` too, so
    that nothing is guessed: what is shown at or below an edge is what was counted at or below it.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    across: Across = Across.SUM
    edges_us: tuple[int, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """Without the `_total` of a counter, as prometheus_client wants it."""
        return self.name.replace(".", "_") + _SUFFIXES.get(self.unit, "")


class Sample(NamedTuple):
    """One series of a metric, now. A distribution for a histogram, a number else."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Distribution


def doubling(first: int, last: int, step: int = 1) -> tuple[int, ...]:
    """The powers of two from 2^first to 2^last µs: edges of every histogram."""
    return tuple(1 << exponent for exponent in range(first, last + 1, step))


def up_to(edges_us: Iterable[int], counted: Distribution) -> list[int]:
    """How many durations were at or below each edge; the edges ascend."""
    pending = list(counted.buckets_us)
    pending.reverse()
    each = []
    for edge_us in edges_us:
        here = 0
        while pending and pending[-1][0] <= edge_us:
            here += pending.pop()[1]
        each.append(here)
    return list(accumulate(each))
