"""`cacheaside doctor`: what is wrong, or will be, and what to do."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cacheaside.cli.locate import located
from cacheaside.cli.options import AppOption, JsonOption
from cacheaside.cli.shown import show
from cacheaside.doctor import Facts, Finding, Severity, findings_of
from cacheaside.doctor.gathering import gathered
from cacheaside.endpoint.seeing import host_of
from cacheaside.errors import UsageError
from cacheaside.observe.brief import brief_bytes

__all__ = ["doctor"]

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def doctor(
    app: AppOption = None,
    as_json: JsonOption = False,
    processes: Annotated[
        int | None,
        typer.Option("--processes", "-n", min=1, help="How many processes share the cache, over all hosts."),
    ] = None,
    capacity: Annotated[
        list[str] | None,
        typer.Option(
            "--capacity",
            metavar="SOURCE=LOADS",
            help="How many loads at once a source bears, over all processes. Repeatable.",
        ),
    ] = None,
) -> int | None:
    """What is wrong with servers, settings or contracts, or was changed by operators, how grave, and what to do.

    Each server is asked as the service's own user, within some seconds; what cannot be asked is said, and the rest is
    checked all the same. To try its rights it writes two names of its own in the namespace, and takes them back.

    For example: `cacheaside doctor --processes 24 --capacity shop-db=200`

    Ends with 1 when there is an error: something that does not work now. Warnings will be errors on a bad day.
    """
    cache, capacities = located(app), _capacities(capacity or [])
    try:
        facts = gathered(host_of(cache), control=cache.control, processes=processes, capacities=capacities)
    finally:
        cache.close()
    known = [source.name for source in facts.sources]
    if unknown := [name for name in capacities if name not in known]:
        raise UsageError(
            f"--capacity: there is no source {', '.join(unknown)}; there are {', '.join(known)}."
        )
    found = findings_of(facts)
    data = {
        "namespace": facts.cache.namespace,
        "servers": [_server(facts, place) for place in range(len(facts.servers))],
        "findings": [one.as_dict() for one in found],
    }
    show(data, as_json=as_json, people=lambda console: _print(facts, found, console))
    return 1 if any(one.severity is Severity.ERROR for one in found) else 0


def _capacities(given: list[str]) -> dict[str, int]:
    capacities: dict[str, int] = {}
    for one in given:
        name, _, number = one.rpartition("=")
        if not name or not number.isdigit() or not int(number):
            raise UsageError(f"--capacity {one}: write SOURCE=LOADS, such as shop-db=200.")
        capacities[name] = int(number)
    return capacities


def _server(facts: Facts, place: int) -> dict[str, object]:
    server = facts.servers[place]
    return {
        "name": server.name, "up": server.why_away is None, "product": server.product, "version": server.version,
        "policy": server.policy, "maxmemory_bytes": server.maxmemory_bytes, "used_bytes": server.used_bytes,
        "evicted": server.evicted, "replicas_online": server.replicas_online,
        "round_trip_s": min(server.round_trips_s, default=None), "offset_s": server.offset_s,
    }  # fmt: skip


def _print(facts: Facts, found: list[Finding], console: Console) -> None:
    looked = [f"{len(facts.endpoints)} endpoints"]
    for server in facts.servers:
        if server.why_away is not None:
            looked.append(f"{server.name} (away)")
            continue
        room = brief_bytes(server.maxmemory_bytes) if server.maxmemory_bytes else "no bound"
        looked.append(
            f"{server.name} ({server.product} {server.version}, {brief_bytes(server.used_bytes)} of {room}, "
            f"{server.policy})"
        )
    console.print(
        f"[bold]{escape(facts.cache.namespace)}[/]: looked at {escape(', '.join(looked))}", style="dim"
    )
    for one in found:
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True, width=8)
        grid.add_column(overflow="fold")
        style = _STYLES[one.severity]
        grid.add_row(
            f"[{style}]{one.severity.value}[/]", f"[bold]{escape(one.about)}[/]: {escape(one.found)}."
        )
        grid.add_row("[dim]fix[/]", escape(one.fix))
        console.print()
        console.print(grid)
    counts = {severity: sum(one.severity is severity for one in found) for severity in Severity}
    if not found:
        console.print("\n[green]Nothing found.[/]")
        return
    words = ", ".join(
        f"{count} {severity.value}{'' if count == 1 else 's'}" for severity, count in counts.items() if count
    )
    console.print(f"\n{words}.")
