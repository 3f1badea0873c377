"""One cached function: its key, its tags, its values, its loader."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from cacheaside.contract import Contract, Terms
from cacheaside.endpoint.batch import BATCH_KEYS_MAX, batch_results
from cacheaside.endpoint.changed import Changed
from cacheaside.endpoint.parameters import Parameters
from cacheaside.endpoint.reports import Reports
from cacheaside.endpoint.scalars import check_scalars
from cacheaside.endpoint.shadow import Shadow
from cacheaside.errors import DeclarationError
from cacheaside.flow.call import Call, Packed
from cacheaside.keys import arguments_prefix, key_under, keys_of_one
from cacheaside.policy.freshness import surely_fresh_s
from cacheaside.source.source import Source
from cacheaside.stores.l1.table import Table
from cacheaside.tags import Home, Tag, tag_ids
from cacheaside.tally import Tally
from cacheaside.types import TagId
from cacheaside.values import Codec, Sharing

__all__ = ["ENCODED", "PLAIN_ANY", "Declared", "Endpoint", "Unset"]


class Unset(Enum):
    """What a context variable without a value counts as in a key: another thing than one set to None."""

    UNSET = "unset"


ENCODED: Final = object()
"""First part of the slots of calls whose raw arguments cannot stand for their key; equal to no argument."""
PLAIN_ANY: Final = frozenset((int, str, bytes, type(None), Unset))
"""The classes of a varied value that may stand in a raw key: no two of them are ever equal."""


RAW_MAX: Final = 256
"""The longest text or bytes, and the most bits of an integer, that L1 holds as a key. Of what is longer it holds the
encoded key, which is hashed: its bound in bytes counts payloads, not keys."""


def _is_long(part: Any) -> bool:
    kind = type(part)
    return (kind in (str, bytes) and len(part) > RAW_MAX) or (kind is int and part.bit_length() > RAW_MAX)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the decorator was given, checked."""

    name: str
    contract: Contract
    version: int | str
    tags: Callable[[Sequence[Any]], Sequence[Tag]] | None
    value_tags: Callable[[Sequence[Any], Any], Sequence[Tag]] | None
    vary: Callable[[Sequence[Any]], tuple[Any, ...]] | None
    tags_max: int
    written_tags: Any = ()
    written_value_tags: Any = None
    written_vary: tuple[Any, ...] = ()
    """As the decorator was given them, for whoever reviews what is declared."""
    heat: bool | None = None
    """Whether its arguments may be written to a file of heat; None: as their annotations tell."""


class Endpoint:
    """Implements `flow.call.Reads` and `source.loads.Loadable`."""

    def __init__(
        self,
        declared: Declared,
        parameters: Parameters,
        codec: Codec,
        source: Source[Any],
        loader: Callable[..., Any],
        *,
        namespace: str,
        home: Home,
        everything: TagId,
        strict: Callable[[], bool],
        now: Callable[[], float],
        key_name: str | None = None,
        is_async: bool = False,
    ) -> None:
        self.declared = declared
        self.name = declared.name
        self.is_async = is_async
        self.contract = declared.contract
        """The contract in force: as declared, unless it is overridden for a while."""
        self.terms = declared.contract.terms
        self.override: Mapping[str, Any] = {}
        """What of the declared contract is overridden."""
        self.changed: Changed | None = None
        """What was changed at run time, and each call is to be asked about; None: nothing."""
        self.shadow: Shadow | None = None
        self.tags_max = declared.tags_max
        self.parameters = parameters
        self.codec = codec
        self.decode = codec.decode_fast
        self.source = source
        self.loader = loader
        self.batch_loader: Callable[..., Any] | None = None
        self.batch_keys_max = BATCH_KEYS_MAX
        self.tally = Tally()
        self.namespace = namespace
        self.home = home
        self._everything = everything
        self._strict = strict
        self.reports = Reports(self.name, now)
        self._key_places = tuple(parameters.all_names.index(name) for name in parameters.in_key)
        self._prefix = arguments_prefix(namespace, key_name or self.name, declared.version, codec.fingerprint)
        copied = codec.sharing is Sharing.COPY
        encoded = codec.sharing is Sharing.DECODE
        absent = codec.encode(None) if encoded and codec.allows_none else None
        self.table = Table(self.name, self.terms, self.tally, absent=absent, absent_is_slow=copied)
        self._absent_encoded = encoded and codec.allows_none

        self._is_slow = codec.sharing is not Sharing.SHARED or declared.value_tags is not None
        self.quick_for_s = 0.0 if self._is_slow else surely_fresh_s(self.terms)
        """How long after the beginning of its load a value of a shared tier may be handed on as it is."""

    @property
    def timeout_s(self) -> float:
        return self.source.timeout_s

    def use(self, contract: Contract, override: Mapping[str, Any]) -> None:
        """From now on `contract` counts: the declared one with `override`. L1 is told by the caller."""
        self.override = override
        self.contract, self.terms = contract, contract.terms
        self.quick_for_s = 0.0 if self._is_slow else surely_fresh_s(self.terms)

    def contract_for(self, changes: Mapping[str, Any]) -> Contract:
        """The contract of a call that asks for `changes`. An override counts over them, since it was made with the
        incident at hand; where the two contradict each other, as a strong read and a longer grace, the call is as it
        was written."""
        own = self.declared.contract.using(**changes)
        if not self.override:
            return own
        try:
            return own.using(**self.override)
        except DeclarationError:
            return own

    def call(self, values: tuple[Any, ...], terms: Terms | None = None) -> Call:
        """The read of these values, in the order of `parameters.all_names`."""
        parts = self.parts(values)
        varied = () if self.declared.vary is None else self.declared.vary(values)
        key = TagId(key_under(self._prefix, parts + varied))
        declared = self.declared.tags
        tags: tuple[TagId, ...] = (key, self._everything)
        if declared is not None:
            tags += self.tag_ids(declared(values), f"{self.name}: tags=")
        return Call(
            self, self._slot(parts, varied, key), key, tags, values, self.terms if terms is None else terms
        )

    def parts(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Those of a call's values that are part of its key."""
        return tuple([values[place] for place in self._key_places])

    def keying(self) -> Callable[[tuple[Any, ...]], tuple[TagId, Sequence[TagId]]]:
        """A function that gives the key of some values, and the declared tags of their call."""
        places, vary, tags = self._key_places, self.declared.vary, self.declared.tags
        if len(places) > 1 or not places or vary is not None or tags is not None:
            return self._key_and_tags
        (place,), key_of = places, keys_of_one(self._prefix)
        return lambda values: (key_of(values[place]), ())  # type: ignore[return-value] # a key is a tag's id

    def _key_and_tags(self, values: tuple[Any, ...]) -> tuple[TagId, Sequence[TagId]]:
        parts = tuple([values[place] for place in self._key_places])
        declared = self.declared
        varied = () if declared.vary is None else declared.vary(values)
        key = TagId(key_under(self._prefix, parts + varied))
        if declared.tags is None:
            return key, ()
        return key, self.tag_ids(declared.tags(values), f"{self.name}: tags=")

    def check_told(self, what: str, values: Sequence[Any]) -> None:
        """Refuse values of other classes than are declared, in what is told about a key."""
        p = self.parameters
        given = zip(p.in_key, p.scalars, self._key_places, strict=True)
        named = p.signature.parameters
        check_scalars(
            f"{self.name}.{what}", [(named[name], classes, values[place]) for name, classes, place in given]
        )

    def _slot(self, parts: tuple[Any, ...], varied: tuple[Any, ...], key: TagId) -> Hashable:
        plain = all(type(part) in kinds for part, kinds in zip(parts, self.parameters.plain, strict=True))
        raw = parts + varied
        if not plain or any(type(part) not in PLAIN_ANY for part in varied) or any(map(_is_long, raw)):
            return (ENCODED, key)
        return raw[0] if len(raw) == 1 else raw

    def pack(self, value: Any) -> Packed:
        """`value` as held; a `ValueEncodingError` when it does not fit the annotation."""
        encoded, decoded = self.codec.roundtrip(value)
        held = encoded if self.codec.sharing is Sharing.DECODE else decoded
        return Packed(held, encoded, value is None)

    def held_from(self, encoded: bytes) -> Any:
        """What is held for bytes from a shared tier; a `ValueEncodingError` when they do not fit the annotation."""
        decoded = self.codec.decode(encoded)
        return encoded if self.codec.sharing is Sharing.DECODE else decoded

    def unpack(self, held: Any) -> Any:
        """A value for one caller."""
        match self.codec.sharing:
            case Sharing.SHARED:
                return held
            case Sharing.COPY:
                assert self.codec.copy is not None
                return None if held is None else self.codec.copy(held)
            case Sharing.DECODE:
                return self.codec.decode_own(held)

    def value_tags(self, value: Any) -> tuple[TagId, ...]:
        """The tags that the value names."""
        if self.declared.value_tags is None:
            return ()
        return self.tag_ids(self.declared.value_tags((), value), f"{self.name}: value_tags=")

    def tag_ids(self, tags: Any, where: str) -> tuple[TagId, ...]:
        """The ids of tags of this endpoint's cache; `where` begins the message about any other."""
        return tag_ids(tags, namespace=self.namespace, home=self.home, where=where)

    def report_unstorable(self, error: Exception) -> None:
        """Log, once per endpoint, why its values are not stored; under strict testing, raise instead."""
        if self._strict():
            raise error
        self.reports.unstorable(error)

    def report_failed_refresh(self, failure: str) -> None:
        """Log, once a minute, that readers are served what could not be refreshed."""
        self.reports.failed_refresh(failure)

    def set_batch(self, function: Callable[..., Any], is_async: bool, keys_max: Any) -> None:
        """Have `function` load many keys at once, `keys_max` at most."""
        if isinstance(keys_max, bool) or not isinstance(keys_max, int) or keys_max < 1:
            raise DeclarationError(
                f"{self.name}: batch(keys_max=…) takes a whole number of keys, at least 1."
            )
        self.batch_keys_max = keys_max
        if self.batch_loader is not None:
            raise DeclarationError(f"{self.name} has a batch loader already; it takes one.")
        self.batch_loader = batch_results(self, function, is_async=is_async)
