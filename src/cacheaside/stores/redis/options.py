"""What a cache is told about its shared tier, checked, and what that makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cacheaside.bounds import DEADLINE, MAX_UNSYNCED
from cacheaside.durations import Duration, Size, byte_count
from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.connect.fleet import Topology
from cacheaside.stores.redis.connect.server import Limits
from cacheaside.stores.redis.connect.topology import ClusterTopology, SentinelTopology, Single
from cacheaside.stores.redis.connect.url import Kind, Target, parse_url
from cacheaside.stores.redis.shared import OnFailover, Options
from cacheaside.stores.redis.tier import WAIT_MS
from cacheaside.stores.redis.wire.envelope import Wire
from cacheaside.stores.redis.wire.seal import KeyRing

__all__ = ["options_of"]

_FAILOVERS: Final = ("distrust", "forget", "trust")
REPLICAS_MAX: Final = 100


def options_of(
    url: Any,
    *,
    deadline: Duration = "50ms",
    max_unsynced: Duration = "2s",
    on_failover: OnFailover = "distrust",
    wait_replicas: int = 0,
    secrets: Sequence[bytes] = (),
    compress_from: Size | None = None,
) -> Options:
    """The options of a shared tier. `DeclarationError` says which cannot be, and what to write."""
    target = parse_url(url)
    deadline_s = DEADLINE.seconds(deadline, name="deadline")
    unsynced_s = MAX_UNSYNCED.seconds(max_unsynced, name="max_unsynced")
    if on_failover not in _FAILOVERS:
        raise DeclarationError(f"on_failover={on_failover!r} must be one of {', '.join(_FAILOVERS)}.")
    _check_replicas(wait_replicas, target, deadline_s)
    limits = Limits(deadline_s=deadline_s)
    return Options(
        topology=_topology(target),
        login=target.login,
        limits=limits,
        wire=_wire(secrets, compress_from),
        max_unsynced_s=unsynced_s,
        on_failover=on_failover,
        wait_replicas=wait_replicas,
    )


def _check_replicas(wait_replicas: Any, target: Target, deadline_s: float) -> None:
    if isinstance(wait_replicas, bool) or not isinstance(wait_replicas, int) or wait_replicas < 0:
        raise DeclarationError(f"wait_replicas={wait_replicas!r} must be a whole number of replicas.")
    if wait_replicas and target.kind is Kind.CLUSTER:
        raise DeclarationError(
            "wait_replicas is not for clusters yet: WAIT names no key by which to find its node. Leave it out, and "
            'choose what a failover means by on_failover="forget".'
        )
    if wait_replicas > REPLICAS_MAX:
        raise DeclarationError(
            f"wait_replicas is more than {REPLICAS_MAX}: write how many replicas must have a write, such as 1."
        )
    if wait_replicas and deadline_s * 1000 <= WAIT_MS:
        # The deadline is not quoted: it may be from the environment.
        raise DeclarationError(
            f"wait_replicas={wait_replicas} waits {WAIT_MS} ms for replicas, and the deadline would cut that short: "
            f"give a deadline of more than {WAIT_MS} ms and a round trip, such as the default of 50 ms."
        )


def _wire(secrets: Any, compress_from: Size | None) -> Wire:
    if isinstance(secrets, (str, bytes)) or not isinstance(secrets, Sequence):
        raise DeclarationError("secrets must be a list of bytes, the one to sign with first.")
    if not all(isinstance(secret, bytes) for secret in secrets):
        raise DeclarationError("secrets must be bytes, 32 from a random source each.")
    try:
        ring = KeyRing(*secrets) if secrets else None
    except ValueError as error:
        raise DeclarationError(str(error)) from None
    from_bytes = None if compress_from is None else byte_count(compress_from, name="compress_from")
    return Wire(ring, from_bytes)


def _topology(target: Target) -> Topology:
    match target.kind:
        case Kind.SINGLE:
            return Single(target.addresses[0])
        case Kind.SENTINEL:
            assert target.service is not None
            first = target.addresses[0]
            return SentinelTopology(
                target.addresses,
                target.service,
                login=target.login,
                sentinel_login=target.sentinel_login,
                tls=first.tls,
                tls_name=first.tls_name,
            )
        case Kind.CLUSTER:
            return ClusterTopology(target.addresses, login=target.login)
