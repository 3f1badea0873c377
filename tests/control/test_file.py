"""The control file: for one machine, and when the shared tier is down."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward
from cacheaside.control.file import FILE_MAX_BYTES, ControlFile, Read
from cacheaside.errors import UsageError
from tests.control.conftest import until


def written(path: Path, said: Any) -> None:
    """Replace the file as operators are to: in one step."""
    beside = path.with_suffix(".new")
    beside.write_text(said if isinstance(said, str) else json.dumps({"endpoints": said}))
    beside.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.json"


def product_of(path: Path) -> tuple[Cache, Any]:
    cache = Cache(namespace="shop", control_file=path)

    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    return cache, product


def is_killed(product: Any) -> bool:
    return product.lookup(1).forward is Forward.BYPASS


def test_what_the_file_says_counts_from_the_first_read_on(path: Path) -> None:
    """A process that begins while the file says kill serves nothing stored, not once."""
    written(path, {"product": {"kill": True}})
    cache, product = product_of(path)
    assert is_killed(product)
    cache.close()


def test_the_file_is_followed_within_a_second(path: Path) -> None:
    """It need not be there at first; written, changed and removed, it is followed."""
    cache, product = product_of(path)
    product(1)
    assert not is_killed(product)
    for said, killed in [
        ({"product": {"kill": True}}, True),
        ({}, False),
        ({"*": {"kill": True}}, True),
        (None, False),
    ]:
        if said is None:
            path.unlink()
        else:
            written(path, said)
        assert until(lambda killed=killed: is_killed(product) is killed) < 1.0
    cache.close()


def test_the_file_counts_before_the_fleet_and_the_code(path: Path) -> None:
    """Whoever stands at the machine is heard: also to spare what the code killed."""
    written(path, {"product": {"kill": False}})
    cache, product = product_of(path)
    cache.control.kill()
    assert not is_killed(product)
    assert cache.control.state().endpoints["product"].said_by == {"kill": "file"}
    cache.close()


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "[]",
        '{"endpoint": {}}',
        '{"endpoints": {"product": {"kill": "yes"}}}',
        '{"endpoints": {"product": {"ramp": 200}}}',
        '{"endpoints": {"product": {"override": {"ttl": "5s"}}}}',
        '{"endpoints": {"product": {"speed": 9}}}',
        '{"endpoints": {"product": true}}',
        "x" * (FILE_MAX_BYTES + 1),
    ],
)
def test_a_malformed_file_is_ignored_counted_and_said_once(
    path: Path, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What it said before stays in force as a whole, and one line says what is wrong."""
    written(path, {"product": {"kill": True}})
    cache, product = product_of(path)
    assert is_killed(product)
    with caplog.at_level(logging.WARNING, logger="cacheaside"):
        written(path, said)
        until(lambda: cache.control.state().file.malformed)  # type: ignore[union-attr]
        assert is_killed(product)
        path.touch()
        until(lambda: cache.control.state().file.malformed > 1)  # type: ignore[union-attr]
    assert len([one for one in caplog.records if "control file is ignored" in one.message]) == 1
    assert cache.control.state().file.problem  # type: ignore[union-attr]
    written(path, {})
    until(lambda: not is_killed(product))
    assert cache.control.state().file.problem is None  # type: ignore[union-attr]
    cache.close()


def test_a_time_in_the_file_counts_from_when_it_was_written(path: Path) -> None:
    """A process that begins, or begins again, later does not make it last longer; a file of the future lasts its
    time."""
    written(path, {"product": {"override": {"ttl": "5s"}, "for": "10m"}})
    dated = path.stat().st_mtime
    for wall_now, left_s in [
        (dated, 600.0),
        (dated + 500, 100.0),
        (dated + 700, -100.0),
        (dated - 50, 600.0),
    ]:
        found = ControlFile(path).look(1000.0, wall_now)
        assert found is not None
        assert found.layer is not None
        ends = found.layer["product"]["override"].until
        assert ends == pytest.approx(1000.0 + left_s, abs=0.01)


def test_setting_the_wall_clock_changes_nothing_that_was_read(path: Path) -> None:
    """The clock is looked at when the file is read, and not again while it is the same file."""
    written(path, {"product": {"kill": True, "for": "10m"}})
    file = ControlFile(path)
    assert file.look(1000.0, path.stat().st_mtime) is not None
    assert file.look(1001.0, path.stat().st_mtime + 1e6) is None


def test_an_override_that_contradicts_the_contract_is_not_followed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file cannot know every contract: what does not fit leaves the declared one in force, and is said."""
    written(path, {"product": {"override": {"stale_after_invalidation": "9m"}, "for": "10m", "ramp": 5}})
    with caplog.at_level(logging.WARNING, logger="cacheaside"):
        cache, product = product_of(path)
    product(1)
    assert product.endpoint.terms.stale_after_invalidation_s == 0
    found = cache.control.state().endpoints["product"]
    assert "stale_after_invalidation" in (found.refused or "")
    assert found.ramp == 5.0
    assert len([one for one in caplog.records if "override is not followed" in one.message]) == 1
    cache.close()


def test_a_signal_has_the_file_read_at_once(path: Path) -> None:
    """Only for who opted in; a handler that was there before is called after."""
    called: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: called.append(number))
    try:
        cache, product = product_of(path)
        product(1)
        cache.control.on_signal(signal.SIGUSR2)
        written(path, {"product": {"kill": True}})
        os.kill(os.getpid(), signal.SIGUSR2)
        until(lambda: is_killed(product))
        assert called == [signal.SIGUSR2]
        cache.close()
    finally:
        signal.signal(signal.SIGUSR2, before)
    alone = Cache(namespace="alone")
    with pytest.raises(UsageError, match="CACHEASIDE_CONTROL_FILE"):
        alone.control.on_signal(signal.SIGUSR2)


def test_the_environment_names_the_file(path: Path) -> None:
    """CACHEASIDE_CONTROL_FILE is what `Cache.from_env` follows."""
    written(path, {"*": {"kill": True}})
    cache = Cache.from_env({"CACHEASIDE_CONTROL_FILE": str(path)})

    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    assert is_killed(product)
    cache.close()


@pytest.mark.parametrize("depth", [2_000, 60_000])
def test_a_file_that_is_nested_without_end_is_malformed(path: Path, depth: int) -> None:
    """It is ignored as whatever else says what cannot be: neither a process that begins ends by it, nor the thread."""
    path.write_text("[" * depth)
    cache, product = product_of(path)
    state = cache.control.state().file
    assert state is not None
    assert (state.malformed, "nested" in str(state.problem)) == (1, True)
    assert not is_killed(product)
    written(path, {"product": {"kill": True}})
    until(lambda: is_killed(product))
    path.write_text('{"endpoints": {"product": {"ramp": ' + "[" * depth)
    until(lambda: cache.control.look().file.malformed == 2)  # type: ignore[union-attr]
    assert is_killed(product)
    cache.close()


def test_what_is_no_file_is_not_waited_for(path: Path) -> None:
    """A pipe in the place of the file would keep whoever opens it waiting for ever: it is refused."""
    os.mkfifo(path)
    found = ControlFile(path).look(0.0, 0.0)
    assert found is not None
    assert found.layer is None
    assert found.problem is not None
    path.unlink()


def test_of_two_looks_the_later_one_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """(1) one reads the file (2) the file is replaced (3) another looks (4) the first follows what it read: what the
    new file says stands in the end, since nobody would read that again."""
    cache, product = product_of(path)
    control: Any = cache.control
    written(path, {"product": {"ramp": 50}})
    second, wants = threading.Thread(target=control.look), threading.Event()
    look, lock = control._file.look, control._file_lock

    class Lock:
        def __enter__(self) -> None:
            if threading.current_thread() is second:
                wants.set()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    def looked(*moments: float, again: bool) -> Read | None:
        found: Read | None = look(*moments, again=again)
        if threading.current_thread() is not second:
            written(path, {"product": {"kill": True}})
            second.start()
            until(lambda: wants.is_set() or not second.is_alive())
        return found

    monkeypatch.setattr(control, "_file_lock", Lock())
    monkeypatch.setattr(control._file, "look", looked)
    control.look()
    second.join(20.0)
    assert is_killed(product)
    cache.close()
