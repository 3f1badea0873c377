"""The options that several commands have, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

from cacheaside.durations import seconds
from cacheaside.errors import DeclarationError, UsageError

__all__ = ["AppOption", "JsonOption", "checked_duration"]

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        "-a",
        envvar="CACHEASIDE_APP",
        metavar="MODULE:CACHE",
        help="Where the service's Cache is, such as shop.caching:cache. The module is imported, and nothing of it "
        "called; :CACHE may be left out where the module has one Cache.",
    ),
]
"""Give it to `locate.located`."""

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="The same as JSON on one stream, keys sorted: to be diffed or piped on."),
]
"""Give it to `shown.show`."""


def checked_duration(option: str, text: str) -> str:
    """`text`, where it is a duration; else a `UsageError` in a shell's words, to which a bare 10 says no unit."""
    try:
        seconds(text, name=option)
    except DeclarationError:
        raise UsageError(
            f"{option} {text}: that is no duration: write numbers with units, 90s, 10m or 1h30m."
        ) from None
    return text
