"""The codec of one endpoint: typed bytes by its return annotation, built once, when the endpoint is declared."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import msgspec

from cacheaside.errors import DeclarationError, ValueEncodingError
from cacheaside.values.depth import nests_within
from cacheaside.values.fingerprint import fingerprint_of
from cacheaside.values.models import is_model, model_fields, model_from
from cacheaside.values.shape import Kind, Shape, has_cycle, reachable
from cacheaside.values.shaping import annotation_text, shape_of, undecodable
from cacheaside.values.sharing import Copier, Sharing, sharing_of
from cacheaside.values.untyped import UntypedParts
from cacheaside.values.wide import WIDE_MARK, decode_wide, encode_wide

__all__ = ["LEVELS_MAX", "VALUE_MAX_BYTES", "Codec", "codec_for"]

VALUE_MAX_BYTES = 64 * 1024 * 1024
"""The longest encoding of one value that is decoded, in bytes."""

LEVELS_MAX = 64
"""How deep arrays and maps of a stored value may nest, in levels."""

_UNFIT = re.compile(r"Expected `[^`]*`(?:, got `[^`]*`| [<>]=? [\d.]+)?")
_MISSING = re.compile(r"Object missing required field `[^`]*`")
_PLACE = re.compile(r" - at (`key` in )?`(\$[^`]*)`$")


class Codec:
    """How values of one endpoint are stored, read back, and handed to readers. Immutable; safe in any thread.

    What comes back is what the annotation names: a subclass comes back as the annotated class, fields beyond it
    are not stored, an aware datetime comes back in UTC, at the same instant, and the `fold` of a naive one is
    lost. Hand out what `roundtrip` returns, and the first reader sees what all later ones see.
    """

    __slots__ = (
        "_bounded",
        "_encode",
        "_untyped",
        "_with_models",
        "allows_none",
        "annotation",
        "copy",
        "decode_fast",
        "decode_own",
        "endpoint",
        "fingerprint",
        "sharing",
    )  # fmt: skip

    annotation: Any
    endpoint: str
    fingerprint: str
    """Eight characters that change with the shape of the values, for the key."""
    sharing: Sharing
    """What a reader of an entry is given: the object itself, `copy` of it, or `decode_own` of its bytes."""
    copy: Copier | None
    """For `Sharing.COPY`: a full isolation of one value."""
    allows_none: bool
    """Whether the annotation admits None, so that an absent row is a value."""
    decode_own: Callable[[bytes], Any]
    """Decodes bytes that this process encoded, without limits or translated errors. For others: `decode`."""
    decode_fast: Callable[[bytes], Any]
    """Decodes bytes from anywhere that are not too long, or raises whatever it may: then ask `decode`."""

    def __init__(self, annotation: Any, shape: Shape, *, endpoint: str) -> None:
        shapes = reachable(shape)
        self.annotation = annotation
        self.endpoint = endpoint
        self.fingerprint = fingerprint_of(shape)
        self.sharing, self.copy = sharing_of(shape)
        self.allows_none = _allows_none(shape)
        self._with_models = any(is_model(known.cls) for known in shapes)
        hook = model_fields if self._with_models else _refuse_object
        self._encode = _encoder(hook)
        narrow, self.decode_own = _decoders(annotation)
        self._untyped = UntypedParts(shape)
        # A shape without cycles and untyped parts bounds the depth by itself: the decoder stops at what does not fit.
        self._bounded = not (self._with_models or self._untyped or has_cycle(shape))
        self.decode_fast = narrow if self._bounded else self.decode

    def encode(self, value: Any) -> bytes:
        """The bytes of `value`. That it fits the annotation is not checked here: see `roundtrip`.

        Raises `ValueEncodingError` for what has no encoding: an object of an unknown class, a value that holds
        itself, text that is no Unicode.
        """
        try:
            return self._encode(value)
        except RecursionError:
            raise self._error("nests too deep, or holds itself: return a flatter one") from None
        except OverflowError:
            raise self._error(
                "has an integer beyond 64 bits as a dictionary key: make the keys str"
            ) from None
        except UnicodeError:
            raise self._error("holds text with lone surrogates, which has no UTF-8: clean it first") from None
        except _Foreign as error:
            raise self._error(f"holds an object of class {error}: {_RETURN_INSTEAD}") from None
        except Exception as error:  # noqa: BLE001 whatever it is, its message may quote the value
            raise self._error(f"cannot be encoded ({type(error).__qualname__}): {_RETURN_INSTEAD}") from None

    def decode(self, data: bytes) -> Any:
        """The value of bytes from anywhere, checked against the annotation.

        Raises `ValueEncodingError`: longer than `VALUE_MAX_BYTES`, nested deeper than `LEVELS_MAX`, or not a value
        of this endpoint. Treat it as a miss.
        """
        if len(data) > VALUE_MAX_BYTES:
            raise self._error(f"takes {len(data):,} bytes, more than {VALUE_MAX_BYTES:,}")
        if not self._bounded and not nests_within(data, LEVELS_MAX):
            raise self._error(f"nests deeper than {LEVELS_MAX} levels: return a flatter one")
        try:
            return self.decode_own(data)
        except Exception as error:  # noqa: BLE001 validators of the value's classes run here, and may raise anything
            raise self._error(f"does not fit{_misfit(error)}") from None

    def roundtrip(self, value: Any) -> tuple[bytes, Any]:
        """The bytes of `value`, and what every reader will get of them; `ValueEncodingError` if it does not fit."""
        data = self.encode(value)
        decoded = self.decode(data)
        if self._untyped:
            self._check_untyped(value)
        # A validator, or a union of two types with one text form, may make something else of a model.
        if self._with_models and type(value) is type(decoded) and value != decoded:
            raise self._error(
                "would come back different: a validator changes what it is given again, a union has two types that "
                "are stored alike (UUID | str), or a private attribute or NaN is in it"
            )
        return data, decoded

    def _check_untyped(self, value: Any) -> None:
        changed = self._untyped.changed(value)
        if changed is not None:
            path, kind = changed
            raise self._error(
                f"holds a {kind} in an untyped part, at {path}, where it would come back as another type: "
                "name its type in the annotation, or convert it to plain JSON-like data"
            )

    def __repr__(self) -> str:
        return f"<codec {self.endpoint} -> {annotation_text(self.annotation)} {self.fingerprint} {self.sharing.value}>"

    def _error(self, what: str) -> ValueEncodingError:
        return ValueEncodingError(
            f"{self.endpoint}: the value of -> {annotation_text(self.annotation)} {what}."
        )


_RETURN_INSTEAD = "return a msgspec.Struct, dataclass, TypedDict or builtins, as annotated"


class _Foreign(Exception):
    """An object of a class without an encoding, by the name of the class."""


def codec_for(annotation: Any, *, endpoint: str) -> Codec:
    """The codec of values annotated so, for the endpoint of that name.

    `annotation` is the resolved object, as `typing.get_type_hints(..., include_extras=True)` gives it. Raises
    `DeclarationError` when it cannot be cached, saying why and what to return instead.
    """
    if annotation is inspect.Signature.empty:
        raise DeclarationError(
            f"{endpoint}: the function has no return annotation, and values are stored by it: add one, such as "
            "-> ProductView or -> dict[str, int] | None."
        )
    if annotation is None or annotation is type(None):
        raise DeclarationError(
            f"{endpoint}: -> None says that there is no value: annotate what the function returns."
        )
    shape = shape_of(annotation, endpoint=endpoint)
    try:
        return Codec(annotation, shape, endpoint=endpoint)
    except TypeError as error:
        raise undecodable(endpoint, annotation, error) from error


def _allows_none(shape: Shape) -> bool:
    members = [part.shape for part in shape.parts] if shape.kind is Kind.UNION else [shape]
    return any(member.kind is Kind.ANY or member.label.startswith("NoneType") for member in members)


def _refuse_object(value: Any) -> Any:
    raise _Foreign(type(value).__qualname__)


def _encoder(hook: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    def known(value: Any) -> Any:
        try:
            return hook(value)
        except TypeError:
            raise _Foreign(type(value).__qualname__) from None

    narrow = msgspec.msgpack.Encoder(enc_hook=known).encode

    def encode(value: Any) -> bytes:
        try:
            return narrow(value)
        except OverflowError:
            return encode_wide(value, known)

    return encode


def _decode_custom(cls: type, stored: Any) -> Any:
    return model_from(cls, stored) if is_model(cls) else stored  # else: object, which takes anything


def _decoders(annotation: Any) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """For values without integers beyond 64 bits, and for all."""
    narrow = msgspec.msgpack.Decoder(annotation, dec_hook=_decode_custom).decode

    def decode(data: bytes) -> Any:
        try:
            return narrow(data)
        except msgspec.DecodeError:
            if data[:1] != WIDE_MARK:
                raise
        return decode_wide(data, annotation, _decode_custom)

    return narrow, decode


def _misfit(error: Exception) -> str:
    """Where and why, of an error whose message may quote the value: only schema and types are taken over."""
    text = str(error) if isinstance(error, msgspec.DecodeError) else ""
    place = _PLACE.search(text)
    reason = _UNFIT.match(text) or _MISSING.match(text)
    where = f" at {'a key of ' if place[1] else ''}{place[2]}" if place else ""
    return where + (f": {reason[0][0].lower()}{reason[0][1:]}" if reason else "")
