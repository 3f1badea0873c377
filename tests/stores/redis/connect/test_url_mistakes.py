"""Mistyped URLs: what is said of them, and what never is."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.stores.redis.mistyped import MARK, nothing_said, nothing_shown, refusal

KNOWN = "known here are client_name, db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "it begins with none of redis://, "),
        ("cache:6379", "it begins with none of redis://, "),
        ("redis:/cache", "it begins with none of redis://, "),
        ("http://cache", "valkeys+cluster://, unix://."),
        (None, "it is a NoneType; write a string"),
        (b"redis://cache", "it is a bytes; write a string"),
        ("redis://", "the host is empty"),
        ("redis:///0", "the host is empty"),
        ("redis://:6379", "the host is empty"),
        ("redis://cache ", "it holds a space, a line break or a control character"),
        ("redis://cache\n", "it holds a space, a line break or a control character"),
        ("redis://:a b@cache", "write %20 for a space"),
        ("redis://:\udcff@cache", "it is not UTF-8; write each byte of other characters as %XX"),
        ("redis://:a%2@cache", "the password holds a % without two hexadecimal digits after it; write %25"),
        ("redis://a%:b@cache", "the user holds a % without two hexadecimal digits"),
        ("redis://:%FF@cache", "the password is not UTF-8 once its %XX are undone"),
        ("redis://:a#b@cache", "it holds a #; in a password write %23"),
        ("redis://:a/b@cache", "in a password write / as %2F and ? as %3F"),
        ("redis://:a?b@cache", "in a password write / as %2F and ? as %3F"),
        ("redis://:a@b@cache", "it holds more than one @; in a password write %40"),
        ("redis://secret@cache", "there is one word before the @; write user:password@, or :password@"),
        ("redis://@cache", "there is one word before the @"),
        ("redis://:@cache", "there is neither a user nor a password before the @"),
        ("redis://a,b", "it names several hosts; write one, or redis+sentinel://"),
        ("redis://cache:", "the port of the host is no number from 1 to 65535"),
        ("redis://cache:0", "the port of the host is no number from 1 to 65535"),
        ("redis://cache:65536", "the port of the host is no number from 1 to 65535"),
        ("redis://cache:٣", "the port of the host is no number from 1 to 65535"),
        ("redis://cache:+1", "the port of the host is no number from 1 to 65535"),
        ("redis://::1", "the host has more than one colon; write an IPv6 address in brackets"),
        ("redis://[::1", "the host is no IPv6 address in brackets; write [::1] or [::1]:6379"),
        ("redis://[cache]", "the host is no IPv6 address in brackets"),
        ("redis://[::1]6379", "the host is no IPv6 address in brackets"),
        ("redis://[::1]:", "the port of the host is no number"),
        ("redis://käse", "the host is no host name; write letters, digits, hyphens and dots"),
        ("redis://a..b", "the host is no host name"),
        ("redis://" + "a" * 64, "the host is no host name"),
        ("redis://" + "a." * 130, "the host is no host name"),
        ("redis://cache/one", "the database is no whole number; write 0 for the first"),
        ("redis://cache/-1", "the database is no whole number"),
        ("redis://cache/99999999999", "the database is no whole number"),
        ("redis://cache/0/1", "there is something after the database"),
        ("redis://cache/1?db=1", "the database is given twice"),
        ("redis://cache?db=1&db=1", "the option db is given twice"),
        ("redis://cache?db=", "the option db is empty; write db=… or leave it out"),
        ("redis://cache?db", "the option db is empty"),
        ("redis://cache?DB=1", f"option 1 after the ? is not known; {KNOWN}."),
        ("redis://cache?db=1&password=x", f"option 2 after the ? is not known; {KNOWN}."),
        ("redis://cache?db=1&", f"option 2 after the ? is not known; {KNOWN}."),
        ("redis://cache?db=1?db=2", "the database is no whole number"),
        ("redis://cache?client_name=a%20b", "client_name is one word of printable ASCII"),
        ("redis://cache?verify=no", "the option verify is for TLS; write rediss:// or valkeys://"),
        ("unix:///run/x?ca=/x", "the option ca is for TLS"),
        ("redis://cache?sentinel_password=x", "the option sentinel_password is for Sentinel; write redis+sentinel://"),
        ("rediss://cache?ssl=x", f"{KNOWN}, ca, cert, key, server_name, verify."),
        ("unix://run/x", "it names no socket; write its whole path after the two slashes, as in unix:///run/valkey.sock"),
        ("unix://", "it names no socket"),
        ("unix:///", "it names no socket"),
        ("unix:///run/%00", "it names no socket"),
        ("redis+sentinel://a,b", "it names no service; write what the Sentinels call it"),
        ("redis+sentinel://a//0", "it names no service"),
        ("redis+sentinel://a/%0A", "it names no service"),
        ("redis+sentinel://a,/shop", "host 2 is empty"),
        ("redis+sentinel://a:x,b/shop", "the port of host 1 is no number"),
        ("redis+sentinel://a/shop/0/1", "there is something after the database"),
        ("redis+sentinel://a/shop?sentinel_username=x", "a sentinel_username alone; write sentinel_password= too"),
        ("redis+sentinel://a/shop?x=1", f"{KNOWN}, sentinel_password, sentinel_username."),
        ("redis+cluster://x:p@a,x:p@b", "all hosts share one user and password"),
        ("redis+cluster://a/1", "a cluster has no database but 0; leave it out"),
        ("redis+cluster://a?db=1", "a cluster has no database but 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(url: str, said: str) -> None:
    """Each mistake has one line that says what to write instead."""
    assert said in refusal(url)


ENCODED = st.text(st.characters(codec="utf-8"), max_size=5).map(lambda text: quote(text, safe=""))
RAW = st.text("/?#@:%&=+,[]. \n\x00äé\udcff" + "0a", max_size=3)
secrets = st.lists(ENCODED | RAW, min_size=1, max_size=3).map(lambda parts: MARK.join(["", *parts, ""]))
schemes = st.sampled_from([
    "redis", "rediss", "valkey", "valkeys", "unix", "redis+sentinel", "valkeys+sentinel", "redis+cluster",
    "rediss+cluster", "reds", "",
])  # fmt: skip
hosts = st.lists(
    st.sampled_from(["cache", "cache:6380", "[::1]", "[::1]:1", "10.0.0.7", "", "a..b", ":", "[", "cache:x"]),
    min_size=1,
    max_size=3,
).map(",".join)
paths = st.sampled_from(["", "/", "/0", "/1", "/x", "/shop/0", "/shop/1/2", "//", "/%zz", "/run/x"])
options = st.lists(
    st.sampled_from([
        "db=0", "db=x", "client_name=a", "verify=no", "ca=/x", "cert=/x", "key=", "x=1", "sentinel_username=u", "", "=",
    ]),
    max_size=3,
)  # fmt: skip


users = st.sampled_from(["", "app", "%zz", "ä"])


@given(schemes, users, secrets, hosts, paths, options)
def test_no_password_is_ever_shown(
    scheme: str, user: str, password: str, where: str, path: str, given_options: list[str]
) -> None:
    """However a URL is mistyped, and whatever its password, neither an error nor what is printed of it has a piece."""
    rest = path + "?" * bool(given_options) + "&".join(given_options)
    nothing_shown(f"{scheme}://{user}:{password}@{where}{rest}")
    nothing_shown(f"{scheme}:{user}:{password}@{where}{rest}")
    if ":" not in password:  # else its beginning is where a user's name is
        nothing_shown(f"{scheme}://{password}@{where}{rest}")
    # Without the @ that ends a password, its pieces may be a host of a well-formed URL, which nothing can tell.
    nothing_said(f"{scheme}://{user}:{password}{where}{rest}")
    nothing_said(f"{scheme}://{password}{where}{rest}")


@given(secrets, options)
@example(f"{MARK}&{MARK}=", [])
def test_no_password_of_a_sentinel_is_ever_shown(password: str, given_options: list[str]) -> None:
    """The same for the password that is an option, whatever it is mistaken for."""
    nothing_shown(f"redis+sentinel://a/shop?{'&'.join([f'sentinel_password={password}', *given_options])}")
    nothing_shown(f"redis+sentinel://a/shop?{'&'.join([*given_options, f'sentinel_pasword={password}'])}")


@given(st.text(), st.text())
@example("redis://", "[::1%a]")
def test_any_text_is_a_url_or_an_error(start: str, end: str) -> None:
    """Whatever is given, there is a target or a DeclarationError of one line, and no other exception."""
    for url in (start, f"redis://{start}@{end}", f"redis://{start}", f"redis+sentinel://a/{start}?{end}"):
        nothing_shown(url)


labels = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=70)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
addresses = st.ip_addresses().map(str) | st.ip_addresses(v=6).map(lambda address: f"{address}%eth0")


@given(names | addresses | st.text("aB0-_.:[]%1\u00e9", min_size=1))
def test_every_host_that_is_taken_can_be_looked_up(text: str) -> None:
    """What looking up a name, or verifying it, cannot encode is refused here, where it is a clear error."""
    for written in (text, f"[{text}]"):
        target = nothing_shown(f"redis://{written}")
        if target is not None:
            host = target.addresses[0].host
            assert host.isascii()
            assert len(host.encode("idna")) == len(host)
