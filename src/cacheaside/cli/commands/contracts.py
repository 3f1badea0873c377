"""`cacheaside contracts`: every endpoint's window of staleness, for review."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cacheaside.cli.locate import located
from cacheaside.cli.options import AppOption, JsonOption
from cacheaside.cli.shown import brief_bytes, brief_s, show
from cacheaside.endpoint.review import EndpointReview
from cacheaside.errors import UsageError

__all__ = ["contracts"]


def contracts(
    endpoints: Annotated[
        list[str] | None, typer.Argument(help="Only these, in full.", metavar="ENDPOINT")
    ] = None,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every endpoint's declared window: how old an answer may be, and when.

    Reads the declarations alone: no server is asked. Without names, one line for each endpoint; with names,
    everything that they declare. `--json` is the same for equal declarations: keep it in the repository,
    and a review sees what a change does to a window.
    """
    cache = located(app)
    declared = {one.name: one for one in cache.contracts()}
    if unknown := [name for name in endpoints or () if name not in declared]:
        known = ", ".join(declared) or "none: are the modules that declare them imported by --app?"
        raise UsageError(f"No endpoint is called {', '.join(unknown)}; known are {known}.")
    chosen = [declared[name] for name in (endpoints or declared)]
    data = {"namespace": cache.namespace, "endpoints": [one.as_dict() for one in chosen]}

    def people(console: Console) -> None:
        if endpoints:
            for one in chosen:
                console.print(_in_full(one))
        else:
            console.print(_overview(chosen, cache.namespace))

    show(data, as_json=as_json, people=people)


def _overview(chosen: list[EndpointReview], namespace: str) -> Table:
    table = Table(
        title=f"Contracts of {escape(namespace)}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False, caption=_LEGEND, caption_justify="left",
    )  # fmt: skip
    table.add_column("endpoint", overflow="fold", ratio=3)
    for name in ("ttl", "grace", "bound", "outdated"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tags", overflow="fold", ratio=3)
    table.add_column("source", overflow="fold", ratio=2)
    for one in chosen:
        strong = one.consistency == "strong"
        tags = ", ".join([*one.tags, *(f"{name} (value)" for name in one.value_tags)])
        table.add_row(
            escape(one.name),
            "strong" if strong else brief_s(one.ttl_s),
            brief_s(one.grace_s) if one.grace_s else "–",
            "0s" if strong else brief_s(one.bound_s),
            brief_s(one.stale_after_invalidation_s) if one.stale_after_invalidation_s else "never",
            escape(tags) or "–",
            escape(f"{one.source} ({one.source_limit})"),
        )
    return table


_LEGEND = (
    "bound: the oldest that any read may be answered with. outdated: up to what age a value may be served that is "
    "known to be out of date. tags: the kinds that the endpoint's functions name. source: its name, and how many "
    "loads it takes at once in one process. `cacheaside contracts NAME` says everything of one."
)


def _in_full(one: EndpointReview) -> Table:
    signature = ", ".join(f"{name}: {kind}" for name, kind in one.key.items())
    grid = Table(
        title=escape(f"{one.name}({signature}) -> {one.returns}"), title_justify="left", title_style="bold",
        box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, words in _lines(one):
        grid.add_row(label, escape(words))
    grid.add_row("", "")
    return grid


def _lines(one: EndpointReview) -> list[tuple[str, str]]:
    errors = ", ".join(f"{kind} for {brief_s(ttl_s)}" for kind, ttl_s in one.error_ttls_s.items())
    stale_s = one.stale_after_invalidation_s
    window = (
        [("strong", "every read loads from the source")]
        if one.consistency == "strong"
        else [
            ("fresh", f"for {brief_s(one.ttl_s)}, single entries up to {one.jitter:.0%} shorter (jitter)"),
            ("grace", f"{brief_s(one.grace_s)} more, while refreshed or the source fails" if one.grace_s else "none"),
            ("bound", f"no read returns anything older than {brief_s(one.bound_s)}"),
            ("invalidated", f"may be served up to the age of {brief_s(stale_s)}" if stale_s else "never served"),
            ("early refresh", f"β = {one.early_refresh:g}" if one.early_refresh else "no"),
        ]
    )  # fmt: skip
    batch = "" if one.batch_keys_max is None else f"; many: up to {one.batch_keys_max} keys a load"
    return [
        *window,
        ("no such row", f"remembered for {brief_s(one.absent_ttl_s)}" if one.absent_ttl_s else "not stored"),
        ("errors", errors or "not remembered"),
        ("stored", one.store + (f", up to {brief_bytes(one.max_bytes)}" if one.max_bytes else "")),
        ("tags", ", ".join(one.tags) or "none but its own key"),
        ("value tags", ", ".join(one.value_tags) or "none"),
        ("max tags", str(one.max_tags)),
        ("key", ", ".join([*one.key, *(f"vary {part}" for part in one.vary)]) or "one for all"),
        ("not in the key", ", ".join(one.ignored) or "nothing"),
        ("version", str(one.version)),
        (
            "source",
            f"{one.source}: {one.source_limit} loads at once, {brief_s(one.load_timeout_s)} each{batch}",
        ),
        *([("priority", one.priority)] if one.priority else []),
        *one.further.items(),
    ]
