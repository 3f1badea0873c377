"""Which keys are asked for, counted behind the readers."""

from __future__ import annotations

import gc
import linecache
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cacheaside import Cache, Contract, DeclarationError
from cacheaside.stores.l1.eviction import HITS_OF_USE
from cacheaside.warm.heatfile import Hot, heat_of, text_of
from cacheaside.warm.heating import Heating
from tests.runtime.test_fork import in_child
from tests.warm.test_sketch import zipf

SOON_S = 20.0


class Shop:
    """A cache that keeps heat, and some endpoints."""

    def __init__(self, path: Path, *, every: str = "1h", **options: Any) -> None:
        self.path = path
        self.cache = Cache(namespace="shop", **options)
        self.cache.keep_heat(path, every=every)
        self.loads: list[int] = []

        @self.cache.read("product", Contract(ttl="60s"))
        def product(product_id: int) -> int:
            self.loads.append(product_id)
            return product_id

        @self.cache.read("flight", Contract(ttl="60s"))
        def flight(day: datetime, number: int) -> int:
            return number

        @self.cache.read("search", Contract(ttl="60s"))
        def search(text: str) -> str:
            return text

        @self.cache.read("page", Contract(ttl="60s"), heat=True)
        def page(path: str) -> str:
            return path

        @self.cache.read("account", Contract(ttl="60s"), heat=False)
        def account(user_id: int) -> int:
            return user_id

        self.product, self.flight, self.search = product, flight, search
        self.page, self.account = page, account

    @property
    def heating(self) -> Heating:
        found = self.cache._host.heat
        assert isinstance(found, Heating)
        return found

    def written(self) -> list[tuple[str, Any, float]]:
        """What the file says after a look at L1."""
        self.heating.look()
        self.heating.write()
        return read(self.path)


def read(path: Path) -> list[tuple[str, Any, float]]:
    keys = heat_of(path.read_bytes(), str(path), namespace="shop").keys
    return [(hot.endpoint, msgspec.json.decode(hot.args), hot.heat) for hot in keys]


def text_of_code(function: Any) -> str:
    """The text that the generated function was compiled from."""
    lines = linecache.getlines(function.__code__.co_filename)
    return "".join(lines)


def until(said: Callable[[], bool]) -> None:
    """Return when it is so."""
    deadline = time.monotonic() + SOON_S
    while not said():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def threads() -> set[threading.Thread]:
    """Those that keep heat."""
    return {thread for thread in threading.enumerate() if thread.name == "cacheaside-heat"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "heat")
    yield made
    made.cache.close()


def test_hits_on_the_fast_path_are_heat(shop: Shop) -> None:
    """A key that L1 answers is as hot as it is asked for, though no code of ours ran for its hits."""
    for product_id, reads in ((1, 500), (2, 50), (3, 5)):
        for _ in range(reads):
            shop.product(product_id)
    found = shop.written()
    assert [(name, args) for name, args, _ in found] == [("product", {"product_id": n}) for n in (1, 2, 3)]
    # The miss counts one; the first few hits of an entry are left to the eviction policy.
    assert found[0][2] == pytest.approx(500 - HITS_OF_USE, abs=2)


def test_no_hit_is_counted_twice(shop: Shop) -> None:
    """A second look finds what came since the first one, and the stats count each hit once all the same."""
    for _ in range(100):
        shop.product(1)
    first = shop.written()[0][2]
    assert shop.written()[0][2] == pytest.approx(first, rel=0.01)
    for _ in range(100):
        shop.product(1)
    assert shop.written()[0][2] == pytest.approx(first + 100, rel=0.02)
    stats = shop.cache.stats().endpoints["product"]
    assert (stats.hits, stats.misses_total) == (199, 1)


def test_the_hit_path_is_the_same_code(shop: Shop) -> None:
    """With heat kept, what answers a hit is what answers it without, to the letter."""

    @Cache(namespace="shop").read("product", Contract(ttl="60s"))
    def product(product_id: int) -> int:
        return product_id

    assert text_of_code(shop.product) == text_of_code(product)
    assert "hits += 1" in text_of_code(product)


def test_a_harvest_changes_no_eviction() -> None:
    """What is taken off entries is of no use to the policy: the same reads leave the same keys, harvested or not."""
    print("seed", 3)
    trace = zipf(2000, 20_000, 0.9, 3)
    kept = []
    for harvested in (False, True):
        cache = Cache(namespace="shop", l1_entries=200)

        @cache.read("product", Contract(ttl="1h"))
        def product(product_id: int) -> int:
            return product_id

        cache._use_clock(lambda: 1000.0)
        table = cache._host.endpoints["product"].table
        for number, key in enumerate(trace):
            product(key)
            if harvested and number % 97 == 0:
                list(cache._host.l1.harvest(table))
        kept.append(list(table.entries))
    assert kept[0] == kept[1]


def test_what_eviction_and_writes_take_off_is_not_lost(tmp_path: Path) -> None:
    """A hot key whose entry is dropped before the next look is as hot."""
    shop = Shop(tmp_path / "heat")
    shop.heating.look()  # from now on it is harvested
    for _ in range(5):
        for _ in range(100):
            shop.product(1)
        shop.product.invalidate(1)
    heat = shop.written()[0][2]
    assert heat > 5 * (100 - 2 * HITS_OF_USE)


def test_the_hottest_are_found_through_l1_and_past_it(tmp_path: Path) -> None:
    """With an L1 that holds a twentieth of the keys, the file's top is the true top of a Zipf load."""
    print("seed", 4)
    shop = Shop(tmp_path / "heat", l1_entries=250)
    trace = zipf(5000, 60_000, 1.0, 4)
    random.Random(4).shuffle(trace)
    for number, key in enumerate(trace):
        shop.product(key)
        if number % 5000 == 0:
            shop.heating.look()
    found = {args["product_id"] for name, args, _ in shop.written()[:100]}
    recall = len(found & set(range(100))) / 100
    print(f"recall of the top 100: {recall:.2f}")
    assert recall >= 0.85


def test_arguments_that_are_no_dictionary_key_are_heat_too(shop: Shop) -> None:
    """Moments are not looked up raw; their reads are counted one by one, and are written by name."""
    when = datetime(2013, 1, 1, 5, 15)  # noqa: DTZ001
    for _ in range(10):
        shop.flight(when, 7)
    name, args, heat = shop.written()[0]
    assert (name, args) == ("flight", {"day": "2013-01-01T05:15:00", "number": 7})
    assert heat == pytest.approx(10, rel=0.01)


def test_text_is_kept_only_where_the_endpoint_says_so(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Personal data: text is not written unless heat=True, nothing is with heat=False; the log names the endpoints,
    and neither it nor the file has an argument of theirs."""
    caplog.set_level(logging.INFO, "cacheaside")
    for _ in range(20):
        shop.search("jane@example.org")
        shop.page("/news")
        shop.account(4711)
    assert {name for name, _, _ in shop.written()} == {"page"}
    content = shop.path.read_text()
    assert "jane" not in content
    assert "4711" not in content
    assert "no heat is kept of search" in caplog.text
    assert "no heat is kept of account: heat=False" in caplog.text
    assert "jane" not in caplog.text


def test_a_process_that_starts_goes_on_with_the_file(shop: Shop) -> None:
    """A young process, which has seen one read, does not put that in the place of what was known; half-lives that
    passed between count."""
    for _ in range(1000):
        shop.product(1)
    shop.cache.close()
    before = read(shop.path)[0][2]
    again = Shop(shop.path)
    again.product(2)
    again.cache.close()
    found = {args["product_id"]: heat for _, args, heat in read(shop.path)}
    assert found[1] == pytest.approx(before, rel=0.01)
    assert found[2] == pytest.approx(1, rel=0.01)


def test_heat_of_yesterday_is_nearly_cold(tmp_path: Path) -> None:
    """A file that is many half-lives old weighs next to nothing beside a read of now."""
    path = tmp_path / "heat"
    path.write_bytes(
        text_of(
            "shop",
            time.time() - 86_400,
            [Hot("product", msgspec.Raw(b'{"product_id":1}'), 1e6)],
            bytes_max=9999,
        )
    )
    shop = Shop(path)
    shop.product(2)
    assert shop.written()[0][:2] == ("product", {"product_id": 2})


@pytest.mark.parametrize("content", [b"", b"garbage\xff", b'{"format":"cacheaside-heat","version":9}\n'])
def test_a_file_that_cannot_be_used_is_said_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """It stops nothing: one line in the log, and the next file is whole."""
    path = tmp_path / "heat"
    path.write_bytes(content)
    shop = Shop(path)
    shop.product(1)
    assert shop.written()[0][:2] == ("product", {"product_id": 1})
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_a_folder_that_is_not_there_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Heat that cannot be written is a line in the log, once, and no error to any reader or to close."""
    shop = Shop(tmp_path / "none" / "heat")
    for product_id in range(3):
        shop.product(product_id)
        shop.heating.write()
    shop.cache.close()
    assert [r.getMessage().rpartition(": ")[2] for r in caplog.records] == ["No such file or directory"]


def test_its_thread_writes_by_itself(tmp_path: Path) -> None:
    """The file is there a while after the first read, without anybody asking for it, and changes when keys do."""
    shop = Shop(tmp_path / "heat", every="1s")
    shop.product(1)
    until(shop.path.exists)
    shop.product(2)
    until(lambda: len(read(shop.path)) == 2)
    shop.cache.close()


def test_closing_ends_the_thread_and_reads_begin_another(tmp_path: Path) -> None:
    """After `close` no thread is left; the cache still works, and keeps heat again."""
    before = threads()
    shop = Shop(tmp_path / "heat")
    shop.product(1)
    assert len(threads() - before) == 1
    shop.cache.close()
    assert threads() <= before
    shop.product(2)
    shop.cache.close()
    assert {args["product_id"] for _, args, _ in read(shop.path)} == {1, 2}


async def test_an_event_loop_closes_it_too(tmp_path: Path) -> None:
    """`aclose` writes the file, off the loop."""
    shop = Shop(tmp_path / "heat")
    async with shop.cache:
        shop.product(1)
    assert read(shop.path)[0][1] == {"product_id": 1}


def test_a_cache_that_is_dropped_is_collected(tmp_path: Path) -> None:
    """Neither the thread nor the list of those to close at exit keeps a cache alive, and the thread ends with it."""
    before = threads()
    shop = Shop(tmp_path / "heat")
    shop.product(1)
    host = weakref.ref(shop.cache._host)
    del shop

    def gone() -> bool:
        gc.collect()
        return host() is None

    until(gone)
    until(lambda: threads() <= before)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    """(1) a thread of the parent holds the lock of heat (2) it forks (3) the child reads, and writes its own counts."""
    shop = Shop(tmp_path / "heat")
    shop.product(1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with shop.heating._lock:
            held.set()
            done.wait(SOON_S)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(SOON_S)

    def child() -> str:
        for _ in range(50):
            shop.product(2)
        alive = shop.heating._thread is not None and shop.heating._thread.is_alive()
        shop.cache.close()
        return f"{alive} {[args for _, args, _ in read(shop.path)]}"

    said = in_child(child)
    done.set()
    holder.join()
    assert said == "True [{'product_id': 2}]"


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_that_counts_nothing_writes_nothing(tmp_path: Path) -> None:
    """(1) the parent counts, and has not written yet (2) it forks (3) it writes (4) the child must not put what it
    began with over that."""
    shop = Shop(tmp_path / "heat")
    shop.product(1)
    assert in_child(lambda: (shop.heating.look(), shop.heating.write())) == "(None, False)"
    assert shop.heating.write()


KILLED = """
import sys, time
from cacheaside import Cache, Contract
cache = Cache(namespace="shop")
cache.keep_heat(sys.argv[1], every="1s")
@cache.read("product", Contract(ttl="60s"))
def product(product_id: int) -> int:
    return product_id
n = 0
while True:
    n += 1
    product(n % 1000)
    if n % 1000 == 0:
        print(n, flush=True)
"""


def test_a_service_that_is_killed_leaves_its_heat(tmp_path: Path) -> None:
    """SIGKILL: what the next process finds is whole, of the last write before it."""
    path = tmp_path / "heat"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.DEVNULL) as service:
        until(path.exists)
        os.kill(service.pid, signal.SIGKILL)
    assert len(read(path)) == 1000


LEFT = KILLED.replace("while True:", "while n < 1000:").replace('every="1s"', 'every="1h"')


def test_a_service_that_just_ends_leaves_its_heat(tmp_path: Path) -> None:
    """A process that ends without `close` writes at the interpreter's exit."""
    path = tmp_path / "heat"
    subprocess.run([sys.executable, "-c", LEFT, str(path)], check=True, stdout=subprocess.DEVNULL)
    assert len(read(path)) == 1000


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Whatever is asked for, there are no more counters than twice what was declared, and as many arguments."""
    cache = Cache(namespace="shop", l1_entries=100)
    cache.keep_heat(tmp_path / "heat", keys=50, every="1h")

    @cache.read("flight", Contract(ttl="60s"))
    def flight(day: datetime, number: int) -> int:
        return number

    heating = cache._host.heat
    assert isinstance(heating, Heating)
    for number in range(3000):
        flight(datetime(2013, 1, 1), number)  # noqa: DTZ001
        assert len(heating.sketch) <= 200
        assert len(heating._arguments) <= 200
    heating.look()
    assert len(heating.sketch) <= 100
    heating.write()
    assert len(read(tmp_path / "heat")) <= 50
    cache.close()


def test_what_is_declared_wrongly_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A second file, numbers and durations out of bounds, another kind of heat=."""
    with pytest.raises(DeclarationError, match="keeps heat already"):
        shop.cache.keep_heat(tmp_path / "other")
    cache = Cache(namespace="shop")
    with pytest.raises(DeclarationError, match="keys=0 must be a whole number"):
        cache.keep_heat(tmp_path / "heat", keys=0)
    with pytest.raises(DeclarationError, match="every="):
        cache.keep_heat(tmp_path / "heat", every="1ms")
    with pytest.raises(DeclarationError, match="half_life="):
        cache.keep_heat(tmp_path / "heat", half_life="1y")
    with pytest.raises(DeclarationError, match="heat= must be True, False or None"):
        cache.read("x", Contract(ttl="60s"), heat="yes")(lambda it: it)  # type: ignore[call-overload]
