"""URLs that cannot be used, and what is said of them."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest

from cacheaside import DeclarationError
from cacheaside.stores.redis.connect.url import Target, parse_url

MARK = "Zq9xW"
"""What stands in every piece of a password, and is neither in a message nor anywhere else in a URL."""


def refusal(url: str) -> str:
    """What is said of a URL that cannot be used; it is one line, and nothing travels with it that quotes more."""
    with pytest.raises(DeclarationError) as raised:
        parse_url(url)
    error = raised.value
    assert error.args == (str(error),)
    assert (error.__cause__, error.__context__) == (None, None)
    (line,) = str(error).splitlines()
    assert re.fullmatch(r"(The URL of the server|TLS): .+\.", line)
    return line


def nothing_shown(url: str) -> Target | None:
    """The target; None where there is an error of one line. Neither shows the mark."""
    target = nothing_said(url)
    assert MARK not in f"{target!r} {[str(address) for address in target.addresses] if target else ''}"
    return target


def nothing_said(url: str) -> Target | None:
    """The same for the error alone: where it is none, the mark is in a place that is shown."""
    with suppress(DeclarationError):
        return parse_url(url)
    assert MARK not in refusal(url)
    return None
