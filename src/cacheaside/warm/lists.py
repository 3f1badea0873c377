"""Lists of keys: the file of heat, and a list of one's own for a launch, in CSV or in lines of JSON.

    endpoint,product_id,locale             {"endpoint": "product", "args": {"product_id": 42}}
    product,42,en                          {"endpoint": "product", "args": [43, "en"]}
    product,43,

In CSV, columns are parameters; an empty cell leaves its parameter out. Text becomes what the parameter's annotation
says.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from cacheaside.errors import UsageError
from cacheaside.warm.heatfile import FILE_MAX_BYTES, KEYS_MAX, UNREADABLE, heat_of, is_heat
from cacheaside.warm.saving import read_whole

__all__ = ["Wish", "wishes_given", "wishes_in"]

_COLUMN: Final = "endpoint"


class Wish(msgspec.Struct, frozen=True):
    """A key to read: its endpoint's name, and its arguments, by name or in order. text: they may be text for others."""

    endpoint: str
    args: Any
    text: bool = False


class _Line(msgspec.Struct, frozen=True):
    endpoint: str
    args: dict[str, Any] | list[Any]


_LINES: Final = msgspec.json.Decoder(_Line)


def wishes_in(path: Path, namespace: str) -> Sequence[Wish]:
    """What the file at `path` asks for, in its order. A `UsageError` says what is wrong with it, and in which line."""
    content = read_whole(path, FILE_MAX_BYTES)
    if is_heat(content):
        heat = heat_of(content, str(path), namespace=namespace)
        wishes: list[Wish] | None = None
        with suppress(*UNREADABLE):
            wishes = [Wish(hot.endpoint, msgspec.json.decode(hot.args)) for hot in heat.keys]
        if wishes is None:
            raise UsageError(f"{path}: arguments in it cannot be read. Delete it.")
        return _few(wishes, str(path))
    if path.suffix.lower() == ".csv":
        return _few(_in_csv(content, str(path)), str(path))
    return _few(_in_lines(content, str(path)), str(path))


def wishes_given(given: Iterable[Any]) -> Sequence[Wish]:
    """The same of pairs: an endpoint (or its name) and its arguments, as a tuple, list or mapping."""
    wishes = []
    for one in given:
        pair: tuple[Any, ...] = tuple(one) if isinstance(one, (tuple, list)) else ()
        if len(pair) != 2 or not isinstance(pair[1], (tuple, list, Mapping)):
            raise UsageError(
                'A list to warm has pairs of endpoint and arguments: [("product", (42,)), (product, {"id": 43})].'
            )
        name = (
            pair[0] if isinstance(pair[0], str) else getattr(getattr(pair[0], "endpoint", None), "name", None)
        )
        if not isinstance(name, str):
            raise UsageError(
                f"A list to warm names endpoints, or has what @cache.read made; not a {type(pair[0]).__name__}."
            )
        wishes.append(Wish(name, pair[1]))
        if len(wishes) > KEYS_MAX:
            break
    return _few(wishes, "The list to warm")


def _few(wishes: Sequence[Wish], where: str) -> Sequence[Wish]:
    if len(wishes) > KEYS_MAX:
        raise UsageError(f"{where}: it has more than {KEYS_MAX:,} keys: split it, hottest first.")
    return wishes


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass  # it quotes what it could not decode
    raise UsageError(f"{where}: it is not UTF-8.")


def _in_lines(content: bytes, where: str) -> list[Wish]:
    wishes = []
    for number, line in enumerate(_text(content, where).splitlines(), 1):
        if not line.strip():
            continue
        found = None
        with suppress(*UNREADABLE):  # it may quote what it found
            found = _LINES.decode(line)
        if found is None:
            raise UsageError(
                f'{where}, line {number}: it is no JSON of the form {{"endpoint": "product", "args": {{"id": 42}}}}. '
                "A CSV file is called .csv."
            )
        wishes.append(Wish(found.endpoint, found.args))
    return wishes


def _in_csv(content: bytes, where: str) -> list[Wish]:
    import csv  # few lists are; nobody else needs it

    rows = csv.reader(io.StringIO(_text(content, where), newline=""), strict=True)
    wishes: list[Wish] = []
    header: list[str] | None = None
    problem = ""
    try:
        for row in rows:
            if header is None:
                header = [name.strip() for name in row]
                if _COLUMN not in header or len(set(header)) != len(header):
                    problem = f"its first line must name the columns, each once, {_COLUMN!r} among them"
                    break
            elif row:
                if len(row) != len(header):
                    problem = f"line {rows.line_num} has {len(row)} cells, and the first has {len(header)}"
                    break
                cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
                wishes.append(Wish(cells.pop(_COLUMN, ""), cells, text=True))
    except csv.Error:
        problem = f"line {rows.line_num} is no CSV"
    if problem or header is None:
        raise UsageError(f"{where}: {problem or 'it is empty'}.")
    return wishes
