"""Checks of what endpoints, tags and sources declare, against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cacheaside.doctor.facts import Facts
from cacheaside.doctor.findings import Finding, Severity
from cacheaside.observe.brief import brief_bytes, brief_s

__all__ = ["CONTRACT_CHECKS"]

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_TINY_TTL_S: Final = 2.0


def no_endpoints(facts: Facts) -> Iterator[Finding]:
    """Nothing is declared, or its modules were not imported."""
    if not facts.endpoints:
        yield Finding(
            "no_endpoints", WARNING, facts.cache.namespace, "no endpoint is declared",
            "Let --app name a module that imports those which declare endpoints.",
        )  # fmt: skip


def unused_families(facts: Facts) -> Iterator[Finding]:
    """A tag that no endpoint names: to invalidate it does nothing."""
    used = {name for one in facts.endpoints for name in (*one.tags, *one.value_tags)}
    for family in facts.families:
        if family not in used and facts.endpoints:
            yield Finding(
                "unused_families", WARNING, f"tag {family}",
                "no endpoint's tags= or value_tags= names it, as far as their code tells: to invalidate it "
                "does nothing",
                "Name it in the endpoints that read what it stands for, or drop it.",
            )  # fmt: skip


def nested_longer(facts: Facts) -> Iterator[Finding]:
    """What is read inside a load may not be older than what is loaded."""
    known = {one.name: one for one in facts.endpoints}
    for outer_name, inner_names in facts.nested.items():
        outer = known.get(outer_name)
        for inner in (known[name] for name in inner_names if name in known):
            if outer is None or outer.consistency == "strong" or inner.consistency == "strong":
                continue
            if inner.ttl_s > outer.ttl_s:
                yield Finding(
                    "nested_longer", WARNING, outer.name,
                    f"reads {inner.name} inside its load, which is fresh for {brief_s(inner.ttl_s)} and may "
                    f"be served for {brief_s(inner.bound_s)}; {outer.name} itself for "
                    f"{brief_s(outer.ttl_s)}. Its age counts from the oldest part, so what {inner.name} "
                    "holds is often too old for it, and loaded again",
                    f"Let the ttl of {outer.name} be the longer one, or have both load from the source.",
                )  # fmt: skip


def absent_longer(facts: Facts) -> Iterator[Finding]:
    """ "No such row", or an error, that is remembered longer than a row."""
    for one in facts.endpoints:
        if one.absent_ttl_s > one.bound_s > 0:
            yield Finding(
                "absent_longer", WARNING, one.name,
                f"absent_ttl ({brief_s(one.absent_ttl_s)}) is longer than any value may be served "
                f"({brief_s(one.bound_s)}): a row that is inserted is missed for longer than a changed one "
                "is old",
                "Shorten absent_ttl to ttl or below.",
            )  # fmt: skip
        if one.grace_s and one.absent_ttl_s and not one.tags and not one.value_tags:
            yield Finding(
                "absent_longer", NOTE, one.name,
                f"remembers “no such row” for {brief_s(one.absent_ttl_s)} and names no tag: an insert "
                f"outdates it only by {one.name}.invalidate(…), and grace does not apply to it",
                "Invalidate its key where rows are inserted, or give it the tag of the collection.",
            )  # fmt: skip
        for kind, ttl_s in one.error_ttls_s.items():
            if ttl_s > one.ttl_s:
                yield Finding(
                    "absent_longer", WARNING, one.name,
                    f"remembers {kind} for {brief_s(ttl_s)}, longer than a value is fresh "
                    f"({brief_s(one.ttl_s)})",
                    "Shorten error_ttl: after an outage it is what readers still get.",
                )  # fmt: skip


def early_and_tiny(facts: Facts) -> Iterator[Finding]:
    """Early refresh of what is fresh for a moment is a load for nearly every read."""
    for one in facts.endpoints:
        if one.early_refresh and one.ttl_s <= _TINY_TTL_S:
            yield Finding(
                "early_and_tiny", WARNING, one.name,
                f"early_refresh with a ttl of {brief_s(one.ttl_s)}: a load that takes a good part of that is "
                "always due",
                "Use grace in its place, or a longer ttl.",
            )  # fmt: skip
        elif one.early_refresh and one.jitter == 0 and not one.grace_s:
            yield Finding(
                "early_and_tiny", NOTE, one.name,
                "early_refresh without grace: a refresh that is late leaves its readers to wait for a load",
                "Add some grace.",
            )  # fmt: skip


def strong_and_more(facts: Facts) -> Iterator[Finding]:
    """Options that do nothing where every read loads."""
    for one in facts.endpoints:
        idle = [
            name for name, value in (("early_refresh", one.early_refresh), ("absent_ttl", one.absent_ttl_s)) if value
        ]  # fmt: skip
        if one.consistency == "strong" and idle:
            yield Finding(
                "strong_and_more", WARNING, one.name,
                f"consistency='strong' loads at every read, so {' and '.join(idle)} only stores for nobody",
                "Leave them out; Contract.never_stale() says what is meant.",
            )  # fmt: skip


def slow_loads(facts: Facts) -> Iterator[Finding]:
    """A load may take longer than its value lives."""
    for one in facts.endpoints:
        if 0 < one.bound_s < one.load_timeout_s and one.source != "inline":
            yield Finding(
                "slow_loads", NOTE, one.name,
                f"a load of {one.source} may take {brief_s(one.load_timeout_s)}, and age counts from its "
                f"beginning: what takes longer than {brief_s(one.bound_s)} is past its bound when it arrives",
                "Shorten the source's timeout, or lengthen ttl or grace.",
            )  # fmt: skip


def too_large(facts: Facts) -> Iterator[Finding]:
    """What L1 cannot take."""
    for one in facts.endpoints:
        most = facts.cache.l1_bytes_max
        if one.max_bytes is not None and facts.cache.l1_entries_max and one.max_bytes > most:
            yield Finding(
                "too_large", NOTE, one.name,
                f"max_bytes ({brief_bytes(one.max_bytes)}) is more than all of L1 holds ({brief_bytes(most)})",
                "Lower max_bytes, or raise l1_bytes.",
            )  # fmt: skip


def limits(facts: Facts) -> Iterator[Finding]:
    """With the shared tier away each process loads up to its limit, or to its share as far as it has learnt one."""
    for source in facts.sources:
        processes = facts.cache.processes
        share = source.limit if source.safe_share is None else source.safe_share
        if source.is_shared and not facts.cache.shared:
            yield Finding(
                "limits", WARNING, f"source {source.name}",
                "has a shared_limit, and there is no shared tier to share it by: each process takes its limit",
                "Give every process the same URL.",
            )  # fmt: skip
        if source.capacity is not None and processes is not None and share * processes > source.capacity:
            learns = source.is_shared and source.safe_share is None
            what = f"limit={source.limit}" if source.safe_share is None else f"safe_share={share}"
            name = "safe_share" if source.is_shared else "limit"
            yield Finding(
                "limits", WARNING if learns else ERROR, f"source {source.name}",
                f"{processes} processes with {what} ask for {share * processes} loads at once when "
                f"{'they begin while ' if source.is_shared else ''}the shared tier is away; it bears {source.capacity}",
                f"{name}={max(1, source.capacity // processes)} in each process, or fewer processes.",
            )  # fmt: skip
        elif source.capacity is not None and source.limit > source.capacity:
            yield Finding(
                "limits", ERROR, f"source {source.name}",
                f"limit={source.limit} in one process is more than the {source.capacity} loads that it bears",
                f"limit={source.capacity} at most, divided by the number of processes.",
            )  # fmt: skip
        elif source.name == "inline" and source.endpoints:
            yield Finding(
                "limits", NOTE, f"endpoint {', '.join(source.endpoints)}",
                f"no source is declared, so its loads share a limit of {source.limit} in each process with "
                "all such",
                "Declare cache.source(…) with the limit that the database bears.",
            )  # fmt: skip


CONTRACT_CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    no_endpoints, unused_families, nested_longer, absent_longer, early_and_tiny, strong_and_more, slow_loads, too_large,
    limits,
)  # fmt: skip
