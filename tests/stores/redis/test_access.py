"""The access list, as real servers hold a user to it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import DeclarationError
from cacheaside.stores.redis.access import COMMANDS, PASSWORD_PLACEHOLDER, access_list, main
from cacheaside.stores.redis.connect.away import Away, ConnectionAway, ErrorReply
from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.transport_aio import AioTransport
from cacheaside.stores.redis.wire.commands import Commands
from cacheaside.stores.redis.wire.names import changes_prefix, generation_name, writers_name
from cacheaside.testing.servers import Server
from cacheaside.testing.servers.client import ServerError
from tests.stores.redis.conftest import PATIENT, ask
from tests.stores.redis.examples import KEY, PRODUCT
from tests.stores.redis.wire.test_commands import BUILT, commands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SHOP = Login("shop-web", "p4ss")
LISTENER = f"{changes_prefix('shop')}listener"
FOREIGN = "bank:!{bank:tag~accounts:i1}"


def lines(namespace: str = "shop") -> tuple[list[str], list[str]]:
    """The words of the command, and those of the line for a file."""
    command, line = access_list(namespace, "shop-web", password_placeholder=">p4ss").splitlines()
    return command.split(), line.split()


@pytest.fixture(scope="module", params=["command", "file"])
def listed(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that was told of the user by the one line or by the other."""
    command, line = lines()
    config = {"user": " ".join(line[1:])} if request.param == "file" else None
    with Server(config=config) as started:
        if request.param == "command":
            assert started.ask(*command) == "OK"
        yield started


@pytest.fixture
async def shop(listed: Server) -> AsyncIterator[AioTransport]:
    """Connections of the user of the access list."""
    transport = AioTransport(ServerAddress(*listed.address), SHOP, PATIENT)
    yield transport
    await transport.aclose()


async def track(transport: AioTransport, prefix: str) -> Any:
    """Listen to changes of keys that begin with `prefix`, on this transport's connection."""
    return await ask(transport, "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix, "NOLOOP")


async def refused(transport: AioTransport, *words: str | int) -> bool:
    """Whether the server says that the user may not."""
    answer = await ask(transport, *words)
    assert isinstance(answer, ErrorReply), answer
    return answer.code == "NOPERM"


class TestWhatIsAllowed:
    """All that the library says."""

    def test_every_exchange_is_tried(self) -> None:
        """Whatever builds an exchange is among those that are sent below."""
        built = {
            name for name, _ in inspect.getmembers(Commands, inspect.isfunction) if not name.startswith("_")
        }
        assert built == set(BUILT) - {"store_and_hand_back", "free"}

    @pytest.mark.parametrize("cluster", [False, True])
    @pytest.mark.parametrize("lengthen", [False, True])
    async def test_every_exchange_succeeds(self, shop: AioTransport, cluster: bool, lengthen: bool) -> None:
        """Each is sent as it is built, and its reader is content with the replies."""
        building = commands(cluster=cluster, lengthen=lengthen)
        for build in BUILT.values():
            exchange = build(building)
            exchange.read(await shop.execute(exchange.commands))

    async def test_changes_can_be_heard(self, shop: AioTransport, listed: Server) -> None:
        """Tracking by prefix announces a new generation to the same user's listener."""
        heard: list[Any] = []
        listener = AioTransport(ServerAddress(*listed.address), SHOP, PATIENT, on_push=heard.append)
        try:
            assert await track(listener, changes_prefix("shop")) == b"OK"
            await ask(shop, "SET", generation_name(PRODUCT), "12345678")
            await ask(listener, "PING")  # answered after what was announced before it
        finally:
            await listener.aclose()
        assert heard == [[b"invalidate", [generation_name(PRODUCT).encode()]]]

    @pytest.mark.parametrize(
        "words",
        [
            ("PING",), ("TIME",), ("ROLE",), ("INFO", "replication"), ("INFO", "server"), ("WAIT", 0, 1),
            ("SELECT", 0), ("CLIENT", "SETNAME", "shop"), ("CLIENT", "ID"), ("CLIENT", "TRACKING", "OFF"),
            ("AUTH", "shop-web", "p4ss"), ("HELLO", 3),
        ],
    )  # fmt: skip
    async def test_the_rest_of_a_connections_words(
        self, shop: AioTransport, words: tuple[str | int, ...]
    ) -> None:
        """Logging in, and asking which server this is."""
        assert not isinstance(await ask(shop, *words), ErrorReply)

    def test_the_channel(self, listed: Server) -> None:
        """The one kind of channel is allowed in either direction that the library uses: subscribe and unsubscribe."""
        for words in (("SUBSCRIBE", LISTENER), ("UNSUBSCRIBE", LISTENER)):
            assert listed.ask("ACL", "DRYRUN", "shop-web", *words) == "OK"

    def test_the_slots_of_a_cluster(self) -> None:
        """A node says to this user who has which slots, and whether it is cut off from the others."""
        with Server(mode="cluster") as node:
            node.ask(*lines()[0])
            for question in ("SLOTS", "INFO"):
                assert node.ask("ACL", "DRYRUN", "shop-web", "CLUSTER", question) == "OK"
            assert "no permissions" in node.ask("ACL", "DRYRUN", "shop-web", "CLUSTER", "FAILOVER")


class TestWhatIsRefused:
    """All else."""

    @pytest.mark.parametrize(
        "words",
        [
            ("KEYS", "*"), ("SCAN", 0), ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("EVAL", "return 1", 0),
            ("GET", KEY), ("SUBSCRIBE", "other"), ("SUBSCRIBE", "bank:!listener"), ("PSUBSCRIBE", "*"),
            ("PUBLISH", LISTENER, "x"), ("MONITOR",), ("SHUTDOWN",), ("ACL", "LIST"),
            ("CLIENT", "KILL", "ID", 1), ("CLIENT", "LIST"), ("CLIENT", "NO-EVICT", "ON"), ("REPLICAOF", "NO", "ONE"),
            ("CLUSTER", "FAILOVER"), ("SWAPDB", 0, 1), ("MIGRATE", "h", 1, KEY, 0, 1), ("DUMP", KEY), ("SORT", KEY),
        ],
    )  # fmt: skip
    async def test_other_commands(self, shop: AioTransport, words: tuple[str | int, ...]) -> None:
        """What reads or changes more than a namespace, and what the library has no use for."""
        assert await refused(shop, *words)

    @pytest.mark.parametrize("key", [FOREIGN, "bank:x", "shop", "shopping:x", "shop%201:x", "{shop:x}"])
    @pytest.mark.parametrize(
        "words",
        [("MGET",), ("SET", "value"), ("DEL",), ("EXISTS",), ("SADD", "w"), ("SREM", "w"), ("PEXPIRE", 1)],
    )
    async def test_keys_of_others(self, shop: AioTransport, words: tuple[str | int, ...], key: str) -> None:
        """No command reaches a key that is not of the namespace, alone or beside one that is."""
        name, *more = words
        assert await refused(shop, name, key, *more)
        if name in ("MGET", "DEL", "EXISTS"):
            assert await refused(shop, name, KEY, key)

    async def test_what_a_list_cannot_hold_back(self, shop: AioTransport) -> None:
        """Servers do not check the prefix that is tracked: the names of others' keys can be heard, as is documented."""
        assert await track(shop, "bank:") == b"OK"

    async def test_a_wrong_password(self, listed: Server) -> None:
        """The user has the password of the list and no other."""
        transport = AioTransport(ServerAddress(*listed.address), Login("shop-web", "x"), PATIENT)
        with pytest.raises(ConnectionAway) as raised:
            await ask(transport, "PING")
        await transport.aclose()
        assert raised.value.reason is Away.LOGIN


class TestTheLines:
    """What is printed."""

    def test_both_say_the_same(self) -> None:
        """A command and a line of a file, with one user and the same rules."""
        command, line = lines()
        assert command[:3] == ["ACL", "SETUSER", "shop-web"]
        assert line[:2] == ["user", "shop-web"]
        assert command[3:] == line[2:]
        assert command[-len(COMMANDS) :] == [f"+{name}" for name in COMMANDS]

    def test_the_user_has_what_is_listed_and_nothing_before_it(self, victim: Server) -> None:
        """A user who could do everything is held to the list once it is told."""
        victim.ask("ACL", "SETUSER", "shop-web", "on", ">old", "~*", "&*", "+@all")
        victim.ask(*lines()[0])
        shown = victim.ask("ACL", "GETUSER", "shop-web")
        described = dict(zip(shown[::2], shown[1::2], strict=True))
        assert (described["keys"], described["channels"]) == ("~shop:*", "&shop:!*")
        assert len(described["passwords"]) == 1
        allowed = described["commands"].split()
        assert allowed[0] == "-@all"
        assert set(allowed[1:]) == {f"+{name}" for name in COMMANDS}

    def test_the_placeholder_is_no_password(self, server: Server) -> None:
        """A list that is told as it is printed, with nothing put in, is refused and makes no user."""
        (command, _) = access_list("shop", "unready").splitlines()
        with pytest.raises(ServerError, match="password hash must be exactly 64 characters"):
            server.ask(*command.split())
        assert server.ask("ACL", "GETUSER", "unready") is None

    def test_any_namespace_has_a_pattern_of_its_own(self, victim: Server) -> None:
        """Spaces and glob characters of a namespace are escaped as they are in keys, and match nothing more."""
        for word in lines("a* [b]?")[0]:
            assert not set(word) & set("[]? ")
        victim.ask(*lines("a* [b]?")[0])
        allowed = "a%2A%20%5Bb%5D%3F:product:1~k:i1"
        assert victim.ask("ACL", "DRYRUN", "shop-web", "MGET", allowed) == "OK"
        assert "no permissions" in victim.ask("ACL", "DRYRUN", "shop-web", "MGET", "ab:product:1~k:i1")

    @pytest.mark.parametrize(
        ("namespace", "user", "password"),
        [
            ("", "app", ">p"), (None, "app", ">p"), ("shop", "", ">p"), ("shop", "a b", ">p"), ("shop", "a\n", ">p"),
            ("shop", "app", "p"), ("shop", "app", ">"), ("shop", "app", ">p +@all"), ("shop", "app", ">p\nuser x"),
            ("shop", "app", "nopass"), ("shop", "app", '>"'),
        ],
    )  # fmt: skip
    def test_what_would_be_another_rule_is_refused(self, namespace: Any, user: str, password: str) -> None:
        """A name or password that would break the line is an error, which shows no password."""
        with pytest.raises(DeclarationError) as raised:
            access_list(namespace, user, password_placeholder=password)
        assert "+@all" not in str(raised.value)

    def test_the_command_prints_it(self) -> None:
        """`python -m cacheaside.stores.redis.access NAMESPACE USER` prints the two lines, and nothing else."""
        command = [sys.executable, "-W", "error", "-m", "cacheaside.stores.redis.access", "shop", "web"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == access_list("shop", "web")
        assert PASSWORD_PLACEHOLDER in done.stdout

    def test_the_command_says_what_is_wrong(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A default user, and exit code 2 with a line for a name that cannot be in a list."""
        assert main(["shop"]) == 0
        assert "\nuser cacheaside reset on " in capsys.readouterr().out
        assert main(["shop", "a b"]) == 2
        assert capsys.readouterr() == (
            "",
            "user='a b' must be letters, digits and the signs _ . @ -, at most 100.\n",
        )


def test_writers_and_generations_are_of_the_namespace() -> None:
    """All names of a tag match the one pattern, so the list needs no second."""
    assert all(name.startswith("shop:") for name in (KEY, generation_name(PRODUCT), writers_name(PRODUCT)))
