"""The whole fleet: its control state is one signed message in the shared tier, which every process follows.

Told by pushes as changes of tags are, and looked for every `control.POLL_S` besides, so that a lost push costs no more
than that. Who changes it:

1. becomes the one who does (a lease of `LEASE_S`), else waits
2. reads the message, and takes the newer of it and the one it follows itself; where it follows none, and cannot read
   what is there, it changes nothing: that may be all that other operators said
3. writes that with the change in it, under a greater version
4. gives the lease back

A lease can run out under a writer that stands still between 2 and 3; so after half of it the writer begins anew. What
is left is a write that is that long under way: then two messages of one version may exist. Their order is total
(`Message.order`), each process follows the greater it has heard, and puts that back where it finds a lesser.
"""

from __future__ import annotations

import secrets as random_secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from cacheaside.control.desk import Desk, Update
from cacheaside.control.message import Ignored, Keys, Message, opened, signed, without_ended, words_of
from cacheaside.control.unread import in_words, may_be_overwritten
from cacheaside.control.words import LASTS_MAX_S
from cacheaside.endpoint.host import Host
from cacheaside.errors import DeclarationError, Unacknowledged, UsageError
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.ports import TierAway
from cacheaside.policy.levers import Layer, Word
from cacheaside.stores.redis.shared import Shared

__all__ = ["PATIENCE_S", "Fleet"]

LEASE_S: Final = 2.0
PATIENCE_S: Final = 5.0
"""How long an operator waits for the servers, and for another operator."""
RETRY_S: Final = 0.05


class Fleet(Desk):
    """`cache.control.fleet`: as `cache.control`, for every process that shares this namespace and its secrets.

    Each method blocks, up to five seconds: on an event loop, `await asyncio.to_thread(cache.control.fleet.kill,
    "product")`. When it returns, the state is in the shared tier, and processes follow within a second, as a rule
    within milliseconds. `Unacknowledged` when the tier does not say so: then it may have been written or not; say
    it again, or use the control file. `UsageError` when a state is there that these secrets do not open, and no other
    is followed: nothing is written, unless by `by_force`. What is said lasts 30 days at most: the state has an end,
    because whoever can write to the server could put back an old one.
    """

    def __init__(self, host: Host, keys: Keys, changed: Callable[[], None]) -> None:
        super().__init__(host)
        self._keys = keys
        self._changed = changed
        self.ignored: Counter[Ignored] = Counter()
        self.message: Message | None = None
        """The one that is followed."""
        self._data = b""
        self._looked_at: bytes | None = None
        self._lock = threading.RLock()
        self.layer: Layer = {}
        """Its words, ending by this process's clock."""
        self.by_force: Desk = _ByForce(host, self)
        """The same, and what lies there is overwritten also where it cannot be read: after a secret was replaced by
        one that the old processes do not have. Whatever operators said in it is lost."""

    @property
    def is_there(self) -> bool:
        """Whether there is a fleet to follow: a shared tier, and secrets to know its messages by."""
        return self._host.shared is not None and bool(self._keys)

    # -- following ---------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Follow what is in the shared tier now; False while the time of its servers is not known yet. Raises
        `TierAway`."""
        shared = self._shared()
        data = run_blocking(shared.kept.get())
        now_s = shared.server_now_s()
        if now_s is None:
            return False
        if data is None:
            self._put_back(shared, now_s)  # flushed, or evicted: what operators said still stands
            return True
        if data == self._looked_at:
            return True
        found = opened(data, self._host.namespace, self._keys, now_s)
        followed = self.message
        if isinstance(found, Message) and followed is not None and found.order < followed.order:
            found = Ignored.REPLAYED
        self._looked_at = data
        if isinstance(found, Ignored):
            self.ignored[found] += 1
            self._put_back(shared, now_s)
        else:
            self._follow(found, data, now_s)
        return True

    def ask(self, within_s: float = PATIENCE_S) -> None:
        """Read what the fleet is told now, and follow it: for a program that cannot wait until it is told. Blocks, up
        to `within_s`; `Unacknowledged` when the shared tier does not answer."""
        until, why = time.monotonic() + within_s, "its servers are not listened to yet"
        while True:
            try:
                if self.look():
                    return
            except TierAway as away:
                why = str(away)
            if time.monotonic() >= until:
                raise Unacknowledged(
                    f"cache {self._host.namespace}: what the fleet is told could not be read ({why}).",
                    why=why,
                )
            time.sleep(RETRY_S)

    def _follow(self, message: Message, data: bytes, server_now_s: float) -> None:
        """Follow `message`, unless one as new is followed already: (1) the thread has read the old one (2) this
        process's own operator has written a newer, and follows it (3) the thread must not go back."""
        # Its moments become this process's once, here: whatever clock is set afterwards, its words end as they were to.
        shift_s = self._host.clock.now() - server_now_s
        layer: Layer = {
            name: {
                lever: Word(word.to, None if word.until is None else word.until + shift_s)
                for lever, word in levers.items()
            }
            for name, levers in message.layer.items()
        }
        with self._lock:
            if self.message is None or message.order > self.message.order:
                self.message, self._data, self.layer = message, data, layer

    def forget(self) -> None:
        """After a fork: whoever held the lock may have stayed in the parent."""
        self._lock = threading.RLock()

    def _put_back(self, shared: Shared, server_now_s: float) -> None:
        """What is followed has been lost, or stands behind something that is not to be followed: put it back as it
        was signed. Under the lease: (1) this process sees an older message (2) an operator writes a newer one (3)
        it must not put its own over that. One that stood still for half of the lease leaves it to its next look."""
        message = self.message
        if message is None or message.expires_s <= server_now_s:
            return
        began = time.monotonic()
        if not run_blocking(shared.kept.lease(int(LEASE_S * 1000))):
            self._looked_at = None
            return
        try:
            now = run_blocking(shared.kept.get())
            found = None if now is None else opened(now, self._host.namespace, self._keys, server_now_s)
            is_lost = not isinstance(found, Message) or found.order < message.order
            if is_lost and time.monotonic() - began < LEASE_S / 2:
                run_blocking(shared.kept.put(self._data, _lifetime_ms(message, server_now_s)))
        finally:
            if time.monotonic() - began < LEASE_S / 2:  # else it may be another's
                run_blocking(shared.kept.hand_back())
        self._looked_at = None

    # -- changing ----------------------------------------------------------------------------------------------

    def _say(self, update: Update) -> None:
        self.say(update)

    def say(self, update: Update, *, by_force: bool = False) -> None:
        """Tell the fleet what `update` makes of what it was told before."""
        shared = self._shared()
        until, why = time.monotonic() + PATIENCE_S, "another operator changes it, or left a lease behind"
        while True:
            try:
                if self._said(shared, update, by_force):
                    self._changed()
                    return
            except TierAway as away:
                why = str(away)
            if time.monotonic() >= until:
                raise Unacknowledged(
                    f"cache {self._host.namespace}: the fleet was not told, or did not say so ({why}). Say it again, "
                    "or put it into the control file of each machine.",
                    why=why,
                )
            time.sleep(RETRY_S)

    def _said(self, shared: Shared, update: Update, by_force: bool) -> bool:
        """One try; False when it is to be made anew."""
        began = time.monotonic()
        if not run_blocking(shared.kept.lease(int(LEASE_S * 1000))):
            return False
        try:
            data = run_blocking(shared.kept.get())
            now_s = shared.server_now_s()
            if now_s is None:
                return False
            known = self._newest(data, now_s, by_force)
            said = {} if known is None else without_ended(known.layer, now_s)
            layer = without_ended(update(said, now_s), now_s)
            message = self._message(layer, known, now_s)
            if time.monotonic() - began > LEASE_S / 2:
                return False
            data = signed(message, self._keys)
            run_blocking(shared.kept.put(data, _lifetime_ms(message, now_s)))
            self._follow(message, data, now_s)
            return True
        finally:
            if time.monotonic() - began < LEASE_S / 2:  # else it may be another's
                run_blocking(shared.kept.hand_back())

    def _newest(self, data: bytes | None, server_now_s: float, by_force: bool) -> Message | None:
        found = None if data is None else opened(data, self._host.namespace, self._keys, server_now_s)
        followed = self.message is not None and self.message.expires_s > server_now_s
        if isinstance(found, Ignored) and not (may_be_overwritten(found) or followed or by_force):
            # Who follows a state puts that back over what is none, whoever speaks; all others would begin from nothing.
            raise UsageError(self._unread(found))
        there = [one for one in (found, self.message) if isinstance(one, Message)]
        return max(there, key=lambda one: one.order, default=None)

    def _unread(self, why: Ignored) -> str:
        return (
            f"cache {self._host.namespace}: the fleet was told something that cannot be read here, and to say more "
            f"would erase it, so nothing was written ({why.value}: {in_words(why)}). Is CACHEASIDE_SECRETS the "
            "service's? If it is, because a secret was replaced, or somebody wrote with another: say it "
            "again with --force, in code with cache.control.fleet.by_force, and say anew whatever else is to hold."
        )

    def _message(self, layer: Layer, known: Message | None, server_now_s: float) -> Message:
        # By the clock at the least: a state that was lost everywhere but in one process that sleeps stays the older.
        version = max(0 if known is None else known.version + 1, int(server_now_s * 1000))
        return Message(
            self._host.namespace,
            version,
            server_now_s,
            server_now_s + LASTS_MAX_S,
            random_secrets.token_hex(8),
            words_of(layer),
        )

    def _shared(self) -> Shared:
        namespace, shared = self._host.namespace, self._host.shared
        if shared is None:
            raise UsageError(
                f"cache {namespace} has no shared tier, so there is no fleet that could hear: give Cache a URL, or use "
                "cache.control, for this process."
            )
        if not self._keys:
            raise DeclarationError(
                f"cache {namespace} has no secrets, and what the fleet is told is always signed: give every process "
                "the same, Cache(url, secrets=[…]) or CACHEASIDE_SECRETS, 32 random bytes. Until then, cache.control "
                "and the control file reach one process and one machine."
            )
        return shared


class _ByForce(Desk):
    """`Fleet.by_force`."""

    def __init__(self, host: Host, fleet: Fleet) -> None:
        super().__init__(host)
        self._fleet = fleet

    def _say(self, update: Update) -> None:
        self._fleet.say(update, by_force=True)


def _lifetime_ms(message: Message, server_now_s: float) -> int:
    return max(1, int((message.expires_s - server_now_s) * 1000))
