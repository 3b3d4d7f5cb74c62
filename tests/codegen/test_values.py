"""The hub takes what a type allows, and gives what it promises: values of the application with every type."""

from __future__ import annotations

import pytest

from hub import Int64
from hub.functions import loader
from hub.functions.limits import Limits
from hub.values import Value
from tests.codegen.applications import APPLICATIONS

REQUIRED: dict[str, Value] = {
    "flag": True,
    "number": 1.5,
    "serial": Int64(3),
    "text": "a",
    "data": b"x",
    "moment": 1000,
    "foreign": "0" * 24,
    "ownerId": "an owner",
    "colour": "red",
    "place": {"streetName": "Main"},
    "nullable": None,
}


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="what is optional may be missing"),
        pytest.param({"mode": None, "names": None, "byColour": None, "weights": None, "byOwner": None, "from": None}, id="nulls"),
        pytest.param({"nullable": "a", "number": 1, "colour": "blue", "size": 2, "mode": "b", "limit": 3}, id="scalars"),
        pytest.param({"names": ["x"], "pairs": [["a", 1], ["b", 2]]}, id="arrays and tuples"),
        pytest.param({"byColour": {"red": 1}, "weights": {"a": None, "b": 1}, "byOwner": {"an owner": 1}}, id="records"),
        pytest.param({"place": {"streetName": "Main", "houseNumber": None, "inside": {"streetName": "Side"}}}, id="objects"),
        pytest.param({"anything": [1, {"a": None}]}, id="anything"),
    ],
)
def test_arguments_of_the_types_that_are_declared_are_accepted(others: dict[str, Value]) -> None:
    everything = loader.load(APPLICATIONS["constructs"]).functions["things:everything"]

    assert everything.signature.bind({**REQUIRED, **others}, Limits())
