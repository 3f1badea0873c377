"""What a metric is, before any exporter has seen it: a name, a unit, labels; and how values of several processes are
made one.

Names are OpenTelemetry's, dots between words and the unit apart; those of Prometheus follow from them
(`cacheaside.fill` in seconds is `cacheaside_fill_seconds`), so both feed the same dashboards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from cacheaside.observe.stats import Distribution

__all__ = ["Across", "Kind", "Metric", "Sample", "doubling", "shown_buckets"]


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


def shown_buckets(metric: Metric, counted: Distribution) -> list[tuple[str, int]]:
    """Cumulative, by upper edge in seconds; the last is "+Inf", and holds all."""
    pending = list(counted.buckets_us)
    pending.reverse()
    shown, below = [], 0
    for edge_us in metric.edges_us:
        while pending and pending[-1][0] <= edge_us:
            below += pending.pop()[1]
        shown.append((repr(edge_us / 1e6), below))
    return [*shown, ("+Inf", counted.count)]
