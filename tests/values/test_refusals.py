"""What cannot be cached is known at declaration, and the message says what to return instead."""

from __future__ import annotations

import enum
import inspect
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Annotated, Any, BinaryIO, ForwardRef, NewType, NoReturn, Protocol, TextIO, TypedDict

import msgspec
import pydantic
import pytest
from fastapi.responses import ORJSONResponse
from sqlalchemy import CursorResult, Row
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Query,
    Session,
    mapped_column,
    registry,
    relationship,
)
from starlette.responses import JSONResponse, Response, StreamingResponse

from cacheaside.errors import DeclarationError
from cacheaside.values import codec_for


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class DataclassBase(MappedAsDataclass, DeclarativeBase):
    pass


class Order(DataclassBase):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Legacy:
    pass


registry().map_imperatively(Legacy, User.__table__)


def lookalike(name: str, module: str, *bases: type) -> type:
    """A class as another package defines it, for packages that tests do not install."""
    return type(name, bases or (object,), {"__module__": module})


DjangoModel = lookalike("Model", "django.db.models.base")
HttpResponseBase = lookalike("HttpResponseBase", "django.http.response")
TornApart = lookalike("Unknown", "app.models")


class Article(DjangoModel):  # type: ignore[misc, valid-type]
    pass


class Holder(msgspec.Struct):
    ident: int
    owner: User


class Holders(msgspec.Struct):
    items: list[Holder]


@dataclass
class DataHolder:
    owner: User | None


class Dict(TypedDict):
    owner: User


class Model(pydantic.BaseModel, arbitrary_types_allowed=True):
    owner: list[User]


class Unresolved(msgspec.Struct):
    other: Nowhere  # type: ignore[name-defined]  # noqa: F821


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Reader(Protocol):
    def read(self) -> str: ...


class ModelA(pydantic.BaseModel):
    a: int


class ModelB(pydantic.BaseModel):
    b: int


class StructA(msgspec.Struct):
    a: int


class StructB(msgspec.Struct):
    b: int


Users = NewType("Users", list[User])

ORM = "an ORM object.*msgspec.Struct, dataclass or pydantic model"
RESPONSE = "a web response.*return the data it is made from"
ONCE = "read only once.*return a list"


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (inspect.Signature.empty, "no return annotation.*add one"),
        (None, "there is no value"),
        (type(None), "there is no value"),
        (NoReturn, "never returns"),
        ("ProductView", "'ProductView' is not resolved.*import it"),
        (ForwardRef("ProductView"), "'ProductView' is not resolved"),
        (list["ProductView"], "'ProductView' is not resolved"),  # type: ignore[name-defined]  # noqa: F821
        (Unresolved, "'Nowhere' is not resolved"),
        (Iterator[int], ONCE),
        (Generator[int, None, None], ONCE),
        (AsyncIterator[int], ONCE),
        (Coroutine[Any, Any, int], ONCE),
        (Awaitable[int], ONCE),
        (list[Iterator[int]], ONCE),
        (Iterable[int], r"what is built.*list\[\.\.\.\]"),
        (Response, RESPONSE),
        (JSONResponse, RESPONSE),
        (StreamingResponse, RESPONSE),
        (ORJSONResponse, RESPONSE),
        (dict[str, int] | Response, RESPONSE),
        (lookalike("JsonResponse", "django.http", HttpResponseBase), RESPONSE),
        (lookalike("Response", "flask.wrappers"), RESPONSE),
        (lookalike("MyAnswer", "app", lookalike("Response", "flask.wrappers")), RESPONSE),
        (User, ORM),
        (User | None, ORM),
        (list[User], ORM),
        (dict[str, tuple[User, ...]], ORM),
        (Annotated[User, "x"], ORM),
        (Users, ORM),
        (Order, ORM),
        (Legacy, ORM),
        (Article, ORM),
        (list[Article], ORM),
        (lookalike("Hero", "tortoise.models", lookalike("Model", "tortoise.models")), ORM),
        (Holder, f"its field owner does not fit in: User is {ORM}"),
        (Holders, f"its field items.owner does not fit in: User is {ORM}"),
        (DataHolder, f"field owner.*{ORM}"),
        (Dict, f"field owner.*{ORM}"),
        (Model, f"field owner.*{ORM}"),
        (Row[Any], "belongs to a database session"),
        (CursorResult[Any], "belongs to a database session"),
        (Query[Any], "belongs to a database session"),
        (Session, "belongs to a database session"),
        (lookalike("QuerySet", "django.db.models.query"), "belongs to a database session"),
        (IO[str], "open file.*return its content"),
        (TextIO, "open file"),
        (BinaryIO, "open file"),
        (io.BytesIO, "open file"),
        (Callable[[int], int], "is code: return what it computes"),
        (Callable, "is code"),
        (type, "is code"),
        (type[int], "is code"),
        (TornApart, "Unknown is no type with a typed encoding: return a msgspec.Struct"),
        (list[TornApart], "Unknown is no type"),  # type: ignore[valid-type]
        (Reader, "Reader is no type"),
        (complex, "complex is no type"),
        (Exception, "Exception is no type"),
        (ModelA | ModelB, "tag=True"),
        (StructA | StructB, "tag=True"),
        (int | list[int] | tuple[int, int], "tag=True"),
        (Mixed, "only str or only int values"),
    ],
    ids=lambda case: str(case)[:50],
)  # fmt: skip
def test_what_cannot_be_cached_is_refused_with_what_to_return(annotation: Any, says: str) -> None:
    """One message with the endpoint, the annotation, why not, and what to do; wherever in the type it stands."""
    with pytest.raises(DeclarationError, match=says) as caught:
        codec_for(annotation, endpoint="shop.product")
    message = str(caught.value)
    assert message.startswith("shop.product: ")
    assert message.endswith(".")
    assert "\n" not in message


def test_a_model_that_is_no_table_is_a_value() -> None:
    """Only mapped classes are refused, not what their package also offers."""

    class Plain(MappedAsDataclass):
        pass

    assert relationship is not None
    assert codec_for(ModelA, endpoint="a").roundtrip(ModelA(a=1))[1] == ModelA(a=1)
