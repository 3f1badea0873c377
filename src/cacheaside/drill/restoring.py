"""What drills that were killed left to be put right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import redis

from cacheaside.drill.faults.kind import CannotDrill
from cacheaside.drill.journal import RestoreConfig, left_behind, without_password
from cacheaside.testing.servers.folder import reap_stale

__all__ = ["restore"]

_ANSWER_S = 5.0


def restore(folder: Path, url: str | None, say: Callable[[str], None]) -> int:
    """Do what the files in `folder` say, of drills that are gone; how many. Each file goes when it is done.

    url: of a server, with its credentials, where a file's own has none. `CannotDrill` where one cannot be restored; its
    file stays.
    """
    if reaped := reap_stale():
        say(f"ended {reaped} servers that a drill, a demo or a test had left behind")
    done = 0
    for path, owed in left_behind(folder):
        say(f"{owed.drill}: {owed.undo}")
        _put_right(owed.undo, url, path)
        path.unlink(missing_ok=True)
        done += 1
    return done


def _put_right(undo: RestoreConfig, url: str | None, path: Path) -> None:
    given = url if url is not None and without_password(url)[0] == undo.url else None
    if undo.secret and given is None:
        raise CannotDrill(
            f"{undo.url} wants credentials, which are not written down: name it with --target. {path} stays until then."
        )
    try:
        with redis.Redis.from_url(
            given or undo.url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, retry=None
        ) as server:
            server.config_set(undo.name, undo.value)
    except redis.RedisError as error:
        raise CannotDrill(f"{undo.url}: CONFIG SET {undo.name} failed: {error}. {path} stays.") from error
