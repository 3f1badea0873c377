"""How commands speak: JSON for machines, a few lines for people, errors in one line. No decision is made here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape

from cacheaside.observe.brief import brief_bytes, brief_s

__all__ = ["brief_bytes", "brief_s", "console", "say_error", "show"]


def console(*, stderr: bool = False) -> Console:
    """Where people read: as wide as the terminal, plain where it is none. What stands between colons, as in a key or
    in `shop:key`, stays what it is."""
    return Console(stderr=stderr, highlight=False, soft_wrap=False, emoji=False)


def show(data: Any, *, as_json: bool, people: Callable[[Console], None]) -> None:
    """A command's result: `data` (of plain parts) as JSON, or what `people` prints of it."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        people(console())


def say_error(message: str) -> None:
    """One line, to the stream of errors; not wrapped, so that it can be searched for."""
    console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
