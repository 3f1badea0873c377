"""A FastAPI service: a cached query as a dependency, a write around its commit. Run it with uvicorn."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse

from cacheaside import Cache, Contract, Overloaded, SourceError

FILE = Path(tempfile.mkdtemp()) / "shop.db"
cache = Cache(namespace="shop")
products = cache.tag("products", int)


@contextmanager
def connect() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(FILE)) as connection, connection:
        yield connection


db = cache.source("shop-db", open=connect, limit=8)


class Product(msgspec.Struct, frozen=True):
    id: int
    name: str


@cache.read(
    "product", Contract(ttl="60s", grace="5m"), source=db, tags=lambda product_id: [products(product_id)]
)
def product(connection: sqlite3.Connection, product_id: int) -> Product | None:
    row = connection.execute("SELECT id, name FROM products WHERE id = ?", (product_id,)).fetchone()
    return Product(*row) if row else None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT OR REPLACE INTO products VALUES (42, 'lamp')")
    async with cache:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/products/{product_id}")
def show(found: Annotated[Product | None, Depends(product)]) -> Response:
    if found is None:
        raise HTTPException(404)
    return Response(msgspec.json.encode(found), media_type="application/json")


@app.put("/products/{product_id}/name/{name}")
def rename(product_id: int, name: str) -> str:
    with cache.changing(products(product_id)) as change, connect() as connection:
        done = connection.execute("UPDATE products SET name = ? WHERE id = ?", (name, product_id))
        if not done.rowcount:
            change.rolled_back()
            raise HTTPException(404)
    return name


@app.exception_handler(SourceError)
async def unavailable(request: object, error: SourceError) -> Response:
    after_s = error.retry_after_s if isinstance(error, Overloaded) else 1.0
    return PlainTextResponse("busy", 503, headers={"Retry-After": str(max(1, round(after_s)))})


def main() -> None:
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        assert client.get("/products/42").json() == {"id": 42, "name": "lamp"}
        assert client.put("/products/42/name/chair").json() == "chair"
        assert client.get("/products/42").json() == {"id": 42, "name": "chair"}
        assert client.get("/products/1").status_code == 404
        assert client.put("/products/1/name/chair").status_code == 404
    print(cache.stats().endpoints["product"].reads, "reads")


if __name__ == "__main__":
    main()
