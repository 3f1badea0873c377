"""What is wrong, or will be on a bad day, and what to do: `examine(cache)`. `cacheaside doctor` prints it.

Facts are gathered at the edge (`gathering`, `probing`); every check is a plain function of facts (`servers`,
`settings`, `contracts`, `levers`), so that it can be read, and tested, alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from cacheaside.cache import Cache
from cacheaside.doctor.contracts import CONTRACT_CHECKS
from cacheaside.doctor.facts import CacheFacts, Facts, ServerFacts, SourceFacts
from cacheaside.doctor.findings import Finding, Severity
from cacheaside.doctor.gathering import gathered
from cacheaside.doctor.levers import LEVER_CHECKS
from cacheaside.doctor.probing import Times
from cacheaside.doctor.servers import SERVER_CHECKS
from cacheaside.doctor.settings import SETTINGS_CHECKS
from cacheaside.endpoint.seeing import host_of

__all__ = [
    "CacheFacts",
    "Facts",
    "Finding",
    "ServerFacts",
    "Severity",
    "SourceFacts",
    "Times",
    "examine",
    "findings_of",
]


def examine(
    cache: Cache,
    *,
    processes: int | None = None,
    capacities: Mapping[str, int] | None = None,
    times: Times | None = None,
) -> list[Finding]:
    """What there is to say about `cache`, its servers and its contracts, the gravest first. Blocks for some seconds.

    processes: how many share it. capacities: by a source's name, how many loads at once it bears over all of them.
    """
    facts = gathered(
        host_of(cache), control=cache.control, processes=processes, capacities=capacities, times=times
    )
    return findings_of(facts)


def findings_of(facts: Facts) -> list[Finding]:
    """What the checks make of `facts`."""
    found = chain(
        *(check(facts) for check in SETTINGS_CHECKS),
        *(check(server, facts.cache) for server in facts.servers for check in SERVER_CHECKS),
        *(check(facts) for check in CONTRACT_CHECKS),
        *(check(facts) for check in LEVER_CHECKS),
    )
    return sorted(found, key=lambda one: (one.severity.rank, one.check, one.about))
