"""Tags: typed names for what a value was computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, ParamSpec, get_origin
from urllib.parse import unquote

from cacheaside.errors import DeclarationError, UsageError
from cacheaside.keys import encodable, tag_key
from cacheaside.keys.classes import BUILTINS
from cacheaside.types import TagId

__all__ = ["EVERYTHING", "Home", "Tag", "TagFamily", "described", "family_of", "readable", "tag_ids"]

P = ParamSpec("P")

EVERYTHING: Final = "*"
"""The name of the tag that every entry of a namespace depends on."""
_TAG: Final = "tag~"


class Home:
    """Which cache of this process a tag was made with, known by identity. Not the cache itself: tags may outlive it.

    made_in: the module and line where that cache was made.
    """

    __slots__ = ("made_in",)

    def __init__(self, made_in: str) -> None:
        self.made_in = made_in


@dataclass(frozen=True, slots=True)
class Tag:
    """One thing that values are computed from, such as `products(42)`. Made by calling a `TagFamily`.

    A plain value: equal to every tag of the same parts, and it can be pickled. `home` takes no part in that; a tag that
    was copied or came from another process has none, and is good for every cache of its namespace.
    """

    id: TagId
    namespace: str
    home: Home | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.id

    def __reduce__(self) -> tuple[type[Tag], tuple[TagId, str]]:
        return Tag, (self.id, self.namespace)


class TagFamily(Generic[P]):
    """A kind of tag: `products = cache.tag("products", int)`; then `products(42)` names one.

    Parts must be of the declared types, and of no others: `products("42")` and `products(True)` are errors, since they
    would name a tag that nothing depends on, and an invalidation would be lost.
    """

    __slots__ = ("_home", "_namespace", "name", "types")

    def __init__(
        self, namespace: str, name: str, types: tuple[type[Any], ...], home: Home | None = None
    ) -> None:
        _check_family(name, types)
        self._namespace = namespace
        self._home = home
        self.types = types
        self.name = name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Tag:
        """The tag of these parts; a wrong number or type of them is a `UsageError`."""
        types = self.types
        if (
            kwargs
            or len(args) != len(types)
            or any(type(a) is not t for a, t in zip(args, types, strict=True))
        ):
            self._check(args, kwargs)
        return Tag(TagId(tag_key(self._namespace, self.name, args)), self._namespace, self._home)

    def __repr__(self) -> str:
        return f"<tag {self.name}({', '.join(kind.__name__ for kind in self.types)})>"

    def _check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        wanted = ", ".join(kind.__name__ for kind in self.types)
        if kwargs:
            raise UsageError(
                f"{self.name}({wanted}) takes its parts by position, not by name ({', '.join(kwargs)})."
            )
        if len(args) != len(self.types):
            raise UsageError(f"{self.name}({wanted}) takes {_parts(len(self.types))}, got {len(args)}.")
        for part, kind in zip(args, self.types, strict=True):
            # A subclass of a builtin (an Enum of str, a bool) is encoded apart from it, so it names another tag.
            if not isinstance(part, kind) or (type(part) is not kind and kind in BUILTINS):
                raise UsageError(
                    f"{self.name}({wanted}) got a {type(part).__name__} where {kind.__name__} is declared. "
                    f"Convert it, or declare the tag with {type(part).__name__}."
                )


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts" if count else "no parts"


def _check_family(name: Any, types: tuple[Any, ...]) -> None:
    if not isinstance(name, str) or not name:
        raise DeclarationError(f'A tag needs a name: cache.tag("products", int), not {name!r}.')
    for kind in types:
        if not isinstance(kind, type) or get_origin(kind) is not None:
            raise DeclarationError(
                f"cache.tag({name!r}, …): {kind!r} is not a class such as int, str or UUID."
            )
        reason = encodable(kind)
        if reason is not None:
            raise DeclarationError(
                f"cache.tag({name!r}, …): {kind.__name__} cannot be part of a tag: {reason}"
            )


def tag_ids(tags: Any, *, namespace: str, where: str, home: Home | None = None) -> tuple[TagId, ...]:
    """The ids of an iterable of tags, each once, in order; for anything but tags of `namespace` a `UsageError`.

    home: the cache that they are for; tags that are known to be another's are refused too.
    """
    if isinstance(tags, Tag):
        raise UsageError(f"{where} got one tag where a list of tags is expected: write [products(42)].")
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise UsageError(f"{where} got a {type(tags).__name__} where a list of tags is expected.")
    ids: dict[TagId, None] = {}
    for tag in tags:
        if isinstance(tag, TagFamily):
            raise UsageError(f"{where} got {tag!r}, a kind of tag: call it, such as {tag.name}(42).")
        if not isinstance(tag, Tag):
            raise UsageError(f"{where} got a {type(tag).__name__}, not a tag: make tags with cache.tag(…).")
        if tag.namespace != namespace:
            raise UsageError(
                f"{where} got a tag of namespace {tag.namespace!r}; this cache is {namespace!r}."
            )
        if tag.home is not home and tag.home is not None and home is not None:
            raise UsageError(
                f"{where} got a tag of another cache, which is {namespace!r} too: that one was made in "
                f"{tag.home.made_in}, this one in {home.made_in}. Two caches share nothing, so it would invalidate "
                "nothing here. Make one Cache and import it where it is used."
            )
        ids[tag.id] = None
    return tuple(ids)


def described(tag: TagId) -> str:
    """A tag, or an entry's own key, as errors name it."""
    namespace, family = _parted(tag)
    return f"everything in namespace {namespace}" if family == EVERYTHING else tag


def readable(tag: TagId) -> str:
    """A declared tag as it is written in code, as far as its id tells: `products(42)`. For people alone."""
    _, _, rest = tag.partition(":")
    name, _, parts = rest.partition(":")
    family = unquote(name.removeprefix(_TAG).partition("~")[0])
    if family == EVERYTHING:
        return "everything in the namespace"
    return f"{family}({', '.join(map(_part, parts.split(','))) if parts else ''})"


def _part(text: str) -> str:
    kind, rest = text[:1], unquote(text[1:])
    if kind in "id":
        return rest
    if kind == "s":
        return repr(rest)
    return {"n": "None", "t": "True", "f": "False"}.get(text, rest or text)


def family_of(tag: TagId) -> str:
    """The same without arguments, as the log names it: the kind of tag, or the endpoint."""
    _, family = _parted(tag)
    return "everything" if family == EVERYTHING else family


def _parted(tag: TagId) -> tuple[str, str]:
    namespace, _, rest = tag.partition(":")
    name = rest.partition(":")[0].removeprefix(_TAG).partition("~")[0]
    return unquote(namespace), unquote(name)
