"""What a server was asked to do and what it holds, by its own count."""

from __future__ import annotations

from collections.abc import Mapping

from cacheaside.testing.servers import Server

NOT_COUNTED = frozenset(
    {
        "acl",
        "auth",
        "client",
        "cluster",
        "command",
        "config",
        "hello",
        "info",
        "ping",
        "readonly",
        "select",
        "time",
    }
)
"""Setting up a connection, asking whether the server is there and what time it has; and what the benchmark asks."""


def counts(stats: str) -> dict[str, int]:
    """Calls by command, from the text of INFO commandstats. `client|setinfo` and `client|tracking` are `client`."""
    found: dict[str, int] = {}
    for line in stats.splitlines():
        name, colon, figures = line.strip().partition(":")
        if colon and name.startswith("cmdstat_"):
            command = name.removeprefix("cmdstat_").partition("|")[0]
            calls = int(dict(part.split("=") for part in figures.split(","))["calls"])
            found[command] = found.get(command, 0) + calls
    return found


def counted(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """The calls between two counts that were made for reads and writes; the most frequent command first."""
    more = {name: calls - before.get(name, 0) for name, calls in after.items() if name not in NOT_COUNTED}
    return dict(sorted(((name, calls) for name, calls in more.items() if calls), key=lambda item: -item[1]))


def counts_of(server: Server) -> dict[str, int]:
    """Calls by command since the server started."""
    return counts(server.ask("INFO", "commandstats"))


def figure(server: Server, section: str, name: str) -> int:
    """A number from the server's INFO."""
    text: str = server.ask("INFO", section)
    line = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.partition(":")[2])


def found_keys(server: Server) -> int:
    """How many keys the server was asked for and had, since it started."""
    return figure(server, "stats", "keyspace_hits")
