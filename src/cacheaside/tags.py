"""Tags: typed names for what a value was computed from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from cacheaside.errors import DeclarationError, UsageError
from cacheaside.keys import tag_key
from cacheaside.types import TagId

__all__ = ["Tag", "TagFamily", "tag_ids"]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Tag:
    """One thing that values are computed from, such as `products(42)`. Made by calling a `TagFamily`."""

    id: TagId
    namespace: str

    def __str__(self) -> str:
        return self.id


class TagFamily(Generic[P]):
    """A kind of tag: `products = cache.tag("products", int)`; then `products(42)` names one.

    Arguments are checked against the declared types exactly: `products("42")` and `products(True)` are errors,
    since they would name a tag that nothing depends on, and an invalidation would be lost.
    """

    __slots__ = ("_namespace", "_types", "name")

    def __init__(self, namespace: str, name: str, types: tuple[type[Any], ...]) -> None:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f'A tag needs a name: cache.tag("products", int), not {name!r}.')
        for kind in types:
            if not isinstance(kind, type):
                raise DeclarationError(
                    f"cache.tag({name!r}, …): {kind!r} is not a class such as int, str or UUID."
                )
        self._namespace = namespace
        self._types = types
        self.name = name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Tag:
        """The tag of these parts; a wrong number or type of them is a `UsageError`."""
        types = self._types
        if (
            kwargs
            or len(args) != len(types)
            or any(type(a) is not t for a, t in zip(args, types, strict=True))
        ):
            self._check(args, bool(kwargs))
        return Tag(TagId(tag_key(self._namespace, self.name, args)), self._namespace)

    def __repr__(self) -> str:
        return f"<tag {self.name}({', '.join(kind.__name__ for kind in self._types)})>"

    def _check(self, args: tuple[Any, ...], named: bool) -> None:
        wanted = ", ".join(kind.__name__ for kind in self._types)
        if named or len(args) != len(self._types):
            raise UsageError(
                f"{self.name}({wanted}) takes {len(self._types)} positional parts, got {len(args)}."
            )
        for part, kind in zip(args, self._types, strict=True):
            # A subclass may be meant (an Enum, a str subclass), but bool for int never is.
            if not isinstance(part, kind) or (isinstance(part, bool) and kind is int):
                raise UsageError(
                    f"{self.name}({wanted}) got a {type(part).__name__} where {kind.__name__} is declared."
                )


def tag_ids(tags: Iterable[Tag], *, namespace: str, where: str) -> tuple[TagId, ...]:
    """The ids of `tags`, each once, in order; anything that is not a tag of `namespace` is a `UsageError`."""
    if isinstance(tags, Tag):
        raise UsageError(f"{where} returned one tag where a list of tags is expected: write [products(42)].")
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
        ids[tag.id] = None
    return tuple(ids)
