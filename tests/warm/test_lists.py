"""Lists of one's own, for a launch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, UsageError
from cacheaside.warm import lists
from cacheaside.warm.lists import Wish, wishes_given, wishes_in


def listed(tmp_path: Path, name: str, content: str | bytes) -> list[Wish]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(wishes_in(path, "shop"))


def test_csv_has_a_column_for_each_parameter(tmp_path: Path) -> None:
    """Columns are parameters; an empty cell leaves its parameter to its default; a byte order mark does no harm."""
    content = "\ufeffendpoint,product_id,locale\nproduct,42,en\nproduct,43,\n\n"
    assert listed(tmp_path, "l.csv", content) == [
        Wish("product", {"product_id": "42", "locale": "en"}, text=True),
        Wish("product", {"product_id": "43"}, text=True),
    ]


def test_lines_of_json_take_arguments_by_name_or_in_order(tmp_path: Path) -> None:
    """Both forms, and empty lines."""
    content = '{"endpoint": "product", "args": {"product_id": 42}}\n\n{"endpoint": "product", "args": [43]}\n'
    assert listed(tmp_path, "l.jsonl", content) == [
        Wish("product", {"product_id": 42}),
        Wish("product", [43]),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("l.csv", "", "it is empty"),
        ("l.csv", "product,42\n", "must name the columns"),
        ("l.csv", "endpoint,id,id\n", "each once"),
        ("l.csv", "endpoint,id\nproduct,secret,3\n", "line 2 has 3 cells, and the first has 2"),
        ("l.csv", 'endpoint,id\nproduct,"sec"ret\n', "line 2 is no CSV"),
        ("l.csv", b"endpoint,id\nproduct,\xff\n", "it is not UTF-8"),
        ("l.jsonl", '{"endpoint": "p", "args": [1]}\n["secret"]\n', "line 2: it is no JSON of the form"),
        ("l.jsonl", '{"endpoint": "p", "args": "secret"}\n', "line 1: it is no JSON of the form"),
        ("l.jsonl", '{"format":"cacheaside-heat","version":1}\n', "no file of heat"),
    ],
)
def test_a_list_with_a_mistake_says_where(tmp_path: Path, name: str, content: Any, says: str) -> None:
    """The file, the line and what is wrong with it; nothing of what stands there."""
    with pytest.raises(UsageError) as refused:
        listed(tmp_path, name, content)
    assert says in str(refused.value)
    assert name in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_list_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More keys than a file of heat has are refused, from a file and from Python, whose list may have no end."""
    monkeypatch.setattr(lists, "KEYS_MAX", 2)
    with pytest.raises(UsageError, match="more than 2 keys"):
        listed(tmp_path, "l.csv", "endpoint\na\nb\nc\n")

    def endless() -> Any:
        while True:
            yield "product", (1,)

    with pytest.raises(UsageError, match="more than 2 keys"):
        wishes_given(endless())


def test_pairs_name_an_endpoint_or_are_what_was_decorated() -> None:
    """A name or the function, with its arguments as a tuple, list or mapping; anything else says what to write."""

    @Cache(namespace="shop").read("product", Contract(ttl="60s"))
    def product(product_id: int) -> int:
        return product_id

    assert wishes_given([(product, (42,)), ("product", {"product_id": 43})]) == [
        Wish("product", (42,)),
        Wish("product", {"product_id": 43}),
    ]
    for wrong in ([42], [("product", 42)], [(print, (1,))], ["ab"]):
        with pytest.raises(UsageError, match="list to warm"):
            wishes_given(wrong)


@pytest.mark.parametrize(
    "start", ['{"endpoint": "product", "args": ', '{"format":"cacheaside-heat","x":', "["]
)
def test_a_list_that_is_nested_without_end_is_no_list(tmp_path: Path, start: str) -> None:
    """It is refused as whatever else is no list: a service whose file was broken so begins cold, and begins."""
    path = tmp_path / "list"
    path.write_text(start + "[" * 60_000)
    with pytest.raises(UsageError):
        wishes_in(path, "shop")
