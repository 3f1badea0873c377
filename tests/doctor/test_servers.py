"""Each check of a server, on a real one where it fires and on one where it does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cacheaside import Cache
from cacheaside.doctor import CacheFacts, Finding, ServerFacts, Severity, Times, examine
from cacheaside.doctor.gathering import gathered
from cacheaside.doctor.probing import HEARD_BY_EAR, probes
from cacheaside.doctor.servers import SERVER_CHECKS, exposed, version
from cacheaside.endpoint.seeing import host_of
from cacheaside.stores.redis.access import COMMANDS, access_list
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Cluster, Replicated, Server
from cacheaside.testing.servers.server import wait_until

GOOD = {"maxmemory": "64mb", "config": {"maxmemory-policy": "allkeys-lru"}}
AT_ONCE = Times(pause=lambda _s: None)
"""Looks at the server's clock in quick succession: where time is not what is checked."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server as the guide would have it."""
    with Server(**GOOD) as started:  # type: ignore[arg-type]
        yield started


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as stack:
        yield stack


def found(url: str, check: str, ends: ExitStack, times: Times = AT_ONCE, **options: Any) -> list[Finding]:
    """What `check` finds at the servers of `url`."""
    cache = ends.enter_context(Cache(url, namespace="doctored", **options))
    return [
        one for one in examine(cache, times=times) if one.check == check and not one.about.startswith("CACHE")
    ]


def severities(findings: list[Finding]) -> list[Severity]:
    """How grave they are."""
    return [one.severity for one in findings]


def test_a_good_server_has_no_finding(server: Server, ends: ExitStack) -> None:
    """On a server as the guide would have it no check of servers fires, with its real clock looked at over a second."""
    cache = ends.enter_context(Cache(server.url, namespace="doctored"))
    facts = gathered(host_of(cache))
    assert len(facts.servers) == 1
    assert [one for check in SERVER_CHECKS for one in check(facts.servers[0], facts.cache)] == []
    (seen,) = facts.servers
    assert (seen.policy, seen.maxmemory_bytes, seen.is_primary, seen.protocol) == (
        "allkeys-lru", 64 * 2**20, True, 3,
    )  # fmt: skip
    assert len(seen.round_trips_s) == 8
    assert abs(seen.offset_s or 0) < 5


def test_looking_leaves_nothing_behind(server: Server, ends: ExitStack) -> None:
    """What the doctor wrote to try its rights is gone when it is done, and nothing else was touched."""
    server.ask("SET", "doctored:x", "1")
    before = sorted(server.ask("KEYS", "*"))
    found(server.url, "access", ends)
    assert sorted(server.ask("KEYS", "*")) == before
    server.ask("DEL", "doctored:x")


@pytest.mark.parametrize(
    ("policy", "severity"),
    [
        ("allkeys-lru", None),
        ("volatile-lru", None),
        ("allkeys-lfu", Severity.NOTE),
        ("volatile-random", Severity.NOTE),
        ("noeviction", Severity.WARNING),
        ("volatile-ttl", Severity.ERROR),
    ],
)
def test_the_eviction_policy(server: Server, ends: ExitStack, policy: str, severity: Severity | None) -> None:
    """Each policy is as grave as the guide has it; the fix names the one to choose."""
    server.ask("CONFIG", "SET", "maxmemory-policy", policy)
    try:
        findings = found(server.url, "policy", ends)
    finally:
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert severities(findings) == ([] if severity is None else [severity])
    assert all("allkeys-lru" in one.fix and policy in one.found for one in findings)


@pytest.mark.parametrize(
    ("maxmemory", "policy", "fill", "severity"),
    [
        ("0", "allkeys-lru", False, Severity.WARNING),
        ("8mb", "allkeys-lru", False, None),
        ("8mb", "allkeys-lru", True, Severity.NOTE),
        ("8mb", "noeviction", True, Severity.ERROR),
    ],
)
def test_memory(ends: ExitStack, maxmemory: str, policy: str, fill: bool, severity: Severity | None) -> None:
    """Without a bound it is a warning; nearly full it is a note where the server evicts, and an error where it does
    not."""
    server = ends.enter_context(Server(maxmemory=maxmemory, config={"maxmemory-policy": policy}))
    if fill:
        _fill(server)
    assert severities(found(server.url, "memory", ends)) == ([] if severity is None else [severity])


def _fill(server: Server) -> None:
    """Write until more than 92 % of its memory is used."""
    for number in range(10_000):
        if number % 20 == 0:
            info = server.ask("INFO", "memory")
            said = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
            if int(said["used_memory"]) > 0.92 * int(said["maxmemory"]):
                return
        server.ask("SET", f"filling:{number}", b"x" * 10_000)
    raise AssertionError("the server did not fill")


def _as_user(server: Server, ends: ExitStack, without: str, check: str) -> list[Finding]:
    command, _ = access_list("doctored", "limited", password_placeholder=">s3cret").splitlines()
    server.ask(*[word for word in command.split() if word != f"+{without}"])
    url = f"redis://limited:s3cret@127.0.0.1:{server.port}/0"
    return found(url, check, ends)


@pytest.mark.parametrize(
    ("without", "severity"),
    [
        (None, None),
        *[(name, Severity.ERROR) for name in ("mget", "set", "del", "exists", "sadd", "srem", "pexpire")],
        ("pttl", Severity.NOTE),
        ("info", Severity.WARNING),
        ("role", None),
        ("wait", None),
        ("cluster|slots", None),
    ],
)
def test_the_access_list(
    server: Server, ends: ExitStack, without: str | None, severity: Severity | None
) -> None:
    """With the printed list nothing is found; a right that is lacking is named, and as grave as what it breaks."""
    findings = _as_user(server, ends, without or "-", "access")
    assert severities(findings) == ([] if severity is None else [severity])
    if without is not None and severity is not None:
        assert without in findings[0].found.lower()
    assert all("cacheaside.stores.redis.access doctored" in one.fix for one in findings)


def test_every_right_on_the_list_is_tried() -> None:
    """Whatever the library's access list grants is either probed by a command, or by listening."""
    assert set(probes("doctored", 0)) | HEARD_BY_EAR == set(COMMANDS)


@pytest.mark.parametrize(
    ("without", "severity", "words"),
    [
        ("-", None, ""),
        (
            "client|tracking",
            Severity.WARNING,
            "refuses CLIENT TRACKING to this user: no change is heard, so that L1",
        ),
        ("subscribe", Severity.ERROR, "may not subscribe"),
        ("time", Severity.ERROR, "grant the user TIME"),
    ],
)
def test_whether_changes_can_be_heard(
    server: Server, ends: ExitStack, without: str, severity: Severity | None, words: str
) -> None:
    """Blind is a warning, deaf an error; both by listening as the library does."""
    findings = _as_user(server, ends, without, "tracking")
    assert severities(findings) == ([] if severity is None else [severity])
    assert all(words in one.found for one in findings)


def test_a_server_of_the_old_protocol_is_blind(ends: ExitStack) -> None:
    """Where HELLO is not known RESP2 is spoken, and nothing can be heard."""
    server = ends.enter_context(Server(maxmemory="64mb", config={"rename-command": 'HELLO ""'}))
    (one,) = found(server.url, "tracking", ends)
    assert (one.severity, one.found.partition(":")[0]) == (Severity.WARNING, "speaks RESP2 only")
    assert found(server.url, "access", ends) == []


def test_the_version(server: Server, ends: ExitStack) -> None:
    """The server of the tests is new enough; beside a later one it is too old, and Redis 6.2 gets a note."""
    cache = ends.enter_context(Cache(server.url, namespace="doctored"))
    facts = gathered(host_of(cache), times=AT_ONCE)
    (seen,) = facts.servers
    assert list(version(seen, facts.cache)) == []
    assert severities(list(version(seen, facts.cache, least=(99, 0)))) == [Severity.ERROR]
    old = ServerFacts(name="old", version="6.2.14")
    assert severities(list(version(old, facts.cache))) == [Severity.NOTE]


def test_a_clock_that_is_off(server: Server, ends: ExitStack) -> None:
    """An hour between this host's wall clock and the server's is a warning that says ages are right all the same."""
    off = Times(wall=lambda: time.time() + 3600, pause=lambda _s: None)
    (one,) = found(server.url, "clock", ends, times=off)
    assert (one.severity, "1h behind" in one.found) == (Severity.WARNING, True)


@pytest.mark.parametrize("rate", [1.2, 0.8])
def test_a_clock_that_drifts(server: Server, ends: ExitStack, rate: float) -> None:
    """Beside a clock that goes a fifth faster or slower than the server's, the bounds of a sound one are left."""
    began = time.monotonic()
    drifting = Times(steady=lambda: began + (time.monotonic() - began) * rate)
    (one,) = found(server.url, "clock", ends, times=drifting)
    assert (one.severity, "left the bounds" in one.found) == (Severity.ERROR, True)


def test_a_deadline_near_a_round_trip(server: Server, ends: ExitStack) -> None:
    """Where a round trip takes a good part of the deadline it is a warning; on loopback it is none."""
    assert found(server.url, "deadline", ends) == []
    proxy = ends.enter_context(Proxy(server.address))
    proxy.delay(0.02)
    host, port = proxy.address
    (one,) = found(f"redis://{host}:{port}/0", "deadline", ends)
    assert (one.severity, "the deadline is 50ms" in one.found) == (Severity.WARNING, True)


def test_replicas_that_writes_wait_for(server: Server, ends: ExitStack) -> None:
    """wait_replicas above what is online is an error, on one server without any; with a replica it is none."""
    (one,) = found(server.url, "replicas", ends, wait_replicas=1)
    assert (one.severity, "has 0 replicas online" in one.found) == (Severity.ERROR, True)
    assert found(server.url, "replicas", ends) == []
    pair = ends.enter_context(Replicated(config={"maxmemory": "64mb"}))
    hosts = ",".join(f"{host}:{port}" for host, port in pair.sentinel_addresses)
    url = f"redis+sentinel://{hosts}/{pair.service}"
    assert found(url, "replicas", ends, wait_replicas=1) == []
    (one,) = found(url, "replicas", ends, on_failover="trust")
    assert one.severity is Severity.ERROR
    (one,) = found(pair.replica.url, "not_primary", ends)
    assert (one.severity, "is a replica" in one.found) == (Severity.ERROR, True)


def test_what_is_saved(server: Server, ends: ExitStack) -> None:
    """An append-only file is a note, and a warning where what comes back is trusted; without one there is nothing."""
    assert found(server.url, "persistence", ends) == []
    saving = ends.enter_context(Server(maxmemory="64mb", config={"appendonly": "yes"}))
    assert severities(found(saving.url, "persistence", ends)) == [Severity.NOTE]
    assert severities(found(saving.url, "persistence", ends, on_failover="trust")) == [Severity.WARNING]


def test_a_save_that_failed(ends: ExitStack) -> None:
    """A snapshot that could not be written makes the server refuse writes: an error."""
    server = ends.enter_context(Server(maxmemory="64mb", config={"dbfilename": "dump.rdb"}))
    (server.folder / "dump.rdb").mkdir()  # a folder in its place: the rename at the end of a save fails
    server.ask("BGSAVE")
    wait_until(
        lambda: "rdb_last_bgsave_status:err" in server.ask("INFO", "persistence"), "the save has failed", 20
    )
    (one,) = found(server.url, "persistence", ends)
    assert (one.severity, "MISCONF" in one.found) == (Severity.ERROR, True)


def test_room_for_clients(ends: ExitStack, server: Server) -> None:
    """A server that has nearly as many clients as it takes is a warning."""
    assert found(server.url, "clients", ends) == []
    small = ends.enter_context(Server(maxmemory="64mb", config={"maxclients": "10"}))
    for _ in range(8):
        ends.enter_context(socket.create_connection(small.address))
    (one,) = found(small.url, "clients", ends)
    assert one.severity is Severity.WARNING


def test_each_node_of_a_cluster_is_asked(ends: ExitStack) -> None:
    """Every primary has findings of its own; slots without a primary are an error, which says so."""
    cluster = ends.enter_context(Cluster())
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    assert len(found(url, "memory", ends)) == 3
    assert found(url, "access", ends) == []
    # Its replica first: nobody takes over then.
    cluster.nodes[3].kill()
    cluster.nodes[0].kill()
    left = cluster.nodes[1]
    wait_until(lambda: "cluster_state:fail" in left.ask("CLUSTER", "INFO"), "the cluster is not ok", 30)
    cache = ends.enter_context(Cache(url, namespace="doctored"))
    (away,) = [one for one in examine(cache, times=AT_ONCE) if one.check == "away"]
    assert (away.severity, "cluster" in away.found) == (Severity.ERROR, True)


@pytest.mark.parametrize("kill", ["before", "frozen"])
def test_a_server_that_is_away_is_a_finding(ends: ExitStack, kill: str) -> None:
    """Dead or frozen, it is one error, and the rest is checked all the same, within seconds."""
    server = ends.enter_context(Server())
    cache = ends.enter_context(Cache(server.url, namespace="doctored"))
    if kill == "frozen":
        server.freeze()
    else:
        server.kill()
    began = time.monotonic()
    findings = examine(cache)
    assert time.monotonic() - began < 10
    assert [one.severity for one in findings if one.check == "away"] == [Severity.ERROR]
    assert {one.check for one in findings} > {"away", "no_endpoints"}
    if kill == "frozen":
        server.thaw()


def test_sentinels_that_are_away_are_a_finding(ends: ExitStack) -> None:
    """Where nobody says who the primary is, that is the finding."""
    cache = ends.enter_context(Cache("redis+sentinel://127.0.0.1:1/shop", namespace="doctored"))
    (one,) = [one for one in examine(cache) if one.check == "away"]
    assert one.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("facts", "signed", "severities_"),
    [
        (ServerFacts(name="cache"), False, []),
        (ServerFacts(name="cache", is_public=True, encrypted=True), True, []),
        (ServerFacts(name="cache", is_public=True, encrypted=True), False, [Severity.ERROR]),
        (ServerFacts(name="cache", is_public=True), True, [Severity.ERROR]),
        (ServerFacts(name="cache", encrypted=True, verified=False), True, [Severity.WARNING]),
    ],
)
def test_who_may_be_in_between(facts: ServerFacts, signed: bool, severities_: list[Severity]) -> None:
    """A public address wants TLS, verified, and signed entries. No test has a server there, so facts stand for one."""
    cache = CacheFacts(namespace="doctored", enabled=True, shared=True, signed=signed)
    assert severities(list(exposed(facts, cache))) == severities_
