"""Adopt one endpoint while it serves: shadow, ramp, and the kill switch."""

from __future__ import annotations

import time

import msgspec

from cacheaside import Cache, Contract

cache = Cache(namespace="shop")
loads = 0


class Product(msgspec.Struct, frozen=True):
    name: str
    cents: int


rows = {number: Product(f"product {number}", 100) for number in range(200)}


@cache.read("product", Contract(ttl="60s", grace="5m"))
def product(number: int) -> Product:
    global loads
    loads += 1
    return rows[number]


def loads_of_a_day() -> int:
    """How often the source is asked when every row is read ten times."""
    before = loads
    for number in list(rows) * 10:
        product(number)
    return loads - before


def main() -> None:
    control = cache.control
    for percent in (0, 10, 50, 100):
        control.ramp("product", percent)
        print(f"ramp {percent:3} %: {loads_of_a_day():4} loads for {len(rows) * 10} reads")

    control.shadow("product", 100)
    product.invalidate(7)
    product(7)  # stored under the eyes of shadow mode
    rows[7] = Product("product 7", 250)  # a write that nobody tells
    print("served:", product(7).cents, "while the source says", rows[7].cents)
    while not (found := control.state().endpoints["product"].shadow_report) or not found.examples:
        time.sleep(0.01)
    print("shadow:", found.examples[-1])
    assert found.differences["violation"] == 0

    control.kill("product")
    print("2:13 AM:", control.state(), "-> served:", product(7).cents)
    control.reset()
    assert loads_of_a_day() == 0


if __name__ == "__main__":
    main()
