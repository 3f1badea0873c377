"""The options that several commands have, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AppOption", "JsonOption"]

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
