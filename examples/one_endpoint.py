"""Cache one function in front of SQLite, and look at what it saves."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec

from cacheaside import Cache, Contract

FILE = Path(tempfile.mkdtemp()) / "shop.db"
cache = Cache(namespace="shop")
db = cache.source("shop-db", open=lambda: closing(sqlite3.connect(FILE)), limit=8)


class Product(msgspec.Struct, frozen=True):
    id: int
    name: str


@cache.read("product", Contract(ttl="60s", absent_ttl="5s"), source=db)
def product(connection: sqlite3.Connection, product_id: int) -> Product | None:
    row = connection.execute("SELECT id, name FROM products WHERE id = ?", (product_id,)).fetchone()
    return Product(*row) if row else None


def main() -> None:
    with closing(sqlite3.connect(FILE)) as connection, connection:
        connection.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany(
            "INSERT INTO products VALUES (?, ?)", [(n, f"product {n}") for n in range(100)]
        )
    for n in range(10_000):
        product(n * n % 97)
    print(product(4), product(1000))
    numbers = cache.stats().endpoints["product"]
    print(f"{numbers.reads} reads, {numbers.loads} loads: {numbers.hit_rate:.1%} hits")
    assert numbers.loads < 100


if __name__ == "__main__":
    main()
