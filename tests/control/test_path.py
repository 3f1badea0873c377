"""What being changeable costs a hit: nothing."""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

from cacheaside import Cache, Contract
from cacheaside.endpoint.host import CLOSED, OFF
from cacheaside.testing.servers import Server

HIT = """\
def product(number):
    try:
        _e = _entries[number]
    except _missing:
        _e = _nothing
    _t = _now()
    if number.__class__ is _k0 and _e.until > _t and _gate.until > _t and _scope() is None:
        _e.hits += 1
        return _e.value
    return _slow((number, ))
"""


def text_of(function: Any) -> str:
    """What was generated for it."""
    return "".join(linecache.getlines(function.__code__.co_filename))


def made(cache: Cache) -> Any:
    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    return product


def test_the_code_of_a_hit_knows_nothing_of_control() -> None:
    """An endpoint that nothing was changed of runs the very code, with the very gate, that it would run without any
    of this; changed, it has another gate, and the same code; reset, it is as before."""
    cache = Cache(namespace="shop")
    product = made(cache)
    host = cache._host

    @cache.read("other", Contract("60s"))
    def other(number: int) -> int:
        return number

    code, world = product.__code__, product.__globals__
    assert text_of(product) == HIT
    assert world["_gate"] is host.gate
    cache.control.kill("product")
    assert world["_gate"] is CLOSED
    assert other.__globals__["_gate"] is host.gate  # type: ignore[attr-defined]
    cache.control.reset()
    assert product.__code__ is code
    assert (world["_gate"], world["_host"]) == (host.gate, host)
    cache.close()


def test_an_override_leaves_the_fast_path_open() -> None:
    """Only what must look at each read closes it: an override is in the terms that entries are judged by."""
    cache = Cache(namespace="shop")
    product = made(cache)
    cache.control.override("product", ttl="5s", for_="1m")
    product(1)
    product(1)
    assert product.__globals__["_gate"] is cache._host.gate
    assert cache._host.l1.hits(product.endpoint.table) == 1
    cache.close()


def test_a_file_costs_the_first_read_and_no_other(tmp_path: Path) -> None:
    """Where there is something to follow, the first read has it followed; from then on a hit is what it was."""
    cache = Cache(namespace="shop", control_file=tmp_path / "control.json")
    product = made(cache)
    world = product.__globals__
    assert world["_gate"] is CLOSED
    product(1)
    assert world["_gate"] is cache._host.gate
    assert product.endpoint.changed is None
    product(1)
    assert cache._host.l1.hits(product.endpoint.table) == 1
    cache.close()


def test_plain_hits_of_the_shared_tier_are_switched_too() -> None:
    """Where nothing is held in the process, the generated code asks the tier itself: not for a killed endpoint."""
    with Server() as server:
        cache = Cache(server.url, namespace="quick", l1_entries=0, deadline="5s")
        product = made(cache)
        product(1)
        while not product.lookup(1).hit:
            pass
        assert "_ask(" in text_of(product)
        loads = cache.stats().endpoints["product"].loads
        product(1)
        assert cache.stats().endpoints["product"].loads == loads
        cache.control.kill("product")
        assert product.__globals__["_host"] is OFF
        product(1)
        assert cache.stats().endpoints["product"].loads == loads + 1
        cache.control.reset()
        product(1)
        assert cache.stats().endpoints["product"].loads == loads + 1
        cache.close()
