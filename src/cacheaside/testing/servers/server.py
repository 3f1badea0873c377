"""One server, and what can befall it."""

from __future__ import annotations

import atexit
import json
import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from cacheaside.testing.servers.binary import find_binary
from cacheaside.testing.servers.client import ServerError, Unreachable, ask
from cacheaside.testing.servers.folder import Folder, reap_stale
from cacheaside.testing.servers.ports import LOOPBACK, PortKept
from cacheaside.testing.servers.process import Process, ServerFailed

__all__ = ["Server", "wait_until"]

READY_S: Final = 15.0
"""How long a server may take to answer its first PING."""
_PAUSE_S: Final = 0.005

_open: weakref.WeakSet[Server] = weakref.WeakSet()
_reaped = False


class Server:
    """A Valkey or Redis server on a free port of loopback and on a unix socket, with nothing in it.

    It keeps its port, its socket and its folder from its first `start` to `close`, so it comes back where it was.
    `kill` and `stop` end the process; data survives them only as far as `config` has it saved (nothing, by default).

    config: directives of the server's configuration file; a sequence writes the directive once for each item.
    password: of the default user. maxmemory: as in the configuration file ("2mb").
    binary: the program; default: see `find_binary`. mode: "sentinel" and "cluster" are for the classes beside this one.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, str | Sequence[str]] | None = None,
        password: str | None = None,
        maxmemory: str | None = None,
        binary: str | Path | None = None,
        mode: str = "single",
    ) -> None:
        self._config = dict(config or {})
        self._password = password
        self._maxmemory = maxmemory
        self._binary = binary
        self._mode = mode
        self._port: PortKept | None = None
        self._folder: Folder | None = None
        self._process: Process | None = None
        self._owner = os.getpid()

    # -- where it is -----------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        assert self._port is not None, "a server has a port from its first start() to close()"
        return self._port.number

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return (LOOPBACK, self.port)

    @property
    def socket_path(self) -> Path:
        """Its unix socket."""
        return self.folder / "socket"

    @property
    def folder(self) -> Path:
        """Where its configuration, its log and what it saves are."""
        assert self._folder is not None, "a server has a folder from its first start() to close()"
        return self._folder.path

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:port/0`, with the password when there is one."""
        return f"redis://{self._credentials}{LOOPBACK}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The same server through its unix socket."""
        return f"unix://{self._credentials}{self.socket_path}?db=0"

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there; a frozen one is."""
        return self._process is not None and self._process.is_running

    # -- what can befall it ----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it; it answers when this returns. Raises `ServerMissing`, or `ServerFailed` with the end of its log."""
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start it without waiting for it; `wait_ready` waits."""
        assert not self.is_running, "the server runs already"
        program = Path(self._binary) if self._binary is not None else find_binary()
        if self._folder is None:
            _reap_once()
            self._port = PortKept(with_bus=self._mode == "cluster")
            self._folder = Folder()
            (self.folder / "server.conf").write_text(self._configuration(), encoding="utf-8")
            self._owner = os.getpid()
            _open.add(self)
        self.socket_path.unlink(
            missing_ok=True
        )  # a killed server leaves it, and it would look like this one's
        command: list[str | Path] = [program, self.folder / "server.conf"]
        self._process = Process(command + (["--sentinel"] if self._mode == "sentinel" else []), self.folder)

    def wait_ready(self) -> None:
        """Return once it answers PING. Through its socket: whoever took its port meanwhile would not be it."""
        wait_until(self._is_ready, f"the server on port {self.port} answers", READY_S, self.last_words)

    def stop(self) -> None:
        """End it in order, as at a planned restart: what `config` has it save is saved. Twice is once."""
        if self._process is not None:
            self._process.end()

    def kill(self) -> None:
        """SIGKILL, as when a machine is lost. Twice is once."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones are accepted by the kernel, and nothing is answered."""
        self._running.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._running.thaw()

    def restart(self, *, kill: bool = False) -> None:
        """Stop it, or kill it, and start it again where it was."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def ask(self, *words: str | bytes | int) -> Any:
        """The answer to one command, past every proxy and client under test. See `client.ask`."""
        return ask(self.socket_path, *words, password=self._password)

    def close(self) -> None:
        """Kill it, give its port back and remove its folder. Twice is once.

        In a child made by fork it does nothing: the server is the parent's.
        """
        if self._owner != os.getpid():
            return
        self.kill()
        if self._folder is not None:
            self._folder.remove()
        if self._port is not None:
            self._port.give_back()
        self._folder = self._port = self._process = None

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ----------------------------------------------------------------------------------------------

    @property
    def _running(self) -> Process:
        assert self._process is not None, "the server has not been started"
        return self._process

    @property
    def _credentials(self) -> str:
        return f":{quote(self._password, safe='')}@" if self._password else ""

    def _configuration(self) -> str:
        lines: dict[str, str | Sequence[str]] = {
            "port": str(self.port),
            "bind": LOOPBACK,
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "set-proc-title": "no",  # its command line names the folder: how a left-over server is known
            "daemonize": "no",
        }
        if self._mode != "sentinel":
            lines |= {"save": '""', "appendonly": "no", "repl-diskless-sync-delay": "0"}
        if self._mode == "cluster":
            lines |= {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"}
        if self._password is not None:
            quoted = json.dumps(self._password)  # escapes as the configuration file has them
            lines |= {"requirepass": quoted, "masterauth": quoted}
        if self._maxmemory is not None:
            lines["maxmemory"] = self._maxmemory
        lines |= self._config
        return "".join(
            f"{name} {value}\n"
            for name, values in lines.items()
            for value in ([values] if isinstance(values, str) else values)
        )

    def _is_ready(self) -> bool:
        if not self._running.is_running:
            raise ServerFailed(f"the server on port {self.port} ended at once: {self.last_words()}")
        try:
            return bool(self.ask("PING") == "PONG")
        except Unreachable:
            return False
        except ServerError as error:
            if str(error).startswith(("LOADING", "MASTERDOWN", "BUSY")):
                return False
            raise ServerFailed(f"the server on port {self.port} answers PING with {error}") from error

    def last_words(self) -> str:
        """The end of its log, on one line."""
        return self._running.last_words()


def wait_until(
    condition: Callable[[], bool],
    what: str,
    within_s: float,
    why: Callable[[], str] = lambda: "nothing more is known",
) -> None:
    """Return once `condition` holds; `ServerFailed` says what did not come to hold, and why."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise ServerFailed(f"waited {within_s:g} s, and still it does not hold that {what}: {why()}")
        time.sleep(_PAUSE_S)


def _reap_once() -> None:
    """The first server of a process removes what dead processes left."""
    global _reaped
    if not _reaped:
        _reaped = True
        reap_stale()


@atexit.register
def _close_all() -> None:
    for server in list(_open):
        server.close()


os.register_at_fork(
    after_in_child=_open.clear
)  # the servers are the parent's: a child that ends leaves them alone
