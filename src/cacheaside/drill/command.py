"""What the command does, whoever parses its options: runs a drill, prints and writes its report.

Exit codes: 0 every promise held (or it was a dry run, a list, a restoration); 1 one was broken, or nothing was shown;
2 it was asked wrongly, and nothing was touched; 3 called off and restored; 130 and 143 stopped by Ctrl-C or SIGTERM,
and restored.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from cacheaside.drill.drills import DRILLS, steps_of
from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.journal import default_folder
from cacheaside.drill.report import Comparison, Report, as_json
from cacheaside.drill.rig.messages import NAMESPACE
from cacheaside.drill.settings import Settings
from cacheaside.drill.user.consent import consented, words_for
from cacheaside.drill.user.ground import Brought

__all__ = [
    "CALLED_OFF",
    "METASTABLE",
    "Options",
    "Stopped",
    "drill",
    "exit_code",
    "listed",
    "planned",
    "write",
]

METASTABLE: Final = "metastable"
CALLED_OFF: Final = 3
T = TypeVar("T")


class Stopped(Exception):
    """A signal stopped the drill; what was broken has been restored."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; what was broken has been restored")
        self.code = 128 + number


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. simulated: in virtual time, `metastable` alone. folder: for what is to be restored.

    brought: a service that is not the drill's own; None: it starts its own. yes: its target in the user's words;
    typed: asks for them at a terminal. proxy, source_proxy: control sockets of `drill proxy`.
    """

    name: str
    settings: Settings
    simulated: bool = False
    folder: Path = field(default_factory=default_folder)
    brought: Brought | None = None
    yes: str | None = None
    typed: Callable[[str], str] | None = None
    proxy: Path | None = None
    source_proxy: Path | None = None


def drill(options: Options, say: Callable[[str], None]) -> Report | Comparison:
    """Run it; the report. `CannotDrill` when it cannot be run, and nothing was touched; `Stopped` by a signal."""
    _check(options)
    if options.simulated:
        from cacheaside.drill.virtual.model import metastable_simulated

        return metastable_simulated(options.settings)
    if options.brought is not None:
        consented(options.brought.url, options.brought.namespace, options.yes, options.typed)
    return asyncio.run(_until_signalled(_drill(options, say)))


async def _drill(options: Options, say: Callable[[str], None]) -> Report | Comparison:
    if options.brought is not None:
        from cacheaside.drill.user.run import drill_theirs

        return await drill_theirs(
            DRILLS[options.name],
            options.settings,
            options.brought,
            options.folder,
            say,
            proxy=options.proxy,
            source_proxy=options.source_proxy,
        )
    from cacheaside.demo.dataset import DatasetMissing
    from cacheaside.drill.own import drill_own, metastable_own
    from cacheaside.testing.servers import ServerMissing

    try:
        if options.name == METASTABLE:
            return await metastable_own(options.settings, options.folder, say)
        return await drill_own(DRILLS[options.name], options.settings, options.folder, say)
    except (DatasetMissing, ServerMissing) as missing:
        raise CannotDrill(f"servers of the drill's own cannot be started: {missing}") from missing


def _check(options: Options) -> None:
    if options.name != METASTABLE and options.name not in DRILLS:
        raise CannotDrill(
            f"there is no drill {options.name!r}; there are {', '.join([*DRILLS, METASTABLE])}."
        )
    if options.simulated and options.name != METASTABLE:
        raise CannotDrill(f"{METASTABLE} alone is there in virtual time, not {options.name}.")
    brought = options.brought
    if brought is None:
        return
    if options.name == METASTABLE:
        raise CannotDrill(
            f"{METASTABLE} switches admission off, and is for servers of the drill's own: give no target."
        )
    if (brought.ask is None) == (brought.ask_command is None):
        raise CannotDrill("say how the service is asked: --ask MODULE:FUNCTION, or --ask-command COMMAND.")
    if brought.source is not None and brought.source_command is not None:
        raise CannotDrill("--source and --source-command both read the source's numbers: give one.")


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which the first SIGINT or SIGTERM cancels: it restores what it broke. Further ones change
    nothing: who has no patience has SIGKILL, and `drill restore`."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:
            received.append(number)
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        with suppress(ValueError, RuntimeError):  # not on this thread, or not on this platform
            loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Stopped(received[0]) from None
        raise
    finally:
        for number in numbers:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)


def planned(options: Options) -> list[str]:
    """What a drill would do, step by step; nothing is done, and nobody is asked."""
    _check(options)
    settings, brought = options.settings, options.brought
    if options.name == METASTABLE:
        flush = planned(replace(options, name="flush", simulated=False))
        return [
            *flush,
            "once more, on servers of the same kind, with no limit of loads",
            "show both side by side",
        ]
    if brought is not None:
        target = words_for(brought.url, brought.namespace)
        return steps_of(DRILLS[options.name], settings, target=target, namespace=brought.namespace)
    target = f"servers of the drill's own, {settings.processes} processes"
    return steps_of(DRILLS[options.name], settings, target=target, namespace=NAMESPACE)


def listed() -> list[tuple[str, str]]:
    """Every drill, and what it breaks."""
    settings = Settings()
    said = [
        (drill.name, steps_of(drill, settings, target="", namespace="NAMESPACE")[2])
        for drill in DRILLS.values()
    ]
    both = "flush twice, with admission and without: the one recovers, the other does not"
    return [*((name, what.removeprefix("break: ")) for name, what in said), (METASTABLE, both)]


def write(report: Report | Comparison, name: str, folder: Path) -> list[Path]:
    """The report as JSON, Markdown and HTML in `folder`; the files."""
    from cacheaside.drill.reporting.html import html_of
    from cacheaside.drill.reporting.markdown import markdown_of

    folder.mkdir(parents=True, exist_ok=True)
    made = {".json": as_json(report), ".md": markdown_of(report), ".html": html_of(report)}
    files = [folder / f"{name}{suffix}" for suffix in made]
    for file, text in zip(files, made.values(), strict=True):
        file.write_text(text, encoding="utf-8")
    return files


def exit_code(report: Report | Comparison) -> int:
    """How the command ends."""
    if isinstance(report, Comparison):
        return 0 if report.shown else 1
    return {"held": 0, "aborted": CALLED_OFF}.get(report.verdict, 1)
