"""A process that is short of file descriptors."""

from __future__ import annotations

import fcntl
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def none_left() -> Iterator[None]:
    """Nothing can be opened; what is open stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def moved(held: socket.socket, least: int) -> socket.socket:
    """The same, under a number of `least` or above."""
    number = fcntl.fcntl(held.fileno(), fcntl.F_DUPFD_CLOEXEC, least)
    held.close()
    return socket.socket(fileno=number)
