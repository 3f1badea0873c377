"""Who is listened to."""

from __future__ import annotations

from itertools import product

import pytest

from cacheaside.policy.levers import EVERY, NOTHING, Layer, Word, in_force, next_end

NOW = 100.0


def layers(file: Layer, fleet: Layer, code: Layer) -> tuple[tuple[str, Layer], ...]:
    return ("file", file), ("fleet", fleet), ("code", code)


def test_without_a_word_an_endpoint_is_as_declared() -> None:
    """Nothing said is nothing changed."""
    assert in_force(layers({}, {}, {}), "product", NOW) is NOTHING


@pytest.mark.parametrize("said", list(product([None, 10.0], repeat=3)))
def test_the_file_counts_before_the_fleet_and_the_fleet_before_the_code(
    said: tuple[float | None, ...],
) -> None:
    """Of those who say something of a lever, the first counts, whatever the others say."""
    values = (10.0, 20.0, 30.0)
    made: list[Layer] = [
        {} if one is None else {"product": {"ramp": Word(value)}}
        for one, value in zip(said, values, strict=True)
    ]
    found = in_force(layers(*made), "product", NOW)
    first = next((place for place, one in enumerate(said) if one is not None), None)
    assert found.ramp == (100.0 if first is None else values[first])
    assert dict(found.said_by) == ({} if first is None else {"ramp": ("file", "fleet", "code")[first]})


def test_levers_are_judged_one_by_one() -> None:
    """Who speaks of one lever says nothing of the others."""
    found = in_force(
        layers(
            {"product": {"ramp": Word(5.0)}},
            {"product": {"kill": Word(True)}},
            {EVERY: {"shadow": Word(1.0)}},
        ),
        "product",
        NOW,
    )
    assert (found.kill, found.ramp, found.shadow) == (True, 5.0, 1.0)


def test_one_speaker_means_the_endpoint_before_all() -> None:
    """Everything killed but one endpoint: what is said of it by name counts. A nearer speaker's "all" counts before
    it."""
    fleet: Layer = {EVERY: {"kill": Word(True)}, "product": {"kill": Word(False)}}
    assert not in_force(layers({}, fleet, {}), "product", NOW).kill
    assert in_force(layers({}, fleet, {}), "stock", NOW).kill
    assert in_force(layers({EVERY: {"kill": Word(True)}}, fleet, {}), "product", NOW).kill


def test_what_has_ended_was_never_said() -> None:
    """The word behind it counts again from the very moment on at which it ends."""
    made = layers({"product": {"ramp": Word(5.0, until=NOW)}}, {"product": {"ramp": Word(50.0)}}, {})
    assert in_force(made, "product", NOW - 0.001).ramp == 5.0
    assert in_force(made, "product", NOW).ramp == 50.0
    assert next_end(made, NOW - 1) == NOW
    assert next_end(made, NOW) is None
