"""Real servers for tests: Valkey or Redis as child processes, on loopback, without root, gone with their parent.

    with Server() as server:
        cache = Cache(server.url)

- `Server`: one server; `kill`, `freeze`, `thaw`, `restart` are faults on purpose.
- `Replicated`: a primary, a replica and three Sentinels.
- `Cluster`: three primaries with a replica each.

Everything here blocks until it is done, and may be called from any thread. In an `async def` test: `asyncio.to_thread`.
"""

from cacheaside.testing.servers.binary import BINARY_VARIABLE, ServerMissing
from cacheaside.testing.servers.client import ServerError, Unreachable
from cacheaside.testing.servers.cluster import Cluster
from cacheaside.testing.servers.process import ServerFailed
from cacheaside.testing.servers.replicated import Replicated
from cacheaside.testing.servers.server import Server

__all__ = [
    "BINARY_VARIABLE",
    "Cluster",
    "Replicated",
    "Server",
    "ServerError",
    "ServerFailed",
    "ServerMissing",
    "Unreachable",
]
