"""Every command, and how one is run. A new one: a module in `commands/`, and a line in `COMMANDS`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Final

import typer

from cacheaside import __version__
from cacheaside.cli.commands.contracts import contracts
from cacheaside.cli.commands.control import Action, control
from cacheaside.cli.commands.doctor import doctor
from cacheaside.cli.commands.drill import drill
from cacheaside.cli.commands.explain import explain
from cacheaside.cli.commands.warm import warm
from cacheaside.cli.misplaced import refuse_misplaced
from cacheaside.cli.shown import say_error
from cacheaside.errors import CacheasideError, DeclarationError, UsageError

__all__ = ["COMMANDS", "run"]

COMMANDS: Final[tuple[Callable[..., int | None], ...]] = (explain, doctor, contracts, control, warm, drill)
"""In the order in which `--help` lists them; each is called what its function is called.

A command writes its result with `shown.show`, and returns nothing, or an exit code. What goes wrong it raises: a
`CacheasideError` is told in a line, and ends with 2 where whoever called can mend the call (`UsageError`,
`DeclarationError`), else with 1.
"""

_HELP: Final = "See what a service's cache does, and why. Nothing here starts the service."
_EPILOG: Final = (
    "Exit codes: 0 done, nothing is broken; 1 something is, or it failed; 2 it was asked wrongly. "
    "At 2:13 AM: explain one key, then doctor, then the numbers of cache.stats()."
)


def _application() -> typer.Typer:
    made = typer.Typer(
        name="cacheaside",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(help=_HELP)(_version)
    for command in COMMANDS:
        made.command(_name_of(command))(_ending(command))
    return made


def _name_of(command: Callable[..., int | None]) -> str:
    return command.__name__.replace("_", "-")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cacheaside {__version__}")
        raise typer.Exit


def _version(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Show the version and end."),
    ] = False,
) -> None:
    """What the group of commands itself takes."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        refuse_misplaced(given, [_name_of(command) for command in COMMANDS], set(Action) - {Action.SHOW})
        _application()(args=given, prog_name="cacheaside")
    except SystemExit as end:  # typer's way to end, with its own words for options that cannot be
        return end.code if isinstance(end.code, int) else 0
    except (DeclarationError, UsageError) as wrong:
        say_error(str(wrong))
        return 2
    except CacheasideError as failed:
        say_error(str(failed))
        return 1
    return 0


def _ending(command: Callable[..., int | None]) -> Callable[..., None]:
    """`command`, whose result is how the process ends."""

    @wraps(command)
    def run_to_its_end(*args: Any, **kwargs: Any) -> None:
        code = command(*args, **kwargs)
        if code:
            raise typer.Exit(code)

    return run_to_its_end
