"""One process's part: when it writes, what it refuses, and what a full disk or a fork does to it."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cacheaside import Cache, Contract
from cacheaside.errors import DeclarationError
from cacheaside.observe.prometheus import CacheCollector


def numbers_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cacheaside-numbers"]


def lines(collector: CacheCollector, name: str) -> list[str]:
    registry = CollectorRegistry()
    registry.register(collector)
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(name)]


def test_the_variable_of_prometheus_client_is_heeded(tmp_path: Path) -> None:
    """Where a service has set its folder, the snapshots go below it, out of the way of the client's own files."""
    cache = Cache(namespace="shop")
    collector = CacheCollector(cache, environ={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    try:
        assert [path.name for path in tmp_path.iterdir()] == ["cacheaside"]
        assert lines(collector, "cacheaside_processes") == ['cacheaside_processes{cache="shop"} 1.0']
    finally:
        collector.close()


def test_beside_the_clients_own_multiprocess_mode(tmp_path: Path) -> None:
    """One page holds the client's metrics of all processes, and the cache's; neither reads the other's files."""
    code = """
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from cacheaside import Cache, Contract
from cacheaside.observe.prometheus import CacheCollector
cache = Cache(namespace="shop")
@cache.read("rows", Contract("60s"))
def rows(key: int) -> int:
    return key
collector = CacheCollector(cache)
Counter("own", "Of the service.").inc(3)
rows(1)
registry = CollectorRegistry(support_collectors_without_names=True)
MultiProcessCollector(registry)
registry.register(collector)
print(generate_latest(registry).decode())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "own_total 3.0" in done.stdout
    assert 'cacheaside_loads_total{cache="shop",cache_endpoint="rows"} 1.0' in done.stdout


def test_two_collectors_of_one_cache_in_a_process_are_refused(tmp_path: Path) -> None:
    """They would count everything twice; when the first is closed, another may follow, and goes on."""
    cache = Cache(namespace="shop")

    @cache.read("rows", Contract("60s"))
    def rows(key: int) -> int:
        return key

    rows(1)
    first = CacheCollector(cache, directory=tmp_path)
    with pytest.raises(DeclarationError, match="count twice"):
        CacheCollector(cache, directory=tmp_path)
    other = CacheCollector(Cache(namespace="users"), directory=tmp_path)
    assert lines(other, "cacheaside_processes") == ['cacheaside_processes{cache="users"} 1.0']
    first.close()
    first.close()
    other.close()
    assert not numbers_threads()


def test_a_folder_that_cannot_be_written_to_is_an_error_at_once(tmp_path: Path) -> None:
    """Not in the first incident: the message names the folder and says what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(DeclarationError, match="name a folder that every process") as raised:
        CacheCollector(Cache(namespace="shop"), directory=tmp_path / "file" / "below")
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("every", ["10ms", "2m"])
def test_an_interval_is_bounded(tmp_path: Path, every: str) -> None:
    """Neither all the time nor hardly ever."""
    with pytest.raises(DeclarationError, match="every must be from"):
        CacheCollector(Cache(namespace="shop"), directory=tmp_path, every=every)


def test_a_disk_that_is_full_shows_the_last_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A scrape does not fail, and does not show what no other process could show; the log says so, once a minute."""
    cache = Cache(namespace="shop")

    @cache.read("rows", Contract("60s"))
    def rows(key: int) -> int:
        return key

    collector = CacheCollector(cache, directory=tmp_path, every="60s")
    rows(1)
    assert lines(collector, "cacheaside_loads_total")[0].endswith(" 1.0")

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "cacheaside"):
        patch.setattr(Path, "write_bytes", full)
        rows(2)
        for _ in range(3):
            assert lines(collector, "cacheaside_loads_total")[0].endswith(" 1.0")
    (record,) = caplog.records
    assert record.getMessage().startswith(
        f"the numbers of this process are not written to {tmp_path} (No space left on device)"
    )
    assert lines(collector, "cacheaside_loads_total")[0].endswith(" 2.0")
    collector.close()


def test_a_folder_that_is_emptied_is_filled_again(tmp_path: Path) -> None:
    """Cleaning up under a running process loses what others counted, not what this one did."""
    folder = tmp_path / "numbers"
    cache = Cache(namespace="shop")

    @cache.read("rows", Contract("60s"))
    def rows(key: int) -> int:
        return key

    collector = CacheCollector(cache, directory=folder, every="60s")
    rows(1)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert lines(collector, "cacheaside_loads_total")[0].endswith(" 1.0")
    collector.close()


def test_the_thread_writes_without_being_scraped(tmp_path: Path) -> None:
    """A process that nobody scrapes is seen by those that are: it writes by itself, again and again."""
    written = threading.Event()
    cache = Cache(namespace="shop")
    stats = cache.stats
    taken = 0

    def told() -> Any:
        nonlocal taken
        taken += 1
        if taken >= 3:
            written.set()
        return stats()

    cache.stats = told  # type: ignore[method-assign]
    collector = CacheCollector(cache, directory=tmp_path, every="50ms")
    assert written.wait(10)
    collector.close()


def test_a_collector_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    """Its thread ends, and its lock is let go: it counts among the ended."""
    cache = Cache(namespace="shop")
    collector = CacheCollector(cache, directory=tmp_path, every="50ms")
    (thread,) = numbers_threads()
    del collector
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    other = CacheCollector(Cache(namespace="users"), directory=tmp_path)
    assert lines(other, "cacheaside_processes") == ['cacheaside_processes{cache="users"} 1.0']
    other.close()


def test_a_child_lets_go_of_its_parents_lock(tmp_path: Path) -> None:
    """Else a parent that is killed would look alive for as long as its child lives."""
    collector = CacheCollector(Cache(namespace="shop"), directory=tmp_path, every="60s")
    assert collector._exporting is not None
    descriptor = collector._exporting._held[0]._descriptor
    child = os.fork()
    if not child:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.fstat(descriptor)
    collector.close()


def test_no_thread_of_it_is_there_at_a_fork(tmp_path: Path) -> None:
    """It is ended before, so that no half of a file and no lock that is held is copied, and begun again after."""
    cache = Cache(namespace="shop")
    collector = CacheCollector(cache, directory=tmp_path, every="50ms")
    one = collector._exporting
    assert one is not None
    (before,) = numbers_threads()
    one.before_fork()
    assert not before.is_alive()
    assert one._lock.locked()
    one.in_parent()
    (after,) = numbers_threads()
    assert after is not before
    assert not one._lock.locked()
    collector.close()
