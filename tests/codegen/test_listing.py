"""What the development page is told about an application: names, docs, and schemas that describe the arguments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hub.codegen.listing import listing, listing_text
from hub.functions import loader
from tests.codegen.applications import APPLICATIONS


def described(application: str) -> dict[str, Any]:
    return listing(loader.load(APPLICATIONS[application]))


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def schemas_in(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for child in tree.values():
            yield from schemas_in(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from schemas_in(child)


def test_a_function_is_told_with_its_docs_its_result_and_its_arguments() -> None:
    page = named(described("chat")["functions"], "messages:page")

    assert (page["kind"], page["access"], page["returns"]) == ("query", "known", 'PaginationResult<Doc<"messages">>')
    assert page["docs"].startswith("One page")
    assert page["args"]["required"] == ["chatId", "paginationOpts"]
    assert page["args"]["additionalProperties"] is False
    arguments = page["args"]["properties"]
    assert arguments["chatId"] == {"type": "string", "x-table": "chats", "x-type": 'Id<"chats">'}
    assert arguments["order"] == {"enum": ["asc", "desc"], "x-type": '"asc" | "desc"'}
    assert arguments["paginationOpts"]["required"] == ["numItems", "cursor"]


def test_an_object_among_the_arguments_comes_with_its_definition() -> None:
    send = named(described("chat")["functions"], "messages:send")["args"]

    assert send["properties"]["userMessage"]["$ref"] == "#/$defs/UserMessage"
    assert send["$defs"]["UserMessage"]["required"] == ["content"]


def test_a_table_is_told_with_its_fields_and_indexes() -> None:
    messages = named(described("chat")["tables"], "messages")

    assert messages["row"]["properties"]["userId"]["description"] == "The owner of the chat, also for what the assistant says."
    assert {"fields": ["chatId", "clientMessageId"], "unique": True} in messages["indexes"]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_reference_of_a_schema_leads_somewhere(application: str) -> None:
    for function in described(application)["functions"]:
        defined = function["args"].get("$defs", {})
        for schema in schemas_in(function["args"]):
            if "$ref" in schema:
                assert schema["$ref"].removeprefix("#/$defs/") in defined


def test_values_that_json_has_no_form_for_are_marked() -> None:
    everything = named(described("constructs")["functions"], "things:everything")["args"]["properties"]

    assert everything["serial"]["x-wire"] == "int64"
    assert everything["data"]["x-wire"] == "bytes"


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_listing_is_the_same_each_time(application: str) -> None:
    registry = loader.load(APPLICATIONS[application])

    assert listing_text(registry) == listing_text(registry)
    assert json.loads(listing_text(registry)) == listing(registry)
