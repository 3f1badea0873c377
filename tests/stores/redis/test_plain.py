"""What was seen of a key that is no plain hit: a flow goes on from it as if it had looked itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cacheaside.flow.call import Call, Standing
from cacheaside.flow.ports import Glance, TierAway
from cacheaside.stores.redis.plain import Else
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.testing.servers import Server
from cacheaside.types import TagId
from tests.stores.redis.stage import late
from tests.stores.redis.test_blocking_tier import Threads
from tests.stores.redis.test_tier import do

MORE = TagId("shop:tag~categories:i7")


@pytest.fixture
def process(server: Server) -> Iterator[Threads]:
    server.ask("FLUSHALL")
    process = Threads(server)
    with closing(process.transport):
        yield process


def glance_at(process: Threads, call: Call) -> Glance:
    """What is seen of `call` by the short way, which must be no plain hit; what was said until then is forgotten."""
    endpoint: Any = call.endpoint
    answer = process.tier.value(endpoint, call.key, call.tags[2:])
    assert type(answer) is Else
    assert answer.glance is not None
    process.recorder.said.clear()
    return answer.glance


def too_old(process: Threads, call: Call) -> Call:
    """Put an entry that is valid, and not surely fresh."""
    process.put(call, "x")
    process.t += process.product.quick_for_s + 1
    return call


def test_nothing_there_is_not_looked_for_again(process: Threads) -> None:
    """A miss is a miss."""
    call = process.call(1)
    assert do(glance_at(process, call).record(call)) is None
    assert process.recorder.said == []


def test_it_is_what_a_fetch_gives(process: Threads) -> None:
    """An entry that is current, one that moved, one whose tag has no generation, and garbage."""
    call = too_old(process, process.call(1))
    for standing in (Standing.CURRENT, Standing.OUTDATED):
        glance = glance_at(process, call)
        found = do(glance.record(call))
        assert process.recorder.said == []
        assert found is not None
        assert (found.held, found.standing) == ("x", standing)
        assert found == do(process.tier.fetch(call))
        do(process.tier.bump(call.tags[2:]))
    do(process.recorder.execute([("DEL", f"shop:!{{{call.tags[2]}}}")]))
    found = do(glance_at(process, call).record(call))
    assert found is not None
    assert found.standing is Standing.OUTDATED
    do(process.recorder.execute([("SET", call.key, "something else")]))
    assert do(glance_at(process, call).record(call)) is None


def test_it_is_as_of_the_look(process: Threads) -> None:
    """What changes afterwards is for reads that begin after it; this one began before."""
    call = too_old(process, process.call(1))
    glance = glance_at(process, call)
    do(process.tier.bump(call.tags[2:]))
    found = do(glance.record(call))
    assert found is not None
    assert found.standing is Standing.CURRENT


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_owed_is_out_of_date(process: Threads, when: str) -> None:
    """Owed when it was asked for, and paid since: the answer may be of before that. Owed since: it may be older than a
    write of this process."""
    call = too_old(process, process.call(1))
    if when == "before":
        process.owed.add(call.tags[2:])
    glance = glance_at(process, call)
    if when == "before":
        process.owed.clear()
    else:
        process.owed.add(call.tags[2:])
    found = do(glance.record(call))
    assert found is not None
    assert found.standing is Standing.OUTDATED
    assert process.recorder.said == []


def test_another_server_is_asked_again(process: Threads) -> None:
    """What one server said must not count as said by the one that took over."""
    call = too_old(process, process.call(1))
    glance = glance_at(process, call)
    process.state.identity = Identity(8)
    found = do(glance.record(call))
    assert found is not None
    assert found.standing is Standing.UNCERTAIN
    assert process.recorder.verbs == [["MGET"]]


def test_a_server_that_went_away_is_not_asked_again(process: Threads) -> None:
    """Nor is what it said before of use: whether it is still the primary cannot be told."""
    call = too_old(process, process.call(1))
    glance = glance_at(process, call)
    process.servers.say(process.state, is_up=False, why=late())
    with pytest.raises(TierAway):
        do(glance.record(call))
    assert process.recorder.said == []


def test_a_call_of_other_tags_or_another_key_is_fetched(process: Threads) -> None:
    """`tags=` and `vary=` are asked twice, and may answer differently: what was seen is not what is asked for then."""
    call = too_old(process, process.call(1))
    glance = glance_at(process, call)
    other = process.call(1)
    other.tags = (*other.tags, MORE)
    assert do(glance.record(other)) is None, "the entry does not depend on it"
    assert do(glance.record(process.call(2))) is None
    assert len(process.recorder.said) == 2


def test_tags_that_only_the_entry_names_are_asked_for(process: Threads) -> None:
    """They cost a round trip more, and no second look at the entry."""
    call = process.call(1)
    process.put(call, "x", (MORE,))
    glance = glance_at(process, call)
    found = do(glance.record(call))
    assert found is not None
    assert found.standing is Standing.CURRENT
    assert process.recorder.said == [(("MGET", f"shop:!{{{MORE}}}"),)]


def test_what_is_no_answer_is_asked_for_again(process: Threads) -> None:
    """A flow says what is wrong with it."""
    for answer in ([[b"x"]], [[1, b"12345678", b"12345678"]], [[None, b"12345678", 7]]):
        process.recorder.answers = [answer]
        found = process.tier.value(process.product, process.call(1).key, process.call(1).tags[2:])
        assert type(found) is Else
        assert (found.glance, found.in_vain) == (None, False)


def test_all_of_one_look_arrived_before_any_goes_on(process: Threads) -> None:
    """So that they may share, whatever happens meanwhile, the load that the first of them begins; and never before they
    came: a load that was under way then may not answer them."""
    wishes = [(process.row, process.plain(key).key, 0, key, ()) for key in range(3)]
    before = process.moment()
    known = process.hearing.everything()
    assert known is not None
    answers = process.tier._plain_hits.answers(wishes, [None, None], known, frozenset())
    moments = [answer.glance.arrived for _, answer in answers]
    assert before < moments[0] < process.moment()
    assert moments == [moments[0]] * 3
