"""Checks of what the cache itself was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cacheaside.doctor.facts import Facts
from cacheaside.doctor.findings import Finding, Severity

__all__ = ["SETTINGS_CHECKS"]

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def switched_off(facts: Facts) -> Iterator[Finding]:
    """A cache that is disabled protects nothing."""
    if not facts.cache.enabled:
        yield Finding(
            "switched_off", WARNING, "CACHEASIDE_DISABLED", "the cache is switched off: every read goes to its source",
            "If the incident is over, take the variable away, or call cache.enable().",
        )  # fmt: skip


def alone(facts: Facts) -> Iterator[Finding]:
    """Several processes without a server see each other's writes when the ttl ends."""
    several = (facts.cache.processes or 0) > 1
    if not facts.cache.shared:
        yield Finding(
            "alone", ERROR if several else NOTE, "CACHEASIDE_URL",
            "there is no URL, so each process caches alone: what another one writes is seen when the ttl ends",
            "Give every process the same URL, or run one process.",
        )  # fmt: skip


def unreached(facts: Facts) -> Iterator[Finding]:
    """No server was found."""
    if facts.unreached is not None:
        yield Finding(
            "away", ERROR, "CACHEASIDE_URL",
            f"no server is found ({facts.unreached}): reads go to their sources, and what is written is owed",
            "See docs/guides/incident.md, “Redis or Valkey is in trouble”. What follows was checked without "
            "it.",
        )  # fmt: skip


def unsigned(facts: Facts) -> Iterator[Finding]:
    """Several processes that share take each other's word."""
    cache = facts.cache
    public = any(server.is_public for server in facts.servers)  # said by the server's own check
    if cache.shared and not cache.signed and not public:
        several = (cache.processes or 0) > 1
        yield Finding(
            "unsigned", WARNING if several else NOTE, "CACHEASIDE_SECRETS",
            "entries are not signed: whoever can write to the server decides what every process reads",
            "Set CACHEASIDE_SECRETS in every process, unless nobody else can reach the server.",
        )  # fmt: skip


def differing(facts: Facts) -> Iterator[Finding]:
    """Entries of processes that were told something else."""
    means = {
        "unsigned": "another process signs nothing",
        "unknown_key": "another process signs with a secret that this one lacks",
        "bad_mac": "an entry was forged or damaged",
        "unknown_version": "another version of the library stores in another format",
        "other_tags": "another version of the service declares other tags for an endpoint",
        "foreign": "another program writes keys of this namespace",
    }
    for why, count in sorted(facts.cache.rejected.items()):
        if count and why in means:
            grave = why in ("bad_mac", "foreign")
            yield Finding(
                "differing", ERROR if grave else WARNING, f"namespace {facts.cache.namespace}",
                f"{count} entries were not taken, {why}: {means[why]}",
                "Find out who writes there: an access list keeps others out." if grave
                else "Give every process that shares the namespace the same secrets and version; while a deployment "
                "rolls, wait for its end.",
            )  # fmt: skip


def holds_nothing(facts: Facts) -> Iterator[Finding]:
    """With L1 off every hit is a round trip."""
    if facts.cache.shared and not facts.cache.l1_entries_max:
        yield Finding(
            "holds_nothing", NOTE, "l1_entries", "is 0: every hit is a round trip, and an outage of the server is a "
            "cold cache at once", "Leave it at its default, unless memory or a blind server is the reason.",
        )  # fmt: skip


SETTINGS_CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    switched_off, alone, unreached, unsigned, differing, holds_nothing,
)  # fmt: skip
