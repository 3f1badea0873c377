"""From a return annotation to its shape, through msgspec's own reading of types."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from msgspec import inspect as types_of

from cacheaside.errors import DeclarationError
from cacheaside.values.models import is_model, model_schema
from cacheaside.values.refusals import refused, unsupported, why_class_refused
from cacheaside.values.shape import Kind, Part, Shape

__all__ = ["annotation_text", "caches_on_itself", "shape_of", "undecodable"]

_ATOMS = frozenset({
    "NoneType", "BoolType", "IntType", "FloatType", "StrType", "BytesType", "DateTimeType", "DateType", "TimeType",
    "TimeDeltaType", "UUIDType", "DecimalType",
})  # fmt: skip
_SEQUENCES = {"ListType": False, "SetType": False, "FrozenSetType": True, "VarTupleType": True}
_MAPPINGS = {"DictType": False, "FrozenDictType": True}
_RECORDS = frozenset({"StructType", "DataclassType", "TypedDictType", "NamedTupleType"})


def shape_of(annotation: Any, *, endpoint: str) -> Shape:
    """The shape of values annotated so. A `DeclarationError` says why there is none and what to return."""
    reason = refused(annotation)
    if reason is not None:
        raise _error(endpoint, annotation, reason)
    try:
        node = types_of.type_info(annotation)
    except NameError as error:
        reason = (
            f"the name {error.name!r} is not resolved: import it where the type is defined, at run time too"
        )
        raise _error(endpoint, annotation, reason) from None
    except Exception as error:
        raise undecodable(endpoint, annotation, error) from error
    return _Shaping(endpoint, annotation).shape(node, "")


def undecodable(endpoint: str, annotation: Any, error: Exception) -> DeclarationError:
    """What msgspec says of an annotation that it cannot decode, with what to write instead."""
    text = str(error)
    if "union" in text:
        hint = "tell the members apart by msgspec.Struct classes with tag=True"
    elif "Enum" in text:
        hint = "give the Enum only str or only int values"
    else:
        hint = "annotate a msgspec.Struct, dataclass, TypedDict or builtins"
    return _error(endpoint, annotation, f"{text}: {hint}")


def _error(endpoint: str, annotation: Any, reason: str) -> DeclarationError:
    return DeclarationError(f"{endpoint}: -> {annotation_text(annotation)} cannot be cached: {reason}.")


def annotation_text(annotation: Any) -> str:
    """An annotation as its author wrote it, nearly."""
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


class _Shaping:
    """One pass over one annotation; remembers nodes, so that a recursive type is one shape."""

    def __init__(self, endpoint: str, annotation: Any) -> None:
        self._endpoint = endpoint
        self._annotation = annotation
        self._lenient = 0  # inside a pydantic model, whose fields msgspec never sees
        # The node is kept beside its shape: an id is unique only while its object lives.
        self._known: dict[int, tuple[Any, Shape]] = {}
        self._models: dict[Any, Shape] = {}

    def shape(self, node: Any, where: str) -> Shape:
        """The shape of `node`, which stands at field path `where`."""
        known = self._known.get(id(node))
        if known is not None:
            return known[1]
        name = type(node).__name__
        shape = Shape(Kind.OPAQUE, name)
        self._known[id(node)] = (node, shape)
        if name in _ATOMS:
            shape.kind, shape.label, shape.frozen = Kind.ATOM, name + _constraints(node), True
        elif name == "LiteralType":
            shape.kind, shape.label, shape.frozen = (
                Kind.ATOM,
                f"literal {sorted(map(repr, node.values))}",
                True,
            )
        elif name == "EnumType":
            members = sorted(f"{member.name}={member.value!r}" for member in node.cls)
            shape.kind, shape.label, shape.frozen = Kind.ATOM, f"enum {members}", True
        elif name in _SEQUENCES or name in _MAPPINGS or name in ("TupleType", "UnionType"):
            self._fill_container(shape, name, node, where)
        elif name in _RECORDS:
            self._fill_record(shape, name, node, where)
        elif name == "AnyType":
            shape.kind = Kind.ANY
        elif name == "CustomType":
            self._fill_custom(shape, getattr(node.cls, "__origin__", node.cls), where)
        return shape

    def _fill_container(self, shape: Shape, name: str, node: Any, where: str) -> None:
        elements: tuple[Any, ...]
        shape.label = name + _constraints(node)
        if name in _SEQUENCES:
            shape.kind, shape.frozen, elements = Kind.SEQUENCE, _SEQUENCES[name], (node.item_type,)
        elif name in _MAPPINGS:
            shape.kind, shape.frozen, elements = (
                Kind.MAPPING,
                _MAPPINGS[name],
                (node.key_type, node.value_type),
            )
            shape.ordered = True
        elif name == "TupleType":
            shape.kind, shape.frozen, shape.ordered, elements = Kind.TUPLE, True, True, node.item_types
        else:
            shape.kind, shape.frozen, elements = Kind.UNION, True, node.types
        shape.parts = [Part("", "", self.shape(element, where)) for element in elements]

    def _fill_record(self, shape: Shape, name: str, node: Any, where: str) -> None:
        cls = getattr(node.cls, "__origin__", node.cls)
        reason = why_class_refused(cls)
        if reason is not None:
            raise self._refusal(reason, where)
        shape.kind, shape.cls = Kind.RECORD, cls
        shape.frozen = name != "TypedDictType" and is_frozen_record(cls)
        shape.label = name
        omits_defaults = False
        if name == "StructType":
            shape.ordered, omits_defaults = node.array_like, cls.__struct_config__.omit_defaults
            shape.label = f"StructType {node.tag_field!r} {node.tag!r}"
        elif name == "NamedTupleType":
            shape.ordered = True
        for known in node.fields:
            wire_name = known.encode_name + ("" if known.required else "?")
            if omits_defaults and not known.required:
                wire_name += _default_text(known)  # what is not written is read back as the default
            path = f"{where}.{known.name}"
            shape.parts.append(Part(known.name, wire_name, self.shape(known.type, path)))

    def _fill_custom(self, shape: Shape, cls: Any, where: str) -> None:
        reason = why_class_refused(cls)
        if reason is not None:
            raise self._refusal(reason, where)
        if cls is object:
            shape.kind, shape.label = Kind.ANY, "AnyType"
        elif is_model(cls):
            self._fill_model(shape, cls, where)
        elif not self._lenient:
            raise self._refusal(unsupported(cls), where)
        else:
            shape.label = f"{cls.__module__}.{cls.__qualname__}"

    def _fill_model(self, shape: Shape, cls: Any, where: str) -> None:
        """A pydantic model: its own schema tells it from others; its fields are looked at for sharing."""
        shape.label = f"model {model_schema(cls)}"
        shape.cls = cls
        if cls in self._models:  # msgspec makes a new node for each mention
            shape.kind, shape.frozen = Kind.RECORD, self._models[cls].frozen
            shape.parts = self._models[cls].parts
            return
        self._models[cls] = shape
        closed = cls.model_config.get("extra") != "allow" and not cls.__private_attributes__
        shape.kind, shape.frozen = Kind.RECORD, closed and bool(cls.model_config.get("frozen"))
        if not closed:
            # Stored untyped if it is input, and not at all if it is private.
            shape.parts.append(Part("__pydantic_extra__", "extra?", Shape(Kind.ANY, "AnyType")))
        self._lenient += 1
        for name, known in cls.model_fields.items():
            shape.parts.append(Part(name, name, self._model_field(known.annotation, f"{where}.{name}")))
        self._lenient -= 1

    def _model_field(self, annotation: Any, where: str) -> Shape:
        reason = refused(annotation)
        if reason is not None:
            raise self._refusal(reason, where)
        try:
            node = types_of.type_info(annotation)
        except Exception:  # noqa: BLE001 pydantic knows more types than msgspec: this field is just not looked into
            return Shape(Kind.OPAQUE, annotation_text(annotation))
        return self.shape(node, where)

    def _refusal(self, reason: str, where: str) -> DeclarationError:
        if where:
            reason = f"its field {where[1:]} does not fit in: {reason}"
        return _error(self._endpoint, self._annotation, reason)


def caches_on_itself(cls: type) -> bool:
    """Whether a cached_property keeps what it computes on the instance, for everybody who shares it to change."""
    return any(isinstance(known, cached_property) for kind in cls.__mro__ for known in vars(kind).values())


def is_frozen_record(cls: Any) -> bool:
    """Whether instances of `cls` refuse to be changed; their fields are looked at on their own."""
    if caches_on_itself(cls):
        return False
    config = getattr(cls, "__struct_config__", None)
    if config is not None:
        return bool(config.frozen)
    if hasattr(cls, "__attrs_attrs__"):
        return cls.__setattr__.__name__ in ("_frozen_setattrs", "__frozen_setattrs")
    if hasattr(cls, "__dataclass_params__"):
        return bool(cls.__dataclass_params__.frozen)
    return issubclass(cls, tuple) and not cls.__dictoffset__


def _constraints(node: Any) -> str:
    """What narrows the type: bounds, lengths, patterns, literals."""
    found = {
        name: value
        for name in node.__struct_fields__
        if isinstance(value := getattr(node, name), int | float | str | tuple) and not _holds_types(value)
    }
    return f" {sorted(found.items())}" if found else ""


def _holds_types(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, types_of.Type) for item in value)


def _default_text(known: Any) -> str:
    default = known.default if known.default is not msgspec.NODEFAULT else known.default_factory
    try:
        return msgspec.msgpack.encode(default).hex()
    except TypeError:
        return str(getattr(default, "__qualname__", type(default).__qualname__))
