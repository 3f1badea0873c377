"""Every process follows what the fleet is told, within a second; and nothing that is not signed for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward
from cacheaside.control import fleet
from cacheaside.control.message import Keys, Message, signed
from cacheaside.errors import DeclarationError, Unacknowledged, UsageError
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.access import access_list
from cacheaside.testing.servers import Cluster, Server
from tests.control.conftest import SECRETS, until
from tests.live.child import Child

Start = Callable[..., tuple[Cache, Any]]

CHILD = """
import binascii
url, namespace, secret = sys.argv[1:4]
cache = Cache(url, namespace=namespace, secrets=[binascii.unhexlify(secret)], deadline="5s")

@cache.read("product", Contract("60s"))
def product(number: int) -> int:
    return number

while not product.lookup(1).hit:
    pass
while product.__globals__["_gate"].until == 0.0:  # it listens, so that hits are answered here
    time.sleep(0.001)
say("ready")
while True:
    killed = product.lookup(1).forward == "bypass"
    if killed:
        say(time.monotonic())
        break
    product(1)
while product.lookup(1).forward == "bypass":
    pass
say(time.monotonic())
cache.close()
"""


@pytest.fixture
def start(server: Server, namespace: str) -> Iterator[Start]:
    """Makes a process's cache and its endpoint; closed at the end."""
    made: list[Cache] = []

    def start(url: str = server.url, **options: Any) -> tuple[Cache, Any]:
        cache = Cache(url, **{"namespace": namespace, "secrets": SECRETS, "deadline": "5s", **options})
        made.append(cache)

        @cache.read("product", Contract("60s", grace="5m"))
        def product(number: int) -> int:
            return number

        return cache, product

    yield start
    for cache in made:
        cache.close()


def is_killed(product: Any) -> bool:
    return product.lookup(1).forward is Forward.BYPASS


def laid(cache: Cache, data: bytes) -> None:
    """Put `data` where the control state lies, as whoever has the server can."""
    run_blocking(cache._host.shared.kept.put(data, 60_000))  # type: ignore[union-attr]


def lying(cache: Cache) -> bytes | None:
    return run_blocking(cache._host.shared.kept.get())  # type: ignore[union-attr]


def message_of(cache: Cache, **changes: Any) -> Message:
    now = cache._host.shared.server_now_s()  # type: ignore[union-attr]
    assert now is not None
    usual: dict[str, Any] = {
        "namespace": cache.namespace,
        "version": int(now * 1000) + 1_000,
        "issued_s": now,
        "expires_s": now + 60,
        "id": "x",
        "endpoints": {"product": {"kill": (True, None)}},
    }
    return Message(**{**usual, **changes})


async def test_real_processes_follow_within_a_second(server: Server, namespace: str, start: Start) -> None:
    """Five processes that answer from their own memory: each has left it less than a second after the operator's call
    began, and is back in it as fast."""
    arguments = (server.url, namespace, SECRETS[0].hex())
    children = [Child(CHILD, *arguments) for _ in range(5)]
    try:
        assert [await child.line() for child in children] == ["ready"] * 5
        operator, _ = start()
        for act in (operator.control.fleet.kill, operator.control.fleet.reset):
            began = time.monotonic()
            await asyncio.to_thread(act, "product")
            told = time.monotonic() - began
            heard = [float(await child.line()) - began for child in children]
            print(f"told after {told * 1000:.1f} ms, followed after {[f'{s * 1000:.1f}' for s in heard]} ms")
            assert max(heard) < 1.0
        assert [(await child.end()) for child in children] == [(0, "")] * 5
    finally:
        for child in children:
            child.kill()


def test_a_process_that_begins_later_follows_too(start: Start) -> None:
    """The state is kept: whoever starts, or comes back, reads it."""
    operator, _ = start()
    operator.control.fleet.ramp("product", 0)
    operator.close()
    _, product = start()
    assert until(lambda: is_killed(product)) < 1.0


def test_each_change_keeps_the_others(start: Start) -> None:
    """Two operators in two processes change two levers: both stand, everywhere."""
    (one, first), (two, second) = start(), start()
    one.control.fleet.ramp("product", 50)
    two.control.fleet.override("product", ttl="5s", for_="10m")
    two.control.fleet.shadow("product", 1)
    one.control.fleet.reset("product", "shadow")
    for cache, product in ((one, first), (two, second)):
        product(1)
        until(lambda cache=cache: cache.control.state().endpoints["product"].override == {"ttl": "5s"})
        until(lambda cache=cache: not cache.control.state().endpoints["product"].shadow)
        found = cache.control.state().endpoints["product"]
        assert (found.ramp, found.said_by) == (50.0, {"ramp": "fleet", "override": "fleet"})
        assert product.endpoint.terms.ttl_s == 5.0


def test_operators_at_once_lose_no_change(start: Start) -> None:
    """Eight threads of four processes each say something of an endpoint: at the end all of it is there."""
    caches = [start()[0] for _ in range(4)]
    names = [f"e{number}" for number in range(8)]
    for cache in caches:
        for name in names:
            cache.read(name, Contract("60s"))(_load)
    errors: list[BaseException] = []

    def act(number: int) -> None:
        try:
            caches[number % 4].control.fleet.ramp(names[number], number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not errors
    last = max(cache.control.fleet.message.version for cache in caches)  # type: ignore[union-attr]
    found = next(c.control.fleet.message for c in caches if c.control.fleet.message.version == last)  # type: ignore[union-attr]
    assert found is not None
    assert {name: word["ramp"][0] for name, word in found.endpoints.items()} == {
        name: float(number) for number, name in enumerate(names)
    }


def _load(number: int) -> int:
    return number


def test_what_is_not_signed_for_this_fleet_is_ignored_and_counted(start: Start) -> None:
    """Forged, of another namespace, expired, replayed: nothing is changed, and each is counted by its reason."""
    cache, product = start()
    product(1)
    until(lambda: cache._host.shared.servers.all_up)  # type: ignore[union-attr]
    keys = Keys(SECRETS)
    now = message_of(cache).issued_s
    for data, why in [
        (signed(message_of(cache), Keys([b"another secret, of 32 bytes....."])), "unknown_key"),
        (signed(message_of(cache), keys)[:-1] + b" ", "forged"),
        (signed(message_of(cache, namespace="stock"), keys), "other_namespace"),
        (signed(message_of(cache, issued_s=now - 90, expires_s=now - 30), keys), "expired"),
        (b"something else", "foreign"),
    ]:
        laid(cache, data)
        until(lambda why=why: cache.control.state().fleet.ignored.get(why))  # type: ignore[union-attr]
        assert not is_killed(product)
    assert cache.control.state().fleet.version is None  # type: ignore[union-attr]


@pytest.mark.parametrize("of", ["another secret", "another namespace", "no library"])
def test_what_cannot_be_read_is_not_overwritten(start: Start, of: str) -> None:
    """An operator whose secrets do not open what lies there erases nothing by what they say; by force they do, and then
    the others are said no more. What is over is in nobody's way."""
    cache, _ = start()
    until(lambda: not _raises_away(cache))
    keys, now = Keys(SECRETS), message_of(cache).issued_s
    data = {
        "another secret": signed(message_of(cache), Keys([b"another secret, of 32 bytes....."])),
        "another namespace": signed(message_of(cache, namespace="stock"), keys),
        "no library": b"something else",
    }[of]
    laid(cache, data)
    fleet = cache.control.fleet
    for say in (lambda: fleet.ramp("product", 50), fleet.reset, fleet.kill):
        with pytest.raises(UsageError, match=r"nothing was written.*CACHEASIDE_SECRETS.*--force"):
            say()
        assert lying(cache) == data
    assert "ramp" not in cache.control.state().endpoints["product"].said_by
    fleet.by_force.ramp("product", 50)
    assert cache.control.state().endpoints["product"].ramp == 50.0
    assert lying(cache) != data
    laid(cache, data)
    fleet.kill("product")  # what is followed is put back over it, with what is said now
    assert {*cache.control.state().endpoints["product"].said_by} == {"kill", "ramp"}
    later, _ = start(namespace=f"{cache.namespace}-later")
    until(lambda: not _raises_away(later))
    laid(later, signed(message_of(later, issued_s=now - 90, expires_s=now - 30), keys))
    later.control.fleet.kill("product")


def _raises_away(cache: Cache) -> bool:
    try:
        lying(cache)
    except TierAway:
        return True
    return cache._host.shared.server_now_s() is None  # type: ignore[union-attr]


def test_an_old_message_takes_nobody_back(start: Start) -> None:
    """Replayed after a newer one it is ignored, counted, and replaced by what is followed, as that was signed."""
    cache, product = start()
    cache.control.fleet.kill("product")
    old = lying(cache)
    cache.control.fleet.reset("product")
    new = lying(cache)
    product(1)
    assert old is not None
    laid(cache, old)
    until(lambda: cache.control.state().fleet.ignored.get("replayed"))  # type: ignore[union-attr]
    assert not is_killed(product)
    until(lambda: lying(cache) == new)


def test_who_stood_still_puts_nothing_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was lost is put back under a lease. (1) A process has that, and has looked (2) it stands still until the
    lease is over (3) an operator says something newer: the process must not put what it knows over that, nor end the
    lease of another operator."""
    (ours, _), (theirs, product) = start(), start()
    ours.control.fleet.ramp("product", 50)
    assert theirs.control.look().endpoints["product"].ramp == 50
    shared = ours._host.shared
    assert shared is not None
    run_blocking(shared.kept.put(b"garbage", 60_000))
    looked = shared.kept.get
    looks = 0

    async def get() -> bytes | None:
        nonlocal looks
        looks += 1
        found = await looked()
        if looks == 2:
            await shared.kept.hand_back()  # as its end does
            theirs.control.fleet.kill("product")
            monkeypatch.setattr(fleet, "LEASE_S", 0.0)  # so much has passed
            assert await shared.kept.lease(60_000)  # and another operator begins
        return found

    monkeypatch.setattr(shared.kept, "get", get)
    ours.control.fleet.look()
    assert looks == 2
    kept = run_blocking(looked())
    assert kept == theirs.control.fleet._data
    assert is_killed(product)
    assert not run_blocking(shared.kept.lease(1000))
    run_blocking(shared.kept.hand_back())


def test_a_flush_undoes_nothing(victim: Server, start: Start) -> None:
    """The state that the server lost is put back by whoever follows it, and is in force meanwhile."""
    cache, product = start(victim.url)
    cache.control.fleet.kill("product")
    assert is_killed(product)
    said = lying(cache)
    victim.ask("FLUSHALL")
    until(lambda: lying(cache) == said)
    assert is_killed(product)


def test_without_the_server_what_was_said_stands_and_the_operator_is_told(
    victim: Server, start: Start
) -> None:
    """A fleet that cannot be told is an error that says what to do instead; the file and the code still work."""
    cache, product = start(victim.url)
    cache.control.fleet.kill("product")
    victim.kill()
    until(lambda: not cache._host.shared.servers.all_up)  # type: ignore[union-attr]
    assert is_killed(product)
    with pytest.raises(Unacknowledged, match="control file"):
        cache.control.fleet.reset("product")
    assert cache.control.state().fleet.why_away  # type: ignore[union-attr]
    cache.control.ramp("product", 5)
    assert cache.control.state().endpoints["product"].said_by == {"kill": "fleet", "ramp": "code"}
    victim.start()
    until(lambda: not _raises(lambda: cache.control.fleet.reset("product")))
    until(lambda: not is_killed(product) or cache.control.state().endpoints["product"].ramp < 100)


def _raises(act: Callable[[], None]) -> bool:
    try:
        act()
    except Unacknowledged:
        return True
    return False


def test_without_secrets_there_is_no_fleet(server: Server, namespace: str) -> None:
    """What the fleet is told is always signed: without a secret, and without a server, the error says what to give."""
    with Cache(server.url, namespace=namespace) as cache:
        with pytest.raises(DeclarationError, match="CACHEASIDE_SECRETS"):
            cache.control.fleet.kill()
        assert cache.control.state().fleet is None
    with Cache() as alone, pytest.raises(UsageError, match="no shared tier"):
        alone.control.fleet.kill()


def test_what_the_fleet_is_told_ends(start: Start) -> None:
    """A word with an end ends in every process, and one without lasts 30 days at most."""
    (operator, _), (other, product) = start(), start()
    product(1)
    operator.control.fleet.ramp("product", 0)
    operator.control.fleet.kill("product", for_="1s")
    until(lambda: is_killed(product))
    found = other.control.state().endpoints["product"]
    assert abs(found.ends_in_s["ramp"] - 30 * 86_400) < 60
    until(lambda: "kill" not in other.control.state().endpoints["product"].said_by, 5)
    operator.control.fleet.reset()
    until(lambda: not is_killed(product), 5)


def test_the_access_list_of_a_service_is_enough(victim: Server, start: Start) -> None:
    """A user who may do what the library does in its namespace, and nothing else, follows and tells."""
    victim.ask(*access_list("listed", "web", password_placeholder=">pw").splitlines()[0].split())
    url = victim.url.replace("redis://", "redis://web:pw@")
    (operator, _), (_, product) = (start(url, namespace="listed") for _ in range(2))
    product(1)
    operator.control.fleet.kill("product")
    assert until(lambda: is_killed(product)) < 1.0


def test_a_cluster_tells_its_fleet(start: Start) -> None:
    """The state lies on one of its primaries; whoever listens to them all hears of it."""
    with Cluster() as cluster:
        nodes = ",".join(f"{host}:{port}" for host, port in (node.address for node in cluster.nodes[:3]))
        (operator, _), (other, product) = (start(f"redis+cluster://{nodes}") for _ in range(2))
        product(1)
        operator.control.fleet.kill("product")
        assert until(lambda: is_killed(product)) < 1.0
        operator.close()
        other.close()


def test_no_word_of_the_log_is_a_secret(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """What is logged names the namespace, and neither secrets nor what was signed."""
    with caplog.at_level(logging.DEBUG, logger="cacheaside"):
        cache, product = start()
        product(1)
        cache.control.fleet.kill("product")
        laid(cache, b"CAc1" + b"s3cr3t" * 20)
        until(lambda: cache.control.state().fleet.ignored)  # type: ignore[union-attr]
    text = "\n".join(one.getMessage() for one in caplog.records)
    assert "s3cr3t" not in text
    assert SECRETS[0].decode() not in text
