"""`messages:streamUpsert`: one row for one reply, whatever is retried, reordered or sent at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.values import Value
from tests.chat.conftest import App, Person, Refused, WallClock

State = tuple[str, str]
STREAM: list[State] = [("On", "streaming"), ("Once upon", "streaming"), ("Once upon a", "streaming"), ("Once upon.", "complete")]


@pytest.fixture
async def chat_id(ann: Person) -> str:
    return await ann.new_chat()


async def reply_in(ann: Person, chat_id: str) -> State:
    (row,) = await ann.messages(chat_id)
    return row["content"], row["status"]


async def test_a_reply_grows_in_one_row_known_by_either_id(ann: Person, chat_id: str) -> None:
    first = await ann.stream(chat_id, "On", clientMessageId="r1")
    by_name = await ann.stream(chat_id, "Once", clientMessageId="r1")
    by_id = await ann.stream(chat_id, "Once upon", messageId=first)
    by_both = await ann.stream(chat_id, "Once upon a time", "complete", messageId=first, clientMessageId="r1")

    assert {first, by_name, by_id, by_both} == {first}
    assert await reply_in(ann, chat_id) == ("Once upon a time", "complete")


async def test_a_placeholder_of_send_is_streamed_into(ann: Person, chat_id: str) -> None:
    reply = {"content": "", "clientMessageId": "r1"}
    sent = await ann.mutation("messages:send", chatId=chat_id, userMessage={"content": "Q"}, assistantMessage=reply)

    assert await ann.stream(chat_id, "An", clientMessageId="r1") == sent["assistantMessageId"]
    assert await ann.stream(chat_id, "An answer", "complete", messageId=sent["assistantMessageId"]) == sent["assistantMessageId"]

    assert [row["content"] for row in await ann.messages(chat_id)] == ["Q", "An answer"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(STREAM)))), ids=str)
async def test_a_stream_ends_the_same_in_whatever_order_it_arrives(order: tuple[int, ...], ann: Person, chat_id: str) -> None:
    for index in order:
        content, status = STREAM[index]
        await ann.stream(chat_id, content, status, clientMessageId="r1")

    assert await reply_in(ann, chat_id) == ("Once upon.", "complete")


async def test_a_stream_sent_twice_and_all_at_once_is_one_row(ann: Person, chat_id: str) -> None:
    ids = await asyncio.gather(*[ann.stream(chat_id, content, status, clientMessageId="r1") for content, status in STREAM + STREAM])

    assert len(set(ids)) == 1
    assert await reply_in(ann, chat_id) == ("Once upon.", "complete")


@pytest.mark.parametrize(
    ("stored", "late"),
    [
        pytest.param(("Done", "complete"), ("Done and more", "streaming"), id="a delta after the end"),
        pytest.param(("Done", "complete"), ("Done", "error"), id="an error after the end"),
        pytest.param(("Broken off", "error"), ("Broken", "streaming"), id="a shorter delta after an error"),
        pytest.param(("Longer", "streaming"), ("Long", "streaming"), id="a shorter delta"),
        pytest.param(("Same", "streaming"), ("Same", "streaming"), id="a repeated delta"),
        pytest.param(("Done", "complete"), ("Done", "complete"), id="a repeated end"),
        pytest.param(("Done and dusted", "complete"), ("Done", "complete"), id="an end with less text"),
    ],
)
async def test_what_comes_late_changes_nothing(stored: State, late: State, ann: Person, chat_id: str, clock: WallClock) -> None:
    message_id = await ann.stream(chat_id, *stored, clientMessageId="r1")
    before, chat = await ann.messages(chat_id), await ann.query("chats:get", chatId=chat_id)
    clock.advance()

    assert await ann.stream(chat_id, *late, clientMessageId="r1") == message_id

    assert await ann.messages(chat_id) == before
    assert await ann.query("chats:get", chatId=chat_id) == chat


@pytest.mark.parametrize(
    ("stored", "later"),
    [
        pytest.param(("Once", "streaming"), ("Once upon", "streaming"), id="it grows"),
        pytest.param(("Once upon", "streaming"), ("Once.", "complete"), id="the end has the last word, also a shorter one"),
        pytest.param(("Once", "streaming"), ("Once", "error"), id="it broke off"),
        pytest.param(("Once", "error"), ("Once upon", "complete"), id="it was finished after all"),
    ],
)
async def test_a_reply_moves_forward(stored: State, later: State, ann: Person, chat_id: str, clock: WallClock) -> None:
    await ann.stream(chat_id, *stored, clientMessageId="r1")
    now = clock.advance()

    await ann.stream(chat_id, *later, clientMessageId="r1")

    (row,) = await ann.messages(chat_id)
    assert (row["content"], row["status"]) == later
    assert (row["createdAt"], row["updatedAt"]) == (now - 1000, now)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_a_reply_that_breaks_off_keeps_its_longest_text(order: tuple[int, ...], ann: Person, chat_id: str) -> None:
    states: list[State] = [("Once", "streaming"), ("", "error"), ("Once upon", "streaming")]
    for index in order:
        await ann.stream(chat_id, *states[index], clientMessageId="r1")

    assert await reply_in(ann, chat_id) == ("Once upon", "error")


async def test_only_the_end_stamps_the_chat(ann: Person, chat_id: str, clock: WallClock) -> None:
    created = clock.ms
    clock.advance()
    await ann.stream(chat_id, "On", clientMessageId="r1")
    assert (await ann.query("chats:get", chatId=chat_id))["updatedAt"] == created

    done = clock.advance()
    await ann.stream(chat_id, "Once", "complete", clientMessageId="r1")

    chat = await ann.query("chats:get", chatId=chat_id)
    assert (chat["updatedAt"], chat["lastMessageAt"]) == (done, done)


async def test_a_reply_that_is_complete_at_once_stamps_the_chat(ann: Person, chat_id: str, clock: WallClock) -> None:
    now = clock.advance()

    await ann.stream(chat_id, "Once", "complete", clientMessageId="r1")

    assert (await ann.query("chats:get", chatId=chat_id))["lastMessageAt"] == now


async def test_the_two_ids_must_mean_the_same_row(ann: Person, chat_id: str) -> None:
    one = await ann.stream(chat_id, "One", clientMessageId="r1")
    two = await ann.stream(chat_id, "Two", clientMessageId="r2")
    unnamed = await ann.say(chat_id, "Three")

    for message_id, name in [(one, "r2"), (two, "r1"), (one, "unknown"), (unnamed, "r1"), (unnamed, "unknown")]:
        with pytest.raises(Refused) as refused:
            await ann.stream(chat_id, "Changed", "complete", messageId=message_id, clientMessageId=name)
        assert refused.value.data == {"code": "MESSAGE_NOT_FOUND", "messageId": message_id}

    assert [row["content"] for row in await ann.messages(chat_id)] == ["One", "Two", "Three"]


async def test_one_of_the_two_ids_is_needed(ann: Person, chat_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await ann.stream(chat_id, "Lost")
    assert refused.value.data == {"code": "MESSAGE_ID_MISSING"}


async def test_a_message_of_another_chat_is_out_of_reach(ann: Person, bob: Person, chat_id: str) -> None:
    bobs_chat, own_other = await bob.new_chat(), await ann.new_chat()

    for message_id in (await bob.say(bobs_chat, "Bob's"), await ann.say(own_other, "elsewhere"), chat_id, "nope"):
        with pytest.raises(Refused) as refused:
            await ann.stream(chat_id, "Changed, and longer", messageId=message_id)
        assert refused.value.data == {"code": "MESSAGE_NOT_FOUND", "messageId": message_id}

    assert [row["content"] for row in await bob.messages(bobs_chat)] == ["Bob's"]


# --- deltas ---------------------------------------------------------------------------------------------------------------

Delta = tuple[int, str]
TEXT = "Once \U0001f600 upon"


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


async def add(ann: Person, chat_id: str, offset: int, delta: str, status: str = "streaming", **fields: Any) -> Any:
    state = {"role": "assistant", "delta": delta, "offset": float(offset), "status": status, "clientMessageId": "r1", **fields}
    return await ann.mutation("messages:streamUpsert", chatId=chat_id, **state)


async def refusal(call: Awaitable[Any]) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        await call
    assert isinstance(refused.value.data, dict)
    return refused.value.data


def parts_of(app: App) -> list[Value]:
    """The one reply as it is stored: its field, then what was added."""
    (row,) = app.store.database.rows("messages")
    parts = row.get("contentParts", [])
    assert isinstance(parts, list)
    return [row["content"], *parts]


async def test_deltas_are_stored_as_parts_and_folded_when_the_reply_is_complete(app: App, ann: Person, chat_id: str) -> None:
    for offset, delta in ((0, "On"), (2, "ce"), (4, " upon")):
        answer = await add(ann, chat_id, offset, delta)
        assert answer["status"] == "streaming"
    assert parts_of(app) == ["On", "ce", " upon"]
    assert await reply_in(ann, chat_id) == ("Once upon", "streaming")

    assert (await add(ann, chat_id, 9, ".", "complete"))["status"] == "complete"

    assert parts_of(app) == ["Once upon."]
    assert await reply_in(ann, chat_id) == ("Once upon.", "complete")


async def test_a_reply_that_breaks_off_is_folded_and_may_still_grow(app: App, ann: Person, chat_id: str) -> None:
    await add(ann, chat_id, 0, "On")
    await add(ann, chat_id, 2, "ce")
    await add(ann, chat_id, 4, "", "error")
    assert parts_of(app) == ["Once"]

    await add(ann, chat_id, 4, " upon")

    assert parts_of(app) == ["Once upon"]
    assert await reply_in(ann, chat_id) == ("Once upon", "error")


async def test_every_way_to_look_at_a_reply_shows_its_whole_text(ann: Person, chat_id: str) -> None:
    await add(ann, chat_id, 0, "On")
    await add(ann, chat_id, 2, "ce")
    options = {"numItems": 5.0, "cursor": None}
    page = await ann.query("messages:page", chatId=chat_id, paginationOpts=options)
    for (row,) in (await ann.messages(chat_id), page["page"]):
        assert (row["content"], row.keys() & {"contentParts"}) == ("Once", set())


@pytest.mark.parametrize(
    ("offset", "delta"),
    [(0, "Once"), (2, "ce"), (0, "Once \U0001f600 up"), (5, "\U0001f600"), (7, ""), (0, ""), (0, TEXT)],
    ids=repr,
)
async def test_a_delta_that_is_there_already_changes_nothing(
    app: App, ann: Person, chat_id: str, clock: WallClock, offset: int, delta: str
) -> None:
    await add(ann, chat_id, 0, "Once ")
    await add(ann, chat_id, 5, "\U0001f600 upon")
    before, ts = await ann.messages(chat_id), app.store.database.now
    clock.advance()
    await add(ann, chat_id, offset, delta)
    assert await ann.messages(chat_id) == before
    assert [entry for entry in app.store.database.log if entry.ts > ts and entry.changes] == []


async def test_a_gap_names_the_offset_that_is_expected(ann: Person, chat_id: str) -> None:
    assert await refusal(add(ann, chat_id, 3, "x")) == {"code": "OFFSET_GAP", "expected": 0, "offset": 3}
    assert await ann.messages(chat_id) == []
    await add(ann, chat_id, 0, "\U0001f600 is two")
    assert await refusal(add(ann, chat_id, 10, "x", "complete")) == {"code": "OFFSET_GAP", "expected": 9, "offset": 10}
    assert await reply_in(ann, chat_id) == ("\U0001f600 is two", "streaming")


async def test_no_character_is_cut(ann: Person, chat_id: str) -> None:
    await add(ann, chat_id, 0, "ab\U0001f600cd")
    assert await refusal(add(ann, chat_id, 3, "x")) == {"code": "OFFSET_IN_CHARACTER", "offset": 3}
    for half in ("\ud83d", "\ude00", "x\ud83d", "\ude00x", "\ude00\ud83d"):
        with pytest.raises(Refused, match="half a character"):
            await add(ann, chat_id, 6, half)
    assert await reply_in(ann, chat_id) == ("ab\U0001f600cd", "streaming")


async def test_another_text_at_the_place_is_refused(ann: Person, chat_id: str) -> None:
    await add(ann, chat_id, 0, "Once upon")
    for offset, delta in ((0, "Twice"), (5, "a time"), (5, "upoN a"), (8, "\U0001f600")):
        assert await refusal(add(ann, chat_id, offset, delta)) == {"code": "TEXT_DIFFERS", "offset": offset}


@pytest.mark.parametrize("late", [(4, " more"), (0, "Other"), (50, "far away")], ids=repr)
async def test_what_comes_after_the_end_is_told_so_and_changes_nothing(ann: Person, chat_id: str, late: Delta) -> None:
    """Somebody stopped the reply: its writer hears it with the next answer."""
    await add(ann, chat_id, 0, "Once", "complete")
    for status in ("streaming", "error", "complete"):
        assert (await add(ann, chat_id, *late, status))["status"] == "complete"
    assert await reply_in(ann, chat_id) == ("Once", "complete")


@pytest.mark.parametrize(
    "form",
    [{}, {"content": "x", "delta": "x", "offset": 0.0}, {"delta": "x"}, {"offset": 0.0}, {"content": "x", "offset": 0.0}],
    ids=repr,
)
async def test_a_call_has_a_content_or_a_delta_with_its_offset(ann: Person, chat_id: str, form: dict[str, Any]) -> None:
    call = ann.mutation("messages:streamUpsert", chatId=chat_id, role="assistant", status="streaming", clientMessageId="r1", **form)
    assert await refusal(call) == {"code": "CONTENT_OR_DELTA"}


async def test_both_forms_go_on_from_the_same_text(app: App, ann: Person, chat_id: str) -> None:
    await add(ann, chat_id, 0, "On")
    await ann.stream(chat_id, "Once", clientMessageId="r1")
    await add(ann, chat_id, 4, " upon")
    await ann.stream(chat_id, "Once", clientMessageId="r1")
    assert parts_of(app) == ["On", "ce", " upon"], "a content that goes on from the text is stored like a delta"

    await ann.stream(chat_id, "A longer text that differs", clientMessageId="r1")
    assert parts_of(app) == ["A longer text that differs"]
    await add(ann, chat_id, 26, "!")
    await ann.stream(chat_id, "The end", "complete", clientMessageId="r1")
    assert await reply_in(ann, chat_id) == ("The end", "complete")


async def taken_or_gap(call: Awaitable[Any]) -> Any:
    """None, or what was wrong with it."""
    try:
        await call
    except Refused as refused:
        return refused.data
    return None


def after(text: str, offset: int, delta: str) -> str:
    """The text up to the delta's end."""
    return text.encode("utf-16-le")[: 2 * (offset + utf16(delta))].decode("utf-16-le")


pieces = st.lists(st.text("ab\u00e9\u4e16\U0001f600\U0001f680", min_size=1, max_size=4), min_size=1, max_size=12)


@given(pieces=pieces, data=st.data(), end=st.sampled_from(["complete", "error"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
async def test_however_a_text_is_cut_repeated_and_reordered_it_ends_the_same(
    app: App, ann: Person, chat_id: str, pieces: list[str], data: st.DataObject, end: str
) -> None:
    """Each delta is sent until it is taken; some are cut anew, some come again, two writers take turns."""
    text, name = "".join(pieces), f"r{next(names)}"
    cuts = st.lists(st.integers(0, len(text)), max_size=6).map(lambda at: sorted({0, len(text), *at}))
    deltas = [(utf16(text[:start]), text[start:stop]) for _ in range(2) for start, stop in itertools.pairwise(data.draw(cuts))]
    waiting = data.draw(st.permutations(deltas + data.draw(st.lists(st.sampled_from(deltas), max_size=3))))
    stored = ""
    while waiting:
        left: list[Delta] = []
        for offset, delta in waiting:
            taken = await taken_or_gap(add(ann, chat_id, offset, delta, clientMessageId=name))
            if taken is None:
                stored = max(stored, after(text, offset, delta), key=len)
            else:
                assert taken == {"code": "OFFSET_GAP", "expected": utf16(stored), "offset": offset}
                left.append((offset, delta))
        assert len(left) < len(waiting), "the delta at the end of the text is always taken"
        waiting = left
    await add(ann, chat_id, data.draw(st.sampled_from(deltas))[0], "", end, clientMessageId=name)

    by_deltas = [row for row in await ann.messages(chat_id) if row["clientMessageId"] == name]
    assert [(row["content"], row["status"]) for row in by_deltas] == [(text, end)]


names = itertools.count()


async def test_concurrent_writers_of_one_text_make_it_once(app: App, ann: Person, chat_id: str) -> None:
    text = "".join(f"token {n} \U0001f600 " for n in range(40))

    async def write(step: int) -> None:
        sent = 0
        while sent < len(text):
            await add(ann, chat_id, utf16(text[:sent]), text[sent : sent + step])
            sent += step

    await asyncio.gather(*(write(step) for step in (1, 3, 7, 7, 50)))

    assert await reply_in(ann, chat_id) == (text, "streaming")
    assert len(parts_of(app)) <= 65
    await add(ann, chat_id, utf16(text), "", "complete")
    assert parts_of(app) == [text]
