"""The shared tier on a real server: what is stored is what is fetched, under the generations that its tags have."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import closing
from typing import Any, cast

import msgspec
import pytest

from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Record, Standing
from cacheaside.flow.ports import Leased, TierAway
from cacheaside.policy.timebase import Timebase
from cacheaside.stores.redis.at_once import COMMANDS_AT_ONCE
from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.transport_blocking import BlockingTransport
from cacheaside.stores.redis.tier import RETRY_S, RedisTier
from cacheaside.stores.redis.wire.envelope import Wire
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.names import generation_name, lease_name, waiting_name, writers_name
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.replies import StoreReplyError
from cacheaside.testing.servers import Server
from cacheaside.types import TagId
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.stage import EVERYTHING, Stage, late

MORE = TagId("shop:tag~categories:i7")
FULL = ErrorReply("OOM command not allowed when used memory > 'maxmemory'.")
A_REPLICA = ErrorReply("READONLY You can't write against a read only replica.")


class Process(Stage):
    """A tier for threads."""

    def __init__(self, server: Server, wire: Wire | None = None, **options: Any) -> None:
        self.transport = BlockingTransport(limits=PATIENT)
        super().__init__(self.transport, server.address, wire or Wire())
        self.tier = RedisTier(self.recorder, *self.parts, **self.options(self.pass_time, **options))

    def fetch(self, call: Any) -> Record | None:
        return cast("Record | None", do(self.tier.fetch(call)))

    def put(self, call: Any, value: Any, more: tuple[TagId, ...] = ()) -> Record:
        """Stamped, and stored under the stamp."""
        tags = call.tags + more
        generations = do(self.tier.stamp(tags)).generations
        named = list(zip(more, generations[len(call.tags) :], strict=True))
        record = self.record(call, value, generations[: len(call.tags)], named)
        do(self.tier.store([(call, record)], tags))
        return record


def do(flow: Awaitable[Any]) -> Any:
    return run_blocking(cast("Coroutine[Any, Any, Any]", flow))


@pytest.fixture
def process(server: Server) -> Iterator[Process]:
    server.ask("FLUSHALL")
    one = Process(server)
    yield one
    one.transport.close()


def another(server: Server, **options: Any) -> Process:
    return Process(server, **options)


class TestReading:
    """What is fetched is judged by what its tags say now."""

    def test_what_was_stored_is_fetched(self, process: Process) -> None:
        """The value, when its load began, how long it took, and the stamp that it was stored under."""
        call = process.call(42)
        stored = process.put(call, "forty-two")
        process.t += 3
        found = process.fetch(call)
        assert found is not None
        assert (found.held, found.encoded, found.absent, found.standing) == (
            stored.held,
            stored.encoded,
            False,
            Standing.CURRENT,
        )
        assert (found.load_s, found.ttl_s, found.grace) == (0.5, 60.0, True)
        assert 0 <= stored.loaded_at - found.loaded_at < 0.01, "never younger than it is"
        assert dict(zip(found.tags, found.generations, strict=True)) == dict(
            zip(stored.tags, stored.generations, strict=True)
        )

    def test_an_absent_row_has_its_own_ttl(self, process: Process) -> None:
        """It is known to be absent, for as long as the contract says, without grace."""
        process.put(process.call(1), None)
        found = process.fetch(process.call(1))
        assert found is not None
        assert (found.absent, found.ttl_s, found.grace, found.held) == (True, 5.0, False, None)

    def test_what_is_not_there_is_none(self, process: Process) -> None:
        """And costs one round trip, of one MGET."""
        assert process.fetch(process.call(404)) is None
        assert process.recorder.verbs == [["MGET"]]

    def test_many_take_one_round_trip(self, process: Process) -> None:
        """Each in its place, found or not."""
        for key in (1, 3):
            process.put(process.call(key), str(key))
        process.recorder.said.clear()
        found = do(process.tier.fetch_many([process.call(key) for key in (1, 2, 3)]))
        assert [None if one is None else one.held for one in found] == ["1", None, "3"]
        assert process.recorder.verbs == [["MGET"]]

    def test_a_moved_generation_makes_it_out_of_date(self, process: Process, server: Server) -> None:
        """Of any of its tags, its own included, by whoever moved it; or if it is gone."""
        call = process.call(42)
        for tag in call.tags:
            process.put(call, "x")
            do(process.tier.bump((tag,)))
            process.hearing.hear((tag,))
            found = process.fetch(call)
            assert found is not None
            assert found.standing is Standing.OUTDATED
        process.put(call, "x")
        server.ask("DEL", generation_name(call.tags[2]))
        found = process.fetch(call)
        assert found is not None
        assert found.standing is Standing.OUTDATED

    @pytest.mark.parametrize(
        ("forgets", "standing"), [(False, Standing.UNCERTAIN), (True, Standing.OUTDATED)]
    )
    def test_another_identity_makes_it_uncertain(
        self, process: Process, server: Server, forgets: bool, standing: Standing
    ) -> None:
        """By a server with another history it is not known to be valid; where that is to be forgotten, it is not."""
        call = process.call(42)
        process.put(call, "x")
        other = another(server, forgets=forgets)
        other.state.identity = Identity(8)
        found = other.fetch(other.call(42))
        assert found is not None
        assert found.standing is standing
        other.transport.close()

    def test_the_namespaces_generation_is_read_once(self, process: Process) -> None:
        """Known and unmoved, it is not asked for again; after a change of it, it is."""
        call = process.plain(1)
        process.put(call, 1)
        process.fetch(call)
        process.recorder.said.clear()
        process.fetch(call)
        assert process.recorder.said == [(("MGET", call.key, generation_name(call.key)),)]
        process.hearing.heard((EVERYTHING,))
        process.fetch(call)
        assert generation_name(EVERYTHING) in process.recorder.said[-1][0]

    def test_named_tags_cost_a_second_round_trip(self, process: Process) -> None:
        """An entry that names a tag which the call does not declare is judged by it too."""
        call = process.call(42)
        process.put(call, "x", (MORE,))
        process.recorder.said.clear()
        found = process.fetch(call)
        assert found is not None
        assert found.standing is Standing.CURRENT
        assert MORE in found.tags
        assert process.recorder.said[1] == (("MGET", generation_name(MORE)),)
        assert len(process.recorder.said) == 2
        do(process.tier.bump((MORE,)))
        assert process.fetch(call).standing is Standing.OUTDATED  # type: ignore[union-attr]

    def test_what_is_no_entry_is_a_miss_and_counted(self, process: Process, server: Server) -> None:
        """Another program's bytes, and a value that is not one of this endpoint."""
        server.ask("SET", process.call(1).key, "something else")
        assert process.fetch(process.call(1)) is None
        assert process.counts.rejected[Rejected.FOREIGN] == 1
        call = process.plain(2)
        generations = do(process.tier.stamp(call.tags)).generations
        record = process.record(call, 5, generations)
        wrong = Record(
            **{name: getattr(record, name) for name in record.__struct_fields__} | {"encoded": b"\xa1x"}
        )
        do(process.tier.store([(call, wrong)], ()))
        assert process.fetch(call) is None
        assert process.counts.rejected[Rejected.CORRUPT] == 1

    def test_an_entry_of_the_future_is_a_miss_and_counted(self, process: Process) -> None:
        """Its server's clock was set back since, so its age cannot be told."""
        call = process.call(42)
        process.put(call, "x")
        process.state.base = Timebase(process.t, -5.0, -5.0)
        process.t += 1
        process.state.base = Timebase(process.t, -5.0, -5.0)
        assert process.fetch(call) is None
        assert process.counts.from_the_future == 1


class TestOwed:
    """Tags whose change was not acknowledged."""

    def test_what_is_owed_is_never_fetched_as_current(self, process: Process) -> None:
        """The server does not know of the change yet, and says that all is current."""
        call = process.call(42)
        process.put(call, "x")
        process.owed.add((call.tags[2],))
        assert process.fetch(call).standing is Standing.OUTDATED  # type: ignore[union-attr]
        assert process.tier is not None
        process.owed.clear()
        process.owed.add((EVERYTHING,))
        assert process.fetch(call).standing is Standing.OUTDATED  # type: ignore[union-attr]

    def test_nothing_is_stored_that_others_would_take(self, process: Process, server: Server) -> None:
        """A stamp for it has a generation that nothing equals, and looked at again it is about to change."""
        call = process.call(42)
        process.owed.add((call.tags[2],))
        generations = do(process.tier.stamp(call.tags)).generations
        record = process.record(call, "x", generations)
        rechecked = do(process.tier.store([(call, record)], call.tags))
        assert rechecked[2] is None
        other = another(server)
        assert other.fetch(other.call(42)).standing is Standing.OUTDATED  # type: ignore[union-attr]
        other.transport.close()


class TestFilling:
    """Stamps, writers, leases."""

    def test_a_stamp_is_made_once(self, process: Process, server: Server) -> None:
        """Two processes that stamp have the same generations."""
        other = another(server)
        call = process.call(1)
        assert do(process.tier.stamp(call.tags)).generations == do(other.tier.stamp(call.tags)).generations
        other.transport.close()

    def test_a_writer_under_way_is_seen_until_it_is_released(self, process: Process) -> None:
        """And marking gives the tag a new generation."""
        tag = process.call(1).tags[2]
        before = do(process.tier.stamp((tag,)))
        do(process.tier.mark((tag,), "w1", 30.0))
        during = do(process.tier.stamp((tag,)))
        assert (before.writers, during.writers) == (frozenset(), frozenset({tag}))
        assert before.generations != during.generations
        do(process.tier.release((tag,), "w2"))
        assert do(process.tier.stamp((tag,))).writers
        do(process.tier.release((tag,), "w1"))
        assert not do(process.tier.stamp((tag,))).writers

    def test_an_entry_lives_for_as_long_as_it_is_of_use(self, process: Process, server: Server) -> None:
        """Its ttl and grace; an absent row its ttl alone."""
        process.put(process.call(1), "x")
        process.put(process.call(2), None)
        for key, bound_s in ((1, 90), (2, 5)):
            left_ms = int(server.ask("PTTL", process.call(key).key))
            assert bound_s * 1000 - 5000 < left_ms <= bound_s * 1000

    def test_what_does_not_fit_is_not_stored_and_counted(self, server: Server) -> None:
        """A value that is larger than the wire takes is returned only."""
        server.ask("FLUSHALL")
        small = Process(server, Wire(value_max_bytes=10))
        small.put(small.call(1), "x" * 100)
        assert small.counts.unstorable == 1
        assert small.fetch(small.call(1)) is None
        small.transport.close()

    def test_a_full_server_stores_nothing_and_is_counted(self, process: Process) -> None:
        """The generations are known all the same."""
        call = process.call(1)
        stamped = do(process.tier.stamp(call.tags))
        record = process.record(call, "x", stamped.generations)
        process.recorder.answers.append([FULL, [None, None]])
        assert do(process.tier.store([(call, record)], call.tags)) == (
            None,
            process.hearing.everything(),
            None,
        )
        assert process.counts.stores_refused == 1

    def test_one_has_the_lease_until_it_is_given_back(self, process: Process, server: Server) -> None:
        """The others see whose it is and what is stored; the holder gives it back with what it stores."""
        other = another(server)
        call = process.call(1)
        lease = process.lease(call)
        mine = do(process.tier.stamp(call.tags, lease))
        theirs = do(other.tier.stamp(other.call(1).tags, other.lease(other.call(1))))
        assert (mine.seen.leased, theirs.seen.leased) == (Leased.MINE, Leased.ANOTHERS)
        assert (mine.generations, theirs.seen.record) == (theirs.generations, None)
        record = process.record(call, "x", mine.generations)
        do(process.tier.store([(call, record)], call.tags, lease))
        seen = do(other.tier.peek(other.call(1), ask=False))
        assert (seen.leased, seen.record.held) == (Leased.NOBODYS, "x")
        other.transport.close()

    def test_who_asks_to_be_told_is(self, process: Process, server: Server) -> None:
        """Asking leaves a name that the holder's giving back deletes, whose end is announced."""
        call = process.call(1)
        lease = process.lease(call)
        do(process.tier.stamp(call.tags, lease))
        assert do(process.tier.peek(call, ask=True)).leased is Leased.ANOTHERS
        assert server.ask("EXISTS", waiting_name(call.key)) == 1
        do(process.tier.hand_back(lease))
        assert server.ask("EXISTS", waiting_name(call.key), lease_name(call.key)) == 0

    def test_a_lease_that_may_have_run_out_is_not_taken_from_another(
        self, process: Process, server: Server
    ) -> None:
        """By then it may be another's; who waits is told all the same."""
        call = process.call(1)
        lease = process.lease(call)
        do(process.tier.stamp(call.tags, lease))
        process.t += 4.95
        do(process.tier.hand_back(lease))
        assert server.ask("EXISTS", lease_name(call.key)) == 1

    def test_what_could_not_be_stored_is_everybodys(self, process: Process) -> None:
        """For a while nobody waits for anybody."""
        call = process.call(1)
        lease = process.lease(call)
        do(process.tier.stamp(call.tags, lease))
        do(process.tier.store([], call.tags, lease, free=True))
        assert do(process.tier.peek(call, ask=False)).leased is Leased.EVERYBODYS

    def test_removing_removes(self, process: Process) -> None:
        """Value and all."""
        process.put(process.call(1), "x")
        do(process.tier.remove(process.call(1)))
        assert process.fetch(process.call(1)) is None


class TestInsisting:
    """A write is tried again, while the servers are up."""

    def test_each_try_has_generations_of_its_own(self, process: Process) -> None:
        """What may have been carried out is never sent again, and the last one counts."""
        tags = process.call(1).tags
        process.recorder.failures = [late(), late()]
        do(process.tier.bump(tags))
        assert process.pauses == [RETRY_S] * 2
        sent = [command[2] for exchange in process.recorder.said for command in exchange]
        assert len(sent) == len(set(sent)) == 3 * len(tags)

    @pytest.mark.parametrize("lengthen", [True, False])
    def test_a_mark_without_an_end_is_given_one(
        self, process: Process, server: Server, *, lengthen: bool
    ) -> None:
        """Who looks for writers and finds one for ever, as a connection cut in between leaves it, gives it an end; once
        for each half of a mark's lifetime."""
        process.commands.lengthen = lengthen
        name = writers_name(MORE)
        server.ask("SADD", name, "cut-off")
        assert do(process.tier.stamp((MORE,))).writers == {MORE}
        assert 0 < int(server.ask("PTTL", name)) <= 30_000
        server.ask("PERSIST", name)
        do(process.tier.stamp((MORE,)))
        assert server.ask("PTTL", name) == -1
        process.t += 15.0
        do(process.tier.stamp((MORE,)))
        assert int(server.ask("PTTL", name)) > 0

    @pytest.mark.parametrize("lengthen", [True, False])
    def test_a_mark_that_ends_is_left_alone(
        self, process: Process, server: Server, *, lengthen: bool
    ) -> None:
        """Whoever looks, and however often, a dead writer's mark ends when it was to end."""
        process.commands.lengthen = lengthen
        name = writers_name(MORE)
        server.ask("SADD", name, "dead")
        server.ask("PEXPIRE", name, 20_000)
        for _ in range(3):
            process.t += 15.0
            assert do(process.tier.stamp((MORE,))).writers == {MORE}
            assert int(server.ask("PTTL", name)) <= 20_000

    def test_an_end_that_was_given_too_soon_is_made_later(self, process: Process, server: Server) -> None:
        """(1) a writer's SADD arrives (2) a fill gives the mark a short end (3) the writer's is later, and counts."""
        name = writers_name(MORE)
        adding, *ends = process.commands.enlist((MORE,), "w", 60_000).commands[1:]
        server.ask(*adding)
        server.ask("PEXPIRE", name, 1000, "NX")
        for end in ends:
            server.ask(*end)
        assert int(server.ask("PTTL", name)) > 30_000

    def test_the_log_says_a_refusal_without_keys(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its command, its code and the cache, once a minute for each of both; keys have arguments in them."""
        call = process.call(4711)
        refused = ErrorReply("NOPERM this user may not, shop:secret")
        process.recorder.answers = [[refused], [refused]]
        with caplog.at_level("WARNING", "cacheaside"):
            for _ in range(2):
                with pytest.raises(StoreReplyError, match="4711"):
                    process.fetch(call)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("cache shop: the shared tier refuses: MGET: the server answered NOPERM")
        assert "4711" not in line
        assert "secret" not in line

    def test_many_tags_go_out_in_parts(self, process: Process, server: Server) -> None:
        """However many a write names, no exchange is about more than can be answered in time."""
        tags = [TagId(f"shop:tag~products:i{number}") for number in range(1201)]
        do(process.tier.mark(tags, "w", 30.0))
        do(process.tier.bump(tags))
        do(process.tier.release(tags, "w"))
        assert max(map(len, process.recorder.said)) <= COMMANDS_AT_ONCE
        assert server.ask("EXISTS", *map(generation_name, tags)) == len(tags)
        assert server.ask("EXISTS", *map(writers_name, tags)) == 0
        process.recorder.said.clear()
        assert len(do(process.tier.stamp(tags)).generations) == len(tags)
        assert max(map(len, process.recorder.said)) <= COMMANDS_AT_ONCE

    def test_more_tags_than_an_entry_can_have_are_not_asked_for(self, process: Process) -> None:
        """Such an entry is never stored, so nothing is fetched for it; for others of the same batch it is."""
        process.put(process.call(1), "one")
        many = msgspec.structs.replace(
            process.call(2), tags=tuple(TagId(f"shop:tag~t:i{n}") for n in range(300))
        )
        process.recorder.said.clear()
        assert do(process.tier.fetch(many)) is None
        assert process.recorder.said == []
        found = do(process.tier.fetch_many((many, process.call(1), many)))
        assert [one is not None for one in found] == [False, True, False]

    def test_a_mark_is_insisted_on_too(self, process: Process) -> None:
        """And its writer is added in every try."""
        process.recorder.failures = [late()]
        do(process.tier.mark((EVERYTHING,), "w", 30.0))
        adding = [[command for command in said if command[0] == "SADD"] for said in process.recorder.said]
        assert [[command[2] for command in commands] for commands in adding] == [["w"], ["w"]]

    def test_it_ends(self, process: Process) -> None:
        """After the deadline of writes its caller is told, with the last reason."""
        process.recorder.failures = [late() for _ in range(1000)]
        with pytest.raises(ConnectionAway, match="no answer"):
            do(process.tier.bump((EVERYTHING,)))
        assert sum(process.pauses) <= 0.5 + RETRY_S
        assert process.counts.away == len(process.recorder.said) > 10

    def test_it_is_not_tried_again_without_a_server(self, process: Process) -> None:
        """What is known to be away is not insisted on."""
        process.servers.say(process.state, is_up=False, why=late())
        process.recorder.failures = [late() for _ in range(1000)]
        with pytest.raises(ConnectionAway):
            do(process.tier.bump((EVERYTHING,)))
        assert process.pauses == []

    def test_a_refusal_is_final(self, process: Process) -> None:
        """A server that answers with an error would again."""
        process.recorder.answers = [[ErrorReply("NOPERM this user has no permissions")]]
        with pytest.raises(StoreReplyError, match="NOPERM"):
            do(process.tier.bump((EVERYTHING,)))
        assert (len(process.recorder.said), process.counts.refused) == (1, 1)

    def test_a_full_server_loses_the_generation_instead(self, process: Process, server: Server) -> None:
        """It takes no new one, and none at all matches nothing either: the invalidation holds."""
        call = process.call(1)
        process.put(call, "x")
        process.recorder.answers = [[FULL]]
        do(process.tier.bump((call.tags[2],)))
        assert server.ask("EXISTS", generation_name(call.tags[2])) == 0
        assert process.fetch(call).standing is Standing.OUTDATED  # type: ignore[union-attr]

    def test_reads_are_not_insisted_on(self, process: Process) -> None:
        """A read goes on without a tier that is late."""
        process.recorder.failures = [late()]
        with pytest.raises(ConnectionAway):
            process.fetch(process.call(1))
        assert (len(process.recorder.said), process.counts.away) == (1, 1)

    def test_replicas_are_waited_for_where_that_is_asked(self, server: Server) -> None:
        """Without as many as that, an invalidation is not acknowledged."""
        careful = Process(server, wait_replicas=1, wait_ms=1, write_deadline_s=0.05)
        with closing(careful.transport):
            with pytest.raises(TierAway, match="fewer than 1 replicas had it"):
                do(careful.tier.bump((EVERYTHING,)))
            assert careful.recorder.verbs == [["SET", "WAIT"]]


class TestServers:
    """Which server is asked, and believed."""

    def test_a_replica_is_doubted(self, process: Process) -> None:
        """Who answers as one that is not the primary has the keeper look for it."""
        process.recorder.answers = [[A_REPLICA, A_REPLICA, [None, None], 0, 0]]
        with pytest.raises(TierAway, match="READONLY"):
            do(process.tier.stamp(process.plain(1).tags))
        assert (process.doubts, process.counts.refused) == (1, 1)

    def test_who_is_not_up_is_not_asked(self, process: Process) -> None:
        """A read fails at once, with the reason, and nothing is sent."""
        process.servers.say(process.state, is_up=False, why=late())
        with pytest.raises(ConnectionAway) as raised:
            process.fetch(process.call(1))
        assert raised.value.reason is Away.BACKING_OFF
        assert process.recorder.said == []

    def test_before_the_first_attempt_readers_wait_for_it(self, process: Process) -> None:
        """Once, and only while there is none that is up."""
        waited: list[int] = []

        async def ready() -> None:
            waited.append(1)
            process.servers.say(process.state, is_up=True)

        process.tier._ready = ready
        process.servers.say(process.state, is_up=False)
        process.fetch(process.call(1))
        process.fetch(process.call(1))
        assert waited == [1]
