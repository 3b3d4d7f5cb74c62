"""Every type that a field can have."""

import datetime as dt
import enum
from typing import Any, Literal

from hub import Id, Int64, Model, ObjectId, Table


class Colour(enum.Enum):
    """What it is painted with."""

    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Place(Model):
    """Where a thing is. Not */ the end of a comment."""

    street_name: str
    house_number: int | None = None
    """Null for a house with a name."""
    inside: "Place | None" = None


class Owner(Table, name="owners", object_ids=True):
    full_name: str


class Thing(Table, name="things"):
    """Something with one field of each type."""

    owner_id: Id[Owner]
    former_owner_ids: list[Id["Owner"]]
    is_new: bool
    count: int
    weight: float
    serial: Int64
    label: str
    picture: bytes
    made_at: dt.datetime
    foreign: ObjectId
    colour: Colour
    size: Size | None = None
    place: Place
    places: dict[str, Place]
    tags: set[str]
    position: tuple[float, float]
    numbers: tuple[int, ...]
    state: Literal["new", "used", 3, True]
    either: int | str | None = None
    gaps: list[int | None]
    anything: Any


things_by_owner = Thing.index(lambda thing: (thing.owner_id, thing.made_at))
things_by_label = Thing.index(lambda thing: (thing.label,), unique=True, where_present=True)
