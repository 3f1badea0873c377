#!/usr/bin/env python3
"""What a developer runs, from a fresh checkout with nothing but Python 3.11 or newer.

    python3 dev.py demo [...]     the demo: real rows, an HTTP service, the cache on and off (--help for its options)
    python3 dev.py test [...]     every check that needs only Python packages; with arguments: pytest on those alone
    python3 dev.py test --all     the same, and the tests that need system packages
    python3 dev.py soak [...]     the long searches: every test, with thousands of examples for each property
    python3 dev.py sim [...]      the simulator: seeded schedules over the protocol (--help for its options)
    python3 dev.py bench [...]    the benchmark beside other caches (--help for its options)
    python3 dev.py fix            format the code and mend what ruff can mend
    python3 dev.py build          wheel and sdist into dist/
    python3 dev.py venv [...]     only make the environment of `test` (or of `demo`, `bench`) and print its Python
    python3 dev.py lock [...]     resolve requirements/*.txt again (developers; needs uv; --upgrade for newer versions)

The first run of a command makes its environment (.venv, or .venv-bench for the benchmark) from hash-locked
requirements. Later runs start at once. An environment whose lock changed, whose checkout moved or whose
installation was cut short is made again. Progress goes to stderr, so a command's own output can be piped.
"""
# The first lines must be parsed by old Pythons too, so that they can say what is wrong: no newer syntax in this file.

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "dev.py: this is Python %d.%d, and 3.11 or newer is needed: run it with a newer one, "
        "for example `python3.12 dev.py demo`" % sys.version_info[:2]
    )

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none: there, two first runs at the same moment are not kept apart
    fcntl = None

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements"
INTERRUPTED = 130  # what a shell reports for Ctrl-C
FAILED_LINES = 25  # how much of an installer's output is worth reading when it failed
PROGRESS_EVERY_S = 5.0  # how often a log that is no terminal hears from us


class Stop(Exception):
    """Nothing more can be done; the message is one line for the user."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what it holds, installed in this order. `project` is this checkout, editable."""

    folder: str
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def scripts(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def stamp(self) -> Path:
        return self.path / "installed.json"

    @property
    def unfinished(self) -> Path:
        """There while something is being installed; found later, it says that the installation was cut short."""
        return self.path / "unfinished"


# The demo and the tests share one environment, extended when the tests need more. The peers of the benchmark stay out.
ENVIRONMENTS = {
    "demo": Environment(".venv", ("demo", "data", "project")),
    "test": Environment(".venv", ("demo", "data", "project", "test")),
    "bench": Environment(".venv-bench", ("bench", "project")),
}
# Built from source, so the tools to build them come from the lock before them and not from wherever pip finds some.
FROM_SOURCE = {
    "data": ["--use-pep517", "--no-build-isolation"],
    "project": ["--no-build-isolation"],
}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# -- making an environment ------------------------------------------------------------------------------------------


def digest_of(part: str) -> str:
    """What `part` was installed from. A changed digest means that it has to be installed again."""
    source = ROOT / "pyproject.toml" if part == "project" else REQUIREMENTS / f"{part}.txt"
    return hashlib.sha256(source.read_bytes()).hexdigest()


def identity() -> dict[str, str]:
    """What an environment cannot outlive: its interpreter, and the place its scripts and the project point to."""
    return {"python": sys.version, "base": sys.base_prefix, "checkout": str(ROOT)}


def read_stamp(env: Environment) -> dict[str, dict[str, str]]:
    """What is installed, or nothing at all when it cannot be relied on."""
    nothing: dict[str, dict[str, str]] = {"identity": {}, "parts": {}}
    if env.unfinished.exists() or not env.python.exists():
        return nothing
    try:
        stamp = json.loads(env.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return nothing
    return stamp if stamp.get("identity") == identity() else nothing


def missing_parts(env: Environment) -> list[str]:
    """The parts that `env` still needs, in order. All of them when it must be made from nothing."""
    installed = read_stamp(env)["parts"]
    changed = [part for part in installed if part != "project" and installed[part] != digest_of(part)]
    if changed:
        return list(env.parts)
    return [part for part in env.parts if installed.get(part) != digest_of(part)]


@contextlib.contextmanager
def held(env: Environment, exclusive: bool) -> Iterator[int]:
    """Hold the environment: shared while a command runs in it, exclusive while it is changed.

    Yields the descriptor, for an installer to inherit: a killed dev.py whose pip lives on still keeps others out.
    """
    with open(ROOT / f"{env.folder}.lock", "w", encoding="utf-8") as file:
        if fcntl is not None:
            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            try:
                fcntl.flock(file, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{env.folder} is in use by another run of dev.py; waiting for it to end ...")
                fcntl.flock(file, mode)
        yield file.fileno()


@contextlib.contextmanager
def prepared(name: str) -> Iterator[Environment]:
    """The environment `name`, complete, and held until the block ends."""
    env = ENVIRONMENTS[name]
    while True:
        with held(env, exclusive=False):
            if not missing_parts(env):
                yield env
                return
        with held(env, exclusive=True) as lock:
            missing = missing_parts(env)  # again: another run may have installed them while this one waited
            if missing:
                install(env, missing, lock)


def install(env: Environment, missing: list[str], lock: int) -> None:
    started = time.monotonic()
    if missing == list(env.parts) or not read_stamp(env)["parts"]:
        say(f"making {env.folder} with Python {sys.version.split()[0]} (once; it takes a minute or less)")
        make_venv(env)
    parts = dict(read_stamp(env)["parts"])
    for part in missing:
        env.unfinished.touch()
        install_part(env, part, lock)
        parts[part] = digest_of(part)
        env.stamp.write_text(json.dumps({"identity": identity(), "parts": parts}, indent=1), encoding="utf-8")
        env.unfinished.unlink()
    say(f"{env.folder} is ready ({time.monotonic() - started:.0f} s)")


def make_venv(env: Environment) -> None:
    if env.path.exists():
        shutil.rmtree(env.path)
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        version = "%d.%d" % sys.version_info[:2]
        raise Stop(
            f"this Python has no venv module: install it (Debian, Ubuntu: `apt install python{version}-venv`) "
            "or run dev.py with another Python"
        )
    base = getattr(
        sys, "_base_executable", sys.executable
    )  # not the Python of an environment that is being replaced
    done = subprocess.run(
        [base, "-m", "venv", str(env.path)], env=clean_environ(), capture_output=True, text=True
    )
    if done.returncode != 0:
        say((done.stdout + done.stderr).strip())
        raise Stop(f"`{base} -m venv {env.folder}` failed; what it said is above")


def install_part(env: Environment, part: str, lock: int) -> None:
    # --no-deps: a lock is complete, and what it leaves out is left out on purpose (pandas, which `data` never uses).
    command = [
        str(env.python),
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += FROM_SOURCE.get(part, [])
    if part == "project":
        command += ["-e", str(ROOT)]
        lines = 1
    else:
        lock_file = REQUIREMENTS / f"{part}.txt"
        command += ["--require-hashes", "-r", str(lock_file)]
        lines = packages_in(lock_file)
    output = follow(command, part, lines, lock)
    if output is not None:
        say("\n".join(output[-FAILED_LINES:]))
        if part == "project":
            env.unfinished.unlink()  # pip undid its work, and a slip in pyproject.toml is no reason to start over
            raise Stop("pip could not install the project itself; what it said is above")
        raise Stop(
            f"pip could not install requirements/{part}.txt; what it said is above. Is the index reachable?"
        )


def packages_in(lock_file: Path) -> int:
    return sum(line[0].isalpha() for line in lock_file.read_text(encoding="utf-8").splitlines() if line)


def follow(command: list[str], what: str, lines: int, lock: int) -> list[str] | None:
    """Run an installer, showing how far it is. Returns its output if it failed."""
    started = said = time.monotonic()
    output: list[str] = []
    seen = 0
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,) if os.name == "posix" else (),
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            output.append(line.rstrip())
            seen += line.startswith(("Collecting ", "Ignoring ", "Requirement already", "Obtaining "))
            state = "installing" if line.startswith("Installing collected") else f"{min(seen, lines)}/{lines}"
            if sys.stderr.isatty():
                print(f"\r\033[K  {what}: {state}", end="", file=sys.stderr, flush=True)
            elif time.monotonic() - said > PROGRESS_EVERY_S:
                said = time.monotonic()
                say(f"  {what}: {state}")
        failed = process.wait() != 0
    except KeyboardInterrupt:
        process.wait()  # it heard the same Ctrl-C
        raise
    end = "\r\033[K" if sys.stderr.isatty() else ""
    say(f"{end}  {what}: {'failed' if failed else 'installed'} after {time.monotonic() - started:.0f} s")
    return output if failed else None


def clean_environ() -> dict[str, str]:
    """The caller's environment without what would send packages elsewhere or bring foreign modules in."""
    astray = {
        "PYTHONPATH",
        "PYTHONHOME",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_CONSTRAINT",
    }
    return {name: value for name, value in os.environ.items() if name not in astray}


# -- running commands in it -----------------------------------------------------------------------------------------


def run(env: Environment, *command: str, extra: dict[str, str] | None = None) -> int:
    """Run `command` in `env` from the project's root and return its exit status. Ctrl-C and SIGTERM are the command's."""
    environ = clean_environ() | {"VIRTUAL_ENV": str(env.path)} | (extra or {})
    environ["PATH"] = f"{env.scripts}{os.pathsep}{environ.get('PATH', os.defpath)}"
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the command heard it too, and ends in its own time
                status = process.wait()
                return 128 - status if status < 0 else status
    finally:
        signal.signal(signal.SIGTERM, before)


def python(name: str, *arguments: str, extra: dict[str, str] | None = None) -> int:
    with prepared(name) as env:
        return run(env, str(env.python), *arguments, extra=extra)


# Each fails on its own, and all are run: one round of mending is better than four.
CHECKS = {
    "ruff check": ["-m", "ruff", "check", "--quiet"],
    "ruff format": ["-m", "ruff", "format", "--check", "--quiet"],
    "mypy --strict": ["-m", "mypy"],
    "import contracts": ["-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-logo"],
}
# One process for each core; `loadgroup` keeps tests that share something slow (the built wheel) in one of them.
PARALLEL = ["-n", "auto", "--dist", "loadgroup"]


def check(arguments: list[str]) -> int:
    everything = "--all" in arguments
    chosen = [argument for argument in arguments if argument != "--all"]
    tier = "not soak" if everything else "not soak and not system"
    if chosen:
        return python("test", "-m", "pytest", "-m", tier, *chosen)
    with prepared("test") as env:
        failed = [name for name, command in CHECKS.items() if not passes(env, name, command)]
        say("-- pytest")
        status = run(env, str(env.python), "-m", "pytest", "-m", tier, *PARALLEL)
        if status == INTERRUPTED:
            return INTERRUPTED
        failed += ["pytest"] if status else []
    say(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def passes(env: Environment, name: str, command: list[str]) -> bool:
    started = time.monotonic()
    status = run(env, str(env.python), *command)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    say(f"-- {name}: {'failed' if status else 'ok'} ({time.monotonic() - started:.1f} s)")
    return status == 0


def soak(arguments: list[str]) -> int:
    selected = ["-m", "not system", "--timeout=0", *(arguments or PARALLEL)]
    return python("test", "-m", "pytest", *selected, extra={"HYPOTHESIS_PROFILE": "soak"})


def fix(arguments: list[str]) -> int:
    with prepared("test") as env:
        mended = run(env, str(env.python), "-m", "ruff", "check", "--fix", *arguments)
        return run(env, str(env.python), "-m", "ruff", "format", *arguments) or mended


def build(arguments: list[str]) -> int:
    return python("demo", "-m", "hatchling", "build", "-d", "dist", *arguments)


def venv(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "test"
    if name not in ENVIRONMENTS:
        raise Stop(f"there is no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    with prepared(name) as env:
        print(env.python)
    return 0


# Lock file, what it is resolved from, and the lock it must agree with (so that environments can be extended).
LOCKS = [
    ("core", ["pyproject.toml"], None),
    ("demo", ["pyproject.toml", "--extra", "demo", "requirements/demo.in"], "core"),
    ("data", ["--no-deps", "requirements/data.in"], None),
    ("test", ["pyproject.toml", "--all-extras", "requirements/demo.in", "requirements/test.in"], "demo"),
    ("bench", ["pyproject.toml", "requirements/bench.in"], "core"),
]


def lock(arguments: list[str]) -> int:
    """Resolve every lock. Hashes and markers only: where packages come from is each machine's own setting."""
    uv = shutil.which("uv")
    if uv is None:
        raise Stop("`lock` needs uv on the PATH: `pip install uv` in an environment of its own")
    for name, sources, agrees_with in LOCKS:
        target = f"requirements/{name}.txt"
        command = [
            uv,
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
        ]
        command += ["--python-version", "3.11", "--output-file", target, *sources, *arguments]
        if agrees_with:
            command += ["--constraint", f"requirements/{agrees_with}.txt"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"})
        if done.returncode != 0:
            raise Stop(f"uv could not resolve {target}; what it said is above")
        text = (ROOT / target).read_text(encoding="utf-8")
        if "://" in text or "index-url" in text:
            raise Stop(f"{target} names a host, and must not: resolve it without index options")
        say(f"{target}: {packages_in(ROOT / target)} packages")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": lambda arguments: python("demo", "-m", "cacheaside.demo", *arguments),
    "test": check,
    "soak": soak,
    "sim": lambda arguments: python("test", "-m", "cacheaside.testing.simulator", *arguments),
    "bench": lambda arguments: python("bench", "-m", "bench", *arguments),
    "fix": fix,
    "build": build,
    "venv": venv,
    "lock": lock,
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        raise Stop(
            f"there is no command {name!r}; there are {', '.join(COMMANDS)} (--help says what they do)"
        )
    return COMMANDS[name](rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\ninterrupted")
        sys.exit(INTERRUPTED)
    except (Stop, OSError) as error:
        sys.exit(f"dev.py: {error}")
