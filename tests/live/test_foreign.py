"""What lies under our keys is not always ours: forged, foreign, damaged, of another shape, or far too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Served, Tier
from cacheaside.stores.redis.wire.rejected import Rejected
from tests.live.service import MINUTE, Rows, Service, Start, ask, until

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server


FIRST, SECOND = b"a" * 32, b"b" * 32


def rejected(service: Service) -> dict[Rejected, int]:
    """What was found and was no entry, by why."""
    return {why: count for why, count in service.cache._host.shared.counts.rejected.items() if count}


async def test_entries_that_are_not_signed(server: Server, processes: Start, colour: str) -> None:
    """A process with secrets takes nothing that is not signed with one of them, and counts what it finds."""
    unsigned = processes(server.url, colour=colour)
    forger = processes(server.url, colour=colour, secrets=[SECOND])
    signing = processes(server.url, colour=colour, secrets=[FIRST])
    await unsigned.get(1)
    assert (await signing.lookup(1)).tier is Tier.SOURCE
    assert set(rejected(signing)) == {Rejected.UNSIGNED}
    await forger.get(2)
    assert (await signing.lookup(2)).tier is Tier.SOURCE
    assert set(rejected(signing)) == {Rejected.UNSIGNED, Rejected.UNKNOWN_KEY}
    other = processes(server.url, colour=colour, secrets=[FIRST])
    assert (await other.lookup(2)).tier is Tier.L2


async def test_entries_that_are_not_signed_where_nothing_is_kept(
    server: Server, processes: Start, colour: str
) -> None:
    """The short way to a plain hit, of a process without L1, takes nothing unsigned either."""
    unsigned = processes(server.url, colour=colour)
    signing = processes(server.url, colour=colour, secrets=[FIRST], l1_entries=0)
    await signing.get(1)  # from now on it is connected
    await unsigned.get(2)
    assert (await signing.lookup(2)).tier is Tier.SOURCE
    await unsigned.get(3)
    await signing.get(3)
    assert signing.rows.loads == [1, 2, 2, 3, 3]  # both processes'


async def test_entries_that_were_tampered_with(server: Server, processes: Start, colour: str) -> None:
    """A signed entry that was changed, or moved under another key, is none."""
    one, other = (processes(server.url, colour=colour, secrets=[FIRST], l1_entries=0) for _ in range(2))
    await one.get(1)
    entry = await ask(server, "GET", one.product.key(1))
    stored = entry.encode("utf-8", "surrogateescape") if isinstance(entry, str) else entry
    await one.get(2)
    await ask(server, "SET", one.product.key(2), stored)
    assert (await other.lookup(2)).tier is Tier.SOURCE
    changed = bytearray(stored)
    changed[-25] ^= 1
    await ask(server, "SET", one.product.key(1), bytes(changed))
    assert (await other.lookup(1)).tier is Tier.SOURCE
    assert set(rejected(other)) <= {Rejected.BAD_MAC, Rejected.CORRUPT}
    assert sum(rejected(other).values()) >= 2


async def test_a_secret_is_changed(server: Server, processes: Start, colour: str) -> None:
    """Secrets are changed without losing entries: the new one is accepted first, then signs, then the old one goes."""
    old = processes(server.url, colour=colour, secrets=[FIRST])
    accepting = processes(server.url, colour=colour, secrets=[FIRST, SECOND])
    signing = processes(server.url, colour=colour, secrets=[SECOND, FIRST])
    new = processes(server.url, colour=colour, secrets=[SECOND])
    await old.get(1)
    assert (await accepting.lookup(1)).tier is Tier.L2
    assert (await signing.lookup(1)).tier is Tier.L2
    await signing.get(2)
    assert (await accepting.lookup(2)).tier is Tier.L2
    assert (await new.lookup(2)).tier is Tier.L2
    assert (await old.lookup(2)).tier is Tier.SOURCE


GARBAGE = {
    "empty": b"",
    "text": b"hello",
    "json": b'{"value": 1}',
    "pickle": b"\x80\x04K\x01.",
    "zeros": bytes(100),
    "head alone": b"\xc1\xa5",
    "version": b"\xc1\xa5\xff" + bytes(60),
    "large": b"x" * 5_000_000,
    "large and ours": b"\xc1\xa5\x01\x00" + b"\xff" * 5_000_000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
async def test_foreign_values(server: Server, processes: Start, colour: str, content: bytes) -> None:
    """What another program left under our key is a miss, counted, and replaced by what is loaded."""
    service = processes(server.url, colour=colour, deadline="5s", l1_entries=0)
    await service.ready()
    await ask(server, "SET", service.product.key(1), content)
    found = await service.lookup(1)
    assert (found.value, found.served, found.stored) == (0, Served.LOADED, True)
    assert sum(rejected(service).values()) in (1, 2), "once, or twice where a leader looks again"
    assert (await service.lookup(1)).tier is Tier.L2
    many: Any = await service.do(service.product.many, [1, 2])
    assert many == [0, 0]


@pytest.mark.parametrize("kind", ["entry", "generation", "writers", "lease"])
@pytest.mark.parametrize("content", ["list", "text"])
async def test_keys_of_another_type(
    server: Server, processes: Start, colour: str, kind: str, content: str
) -> None:
    """A list or a foreign text under any name of ours fails no read and keeps none waiting; an invalidation sets right
    what it is about, or says that it could not."""
    service = processes(server.url, colour=colour, deadline="5s", l1_entries=0)
    await service.ready()
    key = service.product.key(1)
    space = service.cache.namespace
    name = {
        "entry": key,
        "generation": f"{space}:!{{{key}}}",
        "writers": f"{space}:!{{{key}}}!",
        "lease": f"{space}:?{{{key}}}",
    }[kind]
    await ask(server, *(["RPUSH", name, "x"] if content == "list" else ["SET", name, "hello"]))
    reads = [await service.lookup(1) for _ in range(3)]
    assert [one.value for one in reads] == [0] * 3
    service.rows.values[1] = 1
    await service.do(service.product.invalidate, 1)
    assert await service.get(1) == 1
    if kind in ("entry", "generation"):
        await until(lambda: _is_shared(service, 1))


async def _is_shared(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L2


async def test_two_versions_side_by_side(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """Versions of a service whose values, tags or `version=` differ use one namespace at once: neither gets the other's
    value, and an invalidation by either reaches both."""
    old, new = processes(server.url, colour=colour), processes(server.url, colour=colour)

    def declare(service: Service) -> tuple[Any, Any, Any]:
        products = service.products
        tags = [service.cache.tag("shelf", int)] if service is new else []

        def shape(key: int) -> int:
            return rows.values.get(key, 0)

        def shape_new(key: int) -> list[str]:
            return [f"new {rows.values.get(key, 0)}"]

        def tagged(key: int) -> int:
            return rows.values.get(key, 0)

        def versioned(key: int) -> int:
            return rows.values.get(key, 0) + (1000 if service is new else 0)

        return (
            service.read("shape", MINUTE, tags=lambda key: [products(key)])(
                shape_new if service is new else shape
            ),
            service.read("tagged", MINUTE, tags=lambda key: [products(key), *[tag(key) for tag in tags]])(
                tagged
            ),
            service.read(
                "versioned", MINUTE, tags=lambda key: [products(key)], version=2 if service is new else 1
            )(versioned),
        )

    of_old, of_new = declare(old), declare(new)
    for number in range(1, 4):
        await (old if number % 2 else new).write(1, number)

        async def are_right(number: int = number) -> bool:
            olds = [await old.do(endpoint, 1) for endpoint in of_old]
            news = [await new.do(endpoint, 1) for endpoint in of_new]
            assert isinstance(olds[0], int)
            assert isinstance(news[0], list)
            return olds == [number] * 3 and news == [[f"new {number}"], number, 1000 + number]

        await until(are_right)


async def test_values_of_every_size(server: Server, processes: Start, colour: str) -> None:
    """A value of any size is shared whole, or not at all; compressed ones too."""
    plain = [processes(server.url, colour=colour, deadline="5s", l1_entries=0) for _ in range(2)]
    small = [
        processes(server.url, colour=colour, deadline="5s", l1_entries=0, compress_from="1KiB")
        for _ in range(2)
    ]

    def declare(service: Service, name: str) -> Any:
        def text(size: int) -> str:
            return "0123456789abcdef" * (size // 16)

        return service.read(name)(text)

    for name, services in (("plain", plain), ("small", small)):
        first, second = (declare(service, name) for service in services)
        for size in (0, 16, 1024, 65_536, 4_194_304):
            expected = await services[0].do(first, size)
            found = await services[1].do(second.lookup, size)
            assert (found.value == expected, found.tier) == (True, Tier.L2)
    assert (await small[0].get(1), await plain[0].lookup(1)) is not None
