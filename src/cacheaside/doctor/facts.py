"""What the checks are given: plain data, gathered before (`gathering`), so that each check is a function of facts."""

from __future__ import annotations

import msgspec

from cacheaside.control.state import EndpointControl
from cacheaside.endpoint.review import EndpointReview

__all__ = ["CacheFacts", "Facts", "ServerFacts", "SourceFacts"]


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One primary, as it answered; None where it did not say.

    why_away: why nothing more is known of it. lacking: commands that its access list, or its configuration, refuses to
    this user. blind: it does not tell of changes. ear_broken: why nothing can be heard of it at all. round_trips_s:
    several, as measured. offset_s: its wall clock less this host's. clock_stepped_s: by how much its clock left the
    bounds within which two sound clocks stay, during the look; 0 for none. policy: maxmemory-policy.
    """

    name: str
    why_away: str | None = None
    is_public: bool = False
    is_unix: bool = False
    encrypted: bool = False
    verified: bool = True
    product: str = "Redis"
    version: str | None = None
    protocol: int | None = None
    is_primary: bool | None = None
    loading: bool = False
    policy: str | None = None
    maxmemory_bytes: int | None = None
    used_bytes: int | None = None
    evicted: int | None = None
    replicas_online: int | None = None
    appends: bool | None = None
    last_save_failed: bool | None = None
    clients: int | None = None
    clients_max: int | None = None
    lacking: tuple[str, ...] = ()
    blind: bool | None = None
    ear_broken: str | None = None
    round_trips_s: tuple[float, ...] = ()
    offset_s: float | None = None
    clock_stepped_s: float = 0.0


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A source of truth: loads at once in one process. capacity: in all of them, as far as somebody said how many it
    bears. is_shared: processes share that by the tier. safe_share: what one takes of it before it has learnt its
    share."""

    name: str
    limit: int
    timeout_s: float
    capacity: int | None = None
    is_shared: bool = False
    safe_share: int | None = None
    endpoints: tuple[str, ...] = ()


class CacheFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The cache as it was declared. processes: as far as somebody said how many share it. rejected: entries that this
    process found and did not take, by why."""

    namespace: str
    enabled: bool
    shared: bool
    topology: str | None = None
    signed: bool = False
    deadline_s: float = 0.0
    max_unsynced_s: float = 0.0
    on_failover: str = "distrust"
    wait_replicas: int = 0
    l1_entries_max: int = 0
    l1_bytes_max: int = 0
    processes: int | None = None
    rejected: dict[str, int] = msgspec.field(default_factory=dict[str, int])


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. unreached: why no server was found at all. families: the kinds of tags that are declared. nested: for
    each endpoint, those that its loader names in its code. levers: what is changed of endpoints at run time;
    levers_unread: why the service may follow more than that."""

    cache: CacheFacts
    servers: tuple[ServerFacts, ...] = ()
    unreached: str | None = None
    endpoints: tuple[EndpointReview, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    families: tuple[str, ...] = ()
    nested: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    levers: tuple[EndpointControl, ...] = ()
    levers_unread: str | None = None
