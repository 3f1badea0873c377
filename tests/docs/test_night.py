"""What the guide for the night shows is what the commands print.

`python -m tests.docs.test_night` writes the guide's examples anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheaside.testing.servers import Server
from tests.cli.runs import cacheaside

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "night.md"
SHOWN = re.compile(r"^```text\n\$ (cacheaside [^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SHOP = """
import os
from contextlib import contextmanager
from cacheaside import Cache, Contract

cache = Cache(os.environ["SHOP_URL"], namespace="shop", deadline="2s")
products, boards = cache.tag("products", int), cache.tag("boards", str)

@contextmanager
def session():
    yield None

db = cache.source("shop-db", open=session, limit=16)

@cache.read("product", Contract(ttl="60s", grace="5m"), source=db, tags=lambda product_id: [products(product_id)])
def product(db: None, product_id: int) -> dict[str, int]:
    return {"id": product_id, "cents": 1900}

@cache.read("prices", Contract(ttl="10s", stale_after_invalidation="10s"), source=db)
def prices(db: None) -> dict[str, int]:
    return {"lamp": product(42)["cents"]}
"""
_VARIES = (
    (re.compile(r"127\.0\.0\.1:\d+"), "cache-1:6379"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "GENERATION"),
    (re.compile(r"(?:Valkey|Redis) [\d.]+"), "SERVER"),
    (re.compile(r"~[a-z0-9]{8}:"), "~FINGERPRINT:"),
    (re.compile(r"[\d.]+(?:ms|s|m\d+s) old"), "AGE old"),
    (re.compile(r"[\d.]+[KM]iB of"), "USED of"),
    (re.compile(r"\b\d+B\b"), "SIZE"),
)


def settled(text: str) -> str:
    """What does not differ from run to run, on one line: lines break where those parts are long."""
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return " ".join(text.split())


def scenes(folder: Path) -> Iterator[tuple[str, str]]:
    """Each command of the guide, and what it prints where the guide shows it; in the guide's order."""
    (folder / "shop.py").write_text(SHOP)
    scope: dict[str, Any] = {"__name__": "shop"}
    with Server(maxmemory="64mb", config={"maxmemory-policy": "noeviction"}) as server:
        url = server.url

        def run(*words: str) -> tuple[str, str]:
            ran = cacheaside(*words, "--app", "shop:cache", cwd=folder, SHOP_URL=url)
            assert ran.err == ""
            lines = [line.rstrip() for line in ran.out.splitlines()]
            return f"cacheaside {' '.join(words)}", "\n".join(lines).strip("\n") + "\n"

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOP_URL", url)
            exec(compile(SHOP, "shop.py", "exec"), scope)
        with scope["cache"] as cache:
            scope["product"](42)
            cache.blocking.invalidate(scope["products"](42))
            yield run("explain", "product", "42")
        yield run("doctor", "--processes", "4", "--capacity", "shop-db=40")
        server.kill()
        yield run("doctor")
        yield run("contracts")


def test_the_guide_shows_what_the_commands_print(tmp_path: Path) -> None:
    """Each example of the guide is a command's output today, but for what differs from run to run."""
    shown = SHOWN.findall(GUIDE.read_text(encoding="utf-8"))
    ran = list(scenes(tmp_path))
    assert [command for command, _ in shown] == [command for command, _ in ran]
    for (command, in_guide), (_, printed) in zip(shown, ran, strict=True):
        assert settled(in_guide) == settled(printed), f"{command}: write it anew (see this module)"


def test_what_differs_is_little() -> None:
    """Only addresses, ages, sizes, versions and generations are settled: another word is another text."""
    assert settled("a 127.0.0.1:1234 b") == "a cache-1:6379 b"
    assert settled("ttl 1m, grace 5m") == "ttl 1m, grace 5m"
    assert settled("by products(42)") != settled("by products(43)")


def write(folder: Path) -> None:
    """The examples anew."""
    text = GUIDE.read_text(encoding="utf-8")
    made = iter(list(scenes(folder)))

    def shown(_: re.Match[str]) -> str:
        command, printed = next(made)
        for pattern, word in _VARIES[:1]:
            printed = pattern.sub(word, printed)
        return f"```text\n$ {command}\n{printed}```"

    GUIDE.write_text(SHOWN.sub(shown, text), encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as made_here:
        write(Path(made_here))
