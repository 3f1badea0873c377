"""The service that the tests run under a real server with workers: `uvicorn tests.observe.processes.served:app`."""

from __future__ import annotations

import os

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from cacheaside import Cache, Contract
from cacheaside.observe.prometheus import CacheCollector

cache = Cache(namespace="shop")
registry = CollectorRegistry()
registry.register(CacheCollector(cache, every="50ms"))
app = FastAPI()


@cache.read("rows", Contract("60s"))
async def rows(key: int) -> int:
    return key


@app.get("/read")
async def read() -> int:
    await rows(1)
    return os.getpid()


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
