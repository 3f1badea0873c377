"""`cacheaside warm`: read the keys that mattered into the shared tier, before there is traffic."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cacheaside.cache import Cache
from cacheaside.cli.locate import located
from cacheaside.cli.options import AppOption, JsonOption, checked_duration
from cacheaside.cli.shown import brief_s, console, show
from cacheaside.errors import UsageError
from cacheaside.warm.report import Progress, Warmed

__all__ = ["warm"]


def warm(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="A file of heat, or a list (.csv, or lines of JSON), instead."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="So many keys at most, from the first.")] = None,
    at_once: Annotated[
        int, typer.Option(min=1, help="Reads under way; half of a source's limit at most.")
    ] = 8,
    per_second: Annotated[float | None, typer.Option(help="Reads begun in a second.")] = None,
    within: Annotated[str, typer.Option(help="When to end, whatever is left.")] = "10m",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which keys fit, and read none.")] = False,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read the hottest keys into the shared tier, before there is traffic.

    The keys are those of the file that the cache keeps (`cache.keep_heat`), or of `--from`, in their order: for a
    launch, a list of your own. Each is an ordinary read, so the source's limit holds, and what is there already costs
    no load. Run it again to go on. Ctrl-C ends it after what is under way, and says what was done.

    Exit code 1: some keys failed, do not fit any more, or are left.
    """
    checked_duration("--within", within)
    cache = located(app)
    if cache.stats().shared is None and not dry_run:
        raise UsageError(
            f"Cache {cache.namespace} has no shared tier: what this command reads would end with it. Await "
            "cache.warm() where the service starts."
        )
    report = asyncio.run(
        _warm(cache, source, top=top, at_once=at_once, per_second=per_second, within=within, dry_run=dry_run)
    )
    if report.problem is not None:
        raise UsageError(report.problem)
    show(
        report.as_dict() | {"dry_run": dry_run}, as_json=as_json, people=lambda to: _say(report, to, dry_run)
    )
    return 0 if not (report.failed or report.unfit or report.stopped) else 1


async def _warm(
    cache: Cache,
    source: Path | None,
    *,
    top: int | None,
    at_once: int,
    per_second: float | None,
    within: str,
    dry_run: bool,
) -> Warmed:
    with _bar() as told:
        async with cache:
            return await cache.warm(
                source,
                top=top,
                at_once=at_once,
                per_second=per_second,
                within=within,
                dry_run=dry_run,
                progress=told,
            )


@contextmanager
def _bar() -> Iterator[Callable[[Progress], bool]]:
    """A bar on the stream of errors; False from what it gives, once Ctrl-C was pressed. A second Ctrl-C is the usual
    one."""
    columns = (
        TextColumn("warming"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    bar = Bar(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task("", total=None)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        loop.remove_signal_handler(signal.SIGINT)

    def told(now: Progress) -> bool:
        eta = "" if now.eta_s is None else f"{brief_s(now.eta_s)} left"
        refused = f", refused {now.refused:,}" if now.refused else ""
        failed = f", failed {now.failed:,}" if now.failed else ""
        bar.update(task, total=now.asked, completed=now.done, description=f"{eta}{refused}{failed}")
        return not stopped

    with suppress(RuntimeError):  # a loop without signals, as on Windows
        loop.add_signal_handler(signal.SIGINT, stop)
    try:
        with bar:
            yield told
    finally:
        with suppress(RuntimeError):
            loop.remove_signal_handler(signal.SIGINT)


def _say(report: Warmed, to: Console, dry_run: bool) -> None:
    if dry_run:
        fit = report.asked - sum(report.unfit.values())
        to.print(f"{fit:,} of {report.asked:,} keys fit; nothing was read")
        for reason, count in report.unfit.items():
            to.print(escape(f"do not fit: {count:,} ({reason})"))
    else:
        to.print(escape(str(report)))
