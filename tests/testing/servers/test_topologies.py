"""Servers that watch and follow each other: what they say of themselves, and that they survive a loss."""

from __future__ import annotations

from cacheaside.testing.servers import Cluster, Replicated


def test_sentinels_replace_a_lost_primary() -> None:
    """Three Sentinels agree on the primary, its replica has what it has, and takes its place when it is killed."""
    with Replicated() as servers:
        primary, replica = servers.primary, servers.replica
        assert len(servers.sentinel_addresses) == 3
        primary.ask("SET", "k", "v")
        assert primary.ask("WAIT", 1, 5_000) == 1
        assert replica.ask("GET", "k") == "v"
        primary.kill()
        assert servers.wait_failover(primary) is replica
        assert replica.ask("SET", "k", "w") == "OK"


def test_a_cluster_owns_every_slot_and_survives_a_lost_primary() -> None:
    """Three primaries share the slots; the replica of a killed one takes over what it held."""
    with Cluster() as cluster:
        assert cluster.primaries == list(cluster.nodes[:3])
        assert {cluster.owner(key) for key in "abcdefghij"} == set(cluster.primaries)
        owner = cluster.owner("k")
        assert owner.ask("SET", "k", "v") == "OK"
        assert owner.ask("WAIT", 1, 5_000) == 1
        owner.kill()
        replacement = cluster.wait_failover(owner)
        assert cluster.owner("k") is replacement
        assert replacement.ask("GET", "k") == "v"
