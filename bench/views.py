"""The values that are cached, the same for every cache."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class View(msgspec.Struct, frozen=True):
    """An immutable value: callers may share it."""

    product_id: int
    name: str
    price_cents: int
    currency: str


@dataclass(slots=True)
class Basket:
    """A mutable value of immutable fields and one list: two callers must not share it."""

    basket_id: int
    owner: str
    total_cents: int
    items: list[int]


LANGUAGE = "en"
VIEW = View(42, "a chair", 4_900, "EUR")
BASKET = Basket(42, "somebody", 4_900, [1, 2, 3])
PRICES = {"chair": 4_900, "table": 19_900, "lamp": 2_900, "shelf": 7_900, "rug": 5_900}
"""A mutable value of immutable values."""
