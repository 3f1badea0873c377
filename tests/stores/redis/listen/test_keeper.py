"""Who keeps in touch with the servers: when it begins, what it proves, how it loses them and finds them again."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cacheaside.coherence.hearing import Hearing
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet, Topology
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.connect.topology import Single
from cacheaside.stores.redis.listen.keeper import Keeper
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.wire.generations import UNKNOWN_IDENTITY
from cacheaside.stores.redis.wire.names import generation_name, waiting_name, writers_name
from cacheaside.testing.proxy import BOTH, TO_CLIENT, Proxy
from cacheaside.testing.servers import Server
from tests.coherence.near import Near
from tests.stores.redis.conftest import wait_for
from tests.stores.redis.examples import CATEGORY, EVERYTHING, KEY, PRODUCT

EAGER = Limits(deadline_s=5.0, connect_s=5.0, backoff_s=0.01, backoff_max_s=0.02)
"""Soon there again after a failure."""
SELDOM_S = 800.0
"""A window for tests of what is not left to the next heartbeat: that comes after 100 s."""
OFTEN_S = 0.8
"""A heartbeat each 0.1 s; one that is not answered for 0.4 s is the last."""


class Named:
    """A topology that says what it is told to, and counts how often it is asked."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.fleet = Fleet(tuple(ServerAddress(*address) for address in addresses))
        self.asked = 0
        self.why: ConnectionAway | None = None

    def find(self, within_s: float) -> Fleet:
        self.asked += 1
        if self.why is not None:
            raise self.why
        return self.fleet


class World:
    """A keeper, and what it told."""

    def __init__(self, topology: Topology, window_s: float, limits: Limits = EAGER) -> None:
        self.near = Near()
        self.until = 0.0
        self.told: list[str] = []
        self.turns = 0
        self.servers = Servers()
        self.hearing = Hearing(
            self.near, self, (), self._open, everything=EVERYTHING, max_unsynced_s=window_s
        )
        self.keeper = Keeper(
            topology,
            Login(client_name="keeper-test"),
            limits,
            self.servers,
            self.hearing,
            namespace="shop",
            touched=generation_name(EVERYTHING),
            now=time.monotonic,
            pace=time.monotonic,
            chance=lambda: 0.5,
            max_unsynced_s=window_s,
        )
        self.keeper.on_fleet = lambda fleet: self.told.append(f"fleet of {len(fleet.primaries)}")
        self.keeper.on_set_back = lambda why: self.told.append(why)
        self.keeper.on_new_identity = lambda name: self.told.append(f"new identity of {name}")
        self.keeper.on_turn = self._turn

    def now(self) -> float:
        return time.monotonic()

    def _open(self, until: float) -> None:
        self.until = until

    def _turn(self) -> float | None:
        self.turns += 1
        return None

    def up(self) -> World:
        """Started, and every server is up."""
        self.keeper.start()
        wait_for(lambda: self.servers.all_up)
        return self

    def tried(self) -> threading.Event:
        """Set when the first attempt is over, which it cannot be before this asks, however threads take turns."""
        tried = threading.Event()
        with self.keeper._lock:
            assert self.keeper.when_tried(tried.set)
        return tried

    def heard(self, tag: object) -> bool:
        return (tag,) in self.near.dropped


@contextmanager
def keeping(topology: Topology, window_s: float = SELDOM_S, limits: Limits = EAGER) -> Iterator[World]:
    world = World(topology, window_s, limits)
    try:
        yield world
    finally:
        world.keeper.close()


def single(address: tuple[str, int]) -> Single:
    return Single(ServerAddress(*address))


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def ears_of(server: Server) -> int:
    """How many connections listen to `server`."""
    return str(server.ask("CLIENT", "LIST")).count("name=keeper-test-ear")


class TestTheBeginning:
    """It starts with the first use."""

    def test_nothing_runs_before_it_is_used(self, server: Server) -> None:
        """A cache that nobody reads from has no thread and no connection."""
        with keeping(single(server.address)) as world:
            assert (threads("cacheaside-keeper"), ears_of(server)) == ([], 0)
            assert not world.keeper.has_tried
            world.up()
            assert (len(threads("cacheaside-keeper")), ears_of(server)) == (1, 1)
            assert world.keeper.has_tried

    def test_it_starts_once(self, server: Server) -> None:
        """Whoever comes first starts it, and the others find it running."""
        with keeping(single(server.address)) as world:
            starters = [threading.Thread(target=world.keeper.start) for _ in range(8)]
            for starter in starters:
                starter.start()
            for starter in starters:
                starter.join()
            assert len(threads("cacheaside-keeper")) == 1
            world.up()
            assert ears_of(server) == 1

    def test_up_means_known(self, server: Server) -> None:
        """When a server is up, its clock and its identity are known, and the gate is open."""
        with keeping(single(server.address)) as world:
            world.up()
            (state,) = world.servers.states
            assert state.base is not None
            assert state.identity != UNKNOWN_IDENTITY
            assert world.told == ["fleet of 1"]
            wait_for(lambda: world.until > time.monotonic())

    def test_who_comes_first_waits_for_the_first_attempt_only(self, server: Server) -> None:
        """Told when it is over; after that there is nothing to wait for."""
        with keeping(single(server.address)) as world:
            tried = world.tried()
            assert tried.wait(20)
            assert not world.keeper.when_tried(tried.set)
            assert world.servers.all_up

    def test_a_first_attempt_that_fails_is_over_too(
        self, proxy: Proxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever waits is told, why it is away is known, and the log has it once, however often it is tried."""
        proxy.refuse()
        with caplog.at_level(logging.INFO, "cacheaside"), keeping(single(proxy.address)) as world:
            assert world.tried().wait(20)
            assert not world.servers.all_up
            with pytest.raises(ConnectionAway) as raised:
                world.servers.of(PRODUCT)
            assert raised.value.reason is Away.BACKING_OFF
            wait_for(lambda: world.keeper._failures > 3)
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            proxy.heal()
            wait_for(lambda: caplog.records[-1].getMessage().endswith("is back"))
            assert world.servers.all_up


class TestRights:
    """A user who may not do all."""

    @pytest.mark.parametrize("trusting", [False, True])
    def test_without_info_the_log_says_what_is_missing(
        self, victim: Server, caplog: pytest.LogCaptureFixture, trusting: bool
    ) -> None:
        """Once, by the cache's name and with what to grant; not where failovers are of no concern."""
        victim.ask("ACL", "SETUSER", "uninformed", "on", ">word", "~*", "&*", "+@all", "-info")
        with keeping(single(victim.address), OFTEN_S) as world:
            world.keeper._login = Login("uninformed", "word", client_name="keeper-test")
            world.servers.trusting = trusting
            world.up()
            first = world.hearing.synced_through
            wait_for(lambda: world.hearing.synced_through > first)
            said = [message for message in caplog.messages if "grant the user INFO" in message]
            assert len(said) == (not trusting)
            assert all(message.startswith("cache shop: ") for message in said)


class TestHearing:
    """What it hears, and what it proves."""

    def test_changes_are_told_by_their_tags(self, server: Server) -> None:
        """Generations and writers are changes of their tag; who waits is done; entries are neither."""
        with keeping(single(server.address)) as world:
            world.up()
            done = threading.Event()
            assert world.hearing.when_done(KEY, done.set)
            server.ask("SET", generation_name(PRODUCT), "12345678")
            server.ask("SADD", writers_name(CATEGORY), "w")
            server.ask("SET", waiting_name(KEY), "1")
            wait_for(lambda: world.heard(PRODUCT) and world.heard(CATEGORY))
            assert done.wait(20)
            assert not world.heard(KEY)

    def test_a_flush_is_a_change_of_everything(self, victim: Server) -> None:
        """All that is held goes."""
        with keeping(single(victim.address)) as world:
            world.up()
            world.near.dropped.clear()
            victim.ask("FLUSHALL")
            wait_for(lambda: "all" in world.near.dropped)

    def test_heartbeats_go_on_by_themselves(self, server: Server) -> None:
        """Through many windows the gate stays open, without anybody's doing."""
        with keeping(single(server.address), OFTEN_S) as world:
            world.up()
            first = world.hearing.synced_through
            wait_for(lambda: world.hearing.synced_through > first + 2 * OFTEN_S)
            assert world.until > time.monotonic()

    def test_one_can_be_asked_for(self, server: Server) -> None:
        """Who needs to know that all was heard up to now need not wait for the next one."""
        with keeping(single(server.address)) as world:
            world.up()
            synced = threading.Event()
            assert world.hearing.when_synced(time.monotonic(), synced.set)
            assert synced.wait(20)

    def test_each_turn_is_told_while_all_are_up(self, proxy: Proxy) -> None:
        """What is owed is tried there, and only there: not while a server is away."""
        proxy.refuse()
        with keeping(single(proxy.address), OFTEN_S) as world:
            world.keeper.start()
            wait_for(lambda: world.keeper._failures > 2)
            assert world.turns == 0
            proxy.heal()
            wait_for(lambda: world.turns > 2)


class TestLosses:
    """Servers that go, and come back."""

    def test_a_server_that_is_killed_is_away_at_once_and_back_by_itself(
        self, victim: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is away when its connection ends; when it is back, what was held meanwhile is dropped, and that it lost
        its data is noticed."""
        with caplog.at_level(logging.INFO, "cacheaside"), keeping(single(victim.address)) as world:
            world.up()
            victim.kill()
            wait_for(lambda: not world.servers.all_up)
            with pytest.raises(ConnectionAway):
                world.servers.of(PRODUCT)
            world.near.dropped.clear()
            victim.start()
            wait_for(lambda: world.servers.all_up)
            assert "all" in world.near.dropped
            name = "{}:{}".format(*victim.address)
            wait_for(lambda: f"new identity of {name}" in world.told)
            wait_for(lambda: world.servers.why is None)

    def test_half_open_is_away(self, proxy: Proxy) -> None:
        """When answers no longer arrive, the connection is given up after some missing heartbeats, whatever the kernel
        thinks of it; and tried again."""
        with keeping(single(proxy.address), OFTEN_S) as world:
            world.up()
            proxy.black_hole(TO_CLIENT)
            wait_for(lambda: not world.servers.all_up)
            (state,) = world.servers.states
            assert state.why is not None
            assert state.why.reason in (Away.LATE, Away.BACKING_OFF)
            proxy.heal()
            wait_for(lambda: world.servers.all_up)

    def test_the_gate_closes_whatever_becomes_of_the_keeper(self, proxy: Proxy) -> None:
        """With a cable that is cut, nothing opens it past the last proof, and the window ends by itself."""
        with keeping(single(proxy.address), OFTEN_S) as world:
            world.up()
            proxy.black_hole(BOTH)
            cut = time.monotonic()
            wait_for(lambda: time.monotonic() >= world.until)
            assert world.until <= cut + OFTEN_S
            proxy.heal()

    def test_a_replica_is_no_primary(self, victim: Server, server: Server) -> None:
        """A server that was made a replica is away, and says why."""
        with keeping(single(victim.address)) as world:
            world.up()
            victim.ask("REPLICAOF", *server.address)
            world.keeper.beat_soon()
            wait_for(lambda: not world.servers.all_up)
            wait_for(lambda: world.servers.why is not None)
            assert "it is a replica" in str(world.servers.why)
            victim.ask("REPLICAOF", "NO", "ONE")
            wait_for(lambda: world.servers.all_up)

    def test_one_of_several_that_is_away_leaves_the_others_heard(
        self, server: Server, victim: Server
    ) -> None:
        """While one is looked for, the changes of the other are heard, and it stays up."""
        with keeping(Named(server.address, victim.address)) as world:
            world.up()
            victim.kill()
            wait_for(lambda: not world.servers.all_up)
            assert [state.is_up for state in world.servers.states] == [True, False]
            server.ask("SET", generation_name(PRODUCT), "12345678")
            wait_for(lambda: world.heard(PRODUCT))
            victim.start()
            wait_for(lambda: world.servers.all_up)

    def test_one_that_stays_away_keeps_no_other_from_being_found(
        self, server: Server, victim: Server, proxy: Proxy
    ) -> None:
        """Each server is connected to for itself, in whatever order they are named."""
        proxy.refuse()
        with keeping(Named(proxy.address, server.address, victim.address)) as world:
            world.keeper.start()
            wait_for(lambda: [state.is_up for state in world.servers.states] == [False, True, True])
            victim.kill()
            wait_for(lambda: not world.servers.states[2].is_up)
            victim.start()
            wait_for(lambda: world.servers.states[2].is_up)


class TestFleets:
    """Who the primaries are."""

    def test_a_doubt_has_it_look_again(self, server: Server, victim: Server) -> None:
        """Another primary is found, listened to and told of; the old one is listened to no longer, and what is known
        of the clock and the history goes on from it."""
        topology = Named(victim.address)
        with keeping(topology) as world:
            world.up()
            asked = topology.asked
            topology.fleet = Named(server.address).fleet
            assert topology.asked == asked, "nobody looks without a reason"
            world.keeper.doubt()
            wait_for(lambda: world.told.count("fleet of 1") == 2)
            wait_for(lambda: world.servers.all_up)
            assert world.servers.states[0].address == ServerAddress(*server.address)
            assert "new identity of {}:{}".format(*server.address) in world.told
            wait_for(lambda: ears_of(victim) == 0)
            wait_for(lambda: world.hearing.synced_through > 0)

    def test_a_doubt_without_a_cause_changes_nothing(self, server: Server) -> None:
        """The same primaries are found: nothing is told, dropped or connected anew."""
        topology = Named(server.address)
        with keeping(topology) as world:
            world.up()
            world.near.dropped.clear()
            asked = topology.asked
            world.keeper.doubt()
            wait_for(lambda: topology.asked > asked)
            wait_for(lambda: not world.keeper._attempting)
            assert (world.told, world.near.dropped, ears_of(server)) == (["fleet of 1"], [], 1)
            assert world.servers.all_up

    def test_when_nobody_knows_the_primaries_those_that_are_up_stay(self, server: Server) -> None:
        """Sentinels that are away take away no server that answers."""
        topology = Named(server.address)
        with keeping(topology) as world:
            world.up()
            topology.why = ConnectionAway("no Sentinel answers", endpoint="s", reason=Away.REFUSED)
            asked = topology.asked
            world.keeper.doubt()
            wait_for(lambda: topology.asked > asked + 2)
            assert world.servers.all_up
            topology.why = None


class TestTheEnd:
    """Closing, forgetting, forking."""

    def test_closing_ends_its_thread_and_connections(self, server: Server) -> None:
        """Nobody is up after it, nothing is left behind, and a later use begins anew."""
        with keeping(single(server.address)) as world:
            world.up()
            world.keeper.close()
            assert threads("cacheaside-keeper") == []
            assert not world.servers.all_up
            assert not world.keeper.has_tried
            wait_for(lambda: ears_of(server) == 0)
            world.keeper.close()
            world.up()
            assert ears_of(server) == 1

    def test_a_keeper_that_nobody_refers_to_goes(self, server: Server) -> None:
        """Its thread holds it only while it works, so that a cache that is dropped takes its thread along."""
        world: World | None = World(single(server.address), OFTEN_S)
        assert world is not None
        world.up()
        world = None

        def is_gone() -> bool:
            gc.collect()
            return threads("cacheaside-keeper") == []

        wait_for(is_gone)
        wait_for(lambda: ears_of(server) == 0)

    def test_a_child_begins_anew(self, server: Server) -> None:
        """After a fork the child has no thread, is up with nobody, and hears nothing until it listens by itself; the
        parent goes on hearing."""
        done = subprocess.run(
            [sys.executable, "-c", FORK, str(server.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


FORK = """
import os, sys, threading
from cacheaside.testing.servers.client import ask
from cacheaside.stores.redis.wire.names import generation_name
from tests.stores.redis.conftest import wait_for
from tests.stores.redis.examples import PRODUCT, CATEGORY
from tests.stores.redis.listen.test_keeper import OFTEN_S, World, single

world = World(single(("127.0.0.1", int(sys.argv[1]))), OFTEN_S)
world.up()
ear = world.keeper._ears.popitem()[1]
world.keeper._ears[ear.name] = ear
child = os.fork()
if child == 0:
    status = 3
    try:
        world.keeper.after_fork()
        assert threading.active_count() == 1
        assert not world.servers.all_up and not world.keeper.has_tried
        assert world.until < 0
        world.up()
        assert ear.gone is not None and world.keeper._ears[ear.name] is not ear
        wait_for(lambda: world.until > world.now())
        world.keeper.close()
        status = 0
    finally:
        os._exit(status)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, status
first = world.hearing.synced_through
wait_for(lambda: world.hearing.synced_through > first)
assert world.servers.all_up and ear.gone is None
world.keeper.close()
"""


class TestLoops:
    """Event loops that hear too."""

    def run_in(self, loop: asyncio.AbstractEventLoop) -> threading.Thread:
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        return thread

    def end(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def test_a_loop_that_is_blocked_keeps_nobody_from_hearing(self, server: Server) -> None:
        """What arrives is left to the loops for a moment only: the thread reads it when they do not."""
        loop = asyncio.new_event_loop()
        thread = self.run_in(loop)
        blocked, release = threading.Event(), threading.Event()
        with keeping(single(server.address)) as world:
            world.up()
            world.keeper.watch_from(loop)

            def block() -> None:
                blocked.set()
                release.wait(20)

            loop.call_soon_threadsafe(block)
            assert blocked.wait(20)
            server.ask("SET", generation_name(PRODUCT), "12345678")
            wait_for(lambda: world.heard(PRODUCT))
            release.set()
        self.end(loop, thread)

    def test_a_loop_hears_where_the_thread_does_not(self, server: Server) -> None:
        """Changes and heartbeats go through the loop when the thread is kept from running, for as long as it is."""
        loop = asyncio.new_event_loop()
        thread = self.run_in(loop)
        stuck, release = threading.Event(), threading.Event()
        with keeping(single(server.address), OFTEN_S) as world:
            world.up()

            def keep_busy() -> None:
                if threading.current_thread().name == "cacheaside-keeper":
                    stuck.set()
                    release.wait(20)

            world.keeper.on_turn = keep_busy  # type: ignore[assignment]
            world.keeper.watch_from(loop)
            assert stuck.wait(20)
            server.ask("SET", generation_name(PRODUCT), "12345678")
            wait_for(lambda: world.heard(PRODUCT))
            first = world.hearing.synced_through
            wait_for(lambda: world.hearing.synced_through > first + OFTEN_S)
            release.set()
        self.end(loop, thread)

    def test_loops_that_are_closed_are_forgotten(self, server: Server) -> None:
        """A loop that ended takes its watch along, and the descriptors that it watched by."""
        with keeping(single(server.address)) as world:
            world.up()
            watches: list[Any] = []
            for _ in range(3):
                loop = asyncio.new_event_loop()
                thread = self.run_in(loop)
                world.keeper.watch_from(loop)
                world.keeper.watch_from(loop)
                (watch,) = [world.keeper._watches[loop]]
                watches.append(watch)
                wait_for(lambda watch=watch: watch._descriptors)
                assert len(world.keeper._watches) == 1
                self.end(loop, thread)
            assert not world.keeper._loops_are_watching()
            assert [watch._descriptors for watch in watches] == [{}] * 3

    def test_closing_ends_what_loops_watch(self, server: Server) -> None:
        """A loop that goes on after the cache is closed watches nothing of it any more."""
        loop = asyncio.new_event_loop()
        thread = self.run_in(loop)
        with keeping(single(server.address)) as world:
            world.up()
            world.keeper.watch_from(loop)
            watch = world.keeper._watches[loop]
            wait_for(lambda: watch._descriptors)
            world.keeper.close()
            wait_for(lambda: not watch._descriptors and watch._timer is None)
        self.end(loop, thread)
