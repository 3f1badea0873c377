"""Each fault happens, reaches as far as it says and no further, and is undone: on real servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from cacheaside import Cache, Contract
from cacheaside.drill.faults.around import Cut, Silent, SlowWire
from cacheaside.drill.faults.keys import Flush, HotKeys, MassInvalidation
from cacheaside.drill.faults.kind import CannotDrill, Fault
from cacheaside.drill.faults.scope import Scope
from cacheaside.drill.faults.server import EvictionStorm, Frozen, Killed
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Cluster, Replicated, Server, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 300


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(config={"maxmemory-policy": "allkeys-lru"}) as started:
        yield started


@pytest.fixture
def scope(server: Server) -> Iterator[Scope]:
    with Scope(server.url, "shop") as opened:
        yield opened


class Shop:
    """A service that has filled its cache, beside another namespace on the same server."""

    def __init__(self, url: str) -> None:
        self.loads = 0
        self.cache = Cache(url, namespace="shop", deadline="2s")
        products = self.cache.tag("products", int)

        @self.cache.read("product", Contract(ttl="1h"), tags=lambda number: [products(number)])
        def product(number: int) -> str:
            self.loads += 1
            return "x" * 200

        self.product = product

    def read_all(self) -> int:
        """How many of them had to be loaded."""
        before = self.loads
        for number in range(ENTRIES):
            self.product(number)
        return self.loads - before


@pytest.fixture
def shop(server: Server) -> Iterator[Shop]:
    made = Shop(server.url)
    made.read_all()
    assert made.read_all() == 0
    for number in range(50):
        server.ask("SET", f"shopping:product:{number}", "another's")
        server.ask("SET", f"other:{number}", "another's")
    yield made
    made.cache.close()


def done(fault: Fault) -> None:
    """Begin and end it, and see that it happened."""
    fault.begin()
    fault.end()
    assert all(one.happened for one in fault.evidence()), fault.evidence()


def others(server: Server) -> int:
    """Keys of other namespaces."""
    return sum(not name.startswith("shop:") for name in server.ask("KEYS", "*"))


def heard(shop: Shop, count: int) -> int:
    """What has to be loaded, once this process has heard of what is gone."""
    loaded, end = 0, time.monotonic() + 5.0
    while loaded < count and time.monotonic() < end:
        loaded += shop.read_all()
    return loaded


def test_a_flush_takes_the_namespace_and_nothing_else(server: Server, scope: Scope, shop: Shop) -> None:
    """All of it, memories included; keys of others, whose names begin alike, stay."""
    done(Flush(scope, 1.0))
    assert [name for name in server.ask("KEYS", "shop:*") if "product" in name] == []
    assert others(server) == 100
    assert heard(shop, ENTRIES) == ENTRIES


def test_a_flush_of_a_share_takes_that_share(server: Server, scope: Scope, shop: Shop) -> None:
    """A quarter of the entries, the same each time, and the rest goes on being hits."""
    done(Flush(scope, 0.25))
    lost = heard(shop, ENTRIES // 5)
    assert ENTRIES * 0.15 < lost < ENTRIES * 0.35
    assert others(server) == 100


def test_hot_keys_expire_for_everybody(server: Server, scope: Scope, shop: Shop) -> None:
    """The named entries alone, and in memories too."""
    names = [name for name in scope.entries() if name.endswith((b":i3", b":i4"))]
    assert len(names) == 2
    done(HotKeys(scope, lambda: names))
    assert heard(shop, 2) == 2


def test_a_key_of_another_namespace_is_refused(server: Server, scope: Scope, shop: Shop) -> None:
    """Whoever names it: a drill does not touch it."""
    with pytest.raises(CannotDrill, match="another namespace"):
        HotKeys(scope, lambda: [b"shopping:product:1"]).begin()
    assert server.ask("PTTL", "shopping:product:1") == -1


def test_mass_invalidation_reaches_what_was_computed_from_the_tags(
    server: Server, scope: Scope, shop: Shop
) -> None:
    """Entries stay on the server, and none of them is served any more."""
    done(MassInvalidation(scope, 1.0))
    assert sum(1 for _ in scope.entries()) == ENTRIES
    assert heard(shop, ENTRIES) == ENTRIES


def test_a_halted_flush_goes_no_further(server: Server, scope: Scope, shop: Shop) -> None:
    """Called off, it deletes no further batch."""
    fault = Flush(scope, 1.0)
    fault.halt()
    fault.begin()
    assert shop.read_all() == 0
    assert not fault.evidence()[0].happened


def test_an_eviction_storm_evicts_and_memory_is_as_it_was(server: Server, scope: Scope) -> None:
    """Keys are evicted under the lowered maxmemory, and it is what it was afterwards."""
    shop = Shop(server.url)
    shop.read_all()
    server.ask("CONFIG", "SET", "maxmemory", "500000000")
    storm = EvictionStorm(scope, 1.0)
    undo = storm.undo()
    assert undo is not None
    assert undo.value == "500000000"
    storm.begin()
    lowered = int(server.ask("CONFIG", "GET", "maxmemory")[1])
    shop.read_all()  # a command that writes is what makes a server evict
    storm.end()
    assert lowered < 10_000_000
    assert all(one.happened for one in storm.evidence()), storm.evidence()
    assert server.ask("CONFIG", "GET", "maxmemory")[1] == "500000000"
    shop.cache.close()


def test_memory_is_put_right_before_anything_is_looked_at(
    server: Server, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is busy evicting may not say in time how much it evicted."""
    storm = EvictionStorm(scope, 1.0)
    storm.undo()
    storm.begin()
    assert server.ask("CONFIG", "GET", "maxmemory")[1] != "0"

    def late(section: str) -> dict[str, Any]:
        raise redis.TimeoutError(section)

    monkeypatch.setattr(scope, "info", late)
    with pytest.raises(redis.TimeoutError):
        storm.end()
    assert server.ask("CONFIG", "GET", "maxmemory")[1] == "0"


def test_an_eviction_storm_spares_a_server_that_others_use(server: Server, scope: Scope, shop: Shop) -> None:
    """Memory is the whole server's: with keys of others on it there is no storm, and nothing is changed."""
    with pytest.raises(CannotDrill, match="100 keys that are not of namespace 'shop'"):
        EvictionStorm(scope, 1.0).undo()
    assert server.ask("CONFIG", "GET", "maxmemory")[1] == "0"


def test_another_database_is_others_too(server: Server, scope: Scope) -> None:
    """Keys in another database of the server would be evicted as well."""
    shop = Shop(server.url)
    shop.read_all()
    with Scope(server.url.replace("/0", "/3"), "shop") as elsewhere:
        assert elsewhere.count()[1] > 0
    shop.cache.close()


def test_a_killed_server_is_gone_and_comes_back_empty(server: Server, scope: Scope, shop: Shop) -> None:
    """Nobody answers meanwhile; afterwards somebody does, and has nothing."""
    fault = Killed(server)
    fault.begin()
    with pytest.raises(Unreachable):
        server.ask("PING")
    fault.end()
    assert server.ask("EXISTS", "other:1") == 0
    assert all(one.happened for one in fault.evidence())
    fault.end()  # a second time nothing happens
    assert server.ask("PING") == "PONG"


def test_a_frozen_server_is_silent_and_goes_on(server: Server, scope: Scope, shop: Shop) -> None:
    """Its connections stay, nothing is answered, and it goes on with all it held."""
    done(Frozen(server))
    assert server.ask("GET", "other:1") == "another's"


@pytest.mark.parametrize(
    "fault_of",
    [lambda proxy: SlowWire(proxy, 0.1), lambda proxy: Silent(proxy), lambda proxy: Cut(proxy)],
    ids=["slow", "silent", "cut"],
)
def test_faults_of_the_network_are_met_and_healed(server: Server, fault_of: Callable[[Proxy], Fault]) -> None:
    """A PING through the proxy meets it, and meets nothing afterwards."""
    with Proxy(server.address) as proxy:
        done(fault_of(proxy))


def test_a_server_that_is_away_is_refused() -> None:
    """Nobody there: an error that says so, and nothing touched."""
    with Server() as server:
        url = server.url
    with Scope(url, "shop") as scope, pytest.raises(CannotDrill, match="does not answer"):
        scope.check()


def test_a_namespace_with_nothing_in_it_is_refused(server: Server) -> None:
    """A typing error in the namespace is no successful drill."""
    server.ask("SET", "other:1", "x")
    with Scope(server.url, "shop") as scope, pytest.raises(CannotDrill, match="no key of namespace 'shop'"):
        scope.check()


def test_a_replica_is_refused() -> None:
    """What is deleted there comes back: its primary is the target."""
    with Replicated() as servers:
        replica = next(
            one
            for one in (servers.primary, servers.replica)
            if "role:slave" in one.ask("INFO", "replication")
        )
        with Scope(replica.url, "shop") as scope, pytest.raises(CannotDrill, match="replica"):
            scope.check()


def test_a_node_of_a_cluster_is_refused() -> None:
    """It has a part of the namespace alone, so what a drill said of it would be wrong."""
    with (
        Cluster() as cluster,
        Scope(cluster.nodes[0].url, "shop") as scope,
        pytest.raises(CannotDrill, match="part of a cluster"),
    ):
        scope.check()


@pytest.mark.parametrize("url", ["redis+cluster://a:1", "redis+sentinel://a:1/main", "http://a"])
def test_a_url_of_more_than_one_server_is_refused(url: str) -> None:
    """A drill names its one server."""
    with pytest.raises(CannotDrill, match="one server"):
        Scope(url, "shop")


def test_no_secret_is_in_a_message() -> None:
    """An error about a server does not say its password."""
    with Server(password="hush-hush") as server:
        url = server.url
    with Scope(url, "shop") as scope, pytest.raises(CannotDrill) as raised:
        scope.check()
    assert "hush" not in str(raised.value)
