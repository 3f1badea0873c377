"""`cacheaside explain ENDPOINT ARGS…`: what stands behind one key."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cacheaside.cli.arguments import called, varied
from cacheaside.cli.locate import located
from cacheaside.cli.options import AppOption, JsonOption
from cacheaside.cli.shown import show
from cacheaside.control.looking import looked
from cacheaside.endpoint.explaining import explain_here, facade_of
from cacheaside.endpoint.seeing import host_of
from cacheaside.errors import CacheasideError, UsageError
from cacheaside.observe.explanation import Explanation
from cacheaside.observe.explanation_text import Tone, lines_of, title_of

__all__ = ["explain"]

WITHIN_S: Final = 3.0
"""How long servers may take to be reached: this process has only just begun."""
_STYLES: Final[dict[Tone, str]] = {"good": "green", "bad": "bold red", "note": "yellow", "plain": ""}


def explain(
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="Its name, as in `cacheaside contracts`.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARG",
            help="As the function is called: 42, or product_id=42. Write -- before a -5.",
        ),
    ] = None,
    app: AppOption = None,
    as_json: JsonOption = False,
    json_args: Annotated[
        str | None,
        typer.Option(
            "--json-args",
            metavar="JSON",
            help="All arguments as a JSON list or object, for those that are no words.",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", metavar="NAME=TEXT", help="A context variable that the key varies by. Repeatable."
        ),
    ] = None,
    value: Annotated[
        bool, typer.Option("--value", help="Print the value, too. It may be personal data.")
    ] = False,
) -> None:
    """Where one key is, how old, which tag put it out of date, who loads it, what the next read does.

    Nothing is loaded, stored, counted or invalidated by it. The shared tier is asked as a read would ask it; the memory
    (L1) of the service's processes cannot be seen from here: in a process, `product.explain(42)` shows it.

    For example: `cacheaside explain product 42 locale=de`

    Arguments are read by the types of the endpoint's parameters. The values themselves are not printed.
    """
    cache = located(app)
    host = host_of(cache)
    facade = facade_of(host, endpoint)
    with varied(facade.endpoint, vary or []):
        args, kwargs = called(facade.endpoint, arguments or [], json_args)
        try:
            state, unread = looked(cache.control)  # before the call is made: that is done by what is in force
            call = _call(facade, args, kwargs)
            seen = explain_here(
                call, host, facade,
                within_s=WITHIN_S, with_value=value, elsewhere=True,
            )  # fmt: skip
        finally:
            cache.close()
    one = state.endpoints[facade.endpoint.name]
    seen = replace(seen, levers=one.words if one.is_changed else None, levers_unread=unread)
    show(seen.as_dict(), as_json=as_json, people=lambda console: _print(seen, console, value))


def _call(facade: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call; what `vary=` and `tags=` of the service raise outside of it is told in a line."""
    try:
        return facade.told("explain", args, kwargs)
    except CacheasideError:
        raise
    except Exception as error:
        name, of_method = facade.endpoint.name, facade.endpoint.parameters.has_self
        why = (
            "it is a method, and there is no instance here"
            if of_method
            else "they need what only the service has"
        )
        raise UsageError(
            f"{name}: its key cannot be told here: vary= or tags= raised {type(error).__name__} ({why}). Call "
            f"{name}.explain(…) in a process of the service."
        ) from error


def _print(seen: Explanation, console: Console, value: bool) -> None:
    grid = Table(
        title=escape(title_of(seen)), title_justify="left", title_style="bold", box=None, show_header=False,
        pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines_of(seen):
        style = _STYLES[line.tone]
        words = escape(line.words)
        grid.add_row(line.label, f"[{style}]{words}[/]" if style else words)
    if value:
        shown = seen.as_dict()
        grid.add_row("value", escape(repr(shown["value"])) if "value" in shown else "none is held")
    console.print(grid)
