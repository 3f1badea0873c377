"""Servers that are there and cannot do all that is asked of them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside import Forward, Tier
from cacheaside.errors import Unacknowledged
from cacheaside.testing.servers import Server
from tests.live.service import Rows, Service, Start, ask, clients, until
from tests.live.test_outage import DEADLINE_S, PATIENT, one_waited, reads_s, recovers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def speaking_2() -> Iterator[Server]:
    """A server that knows version 2 of the protocol alone, and so tells nobody of changes."""
    with Server(config={"rename-command": 'HELLO ""'}) as started:
        yield started


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server with a password."""
    with Server(password="the-right-one") as started:
        yield started


@pytest.fixture
def slow_to_load() -> Iterator[Server]:
    """A server that takes its time to read its data from disk."""
    config = {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
    with Server(config=config) as started:
        yield started


async def test_without_tracking_l1_is_short_lived(
    speaking_2: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """Where the server cannot tell of changes, L1 holds nothing longer than max_unsynced, so G2 holds all the same;
    a process hears of its own writes at once."""
    one, other = (processes(speaking_2.url, colour=colour, max_unsynced="400ms") for _ in range(2))
    await recovers(one)
    await recovers(other)
    for number in range(1, 4):
        await until(lambda: _is_held(other, 1))
        await one.write(1, number)
        acknowledged = time.monotonic()
        assert await one.get(1) == number
        await until(lambda number=number: _reads(other, 1, number))
        assert time.monotonic() - acknowledged < 0.4 + 0.3
    loads = len(rows.loads)
    await until(lambda: time.monotonic() > acknowledged + 1)
    assert (await other.lookup(1)).value == 3
    assert len(rows.loads) == loads, "what is dropped here is in the tier"


async def test_without_tracking_it_says_so(
    speaking_2: Server, processes: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """That L1 does not hear of changes is said once in the log, and is seen in the text of the cache."""
    service = processes(speaking_2.url)
    with caplog.at_level(logging.WARNING, "cacheaside"):
        await recovers(service)
    said = [record.getMessage() for record in caplog.records if "does not tell" in record.getMessage()]
    assert len(said) == 1
    assert "max_unsynced" in said[0]
    assert "blind" in repr(service.cache)


@pytest.mark.parametrize("refused", ["client|tracking", "subscribe"])
async def test_a_user_without_the_right_to_hear(
    victim: Server, processes: Start, refused: str, rows: Rows
) -> None:
    """A user who may not track is as on a server that cannot; one who may not subscribe is told what to grant."""
    await ask(victim, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", f"-{refused}")
    url = victim.url.replace("redis://", "redis://app:secret@")
    service = processes(url, max_unsynced="400ms")
    if refused == "subscribe":
        await until(lambda: service.cache._host.shared.keeper.has_tried or _asked(service))
        assert (await service.lookup(1)).forward is Forward.AWAY
        assert "subscribe" in str(service.cache._host.shared.servers.why)
    else:
        await recovers(service)
        assert service.cache._host.shared.hearing.is_blind


async def test_who_may_not_listen_takes_its_marks_back(
    victim: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """A process that is not let listen writes through `changing` like any other: when its block has ended the others
    store what it wrote, rather than nothing for as long as its mark would stand."""
    await ask(victim, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-subscribe")
    deaf = processes(victim.url.replace("redis://", "redis://app:secret@"), colour=colour)
    other = processes(victim.url, colour=colour)
    await recovers(other)
    await deaf.get(2)
    await deaf.changing(1, 3)
    await until(lambda: _stores(other, 1, 3))
    assert not await ask(victim, "KEYS", "*!{*}!")


async def _stores(service: Service, key: int, value: int) -> bool:
    found = await service.lookup(key)
    return found.value == value and (found.stored or found.hit)


async def _asked(service: Service) -> bool:
    await service.get(1)
    return False


async def test_a_wrong_password(
    guarded: Server, processes: Start, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A login that is refused costs no read anything; the log says it, without the password."""
    service = processes(
        guarded.url.replace("the-right-one", "the-wrong-one"), colour=colour, namespace="locked", **PATIENT
    )
    with caplog.at_level(logging.INFO, "cacheaside"):
        took = await reads_s(service)
    assert all(one < DEADLINE_S / 2 for one in took), took
    assert (await service.lookup(1)).forward is Forward.AWAY
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "login was refused" in said
    assert "the-wrong-one" not in said
    with pytest.raises(Unacknowledged) as raised:
        await service.invalidate(service.products(1))
    assert "the-wrong-one" not in str(raised.value)


@pytest.fixture(scope="module")
def quoting() -> Iterator[Server]:
    """A server that knows neither HELLO nor AUTH."""
    with Server(config={"rename-command": ["HELLO hidden1", "AUTH hidden2"]}) as started:
        yield started


async def test_a_server_that_quotes_the_password(
    quoting: Server, processes: Start, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that does not know AUTH quotes its arguments in its error: they reach no log, no error and no number."""
    url = quoting.url.replace("redis://", "redis://web:s3cret-pa55@")
    with caplog.at_level(logging.INFO, "cacheaside"):
        service = processes(url, colour=colour, namespace="quoted", **PATIENT)
        await service.get(1)
        with pytest.raises(Unacknowledged) as raised:
            await service.invalidate(service.products(1))
        said = [*(record.getMessage() for record in caplog.records), str(raised.value)]
        said.append(str(service.cache.stats().shared))
    assert any("the login was refused (AUTH: ERR: has the server a password" in one for one in said)
    assert not any("s3cret-pa55" in one for one in said)


async def test_the_log_names_no_arguments(
    victim: Server, processes: Start, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is tried again is said by the kinds of tags, once a minute for all writes; a bracket says it once."""
    service = processes(victim.url, colour=colour, when_away="retry", **PATIENT)
    await service.get(1)
    victim.kill()
    with caplog.at_level(logging.WARNING, "cacheaside"):
        await service.changing(4711, 1)
        for key in range(20):
            await service.invalidate(service.products(4712 + key))
    lines = [record.getMessage() for record in caplog.records if "tried again" in record.getMessage()]
    assert len(lines) == 1
    assert "products 1 since" in lines[0]
    assert "471" not in lines[0].replace(str(victim.port), "")


async def test_the_right_password(guarded: Server, processes: Start, colour: str) -> None:
    """A server with a password is as one without."""
    one, other = processes(guarded.url, colour=colour), processes(guarded.url, colour=colour)
    await one.get(1)
    assert (await other.lookup(1)).tier is Tier.L2


async def test_a_replica_is_not_used(
    server: Server,
    victim: Server,
    processes: Start,
    colour: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that is a replica may be behind, so nothing is read from it; once it is a primary it is used."""
    await ask(victim, "REPLICAOF", *server.address)
    service = processes(victim.url, colour=colour, **PATIENT)
    with caplog.at_level(logging.WARNING, "cacheaside"):
        took = await reads_s(service)
    assert all(one < DEADLINE_S / 2 for one in took[1:]), took
    assert (await service.lookup(1)).forward is Forward.AWAY
    assert "is a replica" in caplog.text
    await ask(victim, "REPLICAOF", "NO", "ONE")
    await recovers(service)


async def test_the_listener_is_cut_off(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """When the server ends the connection that hears, as an operator or a full buffer does, what was held is checked
    anew: an invalidation in between is not missed, and no read fails."""
    one, other = (processes(server.url, colour=colour, when_away="retry") for _ in range(2))
    for service in (one, other):
        await recovers(service)
    for number in range(1, 6):
        await until(lambda: _is_held(other, 1))
        for client in await clients(server):
            if client["name"].endswith("-ear"):
                await ask(server, "CLIENT", "KILL", "ID", client["id"])
        await one.write(1, number)
        assert await one.get(1) == number
        await until(lambda number=number: _reads(other, 1, number))


async def test_a_server_that_pauses(victim: Server, processes: Start, colour: str) -> None:
    """While a server makes all its clients wait, one read waits for its deadline, and it is used again after."""
    service = processes(victim.url, colour=colour, **PATIENT)
    await recovers(service)
    await ask(victim, "CLIENT", "PAUSE", "1500", "ALL")
    assert one_waited(await reads_s(service, 20))
    await recovers(service)


async def test_a_server_that_pauses_writes(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """While a server has only those wait who write, as in a failover, hits go on, few cold reads wait for their
    deadline, and an invalidation says that it was not acknowledged."""
    service = processes(victim.url, colour=colour, l1_entries=0, deadline="200ms")
    await service.ready()
    await service.get(1)
    await ask(victim, "CLIENT", "PAUSE", "3000", "WRITE")
    took = []
    began = time.monotonic()
    key = 100
    while time.monotonic() < began + 1.5:
        key += 1
        at = time.monotonic()
        await service.get(key)
        took.append(time.monotonic() - at)
        await asyncio.sleep(0.01)
    assert sum(one > 0.1 for one in took) <= 4, took
    with pytest.raises(Unacknowledged):
        await service.write(1, 2)
    assert await service.get(1) == 2
    await ask(victim, "CLIENT", "UNPAUSE")
    await until(lambda: not service.cache._host.shared.owed)
    await until(lambda: _is_shared(service, 1))


async def test_a_server_that_still_loads(slow_to_load: Server, processes: Start, rows: Rows) -> None:
    """While a server reads its data from disk it refuses commands: reads go to the source, and then it is used."""
    server = slow_to_load
    for number in range(60):
        await ask(server, "SET", f"ballast{number}", "x" * 100)
    service = processes(server.url, when_away="retry")
    await recovers(service)
    await ask(server, "SAVE")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.launch)
    await until(lambda: _is_loading(server))
    began = time.monotonic()
    while await _is_loading(server):
        assert (await service.lookup(2)).value == 0
        await service.write(3, 1)
        assert await service.get(3) == 1
    assert time.monotonic() - began > 0.1
    await until(lambda: not service.cache._host.shared.owed)
    await recovers(service)


async def _is_loading(server: Server) -> bool:
    from cacheaside.testing.servers import ServerError, Unreachable

    try:
        await ask(server, "PING")
    except ServerError as error:
        return str(error).startswith("LOADING")
    except Unreachable:
        return False
    return False


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def _is_shared(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L2


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)
