#!/usr/bin/env python3
"""What a developer runs, from a fresh checkout with nothing but Python 3.11 or newer.

    python3 dev.py demo [...]    the demo: real rows, three processes, the cache off and on, outages (--help: options)
    python3 dev.py test          every check that needs only Python packages
    python3 dev.py test --all    the same, and the tests that need system packages
    python3 dev.py test [...]    pytest alone, with these arguments
    python3 dev.py soak [...]    the long searches: every test, far more examples for each property
    python3 dev.py sim [...]     the simulator: seeded schedules over the protocol (--help: options)
    python3 dev.py bench [...]   the benchmark beside other caches (--help: options)
    python3 dev.py fix           format the code and mend what ruff can mend
    python3 dev.py build         wheel and sdist into dist/
    python3 dev.py venv [...]    only make the environment of `test`, `demo` or `bench`; prints its Python
    python3 dev.py lock [...]    resolve requirements/*.txt again; needs uv (--upgrade: newer versions)

The first run of a command makes its environment (.venv, or .venv-bench for the benchmark) from hash-locked
requirements. Later runs start at once. An environment whose lock changed, whose checkout moved or whose
installation was cut short is made again. Progress goes to stderr, so a command's own output can be piped.
"""
# Old Pythons must be able to parse this file, so that it can say what is wrong: no newer syntax here.

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

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements"
POSIX = os.name == "posix"
INTERRUPTED = 130  # the exit status after Ctrl-C, as shells report it
FAILED_LINES = 25  # how much of a failed installer's output is worth reading
PROGRESS_EVERY_S = 5.0  # how often a log that is no terminal hears from us
OWN_GROUP = 0 if POSIX else None  # a Ctrl-C reaches dev.py alone, which passes it on once


class Stop(Exception):
    """Nothing more can be done; the message is one line for the user."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what it holds, in the order of installation. `project` is this checkout."""

    folder: str
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def scripts(self) -> Path:
        return self.path / ("bin" if POSIX else "Scripts")

    @property
    def python(self) -> Path:
        return self.scripts / ("python" if POSIX else "python.exe")

    @property
    def stamp(self) -> Path:
        """What is installed, and what it relies on."""
        return self.path / "installed.json"

    @property
    def unfinished(self) -> Path:
        """There while something is being installed; found later, that installation was cut short."""
        return self.path / "unfinished"


# The demo and the tests share one environment, extended for the tests. The benchmark's peers stay out of it.
ENVIRONMENTS = {
    "demo": Environment(".venv", ("demo", "data", "project")),
    "test": Environment(".venv", ("demo", "data", "project", "test")),
    "bench": Environment(".venv-bench", ("bench", "project")),
}
# Built from source, with the tools that the lock before them brought and not with whatever pip would fetch.
FROM_SOURCE = {
    "data": ["--use-pep517", "--no-build-isolation"],
    "project": ["--no-build-isolation"],
}


def say(line: str, end: str = "\n") -> None:
    print(line, end=end, file=sys.stderr, flush=True)


# -- is the environment what it should be? -------------------------------------------------------------------


def digest_of(part: str) -> str:
    """What `part` is installed from. A changed digest means that it has to be installed again."""
    source = ROOT / "pyproject.toml" if part == "project" else REQUIREMENTS / f"{part}.txt"
    return hashlib.sha256(source.read_bytes()).hexdigest()


def identity() -> dict[str, str]:
    """What an environment cannot outlive: its interpreter, and the place its scripts point to."""
    return {"python": sys.version, "base": sys.base_prefix, "checkout": str(ROOT)}


def installed_parts(env: Environment) -> dict[str, str]:
    """The parts in `env` and their digests; none when it cannot be relied on."""
    if env.unfinished.exists() or not env.python.exists():
        return {}
    try:
        stamp = json.loads(env.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp["parts"] if stamp.get("identity") == identity() else {}


def missing_parts(env: Environment) -> list[str]:
    """The parts that `env` still needs, in order: all of them when it must be made from nothing.

    A changed lock is a reason for that: what an older one brought and this one does not must not linger.
    """
    installed = installed_parts(env)
    if any(installed[part] != digest_of(part) for part in installed if part != "project"):
        return list(env.parts)
    return [part for part in env.parts if installed.get(part) != digest_of(part)]


@contextlib.contextmanager
def held(env: Environment, exclusive: bool) -> Iterator[int]:
    """Hold the environment: shared while a command runs in it, exclusive while it is changed.

    Yields the descriptor that holds it. An installer inherits it, so that when dev.py is killed, a pip that
    lives on keeps others out. Without fcntl (Windows), two first runs at the same moment are not kept apart.
    """
    with open(ROOT / f"{env.folder}.lock", "w", encoding="utf-8") as file:
        if importlib.util.find_spec("fcntl"):
            import fcntl

            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            try:
                fcntl.flock(file, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{env.folder} is in use by another run of dev.py; waiting for it ...")
                fcntl.flock(file, mode)
        yield file.fileno()


@contextlib.contextmanager
def prepared(name: str) -> Iterator[tuple[Environment, int]]:
    """The environment `name`, complete and held until the block ends, and the descriptor that holds it."""
    env = ENVIRONMENTS[name]
    while True:
        with held(env, exclusive=False) as holding:
            if not missing_parts(env):
                yield env, holding
                return
        with held(env, exclusive=True) as holding:
            missing = missing_parts(env)  # asked again: another run may have installed them by now
            if missing:
                install(env, missing, holding)


# -- making it -----------------------------------------------------------------------------------------------


def install(env: Environment, missing: list[str], holding: int) -> None:
    started = time.monotonic()
    if missing == list(env.parts):
        say(f"making {env.folder} with Python {sys.version.split()[0]} (once; under a minute)")
        make_venv(env)
    parts = installed_parts(env)
    for part in missing:
        env.unfinished.touch()
        install_part(env, part, holding)
        parts[part] = digest_of(part)
        env.stamp.write_text(json.dumps({"identity": identity(), "parts": parts}, indent=1), encoding="utf-8")
        env.unfinished.unlink()
    say(f"{env.folder} is ready ({time.monotonic() - started:.0f} s)")


def make_venv(env: Environment) -> None:
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise Stop(
            "this Python cannot make environments: install its venv module (Debian, Ubuntu: "
            "`apt install python%d.%d-venv`) or run dev.py with another Python" % sys.version_info[:2]
        )
    env.stamp.unlink(missing_ok=True)  # first, so that half a folder is never taken for a whole one
    if env.path.exists():
        shutil.rmtree(env.path)
    # Not sys.executable: that may belong to the very environment that was just removed.
    base = getattr(sys, "_base_executable", sys.executable)
    command = [base, "-m", "venv", str(env.path)]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True)
    if done.returncode != 0:
        say((done.stdout + done.stderr).strip())
        raise Stop(f"`{base} -m venv {env.folder}` failed; what it said is above")


def install_part(env: Environment, part: str, holding: int) -> None:
    # --no-deps: a lock is complete, and what it leaves out is left out on purpose (pandas, for the data).
    command = [str(env.python), "-m", "pip", "install", "--no-input", "--no-deps", *FROM_SOURCE.get(part, [])]
    if part == "project":
        output = follow([*command, "-e", str(ROOT)], part, 1, holding)
    else:
        lock = REQUIREMENTS / f"{part}.txt"
        output = follow([*command, "--require-hashes", "-r", str(lock)], part, packages_in(lock), holding)
    if output is None:
        return
    say("\n".join(output[-FAILED_LINES:]))
    if part == "project":
        env.unfinished.unlink()  # pip undid its work; a slip in pyproject.toml is no reason to start over
        raise Stop("pip could not install the project itself; what it said is above")
    raise Stop(f"pip could not install requirements/{part}.txt; what it said is above (no network?)")


def packages_in(lock: Path) -> int:
    return sum(line[:1].isalnum() for line in lock.read_text(encoding="utf-8").splitlines())


def follow(command: list[str], part: str, packages: int, holding: int) -> list[str] | None:
    """Run an installer, showing how far it is. Returns its output if it failed."""
    started = said = time.monotonic()
    terminal = sys.stderr.isatty()
    output: list[str] = []
    seen = 0
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(holding,) if POSIX else (),
        process_group=OWN_GROUP,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.append(line.rstrip())
                seen += line.startswith(("Collecting ", "Ignoring ", "Requirement already", "Obtaining "))
                installing = line.startswith("Installing collected")
                progress = f"  {part}: {'installing' if installing else f'{min(seen, packages)}/{packages}'}"
                if terminal:
                    say(f"\r\033[K{progress}", end="")
                elif time.monotonic() - said > PROGRESS_EVERY_S:
                    said = time.monotonic()
                    say(progress)
            failed = process.wait() != 0
        except KeyboardInterrupt:
            interrupt(process)
            raise
    verdict = "failed" if failed else "installed"
    clear = "\r\033[K" if terminal else ""
    say(f"{clear}  {part}: {verdict} ({time.monotonic() - started:.0f} s)")
    return output if failed else None


def clean_environ() -> dict[str, str]:
    """The caller's environment without what would send packages elsewhere or bring foreign modules in."""
    astray = (
        "PYTHONPATH",
        "PYTHONHOME",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_CONSTRAINT",
    )
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


# -- running commands in it ----------------------------------------------------------------------------------


def environ_of(env: Environment, extra: dict[str, str] | None = None) -> dict[str, str]:
    environ = clean_environ()
    path = f"{env.scripts}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {**environ, "VIRTUAL_ENV": str(env.path), "PATH": path, **(extra or {})}


def interrupt(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Pass a Ctrl-C on and wait for the process to end; a second one ends it at once."""
    try:
        if POSIX:  # elsewhere it shares our console and has heard it
            process.send_signal(signal.SIGINT)
        process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()


def step(env: Environment, *arguments: str, extra: dict[str, str] | None = None) -> int:
    """Run Python in `env` from the project's root; returns its exit status."""
    command = [str(env.python), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environ_of(env, extra), process_group=OWN_GROUP)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        interrupt(process)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def become(name: str, *arguments: str, extra: dict[str, str] | None = None) -> int:
    """Turn into Python in the environment `name`: signals and the exit status are then the command's own."""
    with prepared(name) as (env, holding):
        if POSIX:
            os.set_inheritable(holding, True)  # the environment stays held until the command ends
            os.chdir(ROOT)
            os.execve(env.python, [str(env.python), *arguments], environ_of(env, extra))
        return step(env, *arguments, extra=extra)


# Each fails on its own, and all are run: one round of mending is better than four.
CHECKS = {
    "ruff check": ["-m", "ruff", "check", "--quiet"],
    "ruff format": ["-m", "ruff", "format", "--check", "--quiet"],
    "mypy": ["-m", "mypy"],
    "import contracts": [
        "-c",
        "from importlinter.cli import lint_imports_command as lint; lint()",
        "--no-logo",
    ],
}
# One process for each core, and one more, since many tests wait for a server; `loadgroup` keeps tests that share
# something slow (the built wheel) together.
PARALLEL = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadgroup"]


def test(arguments: list[str]) -> int:
    tier = "not soak" if "--all" in arguments else "not soak and not system"
    chosen = [argument for argument in arguments if argument != "--all"]
    if chosen:
        return become("test", "-m", "pytest", "-m", tier, *chosen)
    with prepared("test") as (env, _):
        failed = [name for name, command in CHECKS.items() if not passes(env, name, command)]
        if not passes(env, "pytest", ["-m", "pytest", "-m", tier, *PARALLEL]):
            failed.append("pytest")
    say(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def passes(env: Environment, name: str, command: list[str]) -> bool:
    started = time.monotonic()
    status = step(env, *command)
    say(f"-- {name}: {'failed' if status else 'ok'} ({time.monotonic() - started:.1f} s)")
    return status == 0


def soak(arguments: list[str]) -> int:
    selected = ["-m", "not system", "--timeout=0", *(arguments or PARALLEL)]
    return become("test", "-m", "pytest", *selected, extra={"HYPOTHESIS_PROFILE": "soak"})


def fix(arguments: list[str]) -> int:
    with prepared("test") as (env, _):
        mended = step(env, "-m", "ruff", "check", "--fix", *arguments)
        return step(env, "-m", "ruff", "format", *arguments) or mended


def venv(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "test"
    if name not in ENVIRONMENTS:
        raise Stop(f"there is no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    with prepared(name) as (env, _):
        print(env.python)
    return 0


# A lock, what it is resolved from, and the lock it must agree with, so that one environment can hold both.
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
    form = [
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--python-version=3.11",
    ]
    for name, sources, agrees_with in LOCKS:
        target = REQUIREMENTS / f"{name}.txt"
        command = [uv, "pip", "compile", *form, "--output-file", str(target), *sources, *arguments]
        if agrees_with:
            command += ["--constraint", f"requirements/{agrees_with}.txt"]
        if subprocess.run(command, cwd=ROOT, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"}).returncode:
            raise Stop(f"uv could not resolve requirements/{name}.txt; what it said is above")
        text = target.read_text(encoding="utf-8")
        if "://" in text or "index-url" in text:
            raise Stop(
                f"requirements/{name}.txt names a host, and must not: resolve it without index options"
            )
        say(f"requirements/{name}.txt: {packages_in(target)} packages")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": lambda arguments: become("demo", "-m", "cacheaside.demo", *arguments),
    "test": test,
    "soak": soak,
    "sim": lambda arguments: become("test", "-m", "cacheaside.testing.simulator", *arguments),
    "bench": lambda arguments: become("bench", "-m", "bench", *arguments),
    "fix": fix,
    "build": lambda arguments: become("demo", "-m", "hatchling", "build", "-d", "dist", *arguments),
    "venv": venv,
    "lock": lock,
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        raise Stop(f"there is no command {name!r}; there are {', '.join(COMMANDS)} (--help explains them)")
    return COMMANDS[name](rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\ninterrupted")
        sys.exit(INTERRUPTED)
    except (Stop, OSError) as error:
        sys.exit(f"dev.py: {error}")
