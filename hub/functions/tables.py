"""Table: the base of an application's tables, and what the hub knows about each.

Authors declare a table as a pydantic class. Rows are read-only: a draft is changed instead, and written by `ctx.db.patch`.
How a row looks in the database is `hub.functions.rows`'.
"""

from __future__ import annotations

import datetime as dt
import inspect
import types
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Self,
    TypeVarTuple,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.fields import FieldInfo
from pydantic_core import SchemaValidator

from hub.errors import InvalidRow
from hub.functions.forms import Outgoing, RowForm
from hub.functions.growing import GrowingText
from hub.functions.growing import declare as declare_growing
from hub.functions.ids import Id, Reference
from hub.functions.indexes import AnyIndex, Index, declare
from hub.functions.names import to_camel
from hub.functions.objects import STRICT, accept_wire_forms
from hub.functions.places import calling_line
from hub.store import DeclaredTable
from hub.values import ObjectId, RowId

if TYPE_CHECKING:
    from hub.core.ranges import IndexKey

Keys = TypeVarTuple("Keys")

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, Id, ObjectId, dt.datetime})
"""Types of values that need no copy."""
STORED_FORM = "stored"
"""Serialization context: names and types of the database, not of the wire."""
WIRE_FORM = "wire"
"""Serialization context of results: a row that is held in memory goes out as an `Outgoing`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field's names: in Python, on the wire, in the database, and the one under which pydantic dumps it.

    `reference` says whose ids it holds, if any.
    """

    python: str
    wire: str
    stored: str
    dumped: str
    reference: Reference | None = None
    is_array: bool = False


ID = Field("id", "_id", "_id", "_id")
CREATION_TIME = Field("creation_time", "_creationTime", "_creationTime", "_creationTime")


@dataclass(eq=False, slots=True)
class TableInfo:
    """One table as declared. `problems` are mistakes found in the declaration; with any, the application does not load.

    `indexed`: stored names of the fields that an index sorts by. `object_id_fields`: of those that hold ids of tables with
    ObjectId ids; known once all tables are.
    """

    name: str
    collection: str
    object_ids: bool
    row_type: type[Table]
    fields: tuple[Field, ...]
    place: str
    indexes: list[AnyIndex] = field(default_factory=list)
    unique_keys: list[IndexKey] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    growing: list[GrowingText] = field(default_factory=list)
    object_id_fields: frozenset[str] = frozenset()
    indexed: frozenset[str] = frozenset()
    by_id: AnyIndex = field(init=False)
    by_dumped_name: dict[str, Field] = field(init=False)
    is_plain: bool = field(init=False)
    """Whether copying its fields copies a row: its class keeps nothing else and runs no code of its own when a row is made."""
    _checks: tuple[SchemaValidator | None] | None = None

    def __post_init__(self) -> None:
        self.by_id = Index(self, (ID,), unique=True, where_present=False, place=self.place)
        self.by_dumped_name = {known.dumped: known for known in self.fields}
        self.is_plain = _is_plain(self.row_type)

    def checks_of_plain_values(self) -> SchemaValidator | None:
        """pydantic's checks of the fields, without a row being made; None if rows or fields have code of their own that takes part
        in storing them, so that plain values are not stored as they are."""
        if self._checks is None:
            self._checks = (_checks_of_fields(self.row_type) if self.is_plain else None,)
        return self._checks[0]

    @property
    def class_name(self) -> str:
        return self.row_type.__name__

    @property
    def all_fields(self) -> tuple[Field, ...]:
        return (*self.fields, ID, CREATION_TIME)

    def field_named(self, python: str) -> Field | None:
        return next((known for known in self.all_fields if known.python == python), None)

    def add_index(self, index: AnyIndex) -> None:
        for known in self.indexes:
            if known.key.fields == index.key.fields:
                self.problems.append(f"{index.place}: this index of {self.class_name} is already declared at {known.place}")
                return
        self.indexes.append(index)
        if index.key.unique:
            self.unique_keys.append(index.key)
        self.indexed = self.indexed.union(index.key.fields)
        self._refuse_indexed({text.text for text in self.growing}.intersection(index.key.fields), index.place)

    def add_growing(self, text: GrowingText, place: str) -> None:
        if any(known.text == text.text for known in self.growing):
            self.problems.append(f"{place}: {self.class_name}: of {text.text!r} it is said already that it grows")
            return
        self.growing.append(text)
        self._refuse_indexed(self.indexed.intersection({text.text}), place)

    def _refuse_indexed(self, growing: Collection[str], place: str) -> None:
        """An index would see the text without its parts."""
        self.problems += [f"{place}: {self.class_name}: {name!r} cannot both grow and be in an index" for name in growing]

    def declared(self) -> DeclaredTable:
        return DeclaredTable(self.collection, tuple(index.key for index in self.indexes))

    def resolve_references(self, tables: dict[str, TableInfo]) -> None:
        """Find out which fields hold ObjectIds; `tables` is by class name. An unknown name is a problem."""
        holding: set[str] = set()
        for known in self.fields:
            if known.reference is None:
                continue
            target = tables.get(known.reference.table_name)
            if target is None:
                self.problems.append(
                    f"{self.place}: {self.class_name}.{known.python} is an Id of {known.reference.table_name!r}, which is no table"
                )
            elif target.object_ids:
                holding.add(known.stored)
        self.object_id_fields = frozenset(holding | ({"_id"} if self.object_ids else set()))


@dataclass(frozen=True, slots=True)
class RowState:
    """What makes an object a row: its id (`raw_id` as stored) and when it was made. `original` is set in a draft; `form` in a copy
    of a row that is held in memory."""

    id: str
    raw_id: RowId
    creation_time: float
    original: Table | None = None
    form: RowForm | None = None


class Table(BaseModel):
    """Base of all tables: `class Chat(Table, name="chats")`.

    `name` is the table's name on the wire and, unless `collection` says otherwise, of its collection. With `object_ids` its ids
    are ObjectIds in the database (in Python and on the wire always strings). Without a name the class is a base for others.
    `Field(alias=...)` sets a field's stored name.
    """

    model_config = ConfigDict(**{**STRICT, "alias_generator": None}, validate_assignment=True, revalidate_instances="never")

    __hub_table__: ClassVar[TableInfo]
    _state: RowState | None = PrivateAttr(default=None)

    def __init_subclass__(
        cls, *, name: str | None = None, collection: str | None = None, object_ids: bool = False, **config: Unpack[ConfigDict]
    ) -> None:
        super().__init_subclass__(**config)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, name: str | None = None, collection: str | None = None, object_ids: bool = False, **config: Any
    ) -> None:
        super().__pydantic_init_subclass__(**config)
        place = calling_line()
        accept_wire_forms(cls)
        if name is not None:
            fields = tuple(_described(python, declared) for python, declared in cls.model_fields.items())
            cls.__hub_table__ = TableInfo(name, collection or name, object_ids, cls, fields, place)
            cls.__hub_table__.problems.extend(f"{place}: {cls.__name__}{text}" for text in _naming_problems(fields))

    @property
    def id(self) -> Id[Self]:
        """The row's `_id`."""
        return Id(self._row_state().id)

    @property
    def creation_time(self) -> float:
        """The row's `_creationTime`: milliseconds since 1970; 0 where another writer left it out."""
        return self._row_state().creation_time

    @classmethod
    def index(
        cls,
        fields: Callable[[Self], tuple[*Keys]],
        *,
        unique: bool = False,
        where_present: bool = False,
    ) -> Index[Self, *Keys]:
        """Declare an index: `Chat.index(lambda chat: (chat.user_id, chat.updated_at))`.

        `unique`: no two rows with the same values. `where_present`: only rows in which no field is None count.
        """
        named = cast("Callable[[object], object]", fields)
        index = declare(cls.__hub_table__, named, unique=unique, where_present=where_present, place=calling_line())
        return cast("Index[Self, *Keys]", index)

    @classmethod
    def grows(cls, text: Callable[[Self], str | None], *, while_: Callable[[Self], bool]) -> None:
        """Declare a text that is written in small steps, each of which then costs what it adds, not the whole text:

            Message.grows(lambda message: message.content, while_=lambda message: message.status == "streaming")

        Functions see the one text as before, and add to a draft's: `draft.content += more`. While a row grows, MongoDB has what was
        added as parts (`contentParts`), of which there are never many; when it grows no more, or its text changes otherwise, it is
        the one field again. `while_` looks at the row's own fields alone.
        """
        declare_growing(cls.__hub_table__, cast("Callable[[object], object]", text), while_, calling_line())

    def draft(self) -> Self:
        """A copy that may be changed; `ctx.db.patch(draft)` writes the fields that then differ."""
        state = self._row_state()
        copy = self.__copy__()
        # Set now, the state is not copied with the values: of a row in memory it knows the whole table.
        copy._set_state(RowState(state.id, state.raw_id, state.creation_time, original=self))
        values = copy.__dict__
        values.update((name, deepcopy(value)) for name, value in values.items() if type(value) not in _PLAIN)
        return copy

    if not TYPE_CHECKING:  # the checker would take it to mean that any name may be set

        def __setattr__(self, name: str, value: object) -> None:
            state: RowState | None = (self.__pydantic_private__ or {}).get("_state")  # as `self._state`, faster
            if name.startswith("_") or state is None or state.original is not None:
                try:
                    super().__setattr__(name, value)
                except ValidationError as error:
                    raise InvalidRow(f"{type(self).__name__}.{describe(error)}") from None
            else:
                raise TypeError(
                    f"rows are read-only: {type(self).__name__}.{name} cannot be set. "
                    f"Change a draft (draft = row.draft(); draft.{name} = ...), then await ctx.db.patch(draft)"
                )

    def __repr_args__(self) -> Any:
        if self._state is not None:
            yield "id", self._state.id
        yield from super().__repr_args__()

    def _copy_of_held(self, form: RowForm) -> Self:
        """For one run; `form` holds this row."""
        state = self._row_state()
        copy = self.__copy__()
        copy._set_state(RowState(state.id, state.raw_id, state.creation_time, form=form))
        return copy

    def _set_state(self, state: RowState) -> None:
        """As `_state = ...`, 5 times as fast."""
        private = self.__pydantic_private__
        assert private is not None
        private["_state"] = state

    def _row_state(self) -> RowState:
        state: RowState | None = (self.__pydantic_private__ or {}).get("_state")
        if state is None:
            raise AttributeError(f"this {type(self).__name__} is not a row yet: ctx.db.insert() returns its id")
        return state

    @model_serializer(mode="wrap")
    def _serialize(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Rows go out with wire names, their id and their creation time; None is left out."""
        state: RowState | None = (self.__pydantic_private__ or {}).get("_state")
        form = state.form if state is not None and info.context == WIRE_FORM else None
        if form is None or form.row is None or form.row.__dict__ != self.__dict__:
            return self._dumped(dump, info)
        return Outgoing(form, None if form.sent is not None else self._dumped(dump, info))

    def _dumped(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        table = self.__hub_table__
        is_stored_form = info.context == STORED_FORM
        row = {} if is_stored_form else {"_id": self._row_state().id, "_creationTime": self._row_state().creation_time}
        for dumped, value in values.items():
            if value is not None:
                entry = table.by_dumped_name[dumped]
                row[entry.stored if is_stored_form else entry.wire] = value
        return row


def table_of(row_type: type[Table]) -> TableInfo:
    """Raises TypeError for a class that was declared without a name."""
    table = row_type.__dict__.get("__hub_table__")
    if not isinstance(table, TableInfo):
        raise TypeError(f"{row_type.__name__} is no table: declare it with a name, class {row_type.__name__}(Table, name=...)")
    return table


def is_of_table(error: ValidationError) -> bool:
    """Whether it was a table's class that refused to be made, not an application's own object."""
    pending: list[type] = [Table]
    while pending:
        cls = pending.pop()
        if cls.__name__ == error.title:
            return True
        pending.extend(cls.__subclasses__())
    return False


def describe(error: ValidationError) -> str:
    """The first mistake that pydantic found: `title: Input should be a valid string`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _is_plain(row_type: type[Table]) -> bool:
    own = row_type.__mro__[: row_type.__mro__.index(Table)]
    has_methods = any(name in cls.__dict__ for cls in own for name in ("__init__", "__new__", "__copy__", "__eq__"))
    known = row_type.__pydantic_decorators__
    has_code = any((known.field_validators, known.model_validators, known.field_serializers, known.computed_fields))
    return (
        not has_methods
        and not has_code
        and inspect.unwrap(row_type.model_post_init) is inspect.unwrap(Table.model_post_init)  # pydantic's own, for `_state`
        and set(known.model_serializers) == {"_serialize"}
        and set(row_type.__private_attributes__) == {"_state"}
    )


def _checks_of_fields(row_type: type[Table]) -> SchemaValidator | None:
    """By pydantic's own plan, in which the class's own code (`_serialize`) lies outside of its fields; None if one of these has a
    serializer."""
    row_type.model_rebuild(raise_errors=False)
    plan: Any = row_type.__pydantic_core_schema__
    if not isinstance(plan, dict) or plan.get("type") != "model" or plan["schema"]["type"] != "model-fields":
        return None
    pending: list[object] = [plan["schema"]]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "serialization" in part:
                return None
            pending.extend(part.values())
        elif isinstance(part, (list, tuple)):
            pending.extend(part)
    return SchemaValidator(plan["schema"], plan["config"])


def _described(python: str, declared: FieldInfo) -> Field:
    alias = declared.serialization_alias or declared.alias
    wire = to_camel(python)
    return Field(python, wire, alias or wire, alias or python, _reference(declared), _is_array(declared.annotation))


def _reference(declared: FieldInfo) -> Reference | None:
    """The Id in `Id[T]`, `Id[T] | None` and `list[Id[T]]`."""
    found = [item for item in declared.metadata if isinstance(item, Reference)]
    pending = [declared.annotation]
    while pending and not found:
        annotation = pending.pop()
        found = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Reference)]
        pending.extend(get_args(annotation))
    return found[0] if found else None


def _is_array(annotation: object) -> bool:
    origin = get_origin(annotation) or annotation
    if origin in (Union, types.UnionType):
        return any(_is_array(arg) for arg in get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _is_array(get_args(annotation)[0])
    return origin in (list, tuple, set, frozenset)


def _naming_problems(fields: tuple[Field, ...]) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {"_id": "id", "_creationTime": "creation_time"}
    for entry in fields:
        if entry.python in ("id", "creation_time"):
            problems.append(f".{entry.python}: every row has it already, set by the hub")
        if entry.stored.startswith("$") or "." in entry.stored or "\0" in entry.stored or not entry.stored:
            problems.append(f".{entry.python}: {entry.stored!r} cannot be a field's name in the database")
        if not entry.wire.isascii():
            problems.append(f".{entry.python}: names on the wire are ASCII")
        for other in {entry.stored: "stored", entry.wire: "wire"}:
            if other in seen and seen[other] != entry.python:
                problems.append(f".{entry.python}: its name {other!r} is also that of {seen[other]!r}")
            seen[other] = entry.python
    return problems
