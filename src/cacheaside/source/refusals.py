"""The errors of loads that got no turn, or no answer in time, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cacheaside.errors import LoadTimeout, Overloaded
from cacheaside.source.limit import Refused
from cacheaside.source.nest import OpenNest

if TYPE_CHECKING:
    from cacheaside.source.loads import Loadable

__all__ = ["overloaded", "timed_out"]

_WHY: Final = {
    Refused.FULL: "is at its limit, and its queue is full",
    Refused.SHED: "is at its limit, and its full queue made room for a load of a higher priority",
    Refused.LATE: "is at its limit, and gave this load no turn in time",
    Refused.RETRY: "is at its limit, and this load repeats another, which its retry budget does not allow now",
}


def overloaded(endpoint: Loadable, nest: OpenNest, why: Refused) -> Overloaded:
    """Of a load that got no turn."""
    source, limit = endpoint.source, endpoint.source.limit
    where, _ = _nesting(nest)
    after_s = limit.retry_after_s()
    return Overloaded(
        f"{endpoint.name}: source {source.name!r} {_WHY[why]} (limit now: {limit.allowed} of {limit.most}, waiting: "
        f"{len(limit)} of {limit.queue_max}){where}. Retry after {after_s:g} s, raise its limit if it can take more, "
        "or give the contract grace.",
        endpoint=endpoint.name,
        source=source.name,
        retry_after_s=after_s,
    )


def timed_out(endpoint: Loadable, nest: OpenNest) -> LoadTimeout:
    """Of a load that took as long as it may."""
    source = endpoint.source
    where, pool = _nesting(nest)
    return LoadTimeout(
        f"{endpoint.name}: a load from source {source.name!r} had no answer after {source.timeout_s:g} s{where}.{pool}",
        endpoint=endpoint.name,
        source=source.name,
    )


def _nesting(nest: OpenNest) -> tuple[str, str]:
    """What a load that timed out has to do with others, in words, and what to do when they may have waited for each
    other: (1) as many outer loads as a pool has connections take them all (2) each waits for an inner load, which waits
    for a connection."""
    outer = None if nest.outer is None else next(nest.outer.around(), None)
    inner = next((one for one in tuple(nest.inside) if not one.closed), None)
    where = [f"inside the load of {outer.name}"] if outer is not None else []
    where += [f"waiting for a load of {inner.name} inside it"] if inner is not None else []
    if not where:
        return "", ""
    near = [one.source for one in (outer, inner) if one is not None]
    pooled = nest.source.open is not None and nest.source in near
    return f" ({', '.join(where)})", _POOL_HINT if pooled else ""


_POOL_HINT: Final = (
    " A load inside a load opens a resource of its own: a pool needs the source's limit times the depth, or the inner "
    "endpoint a source of its own."
)
