"""What the environment and the code say of a cache, put together for `Cache.from_env`.

What is wrong in the environment is said by the name of its variable, and no value of one is quoted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from cacheaside.errors import DeclarationError
from cacheaside.keys import namespace_problem
from cacheaside.settings import Settings
from cacheaside.stores.redis.connect.url import parse_url

__all__ = ["options_from"]

log = logging.getLogger("cacheaside")

_WITH_SERVERS_ONLY: Final = {
    "deadline": "CACHEASIDE_DEADLINE",
    "max_unsynced": "CACHEASIDE_MAX_UNSYNCED",
    "secrets": "CACHEASIDE_SECRETS (or CACHEASIDE_SECRETS_FILE)",
}


def options_from(said: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `Cache`: what the environment `said`, and `options` where it is silent."""
    given = {name: value for name, value in _given(said).items() if value is not None}
    both = dict(options) | given
    if both.get("url") is None:
        _check_alone(said, both, given)
    else:
        _check_shared(said, both)
    if said.namespace is not None and (problem := namespace_problem(said.namespace)):
        raise DeclarationError(f"CACHEASIDE_NAMESPACE {problem}")
    return both


def _given(said: Settings) -> dict[str, Any]:
    return {
        "url": said.url,
        "namespace": said.namespace,
        "secrets": said.secrets or None,
        "l1_entries": said.l1_entries,
        "l1_bytes": said.l1_bytes,
        "deadline": said.deadline_s,
        "max_unsynced": said.max_unsynced_s,
        "control_file": said.control_file,
    }


def _check_alone(said: Settings, both: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Without servers: what would not be in force, and what others write and this process does not hear."""
    if unused := [variable for option, variable in _WITH_SERVERS_ONLY.items() if option in given]:
        these = " and ".join(unused)
        raise DeclarationError(
            f"{these} would not be in force: CACHEASIDE_URL is not set. Set it, or unset {these}. To live without the "
            "servers for a while, set CACHEASIDE_DISABLED=1 and keep the URL."
        )
    if said.l1_entries == 0:
        raise DeclarationError(
            "CACHEASIDE_L1_ENTRIES must be at least 1 where CACHEASIDE_URL is not set: then all is held here."
        )
    if both.get("namespace") is not None and not said.disabled:
        log.warning(
            "cache %s: CACHEASIDE_URL is not set, so this process caches alone: what other processes write it sees "
            "when the ttl ends",
            both["namespace"],
        )


def _check_shared(said: Settings, both: Mapping[str, Any]) -> None:
    if both.get("namespace") is None:
        raise DeclarationError(
            "CACHEASIDE_NAMESPACE is not set, and a cache with a URL needs a namespace: set it to the service's name, "
            "such as shop, the same in all processes that share."
        )
    if said.url is not None:
        try:
            parse_url(said.url)
        except DeclarationError as error:
            problem = str(error)
        else:
            return
        raise DeclarationError(f"CACHEASIDE_URL: {problem}")
