"""Entries for the tests of the shared tier's pure parts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cacheaside.stores.redis.wire.envelope import Envelope
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.stamp import Stamp
from cacheaside.types import Generation, TagId

KEY = TagId("shop:product:1~k3f9abcd:i42")
EVERYTHING = TagId("shop:tag~%2A:()")
PRODUCT = TagId("shop:tag~products:i42")
CATEGORY = TagId("shop:tag~categories:i7")
DECLARED = (KEY, EVERYTHING, PRODUCT)

words = st.integers(0, 2**64 - 1).map(Generation)
servers = st.integers(0, 2**32 - 1).map(Identity)
tag_ids = st.builds(
    lambda namespace, name: TagId(f"{namespace}:tag~{name}"),
    st.sampled_from(["shop", "shop2", "s"]),
    st.text("abc:,~#%()", max_size=40),
)


def envelope(
    tags: tuple[TagId, ...] = DECLARED, value: bytes = b"\x93\x01\x02\x03", **fields: Any
) -> Envelope:
    """An entry stamped for `tags`, by one server."""
    count = len(tags)
    stamp = Stamp(tags, tuple(Generation(100 + n) for n in range(count)), (Identity(7),) * count)
    given: dict[str, Any] = {
        "value": value,
        "loaded_at_us": 1_790_000_000_123_456,
        "absent": False,
        "load_s": 0.0123,
        "stamp": stamp,
        **fields,
    }
    return Envelope(**given)


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[Envelope, tuple[TagId, ...]]:
    """Any entry, and the tags that its call declares, in any order."""
    tags = tuple(draw(st.lists(tag_ids, unique=True, max_size=8)))
    declared = tuple(draw(st.permutations(tags)))[: draw(st.integers(0, len(tags)))]
    count = len(tags)
    few = draw(st.lists(servers, min_size=1, max_size=3))
    stamp = Stamp(
        tags,
        tuple(draw(st.lists(words, min_size=count, max_size=count))),
        tuple(draw(st.lists(st.sampled_from(few), min_size=count, max_size=count))),
    )
    made = Envelope(
        value=draw(st.binary(max_size=300) | st.integers(0, 4000).map(bytes)),
        loaded_at_us=draw(st.integers(0, 2**64 - 1)),
        absent=draw(st.booleans()),
        load_s=draw(st.floats(0, 60_000)),
        stamp=stamp,
    )
    return made, declared


def by_tag(stamp: Stamp) -> dict[TagId, tuple[Generation, Identity]]:
    """What a stamp says of each tag, whatever their order."""
    return dict(zip(stamp.tags, zip(stamp.generations, stamp.identities, strict=True), strict=True))
