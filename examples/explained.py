"""Why is this old? Two processes share a server; one writes, and the other is asked what it knows, before any read."""

from __future__ import annotations

from cacheaside import Cache, Contract
from cacheaside.doctor import Severity, examine
from cacheaside.testing.servers import Server


def process(url: str) -> tuple[Cache, object]:
    """A cache as each process of a service makes it, and its one endpoint."""
    cache = Cache(url, namespace="shop", deadline="1s")
    products = cache.tag("products", int)

    @cache.read("product", Contract("60s", grace="5m"), tags=lambda product_id: [products(product_id)])
    def product(product_id: int) -> str:
        return f"product {product_id}"

    return cache, product


with Server() as server:
    here, product = process(server.url)
    there, other = process(server.url)
    with here, there:
        product(42)  # type: ignore[operator]
        there.blocking.invalidate(there.tag("products", int)(42))

        seen = there.blocking.explain("product", 42)
        print(seen)  # reads nothing, loads nothing
        assert [tag.name for tag in seen.invalidated_by] == ["products(42)"]
        assert seen.next_read.does == "load"

        print("\nand the doctor says:")
        for finding in examine(here):
            print(f"  {finding.severity}: {finding.about}: {finding.found}")
            assert finding.severity is not Severity.ERROR
