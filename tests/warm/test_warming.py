"""`cache.warm`: reads before there is traffic, as careful as any, and more polite."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, UsageError
from cacheaside.warm.report import Progress, Warmed

pytestmark = pytest.mark.blocks_loop  # SQLite does; `test_off_the_loop.py` shows that the rest does not

SOON_S = 20.0


class Shop:
    """A cache with a source of each colour over one SQLite file, which counts who is in it."""

    def __init__(
        self, folder: Path, *, limit: int = 16, delay_s: float = 0.0, queue: int | None = None
    ) -> None:
        self.file = folder / "shop.db"
        with closing(sqlite3.connect(self.file)) as made, made:
            made.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, cents INTEGER)")
            made.executemany(
                "INSERT OR REPLACE INTO products VALUES (?, ?)", [(n, 100 * n) for n in range(500)]
            )
        self.delay_s = delay_s
        self.loads = 0
        self.inside = 0
        self.peak = 0
        self.entered = asyncio.Event()
        self.cache = Cache(namespace="shop")
        self.cache.keep_heat(folder / "heat", every="1h")
        self.db = self.cache.source("db", open=self.opened, limit=limit)
        self.adb = self.cache.source("adb", open=self.aopened, limit=limit)
        if queue is not None:
            self.db.limit.queue_max = self.adb.limit.queue_max = queue

        @self.cache.read("product", Contract(ttl="60s"), source=self.adb)
        async def product(connection: sqlite3.Connection, product_id: int) -> int | None:
            await asyncio.sleep(self.delay_s)
            return self.row(connection, product_id)

        @self.cache.read("price", Contract(ttl="60s"), source=self.db)
        def price(connection: sqlite3.Connection, product_id: int, locale: str = "en") -> int | None:
            time.sleep(self.delay_s)
            return self.row(connection, product_id)

        self.product, self.price = product, price

    def row(self, connection: sqlite3.Connection, product_id: int) -> int | None:
        self.loads += 1
        if product_id == 13:
            raise KeyError("secret")
        row = connection.execute("SELECT cents FROM products WHERE id = ?", (product_id,)).fetchone()
        return row[0] if row else None

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        self.entered.set()
        try:
            with closing(sqlite3.connect(self.file, check_same_thread=False)) as connection:
                yield connection
        finally:
            self.inside -= 1

    @asynccontextmanager
    async def aopened(self) -> AsyncIterator[sqlite3.Connection]:
        with self.opened() as connection:
            yield connection


Pairs = list[tuple[Any, Any]]


def products(numbers: Any) -> Pairs:
    return [("product", (n,)) for n in numbers]


def prices(numbers: Any) -> Pairs:
    return [("price", (n,)) for n in numbers]


@pytest.mark.parametrize("colour", ["product", "price"])
async def test_what_was_hot_is_held_before_the_first_request(tmp_path: Path, colour: str) -> None:
    """A process counts; the next one reads its file and answers those keys without a load, whichever the colour."""
    before = Shop(tmp_path)
    for n in range(20, 60):
        for _ in range(5):
            await before.product(n)
            before.price(n)
    await before.cache.aclose()

    after = Shop(tmp_path)
    report = await after.cache.warm()
    # `price` takes text, which is not kept by itself.
    assert (report.asked, report.loaded, report.left, report.problem) == (40, 40, 0, None)
    loads = after.loads
    for n in range(20, 60):
        assert await after.product(n) == 100 * n
    assert after.loads == loads == 40


async def test_what_is_held_is_not_loaded_again(tmp_path: Path) -> None:
    """Called again, it goes on: what is there costs no load."""
    shop = Shop(tmp_path)
    await shop.product(1)
    first = await shop.cache.warm(products(range(5)))
    again = await shop.cache.warm(products(range(10)))
    assert (first.loaded, first.held) == (4, 1)
    assert (again.loaded, again.held) == (5, 5)
    assert shop.loads == 10


async def test_both_colours_are_warmed_by_one_call(tmp_path: Path) -> None:
    """On an event loop, an `async def` runs on it and a `def` on threads, which do not block it."""
    shop = Shop(tmp_path, delay_s=0.02)
    report = await shop.cache.warm(products(range(8)) + prices(range(8)))
    assert report.loaded == 16
    assert shop.price(3) == 300
    assert shop.loads == 16


def test_threads_are_warmed_without_a_loop(tmp_path: Path) -> None:
    """`cache.blocking.warm` reads what is a `def`; what is an `async def` is counted, and says how."""
    shop = Shop(tmp_path)
    report = shop.cache.blocking.warm(products([1]) + prices(range(20, 50)))
    assert (report.loaded, report.stopped) == (30, None)
    assert report.unfit == {"product: it is an async def: await cache.warm(…)": 1}
    assert not [t for t in threading.enumerate() if t.name == "cacheaside-behind" and not t.daemon]


@pytest.mark.parametrize("blocking", [False, True])
async def test_no_more_than_half_of_the_source_is_used(tmp_path: Path, blocking: bool) -> None:
    """However many are asked for at once, traffic that comes meanwhile has as many turns as the warm-up."""
    shop = Shop(tmp_path, limit=6, delay_s=0.005)
    if blocking:
        report = await asyncio.to_thread(shop.cache.blocking.warm, prices(range(40, 70)), at_once=64)
    else:
        report = await shop.cache.warm(products(range(40, 70)), at_once=64)
    assert report.loaded == 30
    assert 1 <= report.peak_at_once <= 3
    assert shop.peak <= 3


async def test_a_reader_and_the_warm_up_share_one_load(tmp_path: Path) -> None:
    """Single flight holds: a key that is asked for while it is warmed is loaded once."""
    shop = Shop(tmp_path, delay_s=0.05)
    warming = asyncio.ensure_future(shop.cache.warm(products(range(4))))
    await asyncio.sleep(0)
    values = await asyncio.gather(*[shop.product(n) for n in range(4)])
    assert values == [0, 100, 200, 300]
    assert (await warming).loaded == 4
    assert shop.loads == 4


async def test_traffic_goes_first() -> None:
    """(1) every turn is taken (2) the warm-up waits for one (3) a reader comes after it, and waits too (4) a turn is
    free: the reader has it, as a warm-up has the lowest priority, whatever its endpoint's is."""
    cache = Cache(namespace="shop")
    db = cache.source("db", open=nullcontext, limit=2)
    begun: list[int] = []
    free = asyncio.Event()

    @cache.read("product", Contract(ttl="60s", priority="high"), source=db)
    async def product(_: None, product_id: int) -> int:
        begun.append(product_id)
        await free.wait()
        return product_id

    async def waiting(loads: int) -> None:
        for _ in range(100_000):
            if len(db.limit) >= loads:
                return
            await asyncio.sleep(0)
        raise AssertionError("nobody waits for a turn")

    traffic = [asyncio.ensure_future(product(n)) for n in (1, 2)]
    warming = asyncio.ensure_future(cache.warm(products([3])))
    await waiting(1)
    traffic.append(asyncio.ensure_future(product.using(priority="normal")(4)))
    await waiting(2)
    free.set()
    await asyncio.gather(*traffic)
    assert (await warming).loaded == 1
    assert begun == [1, 2, 4, 3]


async def test_where_the_source_refuses_it_waits_and_goes_on(tmp_path: Path) -> None:
    """(1) traffic has every turn and every place in the queue (2) the warm-up is refused, and pauses (3) the traffic
    ends (4) it goes on, and loads all."""
    shop = Shop(tmp_path, limit=2, delay_s=0.6, queue=0)
    traffic = [asyncio.ensure_future(shop.product(n)) for n in (100, 101)]
    await asyncio.sleep(0.05)
    shop.delay_s = 0.0
    report = await shop.cache.warm(products(range(5)))
    assert report.refused >= 1
    assert (report.loaded, report.stopped) == (5, None)
    assert report.seconds >= 1.0  # as long as it was told to
    await asyncio.gather(*traffic)


async def test_a_key_that_fails_fails_alone(tmp_path: Path) -> None:
    """Its endpoint and the class of its error are named, never what the error says; all others are loaded."""
    shop = Shop(tmp_path)
    report = await shop.cache.warm(products([12, 13, 14]))
    assert report.loaded == 2
    assert report.failed == {"product: KeyError": 1}
    assert "secret" not in str(report)


async def test_what_is_not_stored_is_told(tmp_path: Path) -> None:
    """A row that is not there, under a contract that keeps no absence, was loaded in vain."""
    report = await Shop(tmp_path).cache.warm(products([999_999]))
    assert report.not_stored == {"contract": 1}
    assert report.left == 0


async def test_keys_that_fit_no_more_are_counted_and_named(tmp_path: Path) -> None:
    """A renamed endpoint, other parameters, another class: by endpoint and reason, and the rest is warmed."""
    shop = Shop(tmp_path)
    given: Pairs = [("gone", (1,)), ("product", {"sku": 1}), ("product", ("secret",)), *products([1])]
    report = await shop.cache.warm(given)
    assert report.loaded == 1
    assert report.unfit == {
        "gone: no such endpoint": 1,
        "product: it has no parameter sku": 1,
        "product: it takes no str of that kind as product_id": 1,
    }


async def test_a_dry_run_reads_nothing(tmp_path: Path) -> None:
    """It says which keys fit."""
    shop = Shop(tmp_path)
    report = await shop.cache.warm([*products(range(5)), ("gone", ())], dry_run=True)
    assert (report.asked, report.left, sum(report.unfit.values())) == (6, 5, 1)
    assert shop.loads == 0


@pytest.mark.parametrize("blocking", [False, True])
async def test_its_time_ends_it(tmp_path: Path, blocking: bool) -> None:
    """When `within` is over the service begins, with what there is."""
    shop = Shop(tmp_path, delay_s=0.05)
    began = time.monotonic()
    if blocking:
        warm = shop.cache.blocking.warm
        report = await asyncio.to_thread(warm, prices(range(200)), at_once=2, within="300ms")
    else:
        report = await shop.cache.warm(products(range(200)), at_once=2, within="300ms")
    assert time.monotonic() - began < SOON_S / 4
    assert report.stopped == "time"
    assert 0 < report.loaded < 200
    assert report.left >= 200 - report.loaded - 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_progress_is_told_and_may_end_it(tmp_path: Path, blocking: bool) -> None:
    """`progress` is called with how far it is, and when it returns False nothing more is begun."""
    shop = Shop(tmp_path, delay_s=0.06)
    told: list[Progress] = []

    def progress(now: Progress) -> bool:
        told.append(now)
        return len(told) < 2

    if blocking:
        report = await asyncio.to_thread(
            shop.cache.blocking.warm, prices(range(200)), at_once=2, progress=progress
        )
    else:
        report = await shop.cache.warm(products(range(200)), at_once=2, progress=progress)
    assert report.stopped == "asked"
    assert 2 <= len(told) <= 4
    assert told[0].asked == 200
    assert told[0].eta_s is not None
    assert report.left > 100


@pytest.mark.parametrize("blocking", [False, True])
async def test_what_progress_raises_is_raised(tmp_path: Path, blocking: bool) -> None:
    """A mistake in the callback is its author's to see, and no thread or task goes on by itself."""
    shop = Shop(tmp_path)

    def progress(now: Progress) -> None:
        raise ZeroDivisionError

    warming = (
        asyncio.to_thread(shop.cache.blocking.warm, prices([1]), progress=progress)
        if blocking
        else shop.cache.warm(products([1]), progress=progress)
    )
    with pytest.raises(ZeroDivisionError):
        await warming


async def test_cancelled_it_leaves_nothing_running(tmp_path: Path) -> None:
    """Its loads end with it, unless a reader waits for one, who gets the value."""
    shop = Shop(tmp_path, delay_s=0.2)
    warming = asyncio.ensure_future(shop.cache.warm(products(range(100)), at_once=4))
    await asyncio.wait_for(shop.entered.wait(), SOON_S)
    reader = asyncio.ensure_future(shop.product(0))
    await asyncio.sleep(0)
    warming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await warming
    assert await reader == 0
    await shop.cache.aclose()
    assert shop.inside == 0
    assert shop.loads <= 5


async def test_reads_keep_to_the_pace(tmp_path: Path) -> None:
    """With twenty a second, ten keys take no less than nine twentieths."""
    report = await Shop(tmp_path).cache.warm(products(range(10)), per_second=20)
    assert report.loaded == 10
    assert report.seconds >= 9 / 20


async def test_a_service_begins_without_its_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first start has no file, and one may be broken: the report and the log say so, and nothing is raised."""
    shop = Shop(tmp_path)
    missing = await shop.cache.warm()
    assert "cannot be read: No such file" in str(missing)
    (tmp_path / "heat").write_bytes(b"broken")
    broken = shop.cache.blocking.warm()
    assert broken.problem is not None
    assert broken.asked == 0
    assert all(r.levelno == logging.WARNING for r in caplog.records)
    assert len(caplog.records) == 2


async def test_a_list_that_is_named_has_to_be_right(tmp_path: Path) -> None:
    """Whoever names a file is told what is wrong with it; so is who has no file of heat to warm from."""
    shop = Shop(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        await shop.cache.warm(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="this cache keeps none"):
        await Cache(namespace="shop").warm()


async def test_a_list_for_a_launch_is_read_as_the_parameters_say(tmp_path: Path) -> None:
    """CSV cells become numbers where the annotation says so, and the defaults fill what is empty."""
    shop = Shop(tmp_path)
    path = tmp_path / "launch.csv"
    path.write_text("endpoint,product_id,locale\nproduct,5,\nprice,6,de\nprice,7,\nprice,x,\n")
    report = await shop.cache.warm(path)
    assert (report.loaded, sum(report.unfit.values())) == (3, 1)
    assert (await shop.product(5), shop.price(6, "de"), shop.price(7)) == (500, 600, 700)
    assert shop.loads == 3


async def test_a_disabled_cache_is_not_warmed(tmp_path: Path) -> None:
    """Nothing would be kept, so nothing is asked of the source."""
    shop = Shop(tmp_path)
    shop.cache.disable()
    report = await shop.cache.warm(products([1]))
    assert report.problem is not None
    assert shop.loads == 0


async def test_what_it_cannot_take_is_refused(tmp_path: Path) -> None:
    """Numbers out of bounds name the option."""
    cache = Shop(tmp_path).cache
    for options, says in (
        ({"at_once": 0}, "at_once=0"),
        ({"top": -1}, "top=-1"),
        ({"per_second": 0}, "per_second=0"),
        ({"within": "0s"}, "within="),
    ):
        with pytest.raises(DeclarationError, match=says):
            await cache.warm([], **options)


async def test_only_the_top_is_read(tmp_path: Path) -> None:
    """`top` takes the first of the list."""
    report: Warmed = await Shop(tmp_path).cache.warm(products(range(100)), top=7)
    assert (report.asked, report.loaded) == (7, 7)


async def test_warming_is_no_heat_of_its_own(tmp_path: Path) -> None:
    """What a warm-up reads nobody asked for: it does not keep itself hot for ever."""
    shop = Shop(tmp_path)
    await shop.cache.warm(products(range(50)))
    await shop.cache.aclose()
    assert not (tmp_path / "heat").exists()


@pytest.mark.parametrize("blocking", [False, True])
async def test_what_control_sends_to_the_source_is_not_warmed(tmp_path: Path, blocking: bool) -> None:
    """Of an endpoint that is killed nothing would be kept, so nothing is asked of its source, or stored behind the
    operator's back; of one that is ramped, the keys that are let in are warmed."""
    shop = Shop(tmp_path)
    name = "price" if blocking else "product"
    shop.cache.control.kill(name)
    wanted = [(shop.price if blocking else shop.product, (n,)) for n in range(100, 140)]
    report = shop.cache.blocking.warm(wanted) if blocking else await shop.cache.warm(wanted)
    assert (report.loaded, shop.loads, sum(report.unfit.values())) == (0, 0, 40)
    assert report.stopped is None
    shop.cache.control.reset(name)
    shop.cache.control.ramp(name, 50)
    report = shop.cache.blocking.warm(wanted) if blocking else await shop.cache.warm(wanted)
    assert 0 < report.loaded == shop.loads < 40
    assert report.loaded + sum(report.unfit.values()) == 40


async def test_a_kill_is_followed_by_a_warm_up_under_way(tmp_path: Path) -> None:
    """A key that was refused before the endpoint was killed is not read again after it."""
    shop = Shop(tmp_path, limit=2, queue=0)
    taken = [shop.adb.limit.take() for _ in range(2)]
    warming = asyncio.create_task(shop.cache.warm(products([1, 2, 3]), at_once=1))
    while not shop.adb.limit.refused:  # noqa: ASYNC110 - a limit sets no event
        await asyncio.sleep(0.001)
    shop.cache.control.kill("product")
    for turn in taken:
        assert turn is not None
        shop.adb.limit.give_back(turn)
    report = await warming
    assert (report.loaded, shop.loads, sum(report.unfit.values())) == (0, 0, 3)
