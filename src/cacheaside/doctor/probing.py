"""What one server says of itself, asked over connections of the doctor's own: as this service's user, at its address.

Nothing is relied on that the service's access list does not grant. To try its rights it writes two names of its own in
the namespace, of which nobody is told, and takes them back at once; they end by themselves within a second.
"""

from __future__ import annotations

import ipaddress
import re
import select
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from cacheaside.doctor.facts import ServerFacts
from cacheaside.policy.timebase import Reading, Timebase, sampled
from cacheaside.stores.redis.connect.away import ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.connection_blocking import BlockingConnection
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.listen.ear import Beat, Ear, Start, open_ear
from cacheaside.stores.redis.wire.names import changes_prefix
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["HEARD_BY_EAR", "Times", "facts_of", "probes"]

_PATIENT: Final = Limits(deadline_s=2.0, connect_s=3.0)
_FIELD: Final = re.compile(rb"^([a-z0-9_]+):([^\r\n]*)", flags=re.MULTILINE)
_LOOKS: Final = 8
_LOOK_EVERY_S: Final = 0.12
HEARD_BY_EAR: Final = frozenset(("client|tracking", "subscribe", "unsubscribe"))
"""Rights that are tried by listening, as the library listens."""


class Times(msgspec.Struct, frozen=True):
    """Where the time is taken from: steady, which the library tells ages by; the wall clock; and a way to pass it."""

    steady: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep


def probes(namespace: str, database: int) -> dict[str, Command]:
    """A harmless command for each right on the access list, by its name there, in the order in which they are sent."""
    start = changes_prefix(namespace).removesuffix("!")
    text, members = f"{start}doctor~text", f"{start}doctor~set"
    return {
        "set": ("SET", text, "1", "NX", "PX", "1000"),
        "mget": ("MGET", text),
        "exists": ("EXISTS", text),
        "pttl": ("PTTL", text),
        "del": ("DEL", text),
        "sadd": ("SADD", members, "1"),
        "pexpire": ("PEXPIRE", members, "1000"),
        "srem": ("SREM", members, "1"),
        "hello": ("HELLO",),
        "select": ("SELECT", str(database)),
        "ping": ("PING",),
        "client|setname": ("CLIENT", "SETNAME", "cacheaside-doctor"),
        "client|id": ("CLIENT", "ID"),
        "info": ("INFO", "server"),
        "role": ("ROLE",),
        "time": ("TIME",),
        "wait": ("WAIT", "0", "0"),
        "cluster|slots": ("CLUSTER", "SLOTS"),
        "cluster|info": ("CLUSTER", "INFO"),
    }


def facts_of(address: ServerAddress, login: Login, namespace: str, touched: str, times: Times) -> ServerFacts:
    """What there is to know of the primary at `address`. Blocks, for a few seconds at most."""
    base = ServerFacts(
        name=str(address),
        is_unix=address.path is not None,
        encrypted=address.tls is not None,
        verified=address.tls is None or address.tls.verify_mode is not ssl.CERT_NONE,
    )
    connection = BlockingConnection(address, _PATIENT)
    try:
        connection.open(_named(login), Deadline.after(_PATIENT.connect_s, time.monotonic))
        public = _is_public(connection)
        said = _said(connection)
        tried = _tried(connection, probes(namespace, login.database))
        readings, offset_s = _readings(connection, times)
    except ConnectionAway as away:
        return msgspec.structs.replace(base, why_away=away.message)
    finally:
        connection.close()
    blind, broken = _listen(address, login, namespace, touched)
    stepped_s = _stepped_s(readings)
    return msgspec.structs.replace(
        base,
        **said,
        is_public=public,
        protocol=connection.protocol,
        lacking=tried + (("client|tracking",) if blind and connection.protocol == 3 else ()),
        blind=blind,
        ear_broken=broken,
        round_trips_s=tuple(one.received - one.sent for one in readings),
        offset_s=offset_s,
        clock_stepped_s=stepped_s,
    )


def _named(login: Login) -> Login:
    """As the service logs in; whoever answers is taken."""
    return Login(login.username, login.password, login.database, "cacheaside-doctor")


def _ask(connection: BlockingConnection, commands: Sequence[Command]) -> list[Any]:
    return connection.ask(commands, Deadline.after(_PATIENT.deadline_s, time.monotonic))


def _is_public(connection: BlockingConnection) -> bool:
    """Whether the address that it was connected to is one that anybody can reach."""
    where = connection.target.where if connection.target is not None else None
    if not isinstance(where, tuple):
        return False
    try:
        return ipaddress.ip_address(str(where[0]).partition("%")[0]).is_global
    except ValueError:
        return False


def _said(connection: BlockingConnection) -> dict[str, Any]:
    sections = ("server", "memory", "replication", "persistence", "stats", "clients")
    replies = _ask(connection, [("INFO", section) for section in sections])
    said = {
        name.decode("ascii"): value.strip().decode("utf-8", "replace")
        for reply in replies
        if isinstance(reply, bytes)
        for name, value in _FIELD.findall(reply)
    }

    def number(name: str) -> int | None:
        text = said.get(name, "")
        return int(text) if text.isdigit() else None

    online = sum(
        1 for name, text in said.items() if re.fullmatch(r"slave\d+", name) and "state=online" in text
    )
    valkey = said.get("valkey_version")
    return {
        "product": "Valkey" if valkey else "Redis",
        "version": valkey or said.get("redis_version"),
        "is_primary": None if "role" not in said else said["role"] == "master",
        "loading": said.get("loading") == "1",
        "policy": said.get("maxmemory_policy"),
        "maxmemory_bytes": number("maxmemory"),
        "used_bytes": number("used_memory"),
        "evicted": number("evicted_keys"),
        "replicas_online": online if "role" in said else None,
        "appends": None if "aof_enabled" not in said else said["aof_enabled"] == "1",
        "last_save_failed": None
        if "rdb_last_bgsave_status" not in said
        else said["rdb_last_bgsave_status"] == "err",
        "clients": number("connected_clients"),
        "clients_max": number("maxclients"),
    }


def _tried(connection: BlockingConnection, commands: dict[str, Command]) -> tuple[str, ...]:
    """The rights that are lacking."""
    replies = _ask(connection, list(commands.values()))
    return tuple(
        name
        for name, reply in zip(commands, replies, strict=True)
        if isinstance(reply, ErrorReply)
        and (reply.code == "NOPERM" or "unknown command" in str(reply).lower())
    )


def _readings(connection: BlockingConnection, times: Times) -> tuple[list[Reading], float | None]:
    """The server's clock, several times over about a second, and how far it is from this host's."""
    readings: list[Reading] = []
    offset_s: float | None = None
    for number in range(_LOOKS):
        if number:
            times.pause(_LOOK_EVERY_S)
        sent = times.steady()
        (reply,) = _ask(connection, [("TIME",)])
        received = times.steady()
        if not isinstance(reply, list) or len(reply) != 2:
            return readings, offset_s
        server_s = int(reply[0]) + int(reply[1]) / 1e6
        readings.append(Reading(sent, received, server_s))
        offset_s = server_s - times.wall()
    return readings, offset_s


def _stepped_s(readings: Sequence[Reading]) -> float:
    """By how much the server's clock left what `policy.timebase` believes of it: 0 for a sound one."""
    base: Timebase | None = None
    stepped_s = 0.0
    for reading in readings:
        before, after = base, sampled(base, reading)
        base = after.base
        if before is not None and after.set_forward:
            stepped_s = max(stepped_s, base.low_s - before.high_s)
        stepped_s = max(stepped_s, base.slack_s, base.set_back_s)
    return stepped_s


class _Listener:
    """Implements `listen.ear.Told`: takes in how it begins, and the first heartbeat."""

    def __init__(self) -> None:
        self.start: Start | None = None
        self.beat: Beat | None = None

    def started(self, ear: Ear, start: Start) -> None:
        self.start = start

    def changed(self, ear: Ear, names: Sequence[bytes] | None) -> None:
        """Of no interest."""

    def beaten(self, ear: Ear, beat: Beat) -> None:
        self.beat = beat


def _listen(
    address: ServerAddress, login: Login, namespace: str, touched: str
) -> tuple[bool | None, str | None]:
    """Listen as the library does, for one heartbeat: whether it is blind, and why it cannot be listened to at all."""
    heard = _Listener()
    try:
        ear = open_ear(
            address, _named(login), changes_prefix(namespace), touched, _PATIENT, time.monotonic, time.monotonic
        )  # fmt: skip
    except ConnectionAway as away:
        return None, away.message
    try:
        ear.beat()
        until = time.monotonic() + _PATIENT.connect_s
        while heard.beat is None and ear.gone is None and (left_s := until - time.monotonic()) > 0:
            if not ear.is_readable():
                select.select([ear.fileno()], [], [], min(left_s, 0.1))
            ear.pump(heard)
        if ear.gone is not None:
            return None, ear.gone.message
        if heard.beat is None:
            return None, f"no heartbeat within {_PATIENT.connect_s:g} s"
        return heard.start is not None and heard.start.blind, None
    finally:
        ear.close()
