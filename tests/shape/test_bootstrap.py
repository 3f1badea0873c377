"""dev.py: what it makes again, what it leaves alone, and what it says when it cannot go on."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.shape.checkout import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEST_PARTS = ["demo", "data", "project", "test"]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module dev.py, working on an empty checkout of its own that has only locks."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dev", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "REQUIREMENTS", tmp_path / "requirements")
    (tmp_path / "requirements").mkdir()
    for name in ("demo", "data", "test", "bench"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"# {name}\n")
    (tmp_path / "pyproject.toml").write_text("# project\n")
    return module


def pretend_installed(dev: Any, *parts: str) -> Any:
    """Leave behind what an installation of `parts` leaves behind."""
    env = dev.ENVIRONMENTS["test"]
    env.scripts.mkdir(parents=True)
    env.python.touch()
    stamp = {"identity": dev.identity(), "parts": {part: dev.digest_of(part) for part in parts}}
    env.stamp.write_text(json.dumps(stamp))
    return env


def test_old_pythons_can_read_the_refusal() -> None:
    """dev.py has no syntax that Python 3.7 cannot parse, so that its check of the version is reached."""
    ast.parse((ROOT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_help_names_every_command(dev: Any) -> None:
    """The help has a line for each command, and no line for one that does not exist."""
    assert set(re.findall(r"python3 dev\.py (\w+)", dev.__doc__)) == set(dev.COMMANDS)


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), ([], 2)])
def test_help_needs_no_environment(arguments: list[str], status: int, tmp_path: Path) -> None:
    """Help is printed at once, from a copy of dev.py that lies in an otherwise empty folder."""
    (tmp_path / "dev.py").write_bytes((ROOT / "dev.py").read_bytes())
    command = [sys.executable, str(tmp_path / "dev.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={})
    assert done.returncode == status
    assert "python3 dev.py demo" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["dev.py"]


def test_an_unknown_command_is_one_line() -> None:
    """A command that does not exist is answered with one line that lists those that do."""
    done = subprocess.run([sys.executable, ROOT / "dev.py", "tset"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "'tset'" in line
    assert "demo, test" in line


def test_a_python_without_venv_is_one_line(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the venv module the package that brings it is named, and nothing is made or removed."""
    env = pretend_installed(dev)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find_spec(name)
    )
    with pytest.raises(dev.Stop, match=r"apt install python3\.\d+-venv"):
        dev.make_venv(env)
    assert env.python.exists()


def test_nothing_installed_means_everything_is_missing(dev: Any) -> None:
    """Without an environment every part is installed, in order."""
    assert dev.missing_parts(dev.ENVIRONMENTS["test"]) == TEST_PARTS


def test_a_whole_environment_is_left_alone(dev: Any) -> None:
    """Where the stamp agrees with locks, project and interpreter, nothing is installed."""
    env = pretend_installed(dev, *TEST_PARTS)
    assert dev.missing_parts(env) == []
    assert dev.missing_parts(dev.ENVIRONMENTS["demo"]) == []


def test_the_demo_is_extended_for_the_tests(dev: Any) -> None:
    """The tests add to the demo's environment what they need, and keep the rest."""
    env = pretend_installed(dev, "demo", "data", "project")
    assert dev.missing_parts(env) == ["test"]


def test_a_changed_project_is_installed_again_alone(dev: Any) -> None:
    """A change of pyproject.toml costs one part and not the environment."""
    env = pretend_installed(dev, *TEST_PARTS)
    (dev.ROOT / "pyproject.toml").write_text("# changed\n")
    assert dev.missing_parts(env) == ["project"]


@pytest.mark.parametrize("lock", ["demo", "data", "test"])
def test_a_changed_lock_means_a_new_environment(dev: Any, lock: str) -> None:
    """What an older lock brought never lingers: any changed lock means everything anew, for the demo too."""
    env = pretend_installed(dev, *TEST_PARTS)
    (dev.REQUIREMENTS / f"{lock}.txt").write_text("# changed\n")
    assert dev.missing_parts(env) == TEST_PARTS
    assert dev.missing_parts(dev.ENVIRONMENTS["demo"]) == ["demo", "data", "project"]


def test_a_cut_installation_means_a_new_environment(dev: Any) -> None:
    """An installation that did not come to its end is not trusted, whatever its stamp says."""
    env = pretend_installed(dev, *TEST_PARTS)
    env.unfinished.touch()
    assert dev.missing_parts(env) == TEST_PARTS


def test_a_moved_checkout_means_a_new_environment(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made elsewhere, or by another interpreter, is not trusted."""
    env = pretend_installed(dev, *TEST_PARTS)
    monkeypatch.setattr(dev, "identity", lambda: {"python": "another"})
    assert dev.missing_parts(env) == TEST_PARTS


def test_a_failing_installer_says_why(dev: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """What a failing installer printed is handed back, and the part that failed is named."""
    env = pretend_installed(dev)
    script = "print('no matching distribution'); raise SystemExit(1)"
    with dev.held(env, exclusive=True) as holding:
        output = dev.follow([sys.executable, "-c", script], "demo", 3, holding)
    assert output == ["no matching distribution"]
    assert "demo: failed" in capfd.readouterr().err


def test_installing_waits_for_running_commands(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands hold the environment together; who wants to change it says so and waits for them."""
    env = dev.ENVIRONMENTS["test"]
    waits, changed = threading.Event(), threading.Event()
    monkeypatch.setattr(dev, "say", lambda *_: waits.set())

    def change() -> None:
        with dev.held(env, exclusive=True):
            changed.set()

    with dev.held(env, exclusive=False), dev.held(env, exclusive=False):
        changing = threading.Thread(target=change)
        changing.start()
        assert waits.wait(30)
        assert not changed.is_set()
    changing.join(30)
    assert changed.is_set()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_is_interrupted_leaves_nothing_behind(
    dev: Any, stop: signal.Signals, tmp_path: Path
) -> None:
    """A signal sent to dev.py alone still ends the step it runs, without a traceback of its own."""
    script = f"""
import runpy, sys
from pathlib import Path
dev = runpy.run_path({str(ROOT / "dev.py")!r})
env = dev["Environment"]("x", ())
dev["Environment"].python = Path(sys.executable)
try:
    dev["step"](env, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
except KeyboardInterrupt:
    pass
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(stop)
    process.communicate(timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
