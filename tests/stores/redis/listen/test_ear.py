"""What one connection hears of a server, how it shows that it heard all, and every way to lose it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest

from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.listen import ear as ears
from cacheaside.stores.redis.listen.ear import TOUCH_EVERY_S, Beat, Ear, Start, open_ear
from cacheaside.stores.redis.wire.names import generation_name, lease_name, waiting_name, writers_name
from cacheaside.testing.proxy import TO_CLIENT, Proxy
from cacheaside.testing.servers import Server
from tests.stores.redis.conftest import PATIENT, peer, threads_to
from tests.stores.redis.descriptors import moved
from tests.stores.redis.examples import CATEGORY, EVERYTHING, KEY, PRODUCT

PREFIX = "shop:!"
TOUCHED = generation_name(EVERYTHING)
G_PRODUCT, G_CATEGORY = generation_name(PRODUCT), generation_name(CATEGORY)


class Told:
    """Writes down what it is told, in order."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def started(self, ear: Ear, start: Start) -> None:
        self.heard.append(start)

    def changed(self, ear: Ear, names: Sequence[bytes] | None) -> None:
        self.heard += [None] if names is None else [name.decode() for name in names]

    def beaten(self, ear: Ear, beat: Beat) -> None:
        self.heard.append(beat)


class Listening:
    """An ear, and what it has told."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.told = Told()

    def until(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        """Pump until `condition()` holds."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to hold; heard {self.told.heard}"
            if self.ear.gone is None:
                select.select([self.ear], [], [], 0.05)
                self.ear.pump(self.told)

    def started(self) -> Listening:
        self.until(lambda: any(isinstance(one, Start) for one in self.told.heard))
        return self

    def beat(self) -> Beat:
        """One more heartbeat, answered."""
        before = len(self.beats)
        self.ear.beat()
        self.until(lambda: len(self.beats) > before)
        return self.beats[-1]

    def lost(self) -> ConnectionAway:
        """Why it was given up, once it is."""
        self.until(lambda: self.ear.gone is not None)
        assert self.ear.gone is not None
        return self.ear.gone

    @property
    def beats(self) -> list[Beat]:
        return [one for one in self.told.heard if isinstance(one, Beat)]

    @property
    def names(self) -> list[Any]:
        """What changed, up to now: after a heartbeat that is all of it."""
        self.beat()
        return [one for one in self.told.heard if one is None or isinstance(one, str)]


@contextmanager
def ear_to(
    address: tuple[str, int], login: Login | None = None, limits: Limits = PATIENT
) -> Iterator[Listening]:
    """An ear that is about to start; closed at the end."""
    made = open_ear(
        ServerAddress(*address), login or Login(), PREFIX, TOUCHED, limits, time.monotonic, time.monotonic
    )
    try:
        yield Listening(made)
    finally:
        made.close()


def user(server: Server, name: str, *rules: str) -> Login:
    """A user who may do all but what `rules` take away."""
    server.ask("ACL", "SETUSER", name, "on", ">word", "~*", "&*", "+@all", *rules)
    return Login(name, "word")


class TestWhatIsHeard:
    """Changes of the prefix, whoever makes them."""

    def test_it_says_when_it_hears(self, server: Server) -> None:
        """The first thing told is that changes are heard from now on, and what the server can do."""
        with ear_to(server.address) as one:
            one.started()
            assert one.told.heard == [Start(blind=False, lengthens=True)]

    def test_changes_of_the_prefix_and_no_others(self, server: Server) -> None:
        """Generations, writers and who waits are told by name; entries, leases and other namespaces are not."""
        with ear_to(server.address) as one:
            one.started()
            for name in (KEY, lease_name(KEY), "else:!{else:a}", "shop"):
                server.ask("SET", name, "x")
            server.ask("SET", G_PRODUCT, "12345678", "PX", 60_000)
            server.ask("SADD", writers_name(PRODUCT), "w")
            server.ask("SET", waiting_name(KEY), "1")
            server.ask("DEL", waiting_name(KEY))
            assert one.names == [G_PRODUCT, writers_name(PRODUCT), waiting_name(KEY), waiting_name(KEY)]

    def test_each_change_of_a_name_is_told(self, server: Server) -> None:
        """It need not be read in between, nor by this connection, to be told of again."""
        with ear_to(server.address) as one:
            one.started()
            for _ in range(3):
                server.ask("SET", G_PRODUCT, "12345678")
                one.beat()
            assert one.names == [G_PRODUCT] * 3

    def test_an_end_by_itself_is_a_change(self, server: Server) -> None:
        """A mark that expires is told, as soon as anyone looks for it."""
        with ear_to(server.address) as one:
            one.started()
            server.ask("SET", G_CATEGORY, "12345678", "PX", 1)
            one.beat()
            one.until(lambda: server.ask("EXISTS", G_CATEGORY) == 0)
            assert one.names == [G_CATEGORY, G_CATEGORY]

    def test_what_does_nothing_is_not_told(self, server: Server) -> None:
        """To delete what is not there, or to create what is, disturbs nobody."""
        server.ask("SET", G_PRODUCT, "12345678")
        with ear_to(server.address) as one:
            one.started()
            server.ask("DEL", waiting_name(KEY))
            server.ask("SET", G_PRODUCT, "87654321", "NX")
            server.ask("SREM", writers_name(CATEGORY), "nobody")
            assert one.names == []

    def test_a_flush_changes_everything(self, victim: Server) -> None:
        """A server that drops all it has says no names."""
        with ear_to(victim.address) as one:
            one.started()
            victim.ask("FLUSHALL")
            assert None in one.names


class TestHeartbeats:
    """What an answer shows."""

    def test_it_says_the_time_and_who_the_server_is(self, server: Server) -> None:
        """The server's clock was read between sending and receiving, and its history has a name that stays."""
        with ear_to(server.address) as one:
            one.started()
            before = time.time()
            beat = one.beat()
            assert before - 0.1 <= beat.reading.server_s <= time.time() + 0.1
            assert beat.reading.sent <= beat.reading.received
            assert beat.is_primary
            assert beat.identity is not None
            assert one.beat().identity == beat.identity

    def test_everything_before_it_was_told(self, server: Server) -> None:
        """A change that was acknowledged before the heartbeat was sent is told before the heartbeat is."""
        with ear_to(server.address) as one:
            one.started()
            for number in range(50):
                server.ask("SET", generation_name(PRODUCT[:-1] + str(number)), "12345678")  # type: ignore[arg-type]
                one.beat()
            heard = one.told.heard[1:]
            assert [isinstance(item, Beat) for item in heard] == [False, True] * 50

    def test_several_under_way_are_answered_in_turn(self, server: Server) -> None:
        """Each answer belongs to its own question, and the oldest unanswered one is known until it comes."""
        with ear_to(server.address) as one:
            one.started()
            assert one.ear.unanswered_since is None
            for _ in range(3):
                one.ear.beat()
            assert one.ear.unanswered_since is not None
            one.until(lambda: len(one.beats) == 3)
            sent = [beat.reading.sent for beat in one.beats]
            assert sent == sorted(set(sent))
            assert one.ear.unanswered_since is None

    def test_one_key_is_read_each_second(self, victim: Server) -> None:
        """A server that evicts what is read least often does not evict the generation of the namespace; and what would
        not help more, to read it with every heartbeat, is not asked of it."""
        victim.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        victim.ask("CONFIG", "SET", "lfu-log-factor", "0", "lfu-decay-time", "0")
        victim.ask("SET", TOUCHED, "12345678")
        pace = [0.0]
        made = open_ear(
            ServerAddress(*victim.address), Login(), PREFIX, TOUCHED, PATIENT, time.monotonic, lambda: pace[0]
        )
        with closing(made):
            one = Listening(made).started()
            before = victim.ask("OBJECT", "FREQ", TOUCHED)
            for _ in range(40):
                one.beat()
                pace[0] += TOUCH_EVERY_S / 4
            assert victim.ask("OBJECT", "FREQ", TOUCHED) == before + 10

    def test_two_clocks(self, server: Server) -> None:
        """Readings are of the clock that ages are told by; how long an answer takes, of the one that no test moves."""
        made = open_ear(
            ServerAddress(*server.address), Login(), PREFIX, TOUCHED, PATIENT, lambda: 5.0, time.monotonic
        )
        one = Listening(made)
        try:
            one.started()
            made.beat()
            assert made.unanswered_since is not None
            assert abs(made.unanswered_since - time.monotonic()) < 5
            one.until(lambda: one.beats)
            assert one.beats[0].reading[:2] == (5.0, 5.0)
        finally:
            made.close()

    def test_a_replica_says_so(self, victim: Server, server: Server) -> None:
        """A server that takes no writes is not the one whose generations are current."""
        victim.ask("REPLICAOF", *server.address)
        with ear_to(victim.address) as one:
            one.started()
            assert not one.beat().is_primary

    def test_a_server_that_came_back_has_another_identity(self, victim: Server) -> None:
        """A restart that lost its data is another history."""
        with ear_to(victim.address) as one:
            first = one.started().beat().identity
        victim.restart(kill=True)
        with ear_to(victim.address) as one:
            assert one.started().beat().identity not in (None, first)


class TestRights:
    """What a user may not do."""

    def test_without_the_channel_it_is_given_up(self, server: Server) -> None:
        """Who may not subscribe would never be cut off for not reading: it says what to grant."""
        with ear_to(server.address, user(server, "deaf", "resetchannels")) as one:
            away = one.lost()
        assert away.reason is Away.LOGIN
        assert "may not subscribe to shop:! (NOPERM): grant it" in away.message
        assert one.told.heard == []

    def test_without_tracking_it_is_blind(self, server: Server) -> None:
        """It goes on, with heartbeats, and says that it hears nothing."""
        with ear_to(server.address, user(server, "untracked", "-client|tracking")) as one:
            one.started()
            assert one.told.heard == [Start(blind=True, lengthens=True)]
            server.ask("SET", G_PRODUCT, "12345678")
            assert one.names == []

    def test_without_info_the_identity_is_unknown(self, server: Server) -> None:
        """A server that may not be asked counts as one that does not tell, and as a new one."""
        with ear_to(server.address, user(server, "uninformed", "-info")) as one:
            one.started()
            assert one.told.heard == [Start(blind=False, lengthens=True)]
            assert one.beat()[1:] == (None, True)

    def test_without_the_time_it_is_given_up(self, server: Server) -> None:
        """Without the server's clock no age can be told."""
        with ear_to(server.address, user(server, "untimed", "-time")) as one:
            one.started()
            one.ear.beat()
            away = one.lost()
        assert away.reason is Away.LOGIN
        assert "grant the user TIME" in away.message

    def test_a_wrong_password_is_no_connection(self, server: Server) -> None:
        """It is refused before there is an ear."""
        user(server, "somebody")
        with pytest.raises(ConnectionAway) as raised, ear_to(server.address, Login("somebody", "wrong")):
            pass
        assert raised.value.reason is Away.LOGIN


def spoken_in_2(command: list[bytes]) -> bytes:
    """A server of long ago: it knows no HELLO, and so no push messages."""
    info = b"redis_version:5.0.14\r\nrole:master\r\n"
    answers = {
        b"CLIENT": b"+OK\r\n",
        b"INFO": b"$%d\r\n%s\r\n" % (len(info), info),
        b"TIME": b"*2\r\n$10\r\n1790000000\r\n$6\r\n500000\r\n",
    }
    return answers.get(command[0], b"-ERR unknown command\r\n")


def test_a_server_that_speaks_2_only_is_blind() -> None:
    """Nothing is tracked or subscribed there; heartbeats tell the time; and PEXPIRE takes no NX there."""
    said: list[bytes] = []

    def answer(command: list[bytes]) -> bytes:
        said.append(command[0])
        return spoken_in_2(command)

    with peer(answer, knows_hello=False) as address, ear_to(address) as one:
        one.started()
        assert one.told.heard == [Start(blind=True, lengthens=False)]
        assert one.beat().reading.server_s == 1_790_000_000.5
    assert b"SUBSCRIBE" not in said


class TestLosses:
    """Every way to lose it; none of them raises, and none blocks."""

    def test_nobody_listens(self, proxy: Proxy) -> None:
        """A connection that is refused says so, before there is an ear."""
        proxy.refuse()
        with pytest.raises(ConnectionAway) as raised, ear_to(proxy.address):
            pass
        assert raised.value.reason is Away.REFUSED

    def test_a_server_that_is_killed(self, victim: Server) -> None:
        """Its end is seen as soon as it is read."""
        with ear_to(victim.address) as one:
            one.started()
            victim.kill()
            assert one.lost().reason is Away.LOST

    def test_a_connection_that_is_reset(self, proxy: Proxy) -> None:
        """A reset is a loss like another."""
        with ear_to(proxy.address) as one:
            one.started()
            proxy.reset()
            assert one.lost().reason is Away.LOST

    def test_half_open_it_waits_without_an_answer(self, proxy: Proxy) -> None:
        """When answers no longer arrive nothing is told and nothing blocks: how long it is since is known, and what
        arrives after all is taken."""
        with ear_to(proxy.address) as one:
            one.started()
            proxy.black_hole(TO_CLIENT)
            one.ear.beat()
            since = one.ear.unanswered_since
            for _ in range(20):
                one.ear.pump(one.told)
            assert (one.ear.gone, one.beats, one.ear.unanswered_since) == (None, [], since)
            proxy.heal()
            one.until(lambda: one.beats)
            assert one.ear.unanswered_since is None

    @pytest.mark.parametrize("content", [b"nonsense\r\n", b"+an answer to nothing\r\n", b"$-17\r\n"])
    def test_what_is_not_the_protocol(self, proxy: Proxy, content: bytes) -> None:
        """Bytes that mean nothing, or answer nothing, end it; they are not taken for an answer."""
        with ear_to(proxy.address) as one:
            one.started()
            proxy.flood(content)
            assert one.lost().reason is Away.GARBLED

    @pytest.mark.parametrize(
        "content",
        [
            b">1\r\n$10\r\ninvalidate\r\n",
            b">2\r\n$10\r\ninvalidate\r\n:5\r\n",
            b">2\r\n$10\r\ninvalidate\r\n$3\r\nabc\r\n",
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n:5\r\n",
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n_\r\n",
            b"%1\r\n*0\r\n+x\r\n",
        ],
    )
    def test_changes_in_a_form_that_is_not_known(self, proxy: Proxy, content: bytes) -> None:
        """What may tell of a change and cannot be understood ends it: from then on nothing is shown to be heard."""
        with ear_to(proxy.address) as one:
            one.started()
            proxy.flood(content)
            assert one.lost().reason is Away.GARBLED

    def test_what_cannot_be_taken_in_is_not_passed_over(self, server: Server) -> None:
        """(1) a change is read (2) who is told of it fails (3) a heartbeat after it must not show that it was heard."""
        with ear_to(server.address) as one:
            one.started()
            one.told.changed = lambda ear, names: 1 / 0  # type: ignore[assignment, method-assign, return-value]
            server.ask("SET", G_PRODUCT, "12345678")
            one.ear.beat()
            away = one.lost()
            assert (away.reason, one.beats) == (Away.GARBLED, [])
            assert "ZeroDivisionError" in away.message

    def test_its_descriptor_may_have_any_number(self) -> None:
        """Also one that `select` does not take."""
        ours, theirs = socket.socketpair()
        one = Ear(ServerAddress(), moved(ours, 1500), time.monotonic, time.monotonic, None, TOUCHED)
        assert not one.is_readable()
        theirs.send(b"x")
        assert one.is_readable()
        one.close()
        theirs.close()

    def test_a_message_without_end(self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
        """A message is not collected for ever."""
        monkeypatch.setattr(ears, "UNFINISHED_BYTES_MAX", 100_000)
        with ear_to(proxy.address) as one:
            one.started()
            proxy.flood(b"$500000\r\n" + b"x" * 200_000)
            assert "larger than 100000 bytes" in one.lost().message

    def test_who_does_not_read_is_cut_off(self, victim: Server) -> None:
        """A listener that is stuck is not kept by the server for ever: its limit for subscribers ends it, and that is
        seen when it reads again."""
        victim.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        with ear_to(victim.address) as one, threads_to(victim.address) as writer:
            one.started()
            assert "shop:!" in victim.ask("PUBSUB", "CHANNELS", "shop:*")
            name = f"{PREFIX}{{shop:{'x' * 100_000}"
            for number in range(400):
                run_blocking(
                    writer.execute([("SET", f"{name}{number}}}", "1"), ("DEL", f"{name}{number}}}")])
                )
                if not victim.ask("PUBSUB", "CHANNELS", "shop:*"):
                    break
            assert victim.ask("PUBSUB", "CHANNELS", "shop:*") == []
            assert one.lost().reason is Away.LOST

    def test_closing_twice_is_once(self, server: Server) -> None:
        """And a closed one sends and hears nothing more."""
        with ear_to(server.address) as one:
            one.started()
            one.ear.close()
            one.ear.close()
            one.ear.beat()
            one.ear.pump(one.told)
            assert one.ear.gone is not None
            assert one.ear.gone.reason is Away.CLOSED
            assert one.ear.unanswered_since is None
            one.until(lambda: server.ask("PUBSUB", "CHANNELS", "shop:*") == [])

    def test_the_first_reason_stays(self, server: Server) -> None:
        """Whatever follows, why it was given up is told as it was first known."""
        with ear_to(server.address) as one:
            one.ear.lose("it answered nothing", Away.LATE)
            one.ear.close()
            assert one.lost().reason is Away.LATE


def test_it_is_known_by_name(server: Server) -> None:
    """CLIENT LIST tells it from the connections that read."""
    with ear_to(server.address, Login(client_name="shop-web")) as one:
        one.started()
        assert "name=shop-web-ear" in server.ask("CLIENT", "LIST")
