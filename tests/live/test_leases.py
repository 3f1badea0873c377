"""Over all processes one loads a key, and the others wait for what it stores, no longer than is worth it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Contract, Served
from cacheaside.policy.leasing import LEASE_MIN_S
from cacheaside.testing.servers import Server
from tests.held import HeldLoads
from tests.live.child import Child
from tests.live.service import WAIT_S, Service, Start, ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loads:
    """Loads of both colours that wait until they are let go, counted by process."""

    def __init__(self) -> None:
        self.began: Counter[int] = Counter()
        self.may_go = threading.Event()

    def of(self, service: Service, number: int) -> Any:
        """The loader of process `number`."""
        if not service.is_async:

            def load(key: int) -> int:
                self.began[number] += 1
                assert self.may_go.wait(WAIT_S)
                return key

            return load

        async def awaited(key: int) -> int:
            self.began[number] += 1
            await until(self.may_go.is_set)
            return key

        return awaited


@pytest.fixture
def loads() -> Iterator[Loads]:
    made = Loads()
    yield made
    made.may_go.set()


@pytest.fixture
def speaking_2() -> Iterator[Server]:
    """A server that knows version 2 of the protocol alone, and so tells nobody of changes."""
    with Server(config={"rename-command": 'HELLO ""'}) as started:
        yield started


async def _declared(services: list[Service], loads: Loads, contract: Contract, **options: Any) -> list[Any]:
    for service in services:
        await service.ready()
    return [
        service.read("slow", contract, **options)(loads.of(service, number))
        for number, service in enumerate(services)
    ]


async def _waits(server: Server, key: str) -> bool:
    """Whether somebody waits for the load of `key` in another process."""
    return bool(await ask(server, "EXISTS", f"{key.partition(':')[0]}:!{{{key}}}?"))


async def test_one_load_for_all_processes(
    server: Server, processes: Start, colour: str, loads: Loads
) -> None:
    """Callers in several processes share one load of a cold key, however late they come to it, and the others are
    answered as soon as it lands."""
    services = [processes(server.url, colour=colour) for _ in range(4)]
    slow = await _declared(services, loads, Contract("60s"))
    callers: list[asyncio.Task[Any]] = []
    for service, endpoint in zip(services, slow, strict=True):
        # One process after the other: who comes later must not be taken for the end of the load that others wait for.
        callers += [asyncio.create_task(service.do(endpoint, 1)) for _ in range(3)]
        await until(lambda: loads.began)
        await _let_it_be_heard(services)
    loads.may_go.set()
    began = time.monotonic()
    assert await asyncio.gather(*callers) == [1] * 12
    assert time.monotonic() - began < LEASE_MIN_S
    assert dict(loads.began) == {0: 1}


def _waiting(service: Service) -> int:
    """How many callers wait for loads that they may still share."""
    host = service.cache._host
    both = (host._async_flights, host._blocking_flights)
    return sum(flight.waiting for flights in both for flight in list(flights._open.values()))


async def _let_it_be_heard(services: list[Service]) -> None:
    """Return once every process has heard what was told until now."""
    for service in services:
        await service.cache._host.ports.heard.sync()
        await service.cache._host.ports.heard.sync()


@pytest.mark.parametrize("store", [True, False])
async def test_one_load_for_all_callers_of_a_process(
    server: Server, processes: Start, colour: str, store: bool, loads: Loads
) -> None:
    """Who comes while this very process loads a cold key shares that load: its own beginning, which gives the key its
    first generation, is no change that closes it."""
    service = processes(server.url, colour=colour)
    (slow,) = await _declared([service], loads, Contract("60s", store=store))
    callers: list[asyncio.Task[Any]] = []
    for _ in range(4):
        callers.append(asyncio.create_task(service.do(slow.lookup, 1)))
        await until(lambda: loads.began)
        await until(lambda: _waiting(service) == len(callers))
        await _let_it_be_heard([service])
    loads.may_go.set()
    found = await asyncio.gather(*callers)
    assert [one.value for one in found] == [1] * 4
    assert dict(loads.began) == {0: 1}


async def test_few_words_for_many_callers(server: Server, processes: Start, loads: Loads) -> None:
    """A cold key asked for by 4 processes with 250 callers each costs one load, and at most 50 commands."""
    services = [processes(server.url) for _ in range(4)]
    slow = await _declared(services, loads, Contract("60s"))
    before = await _commands(server)
    callers = [asyncio.create_task(endpoint(1)) for endpoint in slow for _ in range(250)]
    await until(lambda: _waits(server, slow[0].key(1)))
    loads.may_go.set()
    assert await asyncio.gather(*callers) == [1] * 1000
    assert sum(loads.began.values()) == 1
    assert await _commands(server) - before <= 50


async def _commands(server: Server) -> int:
    """Commands about keys so far: heartbeats and tests' questions are not among them."""
    lines = str(await ask(server, "INFO", "commandstats")).splitlines()
    calls = {line.partition(":")[0]: int(line.partition("calls=")[2].partition(",")[0]) for line in lines[1:]}
    return sum(
        calls.get(f"cmdstat_{name}", 0)
        for name in ("mget", "set", "del", "exists", "sadd", "srem", "pexpire")
    )


async def test_the_holder_dies(
    server: Server, processes: Start, colour: str, namespace: str, loads: Loads
) -> None:
    """When the process that loads is killed, another takes over once its lease has run out."""
    code = """
cache = Cache(sys.argv[1], namespace=sys.argv[2])
@cache.read("slow", Contract("60s"))
async def slow(key: int) -> int:
    say("loads")
    await asyncio.sleep(60)
asyncio.run(slow(1))
"""
    service = processes(server.url, colour=colour)
    loads.may_go.set()
    (slow,) = await _declared([service], loads, Contract("60s"))
    with Child(code, server.url, namespace) as holder:
        assert await holder.line() == "loads"
        caller = asyncio.create_task(service.do(slow, 1))
        await until(lambda: _waits(server, slow.key(1)))
        holder.kill()
        began = time.monotonic()
        assert await caller == 1
    assert time.monotonic() - began < 2 * LEASE_MIN_S
    assert dict(loads.began) == {0: 1}


@pytest.mark.parametrize("why", ["absent", "refused", "failed"])
async def test_what_cannot_be_stored_is_not_loaded_in_turn(
    server: Server, processes: Start, why: str
) -> None:
    """Processes that waited for a load whose value cannot be shared load at once, all of them, and not one by one."""
    services = [processes(server.url) for _ in range(4)]
    first, rest = HeldLoads(), HeldLoads()
    for service in services:
        await service.ready()

    def declare(service: Service, load: HeldLoads) -> Any:
        async def loader(key: int) -> int | None:
            value: int | None = await load(key)
            return value

        store: Any = (lambda value: False) if why == "refused" else True
        return service.cache.read("unshared", Contract("60s", store=store))(loader)

    unshared = [declare(service, first if service is services[0] else rest) for service in services]
    outcome = {"absent": None, "refused": 1, "failed": LookupError("no")}[why]
    leader = asyncio.create_task(unshared[0](1))
    await first.until_began()
    waiting = [asyncio.create_task(endpoint(1)) for endpoint in unshared[1:]]
    await until(lambda: _waits(server, unshared[0].key(1)))
    first.let_go(outcome)
    began = time.monotonic()
    await rest.until_began(3)
    assert time.monotonic() - began < LEASE_MIN_S
    rest.let_go(outcome)
    answers = await asyncio.gather(leader, *waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {type(outcome)}
    assert (first.began, rest.began) == (1, 3)


async def test_store_false_takes_no_lease(
    server: Server, processes: Start, colour: str, loads: Loads
) -> None:
    """An endpoint that stores nothing waits for no other process."""
    services = [processes(server.url, colour=colour) for _ in range(3)]
    slow = await _declared(services, loads, Contract("60s", store=False))
    callers = [asyncio.create_task(s.do(endpoint, 1)) for s, endpoint in zip(services, slow, strict=True)]
    await until(lambda: len(loads.began) == 3)
    loads.may_go.set()
    assert await asyncio.gather(*callers) == [1] * 3


async def test_grace_is_served_while_another_process_loads(
    server: Server, processes: Start, colour: str, loads: Loads
) -> None:
    """Where the contract has grace nobody waits for another process's refresh."""
    services = [processes(server.url, colour=colour) for _ in range(2)]
    loads.may_go.set()
    slow = await _declared(services, loads, Contract("50ms", grace="60s", jitter=0))
    await services[0].do(slow[0], 1)
    past = time.monotonic() + 0.06
    await until(lambda: time.monotonic() > past)
    loads.may_go.clear()
    for service, endpoint in zip(services, slow, strict=True):
        assert (await service.do(endpoint.lookup, 1)).served is Served.GRACE
    await until(lambda: sum(loads.began.values()) == 2)
    for service, endpoint in zip(services, slow, strict=True):
        assert (await service.do(endpoint.lookup, 1)).served is Served.GRACE
    loads.may_go.set()
    assert sum(loads.began.values()) == 2


async def test_waiting_where_nothing_is_heard(
    speaking_2: Server, processes: Start, colour: str, loads: Loads
) -> None:
    """Where the server cannot tell of changes, who waits for another process looks again, often, and not only when
    the lease has run out."""
    services = [processes(speaking_2.url, colour=colour) for _ in range(2)]
    slow = await _declared(services, loads, Contract("60s"))
    leader = asyncio.create_task(services[0].do(slow[0], 1))
    await until(lambda: loads.began)
    waiting = asyncio.create_task(services[1].do(slow[1], 1))
    await until(lambda: _waits(speaking_2, slow[0].key(1)))
    loads.may_go.set()
    began = time.monotonic()
    assert [await leader, await waiting] == [1, 1]
    assert time.monotonic() - began < LEASE_MIN_S
    assert dict(loads.began) == {0: 1}


async def test_the_server_dies_while_others_load(
    victim: Server, processes: Start, colour: str, loads: Loads
) -> None:
    """Who waits for another process's load when the server is lost loads at once: nobody can tell it any more."""
    services = [processes(victim.url, colour=colour) for _ in range(2)]
    slow = await _declared(services, loads, Contract("60s"))
    leader = asyncio.create_task(services[0].do(slow[0], 1))
    await until(lambda: loads.began)
    waiting = asyncio.create_task(services[1].do(slow[1], 1))
    await until(lambda: _waits(victim, slow[0].key(1)))
    await _let_it_be_heard(services)
    began = time.monotonic()
    await asyncio.to_thread(victim.kill)
    await until(lambda: len(loads.began) == 2)
    assert time.monotonic() - began < LEASE_MIN_S
    loads.may_go.set()
    assert [await leader, await waiting] == [1, 1]
