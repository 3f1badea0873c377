"""What users install: built, installed alone, imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.shape.checkout import ROOT, SOURCE, pyproject

if TYPE_CHECKING:
    from pathlib import Path

# Building is slow: all of these run in one process, which builds once.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end; its output is the message when it fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """The wheel is pure Python, typed, licensed, and has every module of the package and nothing else."""
    assert wheel.name == f"cacheaside-{pyproject()['project']['version']}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("cacheaside/")}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"cacheaside"}
    assert package >= {path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*.py")}
    assert "cacheaside/py.typed" in package
    assert any(name.endswith("licenses/LICENSE") for name in names - package)


def test_the_sdist_holds_the_sources_only(built: Path) -> None:
    """The sdist has what is needed to build and test, and neither an environment nor a cache of a tool."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"dev.py", "LICENSE", "src/cacheaside/py.typed", "tests/conftest.py"} <= set(names)
    assert [name for name in names if name.startswith((".venv", ".git/")) or "__pycache__" in name] == []


def test_the_wheel_installs_alone(wheel: Path, tmp_path: Path) -> None:
    """In a new environment with the locked core, the wheel finds its dependencies there and imports."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "core.txt", cwd=tmp_path)
    run(*pip, "--no-index", wheel, cwd=tmp_path)
    run(python, "-m", "pip", "check", cwd=tmp_path)
    place = run(python, "-I", "-c", "import cacheaside; print(cacheaside.__file__)", cwd=tmp_path)
    assert place.startswith(str(venv))
