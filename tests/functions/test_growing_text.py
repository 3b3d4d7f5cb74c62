"""Texts that grow: stored in parts, seen as one, and never many parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import Id, MutationContext, QueryContext, Table, mutation, query
from hub.core.deltas import ListTail
from hub.core.heldrow import HeldRow
from hub.core.ranges import IndexRange
from hub.errors import InvalidRow
from hub.functions.execution import Run, run, run_now
from hub.functions.growing import MAX_PARTS
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.rows import decode
from hub.functions.tables import table_of
from hub.store import Update
from hub.values import Row, RowId
from tests.functions.rows_in_memory import NOW, SERVICE, Rows, function_of


class Letter(Table, name="letters"):
    text: str
    is_open: bool = True
    title: str = ""
    postscript: str | None = None


Letter.grows(lambda letter: letter.text, while_=lambda letter: letter.is_open)
Letter.grows(lambda letter: letter.postscript, while_=lambda letter: letter.is_open)

Change = Callable[[Letter], None]


def a_letter(text: str = "", parts: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    stored = {"_id": "l1", "_creationTime": 1.0, "text": text, "isOpen": True, "title": "", **fields}
    return stored if parts is None else {**stored, "textParts": parts}


async def patched(rows: Rows, *changes: Change) -> Run:
    """One mutation that makes one patch after the other; it is committed to the rows."""

    @mutation
    async def change(ctx: MutationContext) -> None:
        for make in changes:
            letter = await ctx.db.get(Letter, Id[Letter]("l1"))
            assert letter is not None
            draft = letter.draft()
            make(draft)
            await ctx.db.patch(draft)

    done = await run(function_of(change), {}, caller=SERVICE, reader=rows, now=NOW, journal=None, ids=IdSource(), limits=Limits())
    assert done.error is None, done.error
    rows.apply(done.writes)
    return done


def stored(rows: Rows) -> Row:
    return rows.rows["letters"]["l1"]


def seen(row: Row) -> str:
    letter = decode(table_of(Letter), row)
    assert isinstance(letter, Letter)
    return letter.text


def adding(more: str) -> Change:
    def add(draft: Letter) -> None:
        draft.text += more

    return add


def setting(**fields: Any) -> Change:
    def change(draft: Letter) -> None:
        for name, value in fields.items():
            setattr(draft, name, value)

    return change


async def test_what_is_added_is_written_alone_and_seen_as_one_text() -> None:
    rows = Rows(letters=[a_letter("Dear ", ["Ann"])])
    (write,) = (await patched(rows, adding(", how"), adding(" are you"))).writes
    assert isinstance(write, Update)
    assert (write.set, write.lists) == ({}, {"textParts": ListTail(1, (", how", " are you"))})
    assert seen(stored(rows)) == "Dear Ann, how are you"


async def test_a_text_that_grows_no_more_is_one_field() -> None:
    rows = Rows(letters=[a_letter("Dear ", ["Ann"], postscript="PS", postscriptParts=[": bye"])])
    await patched(rows, setting(is_open=False))
    assert stored(rows) == a_letter("Dear Ann", isOpen=False, postscript="PS: bye")
    await patched(rows, adding("!"))
    assert stored(rows) == a_letter("Dear Ann!", isOpen=False, postscript="PS: bye")


@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param(setting(text="Dear"), a_letter("Dear"), id="shorter"),
        pytest.param(setting(text="Dear Bob, hello"), a_letter("Dear Bob, hello"), id="another text"),
        pytest.param(setting(text="Dear Ann"), a_letter("Dear ", ["Ann"]), id="the same"),
        pytest.param(setting(title="T"), a_letter("Dear ", ["Ann"], title="T"), id="another field"),
        pytest.param(setting(text=""), a_letter(""), id="no text"),
        pytest.param(setting(postscript="PS"), a_letter("Dear ", ["Ann"], postscript="PS"), id="a text that was not there"),
    ],
)
async def test_whatever_becomes_of_the_text_is_what_is_read(change: Change, after: Row) -> None:
    rows = Rows(letters=[a_letter("Dear ", ["Ann"])])
    await patched(rows, change)
    assert stored(rows) == after


async def test_a_text_that_is_taken_away_takes_its_parts_with_it() -> None:
    rows = Rows(letters=[a_letter(postscript="P", postscriptParts=["S"])])
    await patched(rows, setting(postscript=None))
    assert stored(rows) == a_letter()


@given(st.lists(st.text("ab\u00e9\U0001f600", min_size=1, max_size=40), max_size=300))
async def test_parts_are_few_and_add_up_to_the_text(pieces: list[str]) -> None:
    rows = Rows(letters=[a_letter()])
    await patched(rows, *map(adding, pieces))
    assert seen(stored(rows)) == "".join(pieces)
    assert len(stored(rows).get("textParts", ())) <= MAX_PARTS  # type: ignore[arg-type]  # a list


async def test_ten_thousand_steps_write_each_character_a_few_times() -> None:
    """n log n in all: by the ratio of sizes, each is written at most log1.5(n / MAX_PARTS) times again."""
    rows, written, longest = Rows(letters=[a_letter()]), 0, 0
    for _ in range(10_000):
        (write,) = (await patched(rows, adding("four"))).writes
        assert isinstance(write, Update)
        assert set(write.set) <= {"textParts"}, "the first part makes the list, and the text is never written whole"
        new = write.lists["textParts"].items if write.lists else write.set["textParts"]
        written += sum(map(len, new))  # type: ignore[arg-type]  # strings
        longest = max(longest, len(stored(rows)["textParts"]))  # type: ignore[arg-type]  # a list
    assert len(seen(stored(rows))) == 40_000
    assert longest == MAX_PARTS
    assert written < 10 * 40_000


async def test_a_held_row_is_put_together_once_and_sent_as_one_text() -> None:
    @query
    async def everything(ctx: QueryContext) -> list[Letter]:
        return await ctx.db.query(Letter).collect()

    memory = Memory([HeldRow(a_letter("Dear ", ["Ann"]))])
    runs = [
        run_now(function_of(everything), {}, caller=None, memory=memory, now=NOW, journal=None, ids=IdSource(), limits=Limits())
        for _ in range(2)
    ]
    first, again = (run.value for run in runs if run is not None)
    assert first == [{"_id": "l1", "_creationTime": 1.0, "text": "Dear Ann", "isOpen": True, "title": ""}]
    assert again[0] is first[0]  # type: ignore[index]  # lists


class Memory:
    """Rows that are at hand."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def read(self, wanted: IndexRange) -> list[Row]:
        return self._rows

    def get(self, table: str, ids: object) -> dict[RowId, Row]:
        return {}


@pytest.mark.parametrize("parts", ["text", ["a", 1], {"0": "a"}], ids=repr)
def test_parts_that_no_hub_wrote_do_not_fit_the_table(parts: Any) -> None:
    with pytest.raises(InvalidRow, match=r"letters.*l1.*textParts"):
        seen(a_letter("x", parts))


def test_what_cannot_grow_is_refused_when_the_application_is_loaded() -> None:
    class Odd(Table, name="odd"):
        number: int
        text: str
        text_parts: str
        name: str
        later: str

    Odd.index(lambda odd: (odd.name,))
    Odd.grows(lambda odd: odd.number, while_=lambda odd: True)  # type: ignore[arg-type, return-value]  # that is the mistake
    Odd.grows(lambda odd: odd.text, while_=lambda odd: True)
    Odd.grows(lambda odd: odd.name, while_=lambda odd: True)
    Odd.grows(lambda odd: odd.missing, while_=lambda odd: True)  # type: ignore[attr-defined]  # that is the mistake
    Odd.grows(lambda odd: odd.later, while_=lambda odd: True)
    Odd.index(lambda odd: (odd.later,))
    Odd.grows(lambda odd: odd.later, while_=lambda odd: True)
    told = [problem.partition(": ")[2] for problem in table_of(Odd).problems]
    assert len(told) == 6
    assert "'number' is not a str" in told[0]
    assert "'textParts'" in told[1]
    assert "'name' cannot both grow and be in an index" in told[2]
    assert "no field 'missing'" in told[3]
    assert "'later' cannot both grow and be in an index" in told[4]
    assert "of 'later' it is said already" in told[5]
