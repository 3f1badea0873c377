"""The order of steps is the protocol (docs/protocol.md): each order here keeps one kind of stale value out."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import Contract
from cacheaside.flow import write
from cacheaside.flow.read import read
from tests.flow.recorded import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rows() -> dict[int, int]:
    return {1: 10, 2: 20}


@pytest.fixture
def numbers(world: World) -> Any:
    return world.cache.tag("numbers", int)


@pytest.fixture
def tens(world: World) -> Any:
    return world.cache.tag("tens", int)


@pytest.fixture
def value(world: World, rows: dict[int, int], numbers: Any, tens: Any) -> Any:
    @world.cache.read(
        "value",
        Contract(ttl="60s"),
        tags=lambda key: [numbers(key)],
        value_tags=lambda value: [tens(value // 10)],
    )
    def value(key: int) -> int:
        return rows[key]

    return value


def test_a_fill_stamps_then_looks_for_writers_then_loads(world: World, value: Any) -> None:
    """Stamp, writers, load, stamp what the value names, close to joiners, store and look again, keep, land."""
    world.run(read(world.call("value", 1), world.ports))
    assert world.steps(
        "heard.position",
        "tier.stamp",
        "tier.writers",
        "loads.load",
        "heard.sync",
        "heard.still",
        "flights.close",
        "tier.store",
        "near.keep",
    ) == [
        "heard.position",
        "tier.stamp",
        "tier.writers",
        "loads.load",
        "tier.stamp",
        "tier.writers",
        "heard.sync",
        "heard.still",
        "flights.close",
        "heard.position",
        "tier.store",
        "near.keep",
    ]
    assert world.log.index("near.keep") < world.log.index("flights.land")


def test_a_bracket_enlists_before_it_bumps_and_releases_last(world: World, numbers: Any) -> None:
    """Enlist, bump, hear; commit; bump, hear, release: a writer that dies anywhere in between leaves nothing stale."""
    tags = [numbers(1).id]
    world.run(write.begin(tags, "writer", world.ports))
    assert world.log == ["tier.mark", "tier.enlist", "tier.bump", "heard.hear"]
    world.run(write.finish(tags, "writer", world.ports))
    assert world.log == ["tier.bump", "heard.hear", "tier.release"]


def test_an_invalidation_is_heard_after_it_was_acknowledged(world: World, numbers: Any) -> None:
    """Bump, then hear: L1 drops only what the tier would not give it again."""
    world.run(write.invalidate([numbers(1).id], world.ports))
    assert world.log == ["tier.bump", "heard.hear"]


def test_giving_up_only_releases(world: World, numbers: Any) -> None:
    """A write that is known to be rolled back changed nothing, so nothing is bumped."""
    world.run(write.give_up([numbers(1).id], "writer", world.ports))
    assert world.log == ["tier.release"]


def test_writing_no_tags_asks_nothing(world: World) -> None:
    """A bracket without tags costs nothing."""
    for flow in (
        write.invalidate([], world.ports),
        write.begin([], "writer", world.ports),
        write.finish([], "writer", world.ports),
        write.give_up([], "writer", world.ports),
    ):
        world.run(flow)
        assert world.log == []


def test_a_purge_invalidates_before_it_removes(world: World, value: Any) -> None:
    """A value is made invalid before it is deleted, or a fill under way could bring it back."""
    world.run(write.purge(world.call("value", 1), world.ports))
    assert world.log == ["tier.bump", "heard.hear", "tier.remove", "near.drop"]


MOMENTS = [
    ("heard", "position"),
    ("tier", "stamp"),
    ("tier", "writers"),
    ("loads", "load"),
    ("heard", "sync"),
    ("heard", "still"),
    ("flights", "close"),
    ("tier", "store"),
]


@pytest.mark.parametrize(("part", "moment"), MOMENTS, ids=[f"{part}.{moment}" for part, moment in MOMENTS])
@pytest.mark.parametrize("what", ["argument", "value", "key", "all"])
def test_a_write_at_any_moment_of_a_fill_leaves_nothing_stale(
    world: World, rows: dict[int, int], value: Any, numbers: Any, tens: Any, part: str, moment: str, what: str
) -> None:
    """Whenever during a fill a row is written and invalidated, by any of its tags, the next read has the new value."""
    tag = {"argument": numbers(1), "value": tens(1), "all": world.cache._host.everything_tag}.get(what)

    def happens() -> None:
        rows[1] = 11
        if tag is None:
            value.invalidate(1)
        else:
            world.cache.blocking.invalidate(tag)

    getattr(world, part).meanwhile[moment] = happens
    world.run(read(world.call("value", 1), world.ports))
    assert rows[1] == 11, "the moment came"
    assert value(1) == 11


@pytest.mark.parametrize(("part", "moment"), MOMENTS, ids=[f"{part}.{moment}" for part, moment in MOMENTS])
@pytest.mark.parametrize("commits", [True, False], ids=["commits", "dies"])
def test_a_bracket_that_begins_at_any_moment_of_a_fill_leaves_nothing_stale(
    world: World, rows: dict[int, int], value: Any, numbers: Any, part: str, moment: str, commits: bool
) -> None:
    """Whenever during a fill a bracket begins, and whether its writer comes back or dies after its commit, no old value
    is left once the commit is done."""
    bracket = world.cache.changing(numbers(1))

    def happens() -> None:
        bracket.__enter__()

    getattr(world, part).meanwhile[moment] = happens
    world.run(read(world.call("value", 1), world.ports))
    rows[1] = 11
    if commits:
        bracket.__exit__(None, None, None)
    assert value(1) == 11


@pytest.mark.parametrize("step", ["stamp", "writers", "store"])
def test_a_tier_that_is_away_costs_the_storing_and_not_the_value(world: World, value: Any, step: str) -> None:
    """Whichever step of a fill the tier does not answer, the read has its value, and nothing is kept unproven."""
    world.tier.away = {step}
    found = world.run(read(world.call("value", 1), world.ports))
    assert found.value == 10
    assert not found.stored
    assert world.cache.stats().entries == 0
    world.tier.away = set()
    assert world.run(read(world.call("value", 1), world.ports)).stored


def test_a_tier_that_goes_away_during_the_load_costs_the_tags_of_the_value(world: World, value: Any) -> None:
    """When the tags that the value names cannot be stamped, it is returned, and not kept without them."""
    world.loads.meanwhile["load"] = lambda: world.tier.away.add("stamp")
    found = world.run(read(world.call("value", 1), world.ports))
    assert (found.value, found.stored) == (10, False)
    assert world.cache.stats().entries == 0


def test_a_shared_tier_that_is_away_is_read_past() -> None:
    """A read whose tier does not answer goes to the source."""
    world = World(shared=True)

    @world.cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        return key

    world.tier.away = {"fetch"}
    found = world.run(read(world.call("value", 1), world.ports))
    assert (found.value, found.served.value) == (1, "loaded")


def test_what_a_shared_tier_holds_is_served_and_kept() -> None:
    """What the tier has under a current stamp is a hit, and L1 takes it."""
    world = World(shared=True)
    loads: list[int] = []

    @world.cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        loads.append(key)
        return key

    value(1)
    world.near.find = lambda call: None  # L1 has it not, the tier has
    found = world.run(read(world.call("value", 1), world.ports))
    assert (found.value, found.served.value) == (1, "fresh")
    assert loads == [1]
    assert world.steps("tier.fetch", "near.keep") == ["tier.fetch", "near.keep"]
