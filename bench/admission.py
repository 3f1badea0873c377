"""Rows of admission: what it costs a load to be let in front of its source and to leave, all measuring included.

"free" has room for it; "waiting" is a source at its limit, where each load that leaves lets the next one in, so that
a pair of them is one load's asking, waiting, being woken and leaving.
"""

from __future__ import annotations

from bench.interleaved import Calls, Case, Ready, require
from bench.rows import EMPTY_LOOP, OURS, Table
from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.footing import footing
from cacheaside.source.limit import Ended, Limit

FLOOR = "a function call"
TABLE = Table("admission", "one load let in and out", floor=FLOOR, is_async=False)
FREE = OURS
WAITING = f"{OURS}, at the limit"


def cases() -> list[Case]:
    return [
        Case(TABLE, EMPTY_LOOP, "pass", lambda: Ready({}, Calls(), 0)),
        Case(TABLE, FLOOR, "f()", lambda: Ready({"f": _woken}, Calls(), 0)),
        Case(TABLE, FREE, "f()", _free),
        Case(TABLE, WAITING, "f()", _waiting),
    ]


def _woken() -> bool:
    return True


def _gone() -> bool:
    return False


def _limit() -> Limit:
    return Limit(64, 1024, adaptive=AdaptiveLimit(64, 64))


def _free() -> Ready:
    limit = _limit()

    def let_in() -> None:
        footing(limit, None, _woken, _gone, 1, 1, deadline=1e12).leave(Ended.ANSWERED, ("product", 1))

    let_in()
    require(limit.holders == 0 and limit.given[1] == 1, "it was let in and out")
    return Ready({"f": let_in}, Calls(), 0)


def _waiting() -> Ready:
    limit = _limit()
    held = [footing(limit, None, _woken, _gone, 1, 1, deadline=1e12) for _ in range(limit.most)]

    def let_in() -> None:
        held.append(footing(limit, None, _woken, _gone, 1, 1, deadline=1e12))
        held.pop(0).leave(Ended.ANSWERED, ("product", 1))

    let_in()
    require(limit.holders == limit.most and not len(limit), "the one that waited was let in")
    return Ready({"f": let_in}, Calls(), 0)
