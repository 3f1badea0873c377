"""Families of tags are read off the code that names them, without running it."""

from __future__ import annotations

import functools
import types
from typing import Any

from cacheaside import Cache
from cacheaside.endpoint.named import families_named
from cacheaside.tags import Tag

cache = Cache(namespace="named")
products, boards = cache.tag("products", int), cache.tag("boards", str)
module = types.ModuleType("module")
module.products = products  # type: ignore[attr-defined]


class Tags:
    """Families kept in a class."""

    boards = boards
    unused = cache.tag("unused", int)


def helper(number: int) -> list[Tag]:
    """Names one for others."""
    return [products(number)]


def recursive(number: int) -> list[Tag]:
    """Calls itself."""
    return [*recursive(number), boards("x")] if number else []


def test_globals_closures_and_attributes_are_found() -> None:
    """A family is found by the name that the code uses: in the module, the function around, a module or a class."""
    local = cache.tag("local", int)
    cases: list[tuple[Any, tuple[str, ...]]] = [
        (lambda number: [products(number)], ("products",)),
        (lambda number: [local(number)], ("local",)),
        (lambda number: [module.products(number)], ("products",)),
        (lambda number: [Tags.boards("x")], ("boards",)),
        (lambda numbers: [products(one) for one in numbers], ("products",)),
        (lambda number: [*helper(number), boards("x")], ("boards", "products")),
        (recursive, ("boards",)),
        (functools.partial(helper, 1), ("products",)),
        ([products(1), boards("x")], ("boards", "products")),
        ((), ()),
        (None, ()),
        (lambda number: [], ()),
    ]
    for written, expected in cases:
        assert families_named(written) == expected


def test_nothing_is_run() -> None:
    """Looking at a function that would raise, or at properties, calls neither."""

    class Trap:
        @property
        def products(self) -> Any:
            raise AssertionError("it was read")

    trap = Trap()

    def tags(number: int) -> list[Tag]:
        made: list[Tag] = [trap.products(number), products(number)]
        raise AssertionError(made)

    assert families_named(tags) == ("products",)
