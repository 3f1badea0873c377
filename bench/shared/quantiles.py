"""The one way in which the benchmark says p50 and p99."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(in_order: Sequence[float], share: float) -> float:
    """The least of the values, given in order, that at least `share` of them do not exceed; one that was seen."""
    return in_order[max(0, math.ceil(share * len(in_order)) - 1)]
