"""The law of edits: what is patched by a diff is the new value, exactly; and a small change is a small edit."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.core import diff as differ
from hub.core.diff import diff, longest_increasing, same
from hub.core.edits import Append, Edit, Elements, Fields, Insert, Move, Remove, Replace, Splice, Update, patch, utf16_length
from hub.core.heldrow import SentRow
from hub.values import Int64, Value
from tests.protocol.test_json_values import alike, values

EMOJI = "\N{WAVING HAND SIGN}"
FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


def _row_id(row: Any) -> str:
    return str(row["_id"])


row_ids = st.sampled_from("abcdefgh")
texts = st.lists(st.sampled_from(["a", "b", " ", "é", EMOJI, FAMILY]), max_size=12).map("".join)
rows: st.SearchStrategy[Value] = st.lists(
    st.fixed_dictionaries({"_id": row_ids, "text": texts}, optional={"n": st.sampled_from([0.0, -0.0, 1, Int64(1), True])}),
    max_size=8,
    unique_by=_row_id,
)
few_values = st.recursive(
    st.sampled_from([None, True, 1, 1.0, Int64(1), 0.0, -0.0, math.nan, b"", b"a"]) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
"""Out of few parts, so that two of them have much in common."""


def equal(one: Value, other: Value) -> bool:
    """As the wire tells values apart; the order of an object's fields says nothing."""
    return alike(ordered(one), ordered(other))


def ordered(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=400)
@given(st.tuples(values, values) | st.tuples(few_values, few_values) | st.tuples(rows, rows))
@example((0.0, -0.0))
@example((1, True))
@example((Int64(1), 1))
@example(({"a": Int64(2)}, {"a": 2.0}))
@example(("", b""))
@example((None, False))
@example(([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}], [{"_id": "x"}, {"_id": "b"}, {"_id": "y"}]))
@example(([{"_id": "a", "n": 1}, {"_id": "b"}, {"_id": "a", "n": 2}], [{"_id": "b", "n": 1}, {"_id": "a", "n": 3}]))
def test_a_value_patched_by_its_diff_is_the_new_one(pair: tuple[Value, Value]) -> None:
    old, new = pair

    assert equal(patch(old, diff(old, new)), new)


@given(values | few_values | rows)
def test_a_copy_has_no_diff(value: Value) -> None:
    copy: Any = ordered(value)

    assert diff(value, copy) is None
    assert same(value, copy)


@given(st.tuples(values, values) | st.tuples(few_values, few_values))
def test_there_is_a_diff_exactly_where_values_differ(pair: tuple[Value, Value]) -> None:
    assert (diff(*pair) is None) == equal(*pair) == same(*pair)


@given(rows, rows)
def test_patching_leaves_the_base_as_it_was(old: Value, new: Value) -> None:
    before = repr(old)

    patch(old, diff(old, new))

    assert repr(old) == before


@given(st.permutations(range(9)))
def test_a_longest_increasing_subsequence_is_one(numbers: list[int]) -> None:
    found = longest_increasing(numbers)

    assert found == sorted(found)
    assert [n for n in numbers if n in found] == found
    lengths: list[int] = []
    for i, n in enumerate(numbers):
        lengths.append(1 + max((lengths[j] for j in range(i) if numbers[j] < n), default=0))
    assert len(found) == max(lengths)


# --- small changes -------------------------------------------------------------------------------------------------


def _text(number: int) -> str:
    return f"message {number} of a chat that goes on and on"


def a_message(number: int, **fields: Value) -> SentRow:
    return SentRow({"_id": f"m{number}", "_creationTime": float(number), "author": "u1", "text": _text(number), **fields}, 100)


def test_a_token_appended_to_one_message_of_twenty_is_that_token() -> None:
    before: list[Value] = [a_message(n) for n in range(20)]
    after: list[Value] = [*before[:19], a_message(19, text=_text(19) + " tok")]

    assert diff(before, after) == Elements((Update(19, Fields({"text": Append(" tok")})),))


def test_a_message_that_comes_is_inserted_and_the_one_beyond_the_limit_removed() -> None:
    before: list[Value] = [a_message(n) for n in range(20)]

    assert diff(before, [a_message(99), *before[:19]]) == Elements((Remove(19, 1), Insert(0, [a_message(99)])))


def test_a_chat_that_goes_to_the_top_is_a_move() -> None:
    before: list[Value] = [a_message(n) for n in range(20)]
    after = [a_message(7, unread=True), *before[:7], *before[8:]]

    assert diff(before, after) == Elements((Move(7, 0), Update(0, Fields({"unread": Replace(True)}))))


def test_a_page_keeps_what_is_around_its_rows() -> None:
    page: list[Value] = [a_message(n) for n in range(20)]
    before: dict[str, Value] = {"page": page, "isDone": False, "continueCursor": "c"}
    after: dict[str, Value] = {**before, "page": [*page, a_message(20)]}

    assert diff(before, after) == Fields({"page": Elements((Insert(20, [a_message(20)]),))})


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        pytest.param("abc", "abcd", Append("d"), id="a text that grew"),
        pytest.param("", "abc", Replace("abc"), id="a text that was empty"),
        pytest.param("a" * 50 + EMOJI, "a" * 50 + EMOJI + "!", Append("!"), id="behind an emoji"),
        pytest.param(EMOJI + "a" * 50, EMOJI + "b" + "a" * 50, Splice(2, 0, "b"), id="an emoji counts for two"),
        pytest.param("x" * 20 + "\U0001f44b", "x" * 20 + "\U0001f44c", Splice(20, 2, "\U0001f44c"), id="never half of an emoji"),
        pytest.param("x" * 30 + "abc", "x" * 30 + "c", Splice(30, 2, ""), id="cut out"),
        pytest.param("abc", "xyz", Replace("xyz"), id="another text"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, Fields({}, ("b",)), id="a field that goes"),
        pytest.param({"a": 1}, {"b": 2}, Replace({"b": 2}), id="nothing is kept"),
        pytest.param([1, 2], [3, 4, 5], Replace([3, 4, 5]), id="no element is kept"),
        pytest.param([1, 2, 3], [1, 9, 3], Elements((Update(1, Replace(9)),)), id="an element in the middle"),
        pytest.param([1, 2, 3], [1, 3], Elements((Remove(1, 1),)), id="an element that goes"),
        pytest.param([[1, 2], 3], [[1, 2, 4], 3], Elements((Update(0, Elements((Insert(2, [4]),))),)), id="a list in a list"),
    ],
)
def test_an_edit_says_what_changed(old: Value, new: Value, edit: Edit) -> None:
    assert diff(old, new) == edit


def test_offsets_in_a_text_count_utf16_code_units() -> None:
    assert [utf16_length(text) for text in ("abc", "é", EMOJI, FAMILY)] == [3, 1, 2, 8]


# --- bounded cost --------------------------------------------------------------------------------------------------


def big_lists() -> tuple[list[Value], list[Value]]:
    old: list[Value] = [{"_id": str(n), "text": "x" * 20} for n in range(8000)]
    return old, random.Random(4).sample(old, len(old))


def big_texts() -> tuple[Value, Value]:
    return "ab" * 1_000_000, "ab" * 500_000 + EMOJI + "ab" * 500_000


def deep_values() -> tuple[Value, Value]:
    old, new = _nested(0.0), _nested(-0.0)
    return old, new


def _nested(leaf: Value) -> Value:
    for _ in range(60):
        leaf = [list(range(50)), leaf, list(range(50))]
    return leaf


@pytest.mark.parametrize("make", [big_lists, big_texts, deep_values])
def test_the_worst_case_is_bounded(make: Callable[[], tuple[Value, Value]]) -> None:
    old, new = make()
    started = time.process_time()

    edit = diff(old, new)

    assert time.process_time() - started < 2.0
    assert equal(patch(old, edit), new)


def test_many_rows_that_moved_far_are_sent_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differ, "MAX_MOVE_STEPS", 5)
    old: list[Value] = [{"_id": name, "text": name * 9} for name in "abcdef"]
    new = [old[i] for i in (3, 4, 5, 0, 1, 2)]

    edit = diff(old, new)

    assert isinstance(edit, Elements)
    assert not any(isinstance(operation, Move) for operation in edit.operations)
    assert patch(old, edit) == new


# --- edits that do not fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "edit"),
    [
        pytest.param(1, Append("a"), id="a suffix of a number"),
        pytest.param([], Fields({}), id="fields of a list"),
        pytest.param({}, Elements(()), id="elements of an object"),
        pytest.param({}, Fields({}, ("a",)), id="a field that is not there"),
        pytest.param({}, Fields({"a": Append("b")}), id="an edit of a field that is not there"),
        pytest.param([1], Elements((Update(1, Replace(1)),)), id="beyond the end"),
        pytest.param([1], Elements((Remove(0, 2),)), id="more than there are"),
        pytest.param([1], Elements((Insert(2, []),)), id="behind the end"),
        pytest.param([1], Elements((Move(0, 1),)), id="moved behind the end"),
        pytest.param([1], Elements((Move(-1, 0),)), id="counted from the end"),
        pytest.param("ab", Splice(1, 2, ""), id="beyond the text"),
        pytest.param(EMOJI, Splice(1, 0, "a"), id="inside of an emoji"),
    ],
)
def test_an_edit_that_does_not_fit_its_base_is_refused(value: Value, edit: Edit) -> None:
    with pytest.raises(ValueError, match="an edit"):
        patch(value, edit)
