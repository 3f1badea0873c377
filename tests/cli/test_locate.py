"""The user's cache is found as it was named, or a line says why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cacheaside.cli.locate import located
from cacheaside.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service's folder, which is the current one; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


ONE = "from cacheaside import Cache\ncache = Cache(namespace='one')\nalias = cache\n"
TWO = "from cacheaside import Cache\nleft, right = Cache(namespace='l'), Cache(namespace='r')\n"


def test_a_cache_is_found_by_module_and_name(folder: Path) -> None:
    """`--app package.module:cache` names an object in a module below the current folder."""
    (folder / "shop").mkdir()
    (folder / "shop" / "caching.py").write_text(ONE)
    assert located("shop.caching:cache").namespace == "one"


def test_the_only_cache_of_a_module_need_not_be_named(folder: Path) -> None:
    """Two names of one cache are one cache."""
    (folder / "single.py").write_text(ONE)
    assert located("single").namespace == "one"


def test_a_cache_may_be_an_attribute_of_something(folder: Path) -> None:
    """The part behind the colon may have dots."""
    (folder / "deep.py").write_text(ONE + "class state:\n    cache = cache\n")
    assert located("deep:state.cache").namespace == "one"


def test_what_the_module_prints_is_no_part_of_the_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that greets while it is imported does not spoil `--json`."""
    (folder / "greeting.py").write_text("print('hello')\n" + ONE)
    assert located("greeting").namespace == "one"
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("app", "text", "words"),
    [
        (None, "", ["--app", "CACHEASIDE_APP"]),
        ("mod.py", ONE, ["is no module", "without .py"]),
        ("mod:a:b", ONE, ["is no module"]),
        ("nowhere.mod", ONE, ["no module nowhere", "PYTHONPATH"]),
        ("mod", "x = 1\n", ["no Cache among its names"]),
        ("mod", TWO, ["several", "mod:left", "mod:right"]),
        ("mod:cash", ONE, ["no 'cash'", "cache"]),
        ("mod:x", "x = 1\n", ["is a int, not a cacheaside.Cache"]),
        ("mod:make", "def make(): raise SystemExit\n", ["is a function, and none is called here"]),
        ("mod", "import missing_driver\n", ["importing it failed", "missing_driver"]),
        ("mod", "raise RuntimeError('no\\nsettings')\n", ["RuntimeError: no settings", "mod.py, line 1"]),
        ("mod", "raise SystemExit(3)\n", ["importing it failed: SystemExit: 3"]),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    folder: Path, app: str | None, text: str, words: list[str]
) -> None:
    """Whatever is wrong with `--app` is one line that says what was found there and what to write."""
    (folder / "mod.py").write_text(text)
    with pytest.raises(UsageError) as told:
        located(app)
    assert "\n" not in str(told.value)
    for word in words:
        assert word in str(told.value)
