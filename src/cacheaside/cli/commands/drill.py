"""`cacheaside drill`: break a cache on purpose, and see whether everything holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from cacheaside.cli.options import JsonOption
from cacheaside.cli.shown import show
from cacheaside.drill import command
from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.reporting.markdown import markdown_of
from cacheaside.drill.settings import Settings
from cacheaside.errors import UsageError

__all__ = ["drill"]


def drill(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which drill; `list` names them all.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the report there: .json, .md and .html.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps, and do none of them.")] = False,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Of keys, tags or memory that is hit.")] = 1.0,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long a fault lasts.")] = 5.0,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="Requests a second.")] = 400.0,
    seed: Annotated[int, typer.Option(help="Of what is asked for, and when.")] = 1,
    without_admission: Annotated[
        bool, typer.Option("--without-admission", help="With no limit of loads in front of the source.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Break a cache on purpose, under load, and judge what comes of it.

    Without a target it starts servers of its own: a Valkey, a database of a known capacity, a service of
    several processes and callers without patience.
    """
    if name == "list":
        show(dict(command.listed()), as_json=as_json, people=_list)
        return 0
    base = Settings(seed=seed, admission=not without_admission)
    settings = replace(
        base, load=replace(base.load, rate=rate), radius=replace(base.radius, share=share, seconds=seconds)
    )
    options = command.Options(name=name, settings=settings)
    steps = _asked(lambda: command.planned(options))
    if dry_run:
        show(steps, as_json=as_json, people=lambda console: _numbered(console, steps))
        return 0
    err = Console(stderr=True, highlight=False)
    try:
        report = command.drill(options, lambda said: err.print(f"[dim]{escape(said)}[/]"))
    except CannotDrill as error:
        raise UsageError(str(error)) from error
    except command.Stopped as stopped:
        err.print(str(stopped))
        return stopped.code
    for file in command.write(report, name, out) if out is not None else ():
        err.print(f"[dim]wrote {escape(str(file))}[/]")
    show(
        msgspec.to_builtins(report),
        as_json=as_json,
        people=lambda console: console.print(Markdown(markdown_of(report))),
    )
    return command.exit_code(report)


def _asked(plan):
    try:
        return plan()
    except CannotDrill as error:
        raise UsageError(str(error)) from error


def _list(console: Console) -> None:
    for name, what in command.listed():
        console.print(f"[bold]{name:18}[/] {escape(what)}")


def _numbered(console: Console, steps: list[str]) -> None:
    for place, step in enumerate(steps, 1):
        console.print(f"{place}. {escape(step)}")
