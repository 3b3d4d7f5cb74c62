"""Every type that a result can have."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypeVar

from pydantic import Field, JsonValue, PlainSerializer, computed_field
from schema.things import Colour, Owner, Place, Size, Thing
from typing_extensions import TypedDict

from hub import Id, Int64, Model, ObjectId, Page, PageOptions, QueryContext, query

T = TypeVar("T")
Name = NewType("Name", str)
Shouted = Annotated[str, PlainSerializer(len, return_type=int)]


class Counted(TypedDict):
    """A typed dict."""

    how_many: int
    """All of them."""
    first_one: NotRequired[str]
    last_one: str | None


@dataclass
class Summary:
    thing_count: int
    newest_name: str | None = None
    """Null if there is none."""


class Corner(NamedTuple):
    x: float
    label: str | None


class Box(Model, Generic[T]):
    content: T


class Measured(Model):
    """With a field that is computed."""

    side_length: float
    note: str = "-"
    secret: str = Field(default="", exclude=True)

    @computed_field
    @property
    def whole_area(self) -> float:
        """The side, squared."""
        return self.side_length**2


class Report(Model):
    """The same name as in another module."""

    thing: Thing
    owners: list[Owner]
    previous: "Report | None" = None


@query(public=True)
async def everything(
    ctx: QueryContext,
    flag: bool,
    number: int | float,
    serial: Int64,
    text: str,
    data: bytes,
    moment: dt.datetime,
    foreign: ObjectId,
    owner_id: Id["Owner"],
    colour: Colour,
    place: Place,
    nullable: str | None,
    size: Size = Size.SMALL,
    mode: Literal["a", "b", None] = None,
    names: list[Name] | None = None,
    pairs: Sequence[tuple[str, int]] = (),
    by_colour: Mapping[Literal["red", "blue"], int] | None = None,
    weights: dict[str, float | None] | None = None,
    by_owner: dict[Id[Owner], int] | None = None,
    limit: Annotated[int, Field(ge=1)] = 10,
    anything: Any = None,
    from_: str | None = None,
) -> bool:
    """Takes one argument of each type.

    With a second paragraph.
    """
    return flag


@query
async def scalars(
    ctx: QueryContext,
) -> tuple[bool, int, Int64, float, str, bytes, dt.datetime, ObjectId, Id[Thing], Colour, Size, Shouted, None]:
    raise NotImplementedError


@query
async def counted(ctx: QueryContext) -> Counted | None:
    return None


@query
async def summary(ctx: QueryContext) -> Summary:
    return Summary(0)


@query
async def corners(ctx: QueryContext) -> list[Corner]:
    return []


@query
async def boxes(ctx: QueryContext) -> tuple[Box[int], Box[Place | None]]:
    raise NotImplementedError


@query
async def measured(ctx: QueryContext, given: Measured | None = None) -> Measured:
    return given or Measured(side_length=1)


@query
async def report(ctx: QueryContext) -> Report | None:
    return None


@query
async def page(ctx: QueryContext, pagination_opts: PageOptions, colour: Colour | None = None) -> Page[Thing]:
    raise NotImplementedError


@query
async def page_of_parts(ctx: QueryContext, pagination_opts: PageOptions) -> Page[Box[str]]:
    raise NotImplementedError


@query
async def json(ctx: QueryContext) -> JsonValue:
    return None


@query
async def maybe(ctx: QueryContext) -> dict[str, list[Thing] | None]:
    return {}


@query
async def default(ctx: QueryContext) -> set[Literal["x", "y"]]:
    return set()


async def helper(ctx: QueryContext) -> int:
    return 1
