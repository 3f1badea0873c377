"""The facts of one cache: its declarations, its settings, and each server asked once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cacheaside.control.control import Control
from cacheaside.control.looking import looked
from cacheaside.doctor.facts import CacheFacts, Facts, ServerFacts, SourceFacts
from cacheaside.doctor.probing import Times, facts_of
from cacheaside.endpoint.host import Host
from cacheaside.endpoint.named import endpoints_named
from cacheaside.endpoint.review import reviewed
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.topology import ClusterTopology, SentinelTopology
from cacheaside.stores.redis.wire.names import generation_name

__all__ = ["gathered"]

_FIND_S: Final = 3.0
_AT_ONCE: Final = 8
"""How many servers are asked at once."""


def gathered(
    host: Host,
    *,
    control: Control | None = None,
    processes: int | None = None,
    capacities: Mapping[str, int] | None = None,
    times: Times | None = None,
) -> Facts:
    """Everything that the checks look at; control: the levers too. Blocks, for some seconds at most; a server that is
    away is a fact."""
    with host.lock:
        endpoints = dict(sorted(host.endpoints.items()))
        families = sorted(host.families)
        sources = [*host.sources.values(), host.default_source]
    reviews = [reviewed(endpoint) for endpoint in endpoints.values()]
    servers, unreached = _servers(host, times or Times())
    state, unread = (None, None) if control is None else looked(control)
    given = capacities or {}
    return Facts(
        cache=_cache(host, processes),
        servers=servers,
        unreached=unreached,
        endpoints=tuple(reviews),
        sources=tuple(
            SourceFacts(
                name=source.name,
                limit=source.limit.most,
                timeout_s=source.timeout_s,
                capacity=given.get(source.name, source.admission.shared_limit),
                is_shared=source.admission.shared_limit is not None,
                safe_share=source.admission.safe_share,
                endpoints=tuple(name for name, one in endpoints.items() if one.source is source),
            )
            for source in sources
        ),
        families=tuple(families),
        nested={
            name: tuple(
                inner for inner in endpoints_named(facade.written) if inner in endpoints and inner != name
            )
            for name, facade in sorted(host.facades.items())
        },
        levers=() if state is None else tuple(state.endpoints.values()),
        levers_unread=unread,
    )


def _cache(host: Host, processes: int | None) -> CacheFacts:
    shared = host.shared
    if shared is None:
        return CacheFacts(
            namespace=host.namespace,
            enabled=host.enabled,
            shared=False,
            l1_entries_max=host.l1.entries_max,
            l1_bytes_max=host.l1.bytes_max,
            processes=processes,
        )
    options = shared.options
    topology = {ClusterTopology: "cluster", SentinelTopology: "sentinel"}.get(
        type(options.topology), "single"
    )
    return CacheFacts(
        namespace=host.namespace,
        enabled=host.enabled,
        shared=True,
        topology=topology,
        signed=options.wire.ring is not None,
        deadline_s=options.limits.deadline_s,
        max_unsynced_s=options.max_unsynced_s,
        on_failover=options.on_failover,
        wait_replicas=options.wait_replicas,
        l1_entries_max=host.l1.entries_max,
        l1_bytes_max=host.l1.bytes_max,
        processes=processes,
        rejected=dict(shared.stats().entries_rejected),
    )


def _servers(host: Host, times: Times) -> tuple[tuple[ServerFacts, ...], str | None]:
    shared = host.shared
    if shared is None:
        return (), None
    options = shared.options
    try:
        fleet = options.topology.find(_FIND_S)
    except ConnectionAway as away:
        return (), str(away)
    touched = generation_name(host.everything)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cacheaside-doctor") as pool:
        asked = [
            pool.submit(facts_of, address, options.login, host.namespace, touched, times)
            for address in fleet.primaries
        ]
        return tuple(one.result() for one in asked), None
