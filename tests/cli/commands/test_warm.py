"""`cacheaside warm`, over a real server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheaside.testing.servers import Server
from tests.cli.runs import cacheaside

APP = """
import os, sqlite3, time
from contextlib import closing
from pathlib import Path
from typing import Any
from cacheaside import Cache, Contract

here = Path(__file__).parent
cache = Cache(os.environ.get("SHOP_URL"), namespace="warmed", l1_entries=1000)
cache.keep_heat(here / "heat", every="1h")
with closing(sqlite3.connect(here / "shop.db")) as made, made:
    made.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, cents INTEGER)")
    made.executemany("INSERT OR REPLACE INTO products VALUES (?, ?)", [(n, 100 * n) for n in range(300)])
db = cache.source("db", open=lambda: closing(sqlite3.connect(here / "shop.db")), limit=8)

@cache.read("product", Contract(ttl="1h", absent_ttl="1h"), source=db)
def product(connection: sqlite3.Connection, product_id: int) -> int | None:
    time.sleep(float(os.environ.get("SHOP_DELAY", "0")))
    with (here / "loads").open("a") as loads:
        loads.write(f"{product_id}\\n")
    row = connection.execute("SELECT cents FROM products WHERE id = ?", (product_id,)).fetchone()
    return row[0] if row else None
"""
SERVE = "import shop_app as s\nfor n in range(40):\n    [s.product(n) for _ in range(20)]\ns.cache.close()\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop_app.py").write_text(APP)
    return tmp_path


def loads(shop: Path) -> int:
    path = shop / "loads"
    return len(path.read_text().splitlines()) if path.exists() else 0


def environ(server: Server) -> dict[str, Any]:
    return {"SHOP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}


def serve(shop: Path, server: Server) -> None:
    """The service runs, is asked for some keys, and ends."""
    subprocess.run(
        [sys.executable, "-c", SERVE], cwd=shop, check=True, env={**os.environ, **environ(server)}, timeout=60
    )


def test_after_a_flush_the_command_fills_the_tier_from_what_was_hot(shop: Path, server: Server) -> None:
    """A service ran; the server comes back empty; the command loads its keys, and the service loads none of them. The
    bar goes where errors go, so that JSON is JSON."""
    serve(shop, server)
    assert loads(shop) == 40
    server.ask("FLUSHALL")
    ran = cacheaside("warm", "--app", "shop_app", "--json", cwd=shop, **environ(server))
    assert ran.code == 0, ran.err
    assert (ran.data["asked"], ran.data["loaded"], ran.data["left"]) == (40, 40, 0)
    assert loads(shop) == 80
    serve(shop, server)
    assert loads(shop) == 80
    again = cacheaside("warm", "--app", "shop_app", "--top", "10", cwd=shop, **environ(server))
    assert "warmed 10 of 10 keys" in again.out
    assert "10 in the shared tier" in again.out
    server.ask("FLUSHALL")


def test_a_list_for_a_launch_is_loaded_and_what_does_not_fit_is_named(shop: Path, server: Server) -> None:
    """--from takes a list; a dry run reads nothing; an exit code of 1 says that not all of it could be used."""
    (shop / "launch.csv").write_text("endpoint,product_id\nproduct,100\nproduct,101\nproduct,x\nbasket,1\n")
    listed = ("warm", "--app", "shop_app:cache", "--from", "launch.csv")
    dry = cacheaside(*listed, "--dry-run", cwd=shop, **environ(server))
    assert dry.code == 1
    assert dry.out.splitlines()[0] == "2 of 4 keys fit; nothing was read"
    assert "basket: no such endpoint" in dry.out
    assert loads(shop) == 0
    ran = cacheaside(*listed, "--json", cwd=shop, **environ(server))
    assert (ran.code, ran.data["loaded"], sum(ran.data["unfit"].values())) == (1, 2, 2)
    again = cacheaside(*listed, cwd=shop, **environ(server))
    assert "warmed 2 of 4 keys" in again.out
    server.ask("FLUSHALL")


def test_ctrl_c_ends_it_and_says_what_was_done(shop: Path, server: Server) -> None:
    """SIGINT: what is under way ends, the report is written, and run again it goes on with what is left."""
    lines = [f'{{"endpoint": "product", "args": [{n}]}}' for n in range(300)]
    (shop / "all.jsonl").write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "cacheaside",
        "warm",
        "--app",
        "shop_app",
        "--from",
        "all.jsonl",
        "--at-once",
        "2",
    ]
    env = {**os.environ, **environ(server), "SHOP_DELAY": "0.05", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=shop, env=env, stdout=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 20
        while loads(shop) < 10:
            assert time.monotonic() < deadline, "it loads nothing"
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=20)
    assert running.returncode == 1
    found = re.search(r"warmed (\d+) of 300 keys", out)
    assert found is not None, out
    assert 10 <= int(found[1]) < 300
    assert "ended early (as it was told)" in out
    rest = cacheaside(
        "warm", "--app", "shop_app", "--from", "all.jsonl", "--json", cwd=shop, **environ(server)
    )
    assert rest.data["shared"] >= int(found[1]) - 2
    assert rest.data["loaded"] + rest.data["shared"] == 300
    server.ask("FLUSHALL")


def test_without_a_shared_tier_it_says_where_to_warm(shop: Path) -> None:
    """What the command loads into its own memory helps nobody, so it is an error with the way that does."""
    ran = cacheaside("warm", "--app", "shop_app", cwd=shop, PYTHONPATH=os.pathsep.join(sys.path))
    assert (ran.code, ran.out) == (2, "")
    assert "Await cache.warm() where the service starts" in ran.err


def test_a_file_that_is_not_there_or_broken_is_one_line(shop: Path, server: Server) -> None:
    """Neither is a traceback, nor a success."""
    missing = cacheaside("warm", "--app", "shop_app", cwd=shop, **environ(server))
    assert missing.code == 2
    assert "heat: it cannot be read: No such file or directory." in missing.err.replace("\n", " ")
    (shop / "heat").write_bytes(b'{"format":"cacheaside-heat"')
    broken = cacheaside("warm", "--app", "shop_app", cwd=shop, **environ(server))
    assert broken.code == 2
    assert "it is no file of heat" in broken.err
