"""What each Python annotation is in TypeScript, as an argument and as a result."""

from __future__ import annotations

import collections.abc as abc
import datetime as dt
import enum
import re
import typing
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypeVar

import pytest
from pydantic import BaseModel, Field, JsonValue, PlainSerializer, RootModel, WrapSerializer, computed_field, field_serializer
from pydantic import dataclasses as pydantic_dataclasses
from typing_extensions import TypeAliasType, TypedDict

from hub import Id, Int64, Model, ObjectId, Page, PageOptions, QueryContext, Table
from hub.codegen import layout
from hub.codegen.naming import names_of
from hub.codegen.translate import Translator
from hub.codegen.typenodes import Direction, Object, Shape, Speller
from hub.functions.limits import Limits
from hub.functions.signatures import read_signature
from hub.functions.tables import table_of

T = TypeVar("T")
Bounded = TypeVar("Bounded", bound=int)
UserId = NewType("UserId", str)
Pair = TypeAliasType("Pair", tuple[int, int])
Tree: Any = TypeAliasType("Tree", typing.Union[list["Tree"], int])  # type: ignore[misc]  # not cyclic to Python


class Guest(Table, name="guests"):
    full_name: str


class Sort(enum.Enum):
    UP = "up"
    DOWN = "down"


class Level(enum.IntEnum):
    LOW = -1
    HIGH = 10


class Odd(enum.Enum):
    BIG = Int64(5)
    FRACTION = 0.5
    NOTHING = None


class Word(RootModel[str]):
    pass


class Corner(NamedTuple):
    x: float
    label: str | None


class Point(Model):
    x: int
    y: int = 0


TRANSLATOR = Translator({"guests": table_of(Guest)})


def text(annotation: Any, direction: Direction) -> str:
    translated = TRANSLATOR.type_of(annotation, direction)
    return Speller(names_of([*TRANSLATOR.objects, *TRANSLATOR.enums])).text(translated)


SAME_BOTH_WAYS = [
    (None, "null"),
    (type(None), "null"),
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (Int64, "bigint"),
    (str, "string"),
    (bytes, "ArrayBuffer"),
    (dt.datetime, "number"),
    (ObjectId, "string"),
    (Any, "any"),
    (object, "any"),
    (uuid.UUID, "any"),
    (Id[Guest], 'Id<"guests">'),
    (Id["Guest"], 'Id<"guests">'),
    (Id["Nobody"], "string"),  # type: ignore[name-defined]  # which is the case
    (Id, "string"),
    (Guest, 'Doc<"guests">'),
    (UserId, "string"),
    (Annotated[int, Field(ge=1)], "number"),
    (int | None, "number | null"),
    (Optional[str], "string | null"),  # noqa: UP045  # as older code spells it
    (None | int | str, "number | string | null"),
    (int | float | str, "number | string"),
    (int | Any, "any"),
    (Literal["a", "b"], '"a" | "b"'),
    (Literal['say "hi"\n'], '"say \\"hi\\"\\n"'),
    (Literal[1, -2, True, None], "1 | -2 | true | null"),
    (Literal[Sort.UP], '"up"'),
    (list[int], "Array<number>"),
    (list, "Array<any>"),
    (list[int | None], "Array<number | null>"),
    (set[str], "Array<string>"),
    (frozenset[str], "Array<string>"),
    (abc.Sequence[bytes], "Array<ArrayBuffer>"),
    (typing.Sequence[int], "Array<number>"),
    (tuple[int, str], "[number, string]"),
    (tuple[int, ...], "Array<number>"),
    (tuple, "Array<any>"),
    (Corner, "[number, string | null]"),
    (dict[str, int], "Record<string, number>"),
    (dict, "Record<string, any>"),
    (dict[str, int | None], "Record<string, number | null>"),
    (abc.Mapping[str, list[int]], "Record<string, Array<number>>"),
    (dict[Id[Guest], int], 'Record<Id<"guests">, number>'),
    (dict[UserId, int], "Record<string, number>"),
    (dict[Literal["a", "b"], int], 'Partial<Record<"a" | "b", number>>'),
    (PageOptions, "PaginationOptions"),
    (Page[int], "PaginationResult<number>"),
    (Page[Guest], 'PaginationResult<Doc<"guests">>'),
    (Page, "PaginationResult<any>"),
    (Word, "string"),
    (T, "any"),
    (Bounded, "number"),
    (Pair, "[number, number]"),
    (Tree, "Array<any> | number"),
    (JsonValue, "Array<any> | Record<string, any> | string | boolean | number | null"),
]


def without_addresses(case: object) -> str:
    """A test's name is the same in every process."""
    return re.sub(r" at 0x\w+", "", str(case))


@pytest.mark.parametrize(("annotation", "expected"), SAME_BOTH_WAYS, ids=without_addresses)
def test_a_type_is_the_same_as_an_argument_and_as_a_result(annotation: Any, expected: str) -> None:
    assert (text(annotation, "in"), text(annotation, "out")) == (expected, expected)


def test_what_writes_itself_is_what_it_writes_and_is_read_as_declared() -> None:
    plain = Annotated[str, PlainSerializer(len, return_type=int)]
    wrapped = Annotated[int, WrapSerializer(_in_words)]

    assert (text(plain, "in"), text(plain, "out")) == ("string", "number")
    assert (text(wrapped, "in"), text(wrapped, "out")) == ("number", "string")


def _in_words(value: int, handler: Any) -> str:
    return str(handler(value))


@pytest.mark.parametrize(("cls", "expected"), [(Sort, '"up" | "down"'), (Level, "-1 | 10"), (Odd, "5n | number | null")], ids=str)
def test_an_enumeration_is_the_union_of_its_values(cls: type[enum.Enum], expected: str) -> None:
    translator = Translator({})

    shape = translator.type_of(cls, "out")

    assert isinstance(shape, Shape)
    assert Speller({}).text(translator.enums[shape]) == expected


# --- objects -------------------------------------------------------------------------------------------------------


class Optionals(Model):
    required: int
    nullable: int | None
    with_default: int = 3
    left_out: int | None = None
    any_thing: Any = None


class Renamed(Model):
    from_: str
    other_name: str = Field(alias="Another", default="")
    is_hidden: bool = Field(exclude=True, default=False)


class Computed(Model):
    side: int

    @computed_field  # type: ignore[prop-decorator]  # as pydantic says to
    @property
    def whole_area(self) -> int | None:
        return self.side**2 or None

    @field_serializer("side")
    def _written(self, side: int) -> str:
        return str(side)


class Open(Model, extra="allow"):
    known: int


class Counted(TypedDict):
    how_many: int
    first_one: NotRequired[str]
    last_one: str | None


@dataclass
class Plain:
    first_name: str
    best_friend: str | None = None
    all_of: list[int] = field(default_factory=list)


@pydantic_dataclasses.dataclass
class Own:
    first_name: str


class Nested(Model):
    inner: Plain
    other: Counted


class Generically(Model, Generic[T]):
    content: T


def members(cls: type, direction: Direction) -> dict[str, str]:
    """Of the object type: name with its question mark, to type."""
    translator = Translator({})
    found: Object = translator.object_of(cls, direction)
    speller = Speller(names_of([*translator.objects, *translator.enums]))
    lines = layout.object_type(found, speller).splitlines()[1:-1]
    return {name: given for name, _, given in (line.strip().removesuffix(";").rpartition(": ") for line in lines)}


@pytest.mark.parametrize(
    ("cls", "argument", "result"),
    [
        pytest.param(
            Optionals,
            {
                "required": "number",
                "nullable": "number | null",
                "withDefault?": "number",
                "leftOut?": "number | null",
                "anyThing?": "any",
            },
            {"required": "number", "nullable?": "number", "withDefault": "number", "leftOut?": "number", "anyThing?": "any"},
            id="null is left out of a result",
        ),
        pytest.param(
            Renamed,
            {"from": "string", "Another?": "string", "isHidden?": "boolean"},
            {"from": "string", "Another": "string"},
            id="names on the wire",
        ),
        pytest.param(Computed, {"side": "number"}, {"side": "string", "wholeArea?": "number"}, id="computed"),
        pytest.param(
            Open, {"known": "number", "[key: string]": "any"}, {"known": "number", "[key: string]": "any"}, id="other fields"
        ),
        pytest.param(Generically[int], {"content": "number"}, {"content": "number"}, id="generic"),
        pytest.param(
            Counted,
            {"howMany": "number", "firstOne?": "string", "lastOne": "string | null"},
            {"howMany": "number", "firstOne?": "string", "lastOne?": "string"},
            id="typed dict",
        ),
        pytest.param(
            Plain,
            {"firstName": "string", "bestFriend?": "string | null", "allOf?": "Array<number>"},
            {"firstName": "string", "bestFriend?": "string", "allOf": "Array<number>"},
            id="dataclass",
        ),
        pytest.param(Own, {"first_name": "string"}, {"first_name": "string"}, id="a dataclass with rules of its own"),
    ],
)
def test_the_fields_of_an_object(cls: type, argument: dict[str, str], result: dict[str, str]) -> None:
    assert (members(cls, "in"), members(cls, "out")) == (argument, result)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Optionals(required=1, nullable=None), id="model without its optional fields"),
        pytest.param(Optionals(required=1, nullable=1, left_out=2, any_thing="x"), id="model with them"),
        pytest.param(Renamed(from_="x", Another="y"), id="renamed"),
        pytest.param(Computed(side=2), id="computed"),
        pytest.param(Computed(side=0), id="computed to nothing"),
        pytest.param(Plain("ada"), id="dataclass"),
        pytest.param(Own("ada"), id="a dataclass with rules of its own"),
        pytest.param(Nested(inner=Plain("ada", "bob"), other={"how_many": 1, "last_one": None}), id="nested"),
    ],
)
def test_an_object_that_a_function_returns_has_the_fields_that_its_type_names(value: object) -> None:
    cls = type(value)

    async def function(ctx: QueryContext) -> object: ...

    function.__annotations__["return"] = cls
    sent = read_signature(function, "m:f", QueryContext).result(value, Limits())

    names = members(cls, "out")
    assert isinstance(sent, dict)
    assert {name for name in names if not name.endswith("?")} <= set(sent) <= {name.removesuffix("?") for name in names}


# --- names ---------------------------------------------------------------------------------------------------------


def named(name: str, module: str, qualname: str = "") -> type:
    return type(name, (BaseModel,), {"__module__": module, "__qualname__": qualname or name})


def test_a_class_keeps_its_name_unless_another_has_it() -> None:
    alone, one, other = (
        named("Alone", "queries.chats"),
        named("Created", "mutations.chat_rooms"),
        named("Created", "mutations.users"),
    )

    names = names_of([Shape(cls, None) for cls in (one, alone, other)])

    assert names == {Shape(alone, None): "Alone", Shape(one, None): "ChatRoomsCreated", Shape(other, None): "UsersCreated"}
    assert names == names_of([Shape(cls, None) for cls in (other, one, alone)])


def test_classes_of_modules_with_one_name_are_told_apart_by_folder_and_those_of_one_module_by_what_is_around_them() -> None:
    query, mutation, inner = (
        named("Row", "queries.a"),
        named("Row", "mutations.a"),
        named("Row", "mutations.a", "Outer.Row"),
    )

    names = names_of([Shape(cls, None) for cls in (query, mutation, inner)])

    assert set(names.values()) == {"QueriesARow", "MutationsARow", "MutationsAOuterRow"}


def test_no_class_gets_a_name_that_means_something_else() -> None:
    taken = [named(name, "queries.things") for name in ("Doc", "Id", "Array", "Record", "string")]

    names = names_of([Shape(cls, None) for cls in taken])

    assert set(names.values()) == {"ThingsDoc", "ThingsId", "ThingsArray", "ThingsRecord", "String"}


def test_two_classes_that_nothing_tells_apart_are_numbered() -> None:
    twins = [Shape(named("Twin", "queries.a"), "out"), Shape(named("Twin", "queries.a"), "out")]

    assert set(names_of(twins).values()) == {"QueriesATwin", "QueriesATwin2"}


def test_a_generic_class_is_named_by_what_it_is_of() -> None:
    shapes = [
        Shape(cls, None) for cls in (Generically[int], Generically[str | None], Generically[list[Point]], Generically[Id[Guest]])
    ]

    assert set(names_of(shapes).values()) == {
        "GenericallyInt",
        "GenericallyStrOrNull",
        "GenericallyListPoint",
        "GenericallyIdGuest",
    }
