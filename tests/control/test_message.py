"""What the fleet is told: followed only when it is signed, for this namespace, in time, and no older than the last."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.control.message import (
    MESSAGE_MAX_BYTES,
    Ignored,
    Keys,
    Message,
    opened,
    signed,
)
from cacheaside.control.words import LASTS_MAX_S
from cacheaside.errors import DeclarationError
from cacheaside.policy.levers import Word

OURS, OLDER, THEIRS = b"o" * 32, b"a" * 32, b"t" * 32
KEYS = Keys([OURS])
NOW = 1_000_000.0


def message(**changes: Any) -> Message:
    usual: dict[str, Any] = {
        "namespace": "shop",
        "version": 7,
        "issued_s": NOW,
        "expires_s": NOW + 60,
        "id": "a",
        "endpoints": {"product": {"kill": (True, None), "ramp": (25.0, NOW + 10)}},
    }
    return Message(**{**usual, **changes})


def judged(data: bytes, keys: Keys = KEYS, now: float = NOW) -> Message | Ignored:
    return opened(data, "shop", keys, now)


def test_what_was_signed_is_followed() -> None:
    """A message comes back as it was; each of its words ends with it at the latest."""
    found = judged(signed(message(), KEYS))
    assert found == message()
    assert isinstance(found, Message)
    assert found.layer == {"product": {"kill": Word(True, NOW + 60), "ramp": Word(25.0, NOW + 10)}}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (signed(message(), Keys([THEIRS])), Ignored.UNKNOWN_KEY),
        (signed(message(namespace="stock"), KEYS), Ignored.OTHER_NAMESPACE),
        (signed(message(expires_s=NOW), KEYS), Ignored.MALFORMED),
        (signed(message(issued_s=NOW - 60, expires_s=NOW - 1), KEYS), Ignored.EXPIRED),
        (signed(message(issued_s=NOW + 60, expires_s=NOW + 90), KEYS), Ignored.FROM_THE_FUTURE),
        (signed(message(expires_s=NOW + LASTS_MAX_S + 60), KEYS), Ignored.MALFORMED),
        (signed(message(endpoints={"product": {"ramp": (250.0, None)}}), KEYS), Ignored.MALFORMED),
        (signed(message(endpoints={"product": {"kill": ("yes", None)}}), KEYS), Ignored.MALFORMED),
        (KEYS.sign(b"{"), Ignored.MALFORMED),
        (KEYS.sign(b'{"namespace": "shop"}'), Ignored.MALFORMED),
        (b"", Ignored.FOREIGN),
        (b"CAc1", Ignored.FOREIGN),
        (msgspec.json.encode(message()), Ignored.FOREIGN),
        (b"CAc1" + b"x" * MESSAGE_MAX_BYTES, Ignored.TOO_LARGE),
    ],
)
def test_everything_else_is_ignored_with_its_reason(data: bytes, why: Ignored) -> None:
    """Forged, foreign, too late, too early, too long, too large or of another namespace: each is told apart."""
    assert judged(data) is why


@given(st.integers(0, len(signed(message(), KEYS)) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(place: int, by: int) -> None:
    """Whatever byte is another, it is not followed."""
    data = bytearray(signed(message(), KEYS))
    data[place] ^= by
    assert isinstance(judged(bytes(data)), Ignored)


@given(st.binary(max_size=300))
def test_anything_may_lie_there(data: bytes) -> None:
    """Bytes of any kind are ignored, without an exception; also behind a magic that is right."""
    assert isinstance(judged(data), Ignored)
    assert isinstance(judged(b"CAc1" + data), Ignored)
    assert isinstance(judged(KEYS.sign(data)), Ignored)


def test_secrets_are_exchanged_as_for_entries() -> None:
    """The first signs, every one is accepted: two versions of a service with one secret in common hear each other."""
    both = Keys([OURS, OLDER])
    assert judged(signed(message(), Keys([OLDER])), both) == message()
    assert judged(signed(message(), both), Keys([OURS])) == message()
    assert judged(signed(message(), both), Keys([OLDER])) in (Ignored.UNKNOWN_KEY, Ignored.FORGED)


def test_the_order_of_messages_is_total() -> None:
    """Of two different messages one is the newer, whatever they have in common: no process is left to choose."""
    made = [message(), message(version=8), message(issued_s=NOW + 1), message(id="b")]
    assert len({one.order for one in made}) == len(made)
    assert max(made, key=lambda one: one.order).version == 8


def test_a_lever_of_a_later_version_is_left_out() -> None:
    """An old process follows what it knows of a newer one's message."""
    found = judged(signed(message(endpoints={"product": {"kill": (True, None), "warp": (9, None)}}), KEYS))
    assert isinstance(found, Message)
    assert set(found.layer["product"]) == {"kill"}


def test_a_message_is_bounded() -> None:
    """Too many endpoints are an error of the one who says it, and say what to do."""
    with pytest.raises(DeclarationError, match="reset"):
        signed(message(endpoints={f"p{n}": {"kill": (True, None)} for n in range(1001)}), KEYS)


def test_no_secret_is_shown() -> None:
    """The keys print without themselves."""
    assert "o" * 4 not in repr(Keys([OURS]))
