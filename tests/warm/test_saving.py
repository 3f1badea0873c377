"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cacheaside import UsageError
from cacheaside.warm.saving import LEFT_OVER_S, read_whole, save

WRITER = """
import sys
from pathlib import Path
from cacheaside.warm.saving import save
print("began", flush=True)
n = 0
while True:
    n = (n + 1) % 10
    save(Path(sys.argv[1]), str(n).encode() * 200_000)
    print("saved", flush=True)
"""


@pytest.mark.parametrize("saves", [0, 1, 2, 3, 5, 8])
def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path, saves: int) -> None:
    """SIGKILL in the middle of a write: what is read then is one whole writing, or nothing when there was none yet."""
    path = tmp_path / "heat"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(saves + 1):
            assert writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    if saves:
        content = read_whole(path, 10**6)
        assert len(content) == 200_000
        assert len(set(content)) == 1


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """There are arguments in it, so nobody else can read it, whatever the umask."""
    path = tmp_path / "heat"
    before = os.umask(0)
    try:
        save(path, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: what was there stands."""
    path = tmp_path / "heat"
    save(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_dead_writer_left_goes(tmp_path: Path) -> None:
    """Files that were never finished are removed by a later write, once they are old; younger ones are another's."""
    old, young = tmp_path / ".heat.1.new", tmp_path / ".heat.2.new"
    for left in (old, young):
        left.write_bytes(b"half")
    past = time.time() - LEFT_OVER_S - 10
    os.utime(old, (past, past))
    save(tmp_path / "heat", b"x")
    assert (old.exists(), young.exists()) == (False, True)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    """A missing file, a folder, and one that is too long are errors that name it."""
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_whole(tmp_path / "none", 10)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_whole(tmp_path, 10)
    (tmp_path / "long").write_bytes(b"x" * 11)
    with pytest.raises(UsageError, match="longer than 10 bytes"):
        read_whole(tmp_path / "long", 10)
