"""The shared tier on event loops: what is asked in one turn goes out together, and nobody disturbs another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from cacheaside.flow.call import Record, Standing
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.aio_tier import AioTier, resume
from cacheaside.stores.redis.connect.away import ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.connection import Command, Connection, Receiver
from cacheaside.stores.redis.connect.routing_aio import AioFleet
from cacheaside.stores.redis.plain import AWAY
from cacheaside.stores.redis.wire.commands import KEYS_MAX
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.names import generation_name
from cacheaside.testing.servers import Server
from cacheaside.types import TagId
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.stage import EVERYTHING, Recorder, Stage, late, takes_a_flow

MORE = TagId("shop:tag~categories:i7")
REFUSED = ErrorReply("READONLY You can't write against a read only replica.")


class Direct:
    """The loop's own connection, with what is sent at once written down, or answered by the test."""

    def __init__(self, fleet: AioFleet, recorder: Recorder) -> None:
        self._fleet = fleet
        self._recorder = recorder
        self._connection: Connection | None = None
        self.instead: Callable[[Receiver], None] | None = None

    def connection(self) -> Connection | None:
        self._connection = self._fleet.connection()
        return None if self._connection is None else cast("Connection", self)

    def send_now(self, command: Command, receiver: Receiver) -> None:
        self._recorder.said.append((command,))
        if self.instead is not None:
            self.instead(receiver)
            return
        assert self._connection is not None
        self._connection.send_now(command, receiver)


class Process(Stage):
    """A tier for event loops, connected."""

    def __init__(self, server: Server) -> None:
        self.fleet = AioFleet(limits=PATIENT)
        super().__init__(self.fleet, server.address)
        self.direct = Direct(self.fleet, self.recorder)
        self.attended: list[asyncio.AbstractEventLoop] = []
        self.tier = AioTier(
            self.recorder,
            *self.parts,
            direct=self.direct,
            moment=self.moment,
            attend=self.attended.append,
            **self.options(self.pass_time),
        )

    async def put(self, call: Any, value: Any, more: tuple[TagId, ...] = ()) -> Record:
        """Stamped, and stored under the stamp; what was said of it is forgotten."""
        tags = call.tags + more
        generations = (await self.tier.stamp(tags)).generations
        named = list(zip(more, generations[len(call.tags) :], strict=True))
        record = self.record(call, value, generations[: len(call.tags)], named)
        await self.tier.store([(call, record)], tags)
        self.recorder.said.clear()
        return record


@asynccontextmanager
async def process_on(server: Server) -> AsyncIterator[Process]:
    await asyncio.to_thread(server.ask, "FLUSHALL")
    process = Process(server)
    try:
        await process.fleet.execute([("PING", "shop")])
        await process.tier.stamp((EVERYTHING,))
        process.recorder.said.clear()
        yield process
    finally:
        await process.fleet.aclose()


def held(records: list[Any]) -> list[Any]:
    return [None if record is None else record.held for record in records]


class TestTogether:
    """What goes out when."""

    async def test_reads_of_one_turn_are_one_mget(self, server: Server) -> None:
        """However many tasks read, each gets its own; and each name is asked for in the one command."""
        async with process_on(server) as process:
            for key in range(0, 20, 2):
                await process.put(process.plain(key), key)

            async def read(key: int) -> Record | None:
                return await process.tier.fetch(process.plain(key))

            found = await asyncio.gather(*(read(key) for key in range(20)))
            assert held(list(found)) == [key if key % 2 == 0 else None for key in range(20)]
            ((command,),) = process.recorder.said
            assert command[0] == "MGET"
            assert len(command) == 1 + 2 * 20

    async def test_a_read_alone_goes_out_at_once(self, server: Server) -> None:
        """When nothing else is left to be run in this turn nobody can join, and nobody is waited for."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 1)
            first = process.tier.fetch(process.plain(1))
            assert len(process.recorder.said) == 1
            assert (await first).held == 1  # type: ignore[union-attr]

    async def test_a_read_beside_others_waits_for_the_end_of_the_turn(self, server: Server) -> None:
        """Who might still read in this turn is waited for."""
        async with process_on(server) as process:
            asyncio.get_running_loop().call_soon(lambda: None)
            reading = process.tier.fetch(process.plain(1))
            assert process.recorder.said == []
            await reading
            assert len(process.recorder.said) == 1

    async def test_turns_are_apart(self, server: Server) -> None:
        """What is asked in a later turn is another command, under way at the same time."""
        async with process_on(server) as process:
            readings = []
            for key in range(3):
                readings.append(asyncio.ensure_future(process.tier.fetch(process.plain(key))))
                await asyncio.sleep(0)
            await asyncio.gather(*readings)
            assert len(process.recorder.said) == 3

    async def test_no_command_asks_for_too_much(self, server: Server) -> None:
        """Many reads of one turn are as many commands as the limit of names asks for, in one exchange."""
        async with process_on(server) as process:
            await process.put(process.plain(KEYS_MAX), 7)
            asyncio.get_running_loop().call_soon(lambda: None)
            readings = [process.tier.fetch(process.plain(key)) for key in range(KEYS_MAX + 1)]
            found = await asyncio.gather(*readings)
            assert held(list(found)) == [None] * KEYS_MAX + [7]
            (commands,) = process.recorder.said
            assert [len(command) - 1 for command in commands] == [KEYS_MAX, KEYS_MAX, 2]

    @pytest.mark.parametrize("quick", [True, False])
    async def test_what_many_ask_for_is_asked_once(self, server: Server, quick: bool) -> None:
        """All callers of one key in a turn are answered by one entry, sent once; each has a future of its own."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 1)
            asyncio.get_running_loop().call_soon(lambda: None)
            call = process.plain(1)
            found: list[Any] = [
                process.tier.value(process.row, call.key, ())
                if quick
                else process.tier.fetch(process.plain(1))
                for _ in range(KEYS_MAX)
            ]
            found[0].cancel()
            answers = await asyncio.gather(*found[1:])
            assert (answers if quick else held(answers)) == [1] * (KEYS_MAX - 1)
            assert process.recorder.said == [(("MGET", call.key, generation_name(call.key)),)]

    @pytest.mark.parametrize("quick", [True, False])
    async def test_other_tags_of_one_key_are_asked_for_too(self, server: Server, quick: bool) -> None:
        """Two callers of a key that depend on different tags are each answered by their own."""
        async with process_on(server) as process:
            call = process.call(1)
            await process.put(call, "x")
            other = process.product.call((1,))
            other.tags = (*other.tags, MORE)
            asyncio.get_running_loop().call_soon(lambda: None)
            found: list[Any] = [
                process.tier.value(process.product, one.key, one.tags[2:])
                if quick
                else process.tier.fetch(one)
                for one in (call, other)
            ]
            first, second = await asyncio.gather(*found)
            if quick:
                assert first == "x"
                assert takes_a_flow(second)
            else:
                assert (first.standing, second) == (Standing.CURRENT, None)
            ((command,),) = process.recorder.said
            assert generation_name(MORE) in command

    async def test_a_loop_without_a_connection_makes_one(self, server: Server) -> None:
        """The first reads of a loop wait for it, and it is told of as one that uses the tier."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 1)
            await process.fleet.aclose()
            assert (await process.tier.fetch(process.plain(1))).held == 1  # type: ignore[union-attr]
            assert process.attended == [asyncio.get_running_loop()]


class TestApart:
    """One caller's misfortune is no other's."""

    async def test_a_caller_that_is_cancelled_disturbs_nobody(self, server: Server) -> None:
        """The others of its turn get their answers, and nothing complains."""
        async with process_on(server) as process:
            for key in range(3):
                await process.put(process.plain(key), key)

            async def read(key: int) -> Any:
                return await process.tier.fetch(process.plain(key))

            tasks = [asyncio.ensure_future(read(key)) for key in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(found[1], asyncio.CancelledError)
            assert held([found[0], found[2]]) == [0, 2]

    async def test_all_callers_may_be_cancelled(self, server: Server) -> None:
        """Then the answer is dropped, and the next read is answered."""
        async with process_on(server) as process:
            reading = asyncio.ensure_future(process.tier.fetch(process.plain(1)))
            reading.cancel()
            assert await process.tier.fetch(process.plain(1)) is None

    async def test_garbage_under_one_key_is_one_miss(self, server: Server) -> None:
        """Reads of the same command are answered beside it."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 1)
            await asyncio.to_thread(server.ask, "SET", process.plain(2).key, "something else")
            asyncio.get_running_loop().call_soon(lambda: None)
            found = await asyncio.gather(*(process.tier.fetch(process.plain(key)) for key in (1, 2)))
            assert held(list(found)) == [1, None]

    async def test_named_tags_cost_who_needs_them_a_second_round_trip(self, server: Server) -> None:
        """And the entry is judged by them."""
        async with process_on(server) as process:
            call = process.plain(1)
            await process.put(call, 1, (MORE,))
            found = await process.tier.fetch(call)
            assert found is not None
            assert found.standing is Standing.CURRENT
            assert process.recorder.said[1] == (("MGET", generation_name(MORE)),)
            await process.tier.bump((MORE,))
            found = await process.tier.fetch(call)
            assert found is not None
            assert found.standing is Standing.OUTDATED


class TestAway:
    """No answer, or an error."""

    async def test_each_caller_has_an_error_of_its_own(self, server: Server) -> None:
        """When the server does not answer, each is told so; nobody shares a traceback."""
        async with process_on(server) as process:
            process.direct.instead = lambda receiver: receiver.set_exception(late())
            asyncio.get_running_loop().call_soon(lambda: None)
            found = await asyncio.gather(
                *(process.tier.fetch(process.plain(key)) for key in range(3)), return_exceptions=True
            )
            assert [type(error) for error in found] == [ConnectionAway] * 3
            assert len({id(error) for error in found}) == 3
            assert process.counts.away == 1

    async def test_a_connection_that_takes_nothing_more(self, server: Server) -> None:
        """Refused when it is sent, the reads of that turn are told, and the next ones tried."""
        async with process_on(server) as process:

            def refuse(receiver: Receiver) -> None:
                raise late(maybe_sent=False)

            process.direct.instead = refuse
            with pytest.raises(ConnectionAway):
                await process.tier.fetch(process.plain(1))
            process.direct.instead = None
            assert await process.tier.fetch(process.plain(1)) is None

    async def test_an_error_in_place_of_values_is_told(self, server: Server) -> None:
        """As an answer of a server that is not the primary: it is doubted, and counted."""
        async with process_on(server) as process:
            process.direct.instead = lambda receiver: receiver.set_result([REFUSED])
            with pytest.raises(TierAway, match="READONLY"):
                await process.tier.fetch(process.plain(1))
            assert (process.doubts, process.counts.refused) == (1, 1)

    async def test_who_is_not_up_is_not_asked(self, server: Server) -> None:
        """A read fails at once, and nothing is sent."""
        async with process_on(server) as process:
            process.servers.say(process.state, is_up=False, why=late())
            assert process.tier.value(process.row, process.plain(1).key, ()) is None
            with pytest.raises(ConnectionAway):
                await process.tier.fetch(process.plain(1))
            assert process.recorder.said == []


class TestValues:
    """A plain hit, without a record."""

    async def value(self, process: Process, key: int) -> Any:
        asked = process.tier.value(process.row, process.plain(key).key, ())
        assert asked is not None
        return await asked

    async def test_a_plain_hit_is_the_value_itself(self, server: Server) -> None:
        """Valid and surely fresh, it is counted as a hit of the shared tier."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 11)
            assert await self.value(process, 1) == 11
            assert (process.row.tally.fresh, process.row.tally.shared_hits) == (1, 1)
            assert len(process.recorder.said) == 1

    async def test_values_and_records_of_one_turn_go_out_together(self, server: Server) -> None:
        """One command for both."""
        async with process_on(server) as process:
            for key in (1, 2):
                await process.put(process.plain(key), key)
            asyncio.get_running_loop().call_soon(lambda: None)
            value = process.tier.value(process.row, process.plain(1).key, ())
            record = process.tier.fetch(process.plain(2))
            assert value is not None
            assert (await value, (await record).held) == (1, 2)  # type: ignore[union-attr]
            assert len(process.recorder.said) == 1

    async def test_declared_tags_are_looked_at(self, server: Server) -> None:
        """In any order of their ids; and when one of them moved, or has no generation, it takes a flow."""
        async with process_on(server) as process:
            call = process.call(1)
            await process.put(call, "x")
            more = call.tags[2:]
            asked = process.tier.value(process.product, call.key, more)
            assert asked is not None
            assert await asked == "x"
            for gone in (False, True):
                await process.tier.bump(more)
                if gone:
                    await asyncio.to_thread(server.ask, "DEL", generation_name(more[0]))
                asked = process.tier.value(process.product, call.key, more)
                assert asked is not None
                assert takes_a_flow(await asked)

    async def test_whatever_is_not_plain_takes_a_flow(self, server: Server) -> None:
        """A miss, garbage, a moved generation, another identity, something owed, an age that is not surely fresh, or of
        the future, and a value that is not one of the endpoint."""
        async with process_on(server) as process:
            assert takes_a_flow(await self.value(process, 1))
            await asyncio.to_thread(server.ask, "SET", process.plain(2).key, "something else")
            assert takes_a_flow(await self.value(process, 2))
            call = process.plain(3)
            await process.put(call, 3)
            assert await self.value(process, 3) == 3
            process.t += process.row.quick_for_s + 1
            assert takes_a_flow(await self.value(process, 3))
            process.t -= process.row.quick_for_s + 2
            assert takes_a_flow(await self.value(process, 3))
            process.t += 1
            process.owed.add((MORE,))
            assert takes_a_flow(await self.value(process, 3))
            process.owed.clear()
            process.state.identity = Identity(8)
            assert takes_a_flow(await self.value(process, 3))
            process.state.identity = Identity(7)
            assert await self.value(process, 3) == 3
            await process.tier.bump((call.key,))
            assert takes_a_flow(await self.value(process, 3))
            await process.put(process.product.call((4,)), "four", ())
            record = process.record(call, 4, (await process.tier.stamp(call.tags)).generations)
            wrong = {name: getattr(record, name) for name in record.__struct_fields__} | {"encoded": b"\xa1x"}
            await process.tier.store([(call, Record(**wrong))], ())
            assert takes_a_flow(await self.value(process, 3))

    async def test_an_error_or_no_answer_takes_a_flow(self, server: Server) -> None:
        """Which is told so, and does not ask again."""
        async with process_on(server) as process:
            for instead in (
                lambda receiver: receiver.set_exception(late()),
                lambda receiver: receiver.set_result([REFUSED]),
            ):
                process.direct.instead = instead
                assert await self.value(process, 1) is AWAY

    async def test_without_the_namespaces_generation_it_is_asked_for_in_the_ordinary_way(
        self, server: Server
    ) -> None:
        """It is not known any more when it changed."""
        async with process_on(server) as process:
            process.hearing.heard((EVERYTHING,))
            assert process.tier.value(process.row, process.plain(1).key, ()) is None
            await process.tier.fetch(process.plain(1))

    async def test_a_value_whose_caller_is_cancelled_disturbs_nobody(self, server: Server) -> None:
        """As for records."""
        async with process_on(server) as process:
            for key in (1, 2):
                await process.put(process.plain(key), key)
            asyncio.get_running_loop().call_soon(lambda: None)
            first, second = (process.tier.value(process.row, process.plain(key).key, ()) for key in (1, 2))
            cast("asyncio.Future[Any]", first).cancel()
            assert second is not None
            assert await second == 2

    async def test_what_came_to_be_owed_in_this_turn_counts(self, server: Server) -> None:
        """A read that joins after a tag was owed gets nothing older, although it is paid before the answer comes."""
        async with process_on(server) as process:
            for key in (1, 2):
                await process.put(process.plain(key), key)
            receivers: list[Receiver] = []
            process.direct.instead = receivers.append
            asyncio.get_running_loop().call_soon(lambda: None)
            first = process.tier.value(process.row, process.plain(1).key, ())
            process.owed.add((process.plain(2).key,))
            second = process.tier.value(process.row, process.plain(2).key, ())
            await asyncio.sleep(0)
            process.owed.clear()
            (said,) = process.recorder.said
            receivers[0].set_result(await process.fleet.execute(said))
            assert first is not None
            assert second is not None
            assert takes_a_flow(await second)
            await first

    async def test_a_namespace_that_was_invalidated_in_this_turn_counts(self, server: Server) -> None:
        """Who joined after it was heard is not answered by what was known before: all begin again."""
        async with process_on(server) as process:
            for key in (1, 2):
                await process.put(process.plain(key), key)
            asyncio.get_running_loop().call_soon(lambda: None)
            value = process.tier.value(process.row, process.plain(1).key, ())
            record = process.tier.fetch(process.plain(2))
            process.hearing.heard((EVERYTHING,))
            assert value is not None
            assert takes_a_flow(await value)
            assert (await record).held == 2  # type: ignore[union-attr]
            assert any(generation_name(EVERYTHING) in command for command in process.recorder.said[-1])

    @pytest.mark.parametrize("keys", [40, KEYS_MAX])
    async def test_readers_of_many_keys_all_go_on(self, server: Server, keys: int) -> None:
        """However many commands one turn's reads take; and what they ask for next goes out together again."""
        async with process_on(server) as process:
            for key in range(keys):
                await process.put(process.plain(key), key)

            async def read_twice(key: int) -> list[Any]:
                return [await self.value(process, key), await self.value(process, key)]

            process.recorder.said.clear()
            values = await asyncio.gather(*(read_twice(key) for key in range(keys)))
            assert values == [[key, key] for key in range(keys)]
            assert len(process.recorder.said) == 2

    @pytest.mark.blocks_loop
    async def test_what_one_loop_tells_does_not_hold_up_anothers_reads(self, server: Server) -> None:
        """While several readers go on in one loop, a lone read of another goes out at once."""
        async with process_on(server) as process:
            tier, alone = process.tier, []

            async def read() -> None:
                loop = asyncio.get_running_loop()
                alone.append(tier._new_batch(loop, None).alone)
                tier._send(loop)

            def elsewhere(_: object) -> None:
                thread = threading.Thread(target=asyncio.run, args=(read(),))
                thread.start()
                thread.join()

            loop = asyncio.get_running_loop()
            first, second = (loop.create_future() for _ in range(2))
            first.add_done_callback(elsewhere)
            tier.tell([(first, 1), (second, 2)])
            assert alone == [True]

    async def test_a_reader_that_ends_the_loop_leaves_the_others_answered(self, server: Server) -> None:
        """A reader goes on as soon as its value is there. If it ends the loop, the others go on when it runs again."""
        async with process_on(server) as process:

            class Ends(BaseException):
                pass

            def ends(_: object) -> None:
                raise Ends

            loop = asyncio.get_running_loop()
            first, second, third = (loop.create_future() for _ in range(3))
            second.add_done_callback(ends)
            with pytest.raises(Ends):
                process.tier.tell([(first, 1), (second, 2), (third, 3)])
            assert [await first, await second, await third] == [1, 2, 3]


class TestResume:
    """Who awaits a value goes on at once."""

    async def test_the_one_who_awaits_it_goes_on_before_the_next_turn(self) -> None:
        """With its own context, and no second time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        told: list[int] = []

        async def reader() -> None:
            told.append(await future)

        reading = asyncio.ensure_future(reader())
        await asyncio.sleep(0)
        done = loop.create_future()
        loop.call_soon(lambda: (resume(future, 7), done.set_result(list(told))))
        assert await done == [7]
        await reading
        assert told == [7]

    async def test_several_who_watch_are_told_in_the_next_turn(self) -> None:
        """As a future tells them."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        told: list[int] = []
        for _ in range(2):
            future.add_done_callback(lambda done: told.append(done.result()))
        resume(future, 7)
        assert told == []
        await asyncio.sleep(0)
        assert told == [7, 7]


class TestWhatBecomesKnownWhileABatchIsGathered:
    """Another thread writes between the first read of a turn and the next: that one is answered by it."""

    async def test_a_tag_that_is_owed_by_then_and_paid_before_the_answer(self, server: Server) -> None:
        """Who joins after a write was not acknowledged is not given what was current before it."""
        async with process_on(server) as process:
            await process.put(process.call(1), "old")
            asyncio.get_running_loop().call_soon(lambda: None)
            process.tier.fetch(process.call(2)).add_done_callback(lambda _: None)  # type: ignore[attr-defined]
            process.hearing.owed = process.owed.add
            process.hearing.owe(process.call(1).tags[-1:])
            joined = asyncio.ensure_future(process.tier.fetch(process.call(1)))

            def paid(receiver: Receiver) -> None:
                process.owed.clear()
                process.direct.instead = None
                assert process.direct._connection is not None
                process.direct._connection.send_now(receiver.command, receiver)  # type: ignore[attr-defined]

            process.direct.instead = paid
            record = await joined
            assert record is not None
            assert record.standing is Standing.OUTDATED

    @pytest.mark.parametrize("quick", [True, False])
    async def test_everything_that_is_invalid_by_then(self, server: Server, quick: bool) -> None:
        """Who joins after everything was invalidated by this process is not answered by the generation of before."""
        async with process_on(server) as process:
            await process.put(process.plain(1), 11)
            await asyncio.to_thread(server.ask, "SET", generation_name(EVERYTHING), b"12345678")
            asyncio.get_running_loop().call_soon(lambda: None)
            first = process.tier.fetch(process.plain(2))
            assert process.tier._batches, "it waits for the end of the turn"
            process.hearing.hear(
                (EVERYTHING,)
            )  # on another thread, which has just been told that it is acknowledged
            if quick:
                asked = process.tier.value(process.row, process.plain(1).key, ())
                assert asked is not None
                assert takes_a_flow(await asked)
            else:
                record = await process.tier.fetch(process.plain(1))
                assert record is not None
                assert record.standing is Standing.OUTDATED
            await first
