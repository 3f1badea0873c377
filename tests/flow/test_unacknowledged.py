"""`Unacknowledged` says whether the change stands."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import Unacknowledged
from cacheaside.endpoint.changing import Changing
from tests.flow.recorded import World


@pytest.fixture
def world() -> World:
    world = World(shared=True)
    world.cache._host.blocking_ports = world.ports
    return world


def raised(world: World, call: Any, *away: str) -> Unacknowledged:
    """What `call` raises while the tier does not answer these."""
    world.tier.away = set(away)
    with pytest.raises(Unacknowledged) as caught:
        call()
    return caught.value


def bracket(world: World, *tags: Any) -> Changing:
    return Changing(tags, world.cache._host)


def test_at_the_beginning_of_a_block_nothing_was_written(world: World) -> None:
    """The block did not run, so the caller may try again."""
    tag = world.cache.tag("numbers", int)(1)
    error = raised(world, lambda: bracket(world, tag).__enter__(), "mark")
    assert error.written is False
    assert str(error).endswith("Nothing was written.")


def test_at_the_end_of_a_block_the_change_stands(world: World) -> None:
    """It is not to be repeated."""
    block = bracket(world, world.cache.tag("numbers", int)(1))
    block.__enter__()
    error = raised(world, lambda: block.__exit__(None, None, None), "bump")
    assert error.written is True
    assert str(error).endswith("The change stands; it is told again until it gets through.")


@pytest.mark.parametrize("how", ["invalidate", "invalidate_all"])
def test_after_an_invalidation_the_change_stands(world: World, how: str) -> None:
    """So it does where all is invalidated."""
    tags = (world.cache.tag("numbers", int)(1),) if how == "invalidate" else ()
    error = raised(world, lambda: getattr(world.cache.blocking, how)(*tags), "bump")
    assert error.written is True


def test_inside_a_block_nobody_but_the_block_knows(world: World) -> None:
    """A tag that cannot be added is the only one in the error; the tags before it are told of at the end."""
    tags = world.cache.tag("numbers", int)
    block = bracket(world, tags(1))
    change = block.__enter__()
    error = raised(world, lambda: change.add(tags(2)), "mark", "bump")
    assert (error.written, error.tags) == (None, (tags(2).id,))
    world.log.clear()
    block.__exit__(Unacknowledged, error, None)
    assert world.log == ["tier.bump", "heard.owe"]


def test_a_log_line_does_not_say_it_twice(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Under "retry", a line says once that it is told again, and never that nothing was written."""
    tag = world.cache.tag("numbers", int)(1)
    world.tier.away = {"mark", "bump"}
    with Changing((tag,), world.cache._host, "retry"):
        pass
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.count("until they get through") == 1
    assert "Nothing was written" not in line
