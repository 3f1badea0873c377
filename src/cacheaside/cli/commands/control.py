"""`cacheaside control`: ramp, kill switch, overrides and shadow mode of a running fleet."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cacheaside.cache import Cache
from cacheaside.cli.locate import located
from cacheaside.cli.options import AppOption, JsonOption, checked_duration
from cacheaside.cli.shown import brief_s, show
from cacheaside.control.state import ControlState, EndpointControl
from cacheaside.control.unread import in_words, unread
from cacheaside.errors import UsageError
from cacheaside.policy.levers import EVERY

__all__ = ["Action", "control"]


class Action(StrEnum):
    """What is to be done."""

    SHOW = "show"
    KILL = "kill"
    RAMP = "ramp"
    OVERRIDE = "override"
    SHADOW = "shadow"
    RESET = "reset"


def control(
    action: Annotated[Action, typer.Argument(help="What to do.", metavar="ACTION")] = Action.SHOW,
    endpoint: Annotated[
        str | None, typer.Argument(help="Its name, as declared; or --all.", metavar="[ENDPOINT]")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(help="A percentage; options of its contract; levers to reset.", metavar="[VALUE]..."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every endpoint, instead of one.")] = False,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="For how long: 10m. An override needs it."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite what the fleet was told, where it cannot be read: a secret was replaced.",
        ),
    ] = False,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> int | None:
    """Change the running fleet: every process follows within a second.

    `show` what is changed; `kill ENDPOINT`: every read of it to the source, through its limit; `ramp ENDPOINT 25`:
    cache a quarter of its keys; `override ENDPOINT ttl=5s grace=0 --for 10m`; `shadow ENDPOINT 1`: compare one hit in a
    hundred with the source; `reset ENDPOINT [LEVER]...`: as declared again. `--all` in place of the endpoint.

    Needs CACHEASIDE_SECRETS, the same as the service: what the fleet is told is signed. It lasts 30 days at most. Where
    a state is there that they do not open, nothing is written, and `show` ends with 1.
    """
    cache = located(app)
    given = list(values or ())
    if every and endpoint is not None:
        given.insert(0, endpoint)  # `ramp --all 25`: what follows the action is the value
        endpoint = None
    try:
        if action is not Action.SHOW:
            _act(cache, action, EVERY if every else endpoint, given, for_, force=force)
        elif force:
            raise UsageError("show changes nothing: leave --force out.")
        state = cache.control.look()
    finally:
        cache.close()
    only = endpoint if action is not Action.SHOW or endpoint else None
    if only is not None and only not in state.endpoints:
        raise UsageError(f"No endpoint is called {only}; known are {', '.join(state.endpoints) or 'none'}.")
    chosen = [one for one in state.endpoints.values() if only in (None, one.name)]
    data = state.as_dict()
    data["endpoints"] = {one.name: data["endpoints"][one.name] for one in chosen}
    show(data, as_json=as_json, people=lambda console: _say(console, state, chosen))
    return 1 if unread(state) else None


def _act(
    cache: Cache, action: Action, endpoint: str | None, values: list[str], for_: str | None, *, force: bool
) -> None:
    if endpoint is None:
        raise UsageError(f"{action} which endpoint? Name one, or write --all for every one.")
    fleet = cache.control.fleet.by_force if force else cache.control.fleet
    if for_ is not None:
        checked_duration("--for", for_)
    if action is Action.RESET:
        if for_ is not None:
            raise UsageError("reset is at once, and for good: leave --for out.")
        if endpoint == EVERY and not values:
            fleet.reset()
        else:
            fleet.reset(endpoint, *values)  # type: ignore[arg-type] # it checks them
    elif action is Action.KILL:
        _none_of(values, action)
        fleet.kill(endpoint, for_=for_)
    elif action is Action.OVERRIDE:
        if for_ is None:
            raise UsageError("override makes windows other than declared, so say when it ends: --for 10m.")
        fleet.override(endpoint, for_=for_, **_options(values))
    else:
        percent = _percent(values, action)
        (fleet.ramp if action is Action.RAMP else fleet.shadow)(endpoint, percent, for_=for_)


def _none_of(values: list[str], action: Action) -> None:
    if values:
        raise UsageError(f"{action} takes an endpoint and nothing else, not {' '.join(values)}.")


def _percent(values: list[str], action: Action) -> float:
    try:
        (text,) = values
        return float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(
            f"{action} takes one percentage from 0 to 100: cacheaside control {action} product 25."
        ) from None


def _options(values: list[str]) -> Any:
    """`ttl=5s`: a number and true, false and none as such, all else as text."""
    options: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise UsageError(
                f"{value!r} is no option of a contract: write cacheaside control override product ttl=5s --for 10m."
            )
        options[name] = _value(text)
    return options


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


def _say(console: Console, state: ControlState, chosen: list[EndpointControl]) -> None:
    fleet = state.fleet
    if fleet is None:
        console.print(f"{escape(state.namespace)}: no fleet: the cache has no URL, or no secrets.")
    elif whys := unread(state):
        console.print(f"{escape(state.namespace)}: the fleet was told something that is not followed here:")
        for why in whys:
            console.print(f"[bold]{escape(why.value)}[/]: {in_words(why)}.")
    elif fleet.version is None:
        console.print(f"{escape(state.namespace)}: the fleet was told nothing.")
    console.print(_table(state.namespace, chosen))
    for one in chosen:
        if one.refused is not None:
            console.print(f"not followed: {escape(one.refused)}")


def _table(namespace: str, chosen: list[EndpointControl]) -> Table:
    table = Table(
        title=f"Control of {escape(namespace)}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    table.add_column("endpoint", overflow="fold", ratio=2)
    for name in ("kill", "ramp", "shadow"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("override", overflow="fold", ratio=2)
    table.add_column("ends in", justify="right", no_wrap=True)
    for one in chosen:
        override = ", ".join(f"{name}={value}" for name, value in one.override.items())
        table.add_row(
            escape(one.name),
            "KILLED" if one.killed else "–",
            f"{one.ramp:g} %" if "ramp" in one.said_by else "–",
            f"{one.shadow:g} %" if "shadow" in one.said_by else "–",
            escape(override) or "–",
            brief_s(min(one.ends_in_s.values())) if one.ends_in_s else "–",
        )
    return table
