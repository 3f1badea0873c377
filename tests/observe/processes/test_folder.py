"""The folder: who is alive, what is added up, and every moment at which somebody may be killed."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cacheaside.observe.catalog import METRICS, PROCESSES
from cacheaside.observe.metrics import Sample
from cacheaside.observe.processes import saved as saving
from cacheaside.observe.processes.folder import Folder, Unreadable
from cacheaside.observe.processes.saved import Ended, Sum, saved
from cacheaside.observe.stats import Distribution

LOADS, FILL, ENTRIES = (METRICS[f"cacheaside.{name}"] for name in ("loads", "fill", "entries"))
UNSYNCED, UP = METRICS["cacheaside.tier.unsynced"], METRICS["cacheaside.tier.up"]
OF = ("shop", "rows")


def counted(number: int) -> saving.Saved:
    return saved(
        [
            Sample(LOADS, OF, number),
            Sample(FILL, OF, Distribution(number, 5 * number, ((8, number),))),
            Sample(ENTRIES, OF, number),
            Sample(PROCESSES, OF[:1], 1),
        ],
        at_s=100.0,
    )


def shown(folder: Folder) -> dict[str, Any]:
    whole = folder.read(103.5)
    return {sample.metric.name.removeprefix("cacheaside."): sample.value for sample in whole.samples(METRICS)}


def living(folder: Folder) -> int:
    return int(shown(folder).get("processes", 0))


def test_the_living_and_the_ended_are_added_up(tmp_path: Path) -> None:
    """Counters and histograms of both; gauges, and the age of snapshots, of the living."""
    folder = Folder(tmp_path)
    one, other = folder.join(), folder.join()
    one.write(counted(1))
    other.write(counted(2))
    summed = {"loads": 3, "fill": Distribution(3, 15, ((8, 3),))}
    assert shown(folder) == summed | {"entries": 3, "processes": 2, "snapshot_age": 3.5}
    one.leave()
    for _ in range(3):
        assert shown(folder) == summed | {"entries": 2, "processes": 1, "snapshot_age": 3.5}
        folder.fold()
    assert len(list(tmp_path.glob("*.json"))) == 2
    other.leave()
    folder.fold()
    assert shown(folder) == summed


def test_gauges_are_made_one_by_what_they_mean(tmp_path: Path) -> None:
    """The tier is up when every process says so, and as far behind as the furthest."""
    folder = Folder(tmp_path)
    for up, unsynced_s in ((1, 0.1), (0, 9.5)):
        folder.join().write(
            saved([Sample(UP, ("shop",), up), Sample(UNSYNCED, ("shop",), unsynced_s)], at_s=1.0)
        )
    assert shown(folder) == {"tier.up": 0.0, "tier.unsynced": 9.5}


def test_one_that_ended_while_it_is_read_is_counted_once(tmp_path: Path) -> None:
    """(1) A reader takes the sum of the ended (2) another adds one to it, and removes its files (3) the reader looks
    for files: it begins anew, and what that one counted is there."""
    folder = Folder(tmp_path)
    one, other = folder.join(), folder.join()
    one.write(counted(1))
    other.write(counted(2))
    one.leave()
    reading = Folder(tmp_path)
    names = reading._names
    looked = 0

    def folded_first() -> list[str]:
        nonlocal looked
        looked += 1
        if looked == 1:
            folder.fold()
        return names()

    reading._names = folded_first  # type: ignore[method-assign]
    assert shown(reading)["loads"] == 3
    assert looked == 2


def test_one_that_is_read_and_then_folded_is_counted_once(tmp_path: Path) -> None:
    """(1) A reader has added the files of one that ended (2) it is folded: the sum that the reader had holds it not, so
    it begins anew."""
    folder = Folder(tmp_path)
    one = folder.join()
    one.write(counted(1))
    one.leave()
    reading = Folder(tmp_path)
    snapshot = reading._snapshot

    def folded_after(name: str) -> Any:
        found = snapshot(name)
        folder.fold()
        return found

    reading._snapshot = folded_after  # type: ignore[method-assign]
    assert shown(reading)["loads"] == 1


def test_a_folder_that_changes_all_the_time_is_given_up(tmp_path: Path) -> None:
    """Nobody reads for ever: after so many attempts there is an error."""
    folder = Folder(tmp_path)
    number = iter(range(10**6))
    folder._ended = lambda: Ended(number=next(number))  # type: ignore[method-assign]
    with pytest.raises(Unreadable, match="changed 20 times"):
        folder.read(1.0)


KILLED = """
import os, signal, sys
from pathlib import Path
from cacheaside.observe.processes import folder as module
folder = module.Folder(Path(sys.argv[1]))
def killed(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
{where}
folder.fold()
"""


SECOND_UNLINK = """
unlink, done = Path.unlink, []
Path.unlink = lambda *a, **k: killed() if done else (done.append(1), unlink(*a, **k))
"""


@pytest.mark.parametrize(
    "where",
    [
        "module._replace = killed",
        "Path.replace = killed",
        "Path.unlink = killed",
        SECOND_UNLINK,
    ],
    ids=["before it writes", "before it replaces", "before it removes", "while it removes"],
)
def test_whoever_folds_may_be_killed_at_any_step(tmp_path: Path, where: str) -> None:
    """Killed before, between and after its steps: those that ended are counted once, then and after the next fold."""
    folder = Folder(tmp_path)
    for number in (1, 2):
        one = folder.join()
        one.write(counted(number))
        one.leave()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED).format(where=where), str(tmp_path)],
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert shown(folder)["loads"] == 3
    one = folder.join()
    one.write(counted(4))
    one.leave()
    for _ in range(3):
        assert shown(folder)["loads"] == 3 + 4
        folder.fold()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ended.json", "fold.lock"]


def test_whoever_is_folding_is_left_alone(tmp_path: Path) -> None:
    """Two that add up at once would add one twice: the second does nothing, and does not wait."""
    folder, other = Folder(tmp_path), Folder(tmp_path)
    one = folder.join()
    one.write(counted(1))
    one.leave()
    with other._folding() as mine:
        assert mine
        folder.fold()
        assert not (tmp_path / "ended.json").exists()
    folder.fold()
    assert (tmp_path / "ended.json").exists()


def test_two_who_ask_at_once_do_not_see_each_other(tmp_path: Path) -> None:
    """While one looks whether a process that ended is alive, it is not so for another."""
    folder = Folder(tmp_path)
    one = folder.join()
    one.write(counted(1))
    one.leave()
    with one._lock.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as `_is_held` does
        assert living(folder) == 0


def test_a_lock_that_nobody_showed_is_swept(tmp_path: Path) -> None:
    """A process that is killed while it joins leaves a file that the next fold removes; one that is joining loses
    nothing."""
    folder = Folder(tmp_path)
    (tmp_path / "1-ab.lock.new").touch()
    member = folder.join()
    member.write(counted(1))
    folder.fold()
    assert not list(tmp_path.glob("*.new"))
    assert shown(folder)["loads"] == 1


def test_one_whose_new_lock_is_taken_away_makes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(1) A lock is made (2) before it is locked, somebody removes it as a leftover (3) it cannot be shown: another is
    made, under another name."""
    folder = Folder(tmp_path)
    rename = Path.rename
    swept: list[Path] = []

    def removed_first(self: Path, target: Path) -> Path:
        if not swept:
            swept.append(self)
            self.unlink()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", removed_first)
    member = folder.join()
    assert member.is_there
    assert swept


def test_a_folder_that_was_emptied_is_noticed(tmp_path: Path) -> None:
    """Who cleans up under a running service takes the lock's name away: the process can tell, and join again."""
    folder = Folder(tmp_path)
    member = folder.join()
    assert member.is_there
    for path in tmp_path.iterdir():
        path.unlink()
    assert not member.is_there
    again = folder.join()
    again.write(counted(1))
    assert shown(folder)["loads"] == 1


def test_a_snapshot_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full keeps the last snapshot, and no part of the new one."""
    folder = Folder(tmp_path)
    member = folder.join()
    member.write(counted(1))

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        member.write(counted(2))
    assert shown(folder)["loads"] == 1
    assert not list(tmp_path.glob("*.new"))


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [damaged, emptied])
def test_a_damaged_snapshot_is_left_out_and_said_once(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is nobody's numbers: the others are shown, the log names the file, and folding removes it."""
    folder = Folder(tmp_path)
    one, other = folder.join(), folder.join()
    one.write(counted(1))
    other.write(counted(2))
    harm(one._data)
    with caplog.at_level(logging.WARNING, "cacheaside"):
        assert [shown(folder)["loads"] for _ in range(3)] == [2, 2, 2]
    assert [record.getMessage().endswith("it is damaged") for record in caplog.records] == [True]
    one.leave()
    folder.fold()
    assert shown(folder)["loads"] == 2
    assert len(list(tmp_path.glob("*.lock"))) == 2


def test_files_of_another_version_are_not_touched(tmp_path: Path) -> None:
    """In a deployment two versions share the folder. What one does not understand it leaves for the other; and it shows
    no sum at all rather than one that is lower."""
    folder = Folder(tmp_path)
    (tmp_path / "1-ab.json").write_text('{"format":99,"what":1}')
    mine = folder.join()
    mine.write(counted(1))
    mine.leave()
    folder.fold()
    assert (tmp_path / "1-ab.json").exists()
    assert shown(folder)["loads"] == 1
    (tmp_path / "ended.json").write_text('{"format":99}')
    with pytest.raises(Unreadable, match="another version"):
        folder.read(1.0)
    with pytest.raises(Unreadable, match="another version"):
        folder.fold()
    assert (tmp_path / "ended.json").read_text() == '{"format":99}'


def test_metrics_that_this_version_does_not_know_are_kept(tmp_path: Path) -> None:
    """Names that were in use once do not pile up without end: beyond the bound new ones are left out, and counted."""
    folder = Folder(tmp_path)
    for _ in range(2):
        one = folder.join()
        later = {"name": "cacheaside.later", "labels": ["shop"], "value": 4}
        written = msgspec.to_builtins(counted(1)) | {"counters": [later]}
        one.write(msgspec.convert(written, saving.Saved))
        one.leave()
        folder.fold()
    assert set(shown(folder)) == {"fill"}
    ended = msgspec.json.decode((tmp_path / "ended.json").read_bytes(), type=Ended)
    assert [(one.name, one.value) for one in ended.counters] == [("cacheaside.later", 8)]


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that were in use once do not pile up without end: beyond the bound, new ones are left out, and counted."""
    monkeypatch.setattr(saving, "SERIES_MAX", 2)
    whole = Sum(Ended())
    whole.add(saved([Sample(LOADS, ("shop", f"e{number}"), 1) for number in range(5)], 1.0), alive=True)
    assert len(list(whole.samples(METRICS))) == 2
    assert whole.left_out == 3


def test_a_lock_is_let_go_by_the_kernel_alone(tmp_path: Path) -> None:
    """A child made by fork that closes what it inherited does not make its parent look dead; and a child that lives on
    does not make its parent look alive."""
    folder = Folder(tmp_path)
    member = folder.join()
    member.write(counted(1))
    child = os.fork()
    if not child:
        member.abandon()
        os._exit(0)
    os.waitpid(child, 0)
    assert living(folder) == 1
    member.leave()
    assert living(folder) == 0
