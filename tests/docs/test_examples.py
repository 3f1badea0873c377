"""Every example in the README and in docs/ runs."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def blocks_of(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the line it begins on."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start(1)) + 1, match[1]) for match in BLOCK.finditer(text)]


WITH_CODE = [page for page in PAGES if blocks_of(page)]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who copies a page's blocks in order into one file gets a program that runs."""
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect("shop.db")) as connection, connection:
        connection.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, cents INTEGER)")
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?)", [(1, "chair", 900), (42, "lamp", 1900)]
        )
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    for line, code in blocks_of(page):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), module.__dict__)


def test_the_readme_has_code() -> None:
    """The search for blocks finds them: otherwise the test above would run nothing."""
    assert ROOT / "README.md" in WITH_CODE
    assert len(WITH_CODE) >= 8


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "ARCHITECTURE.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    targets = [(page.parent / target) for target in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [str(target) for target in targets if not target.exists()] == []


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.py")), ids=lambda file: file.stem)
def test_an_example_runs(file: Path) -> None:
    """Each example is a program that ends well and prints something."""
    done = subprocess.run(
        [sys.executable, "-W", "error", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
