"""`cacheaside drill`: break a cache on purpose, and see whether everything holds.

What drills are made of, redis-py above all, is imported when there is one: each other command would begin half as fast.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from cacheaside.cli.options import JsonOption
from cacheaside.cli.shown import console as streaming
from cacheaside.cli.shown import show
from cacheaside.errors import UsageError

__all__ = ["drill"]

T = TypeVar("T")
_RUN: Final = "How it is run"
_TARGET: Final = "A service of yours"
_ABORT: Final = "When it is called off"


def drill(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="`list` names them; `restore` puts right what a killed drill left; `proxy` is below.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the report: .json, .md and .html.", rich_help_panel=_RUN),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the steps, and do none.", rich_help_panel=_RUN)
    ] = False,
    share: Annotated[
        float, typer.Option(min=0.001, max=1, help="Of keys, tags or memory.", rich_help_panel=_RUN)
    ] = 1.0,
    processes: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of processes to restart.", rich_help_panel=_RUN)
    ] = 1.0,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="How long a fault lasts.", rich_help_panel=_RUN)
    ] = 5.0,
    delay: Annotated[
        float,
        typer.Option(min=0.001, max=60, help="Seconds that what is slow is slower.", rich_help_panel=_RUN),
    ] = 0.2,
    rate: Annotated[
        float, typer.Option(min=1, max=5000, help="Requests a second.", rich_help_panel=_RUN)
    ] = 400.0,
    before: Annotated[
        float, typer.Option(min=1, max=600, help="Seconds to watch before.", rich_help_panel=_RUN)
    ] = 4.0,
    after: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds to watch after, at most.", rich_help_panel=_RUN)
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Of what is asked for.", rich_help_panel=_RUN)] = 1,
    without_admission: Annotated[
        bool, typer.Option("--without-admission", help="No limit of loads.", rich_help_panel=_RUN)
    ] = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="`metastable` in virtual time.", rich_help_panel=_RUN)
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="CACHEASIDE_DRILL_TARGET", help="Its server.", rich_help_panel=_TARGET
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Its namespace: nothing else is touched.", rich_help_panel=_TARGET)
    ] = None,
    yes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE@HOST:PORT", help="The same again: it is meant.", rich_help_panel=_TARGET
        ),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Asks the service once.", rich_help_panel=_TARGET),
    ] = None,
    ask_command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="Asks it all the time, a line each.", rich_help_panel=_TARGET),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Queries at once, and done.", rich_help_panel=_TARGET),
    ] = None,
    source_command: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="The same, a line each.", rich_help_panel=_TARGET)
    ] = None,
    capacity: Annotated[
        float | None, typer.Option(min=0.1, help="Queries a second it bears.", rich_help_panel=_TARGET)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Queries at once it bears.", rich_help_panel=_TARGET)
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="For hot-key: an entry's name.", rich_help_panel=_TARGET)
    ] = None,
    proxy: Annotated[
        Path | None,
        typer.Option(
            metavar="SOCKET", help="Control of the proxy before the server.", rich_help_panel=_TARGET
        ),
    ] = None,
    source_proxy: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Control of the one before the source.", rich_help_panel=_TARGET),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="For `drill proxy`: where to.", rich_help_panel=_TARGET),
    ] = None,
    listen: Annotated[
        int, typer.Option(min=0, max=65535, help="For `drill proxy`: its port.", rich_help_panel=_TARGET)
    ] = 0,
    abort_errors: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share that fails or is late.", rich_help_panel=_ABORT),
    ] = None,
    abort_p99: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds of p99.", rich_help_panel=_ABORT)
    ] = None,
    abort_running: Annotated[
        int | None, typer.Option(min=1, help="Queries at once.", rich_help_panel=_ABORT)
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Break a cache on purpose, under load, and judge what comes of it.

    Without --target it starts servers of its own: a Valkey, a database of a known capacity, a service of several
    processes, and callers without patience. With one, it touches that namespace alone, and restores what it changed:
    also on Ctrl-C; and after `kill -9`, by `drill restore`.
    """
    from cacheaside.drill import command
    from cacheaside.drill.settings import Abort, Radius, Settings
    from cacheaside.drill.user.ground import Brought
    from cacheaside.drill.user.hooks import located

    err = streaming(stderr=True)

    def say(said: str) -> None:
        err.print(f"[dim]{escape(said)}[/]", soft_wrap=True)

    match name:
        case None:
            raise UsageError(
                "Which drill? `cacheaside drill list` names them; --dry-run prints what one would do."
            )
        case "list":
            drills = command.listed()
            show(dict(drills), as_json=as_json, people=lambda console: _list(console, drills))
            return 0
        case "restore":
            from cacheaside.drill.journal import default_folder
            from cacheaside.drill.restoring import restore

            done = _asked(lambda: restore(default_folder(), target, say))
            show(
                {"restored": done}, as_json=as_json, people=lambda console: console.print(f"restored: {done}")
            )
            return 0
        case "proxy":
            return _proxy(upstream, listen, proxy, say)
    base = Settings(seed=seed, admission=not without_admission, before_s=before, after_s=after, delay_s=delay)
    theirs = target is not None
    settings = replace(
        base,
        load=replace(base.load, rate=rate),
        radius=Radius(share=share, processes=processes, seconds=seconds, hot_keys=len(key or ()) or 1),
        abort=Abort(
            errors=abort_errors if abort_errors is not None or not theirs else 0.05,
            p99_s=abort_p99 if abort_p99 is not None or not theirs else 2.0,
            running=abort_running if abort_running is not None or not theirs else concurrency,
        ),
    )
    if target is not None and namespace is None:
        raise UsageError("A target needs its --namespace: nothing else on that server is touched.")
    options = command.Options(
        name=name,
        settings=settings,
        simulated=simulated,
        brought=None
        if target is None or namespace is None
        else Brought(
            url=target,
            namespace=namespace,
            ask=None if ask is None else _asked(lambda: located(ask, "--ask")),
            ask_command=ask_command,
            source=None if source is None else _asked(lambda: located(source, "--source")),
            source_command=source_command,
            capacity_queries=capacity,
            capacity_running=concurrency,
            hot=key or (),
        ),
        yes=yes,
        typed=typer.prompt if sys.stdin.isatty() else None,
        proxy=proxy,
        source_proxy=source_proxy,
    )
    steps = _asked(lambda: command.planned(options))
    if dry_run:
        show(steps, as_json=as_json, people=lambda console: _numbered(console, steps))
        return 0
    try:
        report = _asked(lambda: command.drill(options, say))
    except command.Stopped as stopped:
        say(str(stopped))
        return stopped.code
    for file in command.write(report, name, out) if out is not None else ():
        say(f"wrote {file}")

    def people(console: Console) -> None:
        from rich.markdown import Markdown

        from cacheaside.drill.reporting.markdown import markdown_of

        console.print(Markdown(markdown_of(report)))

    show(msgspec.to_builtins(report), as_json=as_json, people=people)
    return command.exit_code(report)


def _asked(work: Callable[[], T]) -> T:
    """The result of `work`; what cannot be drilled was asked wrongly."""
    from cacheaside.drill.faults.kind import CannotDrill

    try:
        return work()
    except CannotDrill as error:
        raise UsageError(str(error)) from error


def _proxy(upstream: str | None, listen: int, control: Path | None, say: Callable[[str], None]) -> int:
    from cacheaside.drill.journal import default_folder
    from cacheaside.drill.tap import serving

    host, _, port = (upstream or "").rpartition(":")
    if not host or not port.isdigit():
        raise UsageError("drill proxy needs --upstream HOST:PORT, what it stands in front of.")
    control = control if control is not None else default_folder() / f"proxy-{port}.sock"
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, ends
    )  # before there are threads, which inherit it: they are for `sigwait`
    with serving((host, int(port)), listen, control) as tap:
        say(f"passing {tap.host}:{tap.port} on to {upstream}; drills reach it with --proxy {control}")
        signal.sigwait(ends)
    return 0


def _list(console: Console, drills: list[tuple[str, str]]) -> None:
    for name, what in drills:
        console.print(f"[bold]{name}[/]: {escape(what)}")


def _numbered(console: Console, steps: list[str]) -> None:
    for place, step in enumerate(steps, 1):
        console.print(f"{place}. {escape(step)}")
