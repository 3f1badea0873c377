"""What is still to be put right survives the drill."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.journal import Journal, RestoreConfig, left_behind, without_password
from cacheaside.drill.restoring import restore
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from pathlib import Path

UNDO = RestoreConfig("redis://127.0.0.1:1/0", False, "maxmemory", "0")
KILLED = """
import os, signal, sys
from pathlib import Path
from cacheaside.drill.journal import Journal, RestoreConfig
undo = RestoreConfig(sys.argv[2], sys.argv[3] == "secret", "maxmemory", "777000000")
Journal(Path(sys.argv[1]), "eviction-storm").owe(undo)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, url: str, *, secret: bool = False) -> None:
    """A drill that is killed while something is broken."""
    subprocess.run([sys.executable, "-c", KILLED, folder, url, "secret" if secret else "open"], check=False)


def test_a_file_is_there_while_something_is_broken(tmp_path: Path) -> None:
    """Written before the fault, for its user alone, and gone when things are right again."""
    journal = Journal(tmp_path, "eviction-storm")
    journal.owe(UNDO)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert left_behind(tmp_path) == []  # its drill is under way
    journal.paid()
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_put_right_stays_written_down(tmp_path: Path) -> None:
    """When the way back fails, the file stays for another try."""
    journal = Journal(tmp_path, "eviction-storm")
    journal.owe(UNDO)
    journal.close()
    assert [owed.undo for _, owed in left_behind(tmp_path)] == [UNDO]


def test_nothing_to_undo_leaves_no_file(tmp_path: Path) -> None:
    """A flush owes nothing."""
    journal = Journal(tmp_path, "flush")
    journal.owe(None)
    assert list(tmp_path.iterdir()) == []
    journal.close()


def test_a_killed_drill_is_put_right(tmp_path: Path) -> None:
    """kill -9 leaves a file, and restoring does what it says, once."""
    with Server() as server:
        server.ask("CONFIG", "SET", "maxmemory", "123456789")
        killed(tmp_path, server.url)
        assert restore(tmp_path, None, lambda _: None) == 1
        assert server.ask("CONFIG", "GET", "maxmemory") == ["maxmemory", "777000000"]
        assert restore(tmp_path, None, lambda _: None) == 0


def test_a_password_is_asked_for_again(tmp_path: Path) -> None:
    """No secret is written down: without it the file stays and says so, with it the server is put right."""
    with Server(password="hush") as server:
        bare, secret = without_password(server.url)
        assert secret
        assert "hush" not in bare
        killed(tmp_path, bare, secret=True)
        with pytest.raises(CannotDrill, match="--target"):
            restore(tmp_path, None, lambda _: None)
        assert restore(tmp_path, server.url, lambda _: None) == 1
        assert server.ask("CONFIG", "GET", "maxmemory") == ["maxmemory", "777000000"]


def test_a_server_that_is_away_keeps_its_file(tmp_path: Path) -> None:
    """Restoring can be tried again later."""
    with Server() as server:
        killed(tmp_path, server.url)
        server.kill()
        with pytest.raises(CannotDrill, match="stays"):
            restore(tmp_path, None, lambda _: None)
        server.start()
        assert restore(tmp_path, None, lambda _: None) == 1
