"""Checks of one server: each a function of what it said. What is needed of one: docs/guides/servers.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

from cacheaside.doctor.facts import CacheFacts, ServerFacts
from cacheaside.doctor.findings import Finding, Severity
from cacheaside.observe.brief import brief_bytes, brief_s

__all__ = ["SERVER_CHECKS"]

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_FULL_SHARE: Final = 0.9
_OFFSET_MAX_S: Final = 1.0
LEAST_VERSION: Final = (6, 2)
"""Access lists that know subcommands, and CLIENT TRACKING."""
_GOOD_VERSION: Final = (7, 0)
_ACL: Final = "Print the list anew and compare: python -m cacheaside.stores.redis.access {namespace} USER."
_POLICIES: Final = {
    "volatile-ttl": (
        ERROR,
        (
            "evicts what ends soonest, and that is exactly the marks of writers: a writer that dies in its "
            "commit then leaves old values until their ttl ends"
        ),
    ),
    "noeviction": (
        WARNING,
        (
            "a full server refuses stores, so that keys which are new to it are loaded by every read, and "
            "`changing` fails"
        ),
    ),
    "allkeys-random": (NOTE, "may evict what was stored a moment ago, which costs more misses"),
    "volatile-random": (NOTE, "may evict what was stored a moment ago, which costs more misses"),
    "allkeys-lfu": (NOTE, "may evict generations that were made a moment ago, which costs more misses"),
    "volatile-lfu": (NOTE, "may evict generations that were made a moment ago, which costs more misses"),
}
_CLOCK: Final = "Have NTP (chrony) slew the clocks of both hosts, and never step them."


def away(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """It does not answer: reads go to their sources, invalidations are owed."""
    if server.why_away is not None:
        yield Finding(
            "away", ERROR, server.name,
            f"no answer ({server.why_away}): reads go to their sources, and what is written is owed to other "
            "processes",
            "See docs/guides/incident.md, “Redis or Valkey is in trouble”. What follows was checked without "
            "it.",
        )  # fmt: skip


def not_primary(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """A replica takes no writes."""
    if server.is_primary is False:
        yield Finding(
            "not_primary", ERROR, server.name, "is a replica: it takes no writes, and what it says is not current",
            "Let the URL name the primary; with Sentinels: redis+sentinel://s1,s2,s3/service.",
        )  # fmt: skip
    if server.loading:
        yield Finding(
            "not_primary", ERROR, server.name, "is still reading its data, and refuses commands", "Wait for it to end.",
        )  # fmt: skip


def version(
    server: ServerFacts, cache: CacheFacts, *, least: tuple[int, int] = LEAST_VERSION
) -> Iterator[Finding]:
    """Old servers lack what is needed."""
    said = re.match(r"(\d+)\.(\d+)", server.version or "")
    if said is None:
        return
    number = int(said[1]), int(said[2])
    if number < least:
        yield Finding(
            "version", ERROR, server.name,
            f"is {server.product} {server.version}; nothing before {least[0]}.{least[1]} is tested",
            "Upgrade to Valkey 8, or Redis 7 or later.",
        )  # fmt: skip
    elif number < _GOOD_VERSION:
        yield Finding(
            "version", NOTE, server.name,
            f"is {server.product} {server.version}: its PEXPIRE knows no NX and GT, so all writers of this "
            "namespace must have the same commit_timeout",
            "Upgrade to Valkey 8, or Redis 7 or later.",
        )  # fmt: skip


def policy(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """What a full server evicts."""
    if server.policy in _POLICIES:
        severity, means = _POLICIES[server.policy]
        yield Finding(
            "policy", severity, server.name, f"maxmemory-policy {server.policy}: {means}",
            "CONFIG SET maxmemory-policy allkeys-lru, and in its configuration file.",
        )  # fmt: skip


def memory(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Without a bound it grows until the system ends it; at its bound it evicts, or refuses."""
    if server.maxmemory_bytes == 0:
        yield Finding(
            "memory", WARNING, server.name,
            f"has no maxmemory (it uses {brief_bytes(server.used_bytes)}): it grows until the system kills "
            "it, which every process then notices at once",
            "CONFIG SET maxmemory to what the machine can spare, such as 70 % of it.",
        )  # fmt: skip
    elif server.maxmemory_bytes and server.used_bytes is not None:
        share = server.used_bytes / server.maxmemory_bytes
        if share <= _FULL_SHARE:
            return
        refuses = server.policy == "noeviction"
        then = "soon it refuses stores" if refuses else "it evicts what is used least; each costs a load"
        yield Finding(
            "memory", ERROR if refuses else NOTE, server.name,
            f"uses {share:.0%} of its maxmemory ({brief_bytes(server.maxmemory_bytes)}): {then}",
            "Raise maxmemory, or choose a policy that evicts." if refuses
            else "Nothing, if hit rates are as they should be; else raise maxmemory, or shorten ttl and grace.",
        )  # fmt: skip


def tracking(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Whether this process can hear of changes."""
    if server.ear_broken is not None:
        yield Finding(
            "tracking", ERROR, server.name,
            f"cannot be listened to ({server.ear_broken}): the tier counts as away, and every read loads",
            _ACL.format(namespace=cache.namespace),
        )  # fmt: skip
    elif server.blind:
        why = (
            "speaks RESP2 only"
            if server.protocol == 2
            else "refuses CLIENT TRACKING to this user"
            if "client|tracking" in server.lacking
            else "does not take CLIENT TRACKING"
        )
        off = (
            "; l1_entries=0 holds nothing here, so this costs only values that name tags"
            if not cache.l1_entries_max
            else (f", so that L1 is dropped every {brief_s(cache.max_unsynced_s)}")
        )
        yield Finding(
            "tracking", WARNING, server.name, f"{why}: no change is heard{off}",
            "Use a server that speaks RESP3 (Redis 6, Valkey) without a proxy that does not, and grant "
            "client|tracking: "
            + _ACL.format(namespace=cache.namespace),
        )  # fmt: skip


def access(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Commands that the user may not call, or the server does not know."""
    harmless = {"hello", "client|tracking", "pttl", "client|setname", "client|id", "role", "info"}
    needed = [name for name in server.lacking if name not in harmless]
    if not cache.wait_replicas:
        needed = [name for name in needed if name != "wait"]
    if cache.topology != "cluster":
        needed = [name for name in needed if not name.startswith("cluster|")]
    if needed:
        yield Finding(
            "access", ERROR, server.name, f"refuses {', '.join(needed)}: reads load, or writes are not acknowledged",
            _ACL.format(namespace=cache.namespace),
        )  # fmt: skip
    if "info" in server.lacking:
        yield Finding(
            "access", WARNING, server.name,
            "refuses INFO: failovers go unnoticed, as with on_failover='trust', and memory could not be "
            "checked",
            _ACL.format(namespace=cache.namespace),
        )  # fmt: skip
    if "pttl" in server.lacking:
        yield Finding(
            "access", NOTE, server.name,
            "refuses PTTL: marks without an end are not mended before Redis 7, and explain cannot say when "
            "things end",
            _ACL.format(namespace=cache.namespace),
        )  # fmt: skip


def clock(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Ages are told by the server's clock, as an interval: it may be off, and must go evenly."""
    if server.clock_stepped_s:
        yield Finding(
            "clock", ERROR, server.name,
            f"its clock left the bounds of a sound one by {brief_s(server.clock_stepped_s)} while it was "
            "looked at: ages cannot be told; set back, it makes every entry be forgotten",
            _CLOCK,
        )  # fmt: skip
    elif server.offset_s is not None and abs(server.offset_s) > _OFFSET_MAX_S:
        ahead = "ahead of" if server.offset_s > 0 else "behind"
        yield Finding(
            "clock", WARNING, server.name,
            f"its clock is {brief_s(abs(server.offset_s))} {ahead} this host's. Ages are right all the same; "
            "when somebody sets it in one step, everything is forgotten",
            _CLOCK,
        )  # fmt: skip


def deadline(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """A round trip that takes a good part of the deadline makes reads go past the cache."""
    if server.round_trips_s and (usual_s := median(server.round_trips_s)) > cache.deadline_s / 4:
        yield Finding(
            "deadline", WARNING, server.name,
            f"a round trip takes {brief_s(usual_s)} here, and the deadline is {brief_s(cache.deadline_s)}: "
            "under load reads give up, and go to their sources",
            "Give each region a server of its own; or raise deadline well above p99.9 of a round trip.",
        )  # fmt: skip


def replicas(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Whether writes that wait for replicas can be acknowledged, and what a failover may cost."""
    online = server.replicas_online
    if online is None:
        return
    if cache.wait_replicas > online:
        yield Finding(
            "replicas", ERROR, server.name,
            f"has {online} replicas online, and wait_replicas={cache.wait_replicas}: no invalidation is ever "
            "acknowledged",
            "Bring replicas back, or lower wait_replicas.",
        )  # fmt: skip
    elif online and not cache.wait_replicas and cache.on_failover == "trust":
        yield Finding(
            "replicas", ERROR, server.name,
            "has replicas, which may lack the last invalidations when one takes over; on_failover='trust' "
            "serves what they outdate until ttl + grace end",
            'Leave on_failover at "distrust", or choose "forget" or wait_replicas=1.',
        )  # fmt: skip


def persistence(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """A server that saves comes back with old data, which counts as another history."""
    if server.last_save_failed:
        yield Finding(
            "persistence", ERROR, server.name,
            "its last snapshot failed: by default it then refuses every write (MISCONF), so nothing is "
            "stored and invalidations are owed",
            "Free its disk; or, as a cache needs no snapshots: CONFIG SET save \"\".",
        )  # fmt: skip
    if server.appends:
        grave = cache.on_failover == "trust"
        yield Finding(
            "persistence", WARNING if grave else NOTE, server.name,
            "keeps an append-only file. A cache needs none: what comes back after a restart is "
            + ("trusted (on_failover)" if grave else "distrusted or forgotten (on_failover)")
            + ", and each write costs a disk",
            "CONFIG SET appendonly no, unless something else on this server needs it.",
        )  # fmt: skip


def clients(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """A server without room for clients refuses new processes."""
    if server.clients and server.clients_max and server.clients >= _FULL_SHARE * server.clients_max:
        yield Finding(
            "clients", WARNING, server.name,
            f"has {server.clients} of {server.clients_max} clients: a deployment, which doubles them, is "
            "refused",
            "Raise maxclients; each process takes up to 32 for threads, one for each event loop, and one to "
            "listen.",
        )  # fmt: skip


def exposed(server: ServerFacts, cache: CacheFacts) -> Iterator[Finding]:
    """Who may be in between, or write there."""
    if server.is_public and not server.encrypted:
        yield Finding(
            "exposed", ERROR, server.name,
            "is reached at a public address without TLS: the password, keys and values can be read on the way",
            "Use rediss://, or a private network.",
        )  # fmt: skip
    if server.encrypted and not server.verified:
        yield Finding(
            "exposed", WARNING, server.name, "TLS with verify=no: whoever is in between can read and change everything",
            "Take verify=no out of the URL, and name the authority by ca=.",
        )  # fmt: skip
    if server.is_public and not cache.signed:
        yield Finding(
            "exposed", ERROR, server.name,
            "is at a public address, and entries are not signed: whoever gets in decides what services read",
            "Set CACHEASIDE_SECRETS in every process (docs/guides/servers.md, “Signed entries”).",
        )  # fmt: skip


SERVER_CHECKS: Final[tuple[Callable[[ServerFacts, CacheFacts], Iterator[Finding]], ...]] = (
    away, not_primary, version, policy, memory, tracking, access, clock, deadline, replicas, persistence, clients,
    exposed,
)  # fmt: skip
