"""Every example in the README and in docs/ runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from cacheaside import Cache, Contract
from cacheaside.testing.servers import Server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
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


def test_what_is_typed_in_an_incident_forgets_everything(tmp_path: Path) -> None:
    """The line that the guide gives to a shell is copied at night: it invalidates all, in silence, and fails aloud
    where it could not."""
    guide = (ROOT / "docs" / "guides" / "incident.md").read_text(encoding="utf-8")
    (line,) = [block for block in SHELL.findall(guide) if "invalidate_all" in block]
    with Server() as server, Cache(server.url, namespace="shop", deadline="5s") as cache:

        @cache.read("answer", Contract("60s"))
        def answer(number: int) -> int:
            return number

        def done() -> subprocess.CompletedProcess[str]:
            typed = line.replace("redis://cache-1:6379/0", server.url).replace(
                "python ", f"{sys.executable} "
            )
            return subprocess.run(
                ["sh", "-c", typed], capture_output=True, text=True, timeout=30, check=False
            )

        answer(1)
        assert answer.lookup(1).hit
        went = done()
        assert (went.returncode, went.stdout, went.stderr) == (0, "", "")
        assert until(lambda: answer.lookup(1).forward == "invalidated")
        server.kill()
        went = done()
        assert went.returncode == 1
        assert "Unacknowledged" in went.stderr


def until(is_so: Callable[[], bool]) -> bool:
    """Whether it comes to be so within the time that other processes have to hear of a change."""
    end = time.monotonic() + 10.0
    while not (so := is_so()) and time.monotonic() < end:
        time.sleep(0.01)
    return so


UNTYPED = ("testing",)
"""Pages whose code is tests: their fixtures come by name."""


def test_the_examples_are_clean_under_a_strict_type_checker(tmp_path: Path) -> None:
    """Who copies a page's code into a typed service gets no error from it."""
    for page in WITH_CODE:
        if page.stem not in UNTYPED:
            lines: list[str] = []
            for line, code in blocks_of(page):
                lines += [""] * (line - 1 - len(lines)) + code.splitlines()
            (tmp_path / f"{page.stem.lower()}_page.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.11", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
