"""The keeper's thread: what would end it does not, and where it has ended another begins."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import pytest

from cacheaside.stores.redis.listen import turns
from cacheaside.stores.redis.listen.waker import Waker
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import wait_for
from tests.stores.redis.descriptors import moved, none_left
from tests.stores.redis.listen.test_keeper import OFTEN_S, SELDOM_S, ears_of, keeping, single, threads

YEAR_S = 365 * 86_400.0


class Failing:
    """Raises an error of a name that is a value's, so many times."""

    def __init__(self, times: int, error: BaseException) -> None:
        self.left = times
        self.error = error

    def __call__(self, *_: Any) -> None:
        if self.left > 0:
            self.left -= 1
            raise self.error


@pytest.mark.parametrize("window_s", [OFTEN_S, SELDOM_S])
def test_an_error_in_a_turn_ends_no_thread(
    server: Server, caplog: pytest.LogCaptureFixture, window_s: float
) -> None:
    """After an error that nobody foresaw everything is begun anew: who uses the fleet is told of it again, and it is
    up; the log says so once, with the cache's name and without the error's words."""
    with caplog.at_level(logging.INFO, "cacheaside"), keeping(single(server.address), window_s) as world:
        (thread,) = [world.up().keeper.thread]
        failing = Failing(3, KeyError("a secret"))
        world.keeper.on_turn = failing  # type: ignore[assignment]
        world.keeper.doubt()
        wait_for(lambda: not failing.left)
        wait_for(lambda: world.servers.all_up and caplog.messages[-1].endswith("is back"))
        assert world.keeper.thread is thread
        assert thread is not None
        assert thread.is_alive()
        assert world.told.count("fleet of 1") >= 4
        warnings = [record for record in caplog.records if record.levelname == "WARNING"]
        (said,) = [record.getMessage() for record in warnings if "failed" in record.getMessage()]
        assert said.startswith("cache shop: ")
        assert "KeyError at test_turns.py:" in said
        assert "secret" not in caplog.text
        wait_for(lambda: ears_of(server) == 1)


def test_an_error_before_waiting_ends_no_thread(server: Server) -> None:
    """As one after it: a selector that takes no more, for a moment."""
    with keeping(single(server.address), OFTEN_S) as world:
        world.up()
        failing = Failing(2, OSError(28, "No space left on device"))
        sync = world.keeper._sync_selector

        def fails_first(*given: Any) -> None:
            failing()
            sync(*given)

        world.keeper._sync_selector = fails_first  # type: ignore[method-assign]
        wait_for(lambda: not failing.left)
        wait_for(lambda: world.servers.all_up)


def test_who_waits_for_the_first_attempt_is_let_go_by_an_error(server: Server) -> None:
    """Nobody waits for a thread that fails."""
    with keeping(single(server.address)) as world:
        world.keeper._sync_selector = Failing(10**9, MemoryError())  # type: ignore[method-assign]
        assert world.tried().wait(20)
        assert "MemoryError" in str(world.servers.why)


def test_pauses_after_errors_grow(server: Server) -> None:
    """An error that comes again and again costs no more than a few turns a second."""
    with keeping(single(server.address)) as world:
        pauses = [world.keeper.recover(ValueError()) for _ in range(30)]
        assert pauses == sorted(pauses)
        assert pauses[0] < pauses[-1]


def test_closing_waits_for_no_pause(server: Server) -> None:
    """The thread ends at once, also while it pauses after an error."""
    with keeping(single(server.address)) as world:
        paused = threading.Event()

        def fails(*_: Any) -> None:
            paused.set()
            raise ValueError

        world.keeper._saying.mishap = lambda error: ("it failed", 20.0)  # type: ignore[method-assign]
        world.keeper._sync_selector = fails  # type: ignore[method-assign]
        world.keeper.start()
        assert paused.wait(20)
        begun = time.monotonic()
        world.keeper.close()
        assert threads("cacheaside-keeper") == []
        assert time.monotonic() - begun < 4.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_followed_by_another(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever uses the cache next starts one, whatever ended the one before."""
    with keeping(single(server.address), OFTEN_S) as world:
        ended = world.up().keeper.thread
        assert ended is not None
        world.keeper.on_turn = Failing(1, SystemExit())  # type: ignore[assignment]
        wait_for(lambda: not ended.is_alive())
        world.keeper.start()
        wait_for(lambda: world.servers.all_up)
        first = world.hearing.synced_through
        wait_for(lambda: world.hearing.synced_through > first)
        assert len(threads("cacheaside-keeper")) == 1
        assert "failed" not in caplog.text


def test_without_descriptors_nothing_is_raised(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes first goes on without the tier, and waits for nothing; who comes when there are some has it."""
    with keeping(single(server.address)) as world:
        with none_left():
            assert not world.keeper.when_tried(lambda: None)
        assert world.keeper.has_tried
        assert "Too many open files" in caplog.text
        assert threads("cacheaside-keeper") == []
        world.up()


def test_a_wait_is_never_longer_than_the_kernel_takes(server: Server) -> None:
    """A window of a year has heartbeats that are weeks apart, and a thread all the same."""
    with keeping(single(server.address), YEAR_S) as world:
        thread = world.up().keeper.thread
        turns_before = world.turns
        world.keeper.doubt()
        wait_for(lambda: world.turns > turns_before)
        assert world.keeper.thread is thread
        assert threads("cacheaside-keeper") == [thread]
        assert world.keeper._due() <= 60.0


def test_a_pause_opens_nothing() -> None:
    """It is waited for without a descriptor of its own, and whatever number the waker's has."""
    waker = Waker()
    waker._out = moved(waker._out, 1500)
    with none_left():
        waker.pause(0.001)
        waker.wake()
        waker.pause(20)
    waker.close()


def test_a_beginning_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, what was opened for it is closed."""
    made: list[socket.socket] = []

    class Watched(Waker):
        def __init__(self) -> None:
            super().__init__()
            made.extend((self._out, self._in))

    def refuses(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(turns, "Waker", Watched)
    monkeypatch.setattr(threading.Thread, "start", refuses)
    with pytest.raises(RuntimeError):
        turns.begin(lambda: None, {})  # type: ignore[arg-type]
    assert [one.fileno() for one in made] == [-1, -1]


class TestClosingBesideUse:
    """One closes, another goes on."""

    def test_who_begins_anew_while_the_thread_ends_is_left_alone(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """(1) closing waits for the thread to end (2) another read starts another, which finds the servers (3) closing
        goes on: what the second one has stays."""
        with keeping(single(server.address)) as world:
            world.keeper.on_end = lambda: world.told.append("end")
            ends = world.up().keeper.thread
            join = threading.Thread.join

            def use_first(thread: threading.Thread, timeout: float | None = None) -> None:
                if thread is ends:
                    world.keeper.start()
                    wait_for(lambda: world.servers.all_up)
                join(thread, timeout)

            monkeypatch.setattr(threading.Thread, "join", use_first)
            world.keeper.close()
            monkeypatch.undo()
            assert world.servers.all_up
            assert world.told == ["fleet of 1", "end", "fleet of 1"]
            wait_for(lambda: ears_of(server) == 1)
            assert world.keeper._ears

    def test_what_was_found_for_nobody_is_closed(self, server: Server) -> None:
        """(1) an attempt comes to something (2) closing forgets it, before anybody listens (3) a later use has an
        attempt of its own."""
        with keeping(single(server.address)) as world:
            world.up()
            with world.keeper._lock:
                world.keeper._attempting = attempt = object()
                ear = world.keeper._ears["{}:{}".format(*server.address)]
                assert world.keeper.found(attempt, None, [ear], None)
                world.keeper.close()
            assert ear.gone is not None
            world.up()

    def test_a_loop_that_goes_on_hears_again(self, server: Server) -> None:
        """When one loop closes the cache, others that still run have nothing to watch, and watch what a thread then
        connects to; the one that closed it does not."""
        import asyncio

        loops = [asyncio.new_event_loop() for _ in range(2)]
        running = [threading.Thread(target=loop.run_forever) for loop in loops]
        for thread in running:
            thread.start()
        leaving, staying = loops
        with keeping(single(server.address)) as world:
            world.up()
            for loop in loops:
                world.keeper.watch_from(loop)
            watch = world.keeper._watches[staying]
            wait_for(lambda: watch._descriptors)
            world.keeper.close(leaving)
            wait_for(lambda: not watch._descriptors and watch._timer is None)
            world.up()
            wait_for(lambda: watch._descriptors and watch._timer is not None)
            assert list(world.keeper._watches) == [staying]
        for loop, thread in zip(loops, running, strict=True):
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
