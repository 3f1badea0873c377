"""The text of a URL: cut into its parts and decoded, before anything is made of them.

No message quotes any of it: in a mistyped URL it cannot be told which part is the password. Errors are raised outside
of `except`, since the exceptions of decoders carry what they could not decode, and would travel with ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv6Address
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from cacheaside.errors import DeclarationError

__all__ = [
    "CONTROL",
    "Parts",
    "decoded",
    "host_and_port",
    "is_host",
    "number_in",
    "options_in",
    "parts_of",
    "wrong",
]

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_PORT_MAX: Final = 65_535
_IPV6_MAX: Final = 63
_NOT_UTF_8: Final = re.compile(r"[\ud800-\udfff]")
_NOT_ENCODED: Final = re.compile(r"[\x00-\x20\x7f]")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


class Parts(NamedTuple):
    """Of `scheme://credentials@hosts/path?query`, still encoded. credentials: None without an @."""

    scheme: str
    credentials: str | None
    hosts: str
    path: str
    query: str


def wrong(what: str) -> DeclarationError:
    """The error that says `what` is wrong with the URL."""
    return DeclarationError(f"The URL of the server: {what}.")


def parts_of(url: object) -> Parts:
    """The parts of `url`, none of which holds a piece of another."""
    if not isinstance(url, str):
        raise wrong(f"it is a {type(url).__name__}; write a string, such as redis://localhost:6379/0")
    if _NOT_UTF_8.search(url):
        raise wrong("it is not UTF-8; write each byte of other characters as %XX")
    if _NOT_ENCODED.search(url):
        raise wrong(
            "it holds a space, a line break or a control character; leave it out, or write %20 for a space"
        )
    scheme, _, rest = url.partition("://")
    if "#" in rest:
        raise wrong("it holds a #; in a password write %23, elsewhere leave it out with what follows it")
    first = re.search("[/?]", rest)
    end = first.start() if first else len(rest)
    authority, (path, _, query) = rest[:end], rest[end:].partition("?")
    # The first / or ? in `:pa/ss@host` is the password's: what follows it is neither a path nor an option.
    if "@" in rest[end:]:
        raise wrong(
            "there is an @ after the first / or ?; in a password write / as %2F and ? as %3F, else @ as %40"
        )
    if authority.count("@") > 1:
        raise wrong(
            "it holds more than one @; in a password write %40; all hosts share one user and password"
        )
    credentials, at, hosts = authority.rpartition("@")
    return Parts(scheme.lower(), credentials if at else None, hosts, path, query)


def options_in(query: str, known: Collection[str], only_with: dict[str, str]) -> dict[str, str]:
    """The options of `query` by name, decoded. only_with: what options that are not known here are for."""
    options: dict[str, str] = {}
    for number, part in enumerate(query.split("&") if query else (), 1):
        name, _, value = part.partition("=")
        if name in only_with and name not in known:
            raise wrong(f"the option {name} is for {only_with[name]}")
        if name not in known:
            raise wrong(f"option {number} after the ? is not known; known here are {', '.join(known)}")
        if not value:
            raise wrong(f"the option {name} is empty; write {name}=… or leave it out")
        if name in options:
            raise wrong(f"the option {name} is given twice; write it once")
        options[name] = decoded(value, f"the option {name}")
    return options


def decoded(text: str, where: str) -> str:
    """`text` with its %XX undone. A plus sign stands for itself, in options too: passwords hold them."""
    if _BAD_PERCENT.search(text):
        raise wrong(
            f"{where} holds a % without two hexadecimal digits after it; write %25 for the sign itself"
        )
    raw = unquote_to_bytes(text)
    found = raw.decode(errors="replace")
    if found.encode() != raw:
        raise wrong(f"{where} is not UTF-8 once its %XX are undone; write each byte of its UTF-8 as %XX")
    return found


def number_in(text: str, most: int) -> int | None:
    """The whole number that `text` writes; None when it writes none, or one above `most`."""
    return int(text) if _DIGITS.fullmatch(text) and int(text) <= most else None


def host_and_port(text: str, which: str) -> tuple[str, int | None]:
    """The host, and the port if one is written. which: what the host is called in a message."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        host = host.replace("%25", "%")  # before the zone of a link-local address (RFC 6874)
        if not bracket or not _is_ipv6(host) or not (rest == "" or rest.startswith(":")):
            raise wrong(f"{which} is no IPv6 address in brackets; write [::1] or [::1]:6379")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise wrong(
                f"{which} has more than one colon; write an IPv6 address in brackets, as in [::1]:6379"
            )
        if not host:
            raise wrong(f"{which} is empty; write a name or an address, such as localhost")
        if not is_host(host):
            raise wrong(
                f"{which} is no host name; write letters, digits, hyphens and dots, and other letters as xn--…"
            )
    if not colon:
        return host, None
    number = number_in(port, _PORT_MAX)
    if not number:
        raise wrong(
            f"the port of {which} is no number from 1 to {_PORT_MAX}; in a password write / as %2F and ? as %3F"
        )
    return host, number


def is_host(text: str) -> bool:
    """Whether looking it up, and a certificate for it, can fail only as those do.

    What the codec for names refuses, such as a label of 64 characters, would fail later, and as no error of a network.
    """
    return _HOST.fullmatch(text) is not None or _is_ipv6(text)


def _is_ipv6(text: str) -> bool:
    if len(text) > _IPV6_MAX or not text.isascii() or CONTROL.search(text):  # a zone may be any text
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
