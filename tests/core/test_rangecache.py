"""The range cache: whatever is written, read and evicted, what it answers is what the database would."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.rangecache import RangeCache
from hub.core.rangemap import Piece, slack
from hub.core.ranges import IndexRange, tuple_key
from hub.timestamps import Timestamp
from hub.values import Row, RowId, sort_key
from tests.builders import (
    BY_CHAT,
    BY_CLIENT_ID,
    a_commit,
    a_row,
    at_least,
    at_most,
    deleted,
    few_ranges,
    few_rows,
    ids,
    in_chat,
    inserted,
    less_than,
    more_than,
    updated,
    updated_by_others,
)


@dataclass
class Kept:
    """A cache over tables that remember every version, as a hub has it: misses are read at some timestamp and taken in."""

    max_bytes: int = 10_000_000
    grace_s: float = 60.0
    now: float = 0.0
    commits: list[Commit] = field(default_factory=list)
    versions: list[dict[tuple[str, RowId], Row]] = field(default_factory=lambda: [{}])
    reads: int = 0

    def __post_init__(self) -> None:
        self.cache = RangeCache(max_bytes=self.max_bytes, grace_s=self.grace_s)

    @property
    def ts(self) -> int:
        return len(self.commits)

    def commit(self, *changes: RowChange | TableReset, seen: tuple[RowChange | TableReset, ...] | None = None) -> None:
        """`seen` is what the feed tells of it, if not all."""
        rows = dict(self.versions[-1])
        for change in changes:
            if isinstance(change, TableReset):
                rows = {place: row for place, row in rows.items() if place[0] != change.table}
            elif change.after is None:
                rows.pop((change.table, change.id), None)
            else:
                rows[change.table, change.id] = change.after
        self.versions.append(rows)
        self.commits.append(a_commit(self.ts + 1, *(changes if seen is None else seen)))
        self.bring(self.commits[-1])

    def bring(self, commit: Commit) -> None:
        self.cache.apply(commit)

    def stored(self, wanted: IndexRange, ts: int) -> list[Row]:
        """The range by brute force."""
        rows = [row for (table, _), row in self.versions[ts].items() if table == wanted.table and wanted.contains(row)]
        rows.sort(key=lambda row: tuple_key(wanted.index.position(row)), reverse=wanted.descending)
        return rows[: wanted.limit]

    def known(self, wanted: IndexRange) -> list[Row] | None:
        return self.cache.read(wanted, set())

    def read(self, wanted: IndexRange, *, lag: int = 0, used: set[Piece] | None = None) -> list[Row]:
        """From the cache, or read some commits ago and taken in."""
        used = set() if used is None else used
        rows = self.cache.read(wanted, used)
        if rows is not None:
            return rows
        self.reads += 1
        at = max(self.ts - lag, 0)
        widened = wanted if wanted.limit is None else replace(wanted, limit=wanted.limit + slack(wanted.limit))
        self.cache.hydrate(widened, self.stored(widened, at), self.commits[at:], self.now, used)
        return self.stored(wanted, self.ts)

    def get(self, table: str, row_id: RowId, *, lag: int = 0) -> Row | None:
        known = self.cache.get(table, [row_id], set())
        if row_id not in known:
            self.reads += 1
            at = max(self.ts - lag, 0)
            found = {row_id: self.versions[at][table, row_id]} if (table, row_id) in self.versions[at] else {}
            self.cache.hydrate_rows(table, [row_id], found, self.commits[at:], self.now, set())
            known = self.cache.get(table, [row_id], set())
        return known.get(row_id)


def the_ids(rows: list[Row] | None) -> list[Any] | None:
    return None if rows is None else [row["_id"] for row in rows]


def _id_of(change: tuple[str, Any]) -> Any:
    return change[1] if isinstance(change[1], str) else change[1]["_id"]


limited = st.tuples(few_ranges(), st.none() | st.integers(1, 4)).map(lambda pair: replace(pair[0], limit=pair[1]))
changes = st.one_of(
    st.tuples(st.just("put"), few_rows()),
    st.tuples(st.just("put"), few_rows()),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("unseen"), few_rows()),
)
steps = st.one_of(
    st.tuples(st.just("commit"), st.lists(changes, min_size=1, max_size=3, unique_by=_id_of)),
    st.tuples(st.just("commit"), st.lists(changes, min_size=1, max_size=3, unique_by=_id_of)),
    st.tuples(st.just("read"), limited, st.integers(0, 3)),
    st.tuples(st.just("read"), limited, st.integers(0, 3)),
    st.tuples(st.just("get"), ids, st.integers(0, 3)),
    st.tuples(st.just("show"), st.integers(0, 2), st.lists(limited, max_size=2)),
    st.tuples(st.just("release"), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 100.0])),
    st.tuples(st.just("reset"), st.none()),
)


def is_unique(rows: dict[tuple[str, RowId], Row]) -> bool:
    """As the database keeps its unique index."""
    keys = [(sort_key(row["x"]), sort_key(row["y"])) for row in rows.values() if "x" in row and "y" in row]
    return len(keys) == len(set(keys))


def play(kept: Kept, step: tuple[Any, ...]) -> None:
    match step:
        case ("commit", written):
            done = [deleted(what, "t") if kind == "delete" else updated(what, "t") for kind, what in written]
            if not is_unique({**kept.versions[-1], **{("t", change.id): change.after for change in done if change.after}}):
                return
            seen = [updated_by_others(what["_id"], "t") if kind == "unseen" else done[n] for n, (kind, what) in enumerate(written)]
            kept.commit(*done, seen=tuple(seen))
        case ("read", wanted, lag):
            kept.read(wanted, lag=lag)
        case ("get", row_id, lag):
            kept.get("t", row_id, lag=lag)
        case ("show", holder, ranges):
            used: set[Piece] = set()
            for wanted in ranges:
                kept.read(wanted, used=used)
            kept.cache.hold(holder, used, kept.now)
        case ("release", holder):
            kept.cache.release(holder, kept.now)
        case ("wait", seconds):
            kept.now += seconds
            kept.cache.sweep(kept.now)
        case ("reset", _):
            kept.commit(TableReset("t"))


@given(st.lists(steps, max_size=25), st.lists(limited, max_size=4), st.sampled_from([10_000_000, 8_000]))
@settings(max_examples=300)
def test_what_the_cache_answers_is_what_a_fresh_read_would(script: list[Any], asked: list[IndexRange], max_bytes: int) -> None:
    kept = Kept(max_bytes=max_bytes)
    ranges = asked + [step[1] for step in script if step[0] == "read"]
    for step in script:
        play(kept, step)
        assert kept.cache.position == kept.ts
        for wanted in ranges:
            known = kept.known(wanted)
            assert known is None or known == kept.stored(wanted, kept.ts)
        for row_id in [f"m{n}" for n in range(6)]:
            for row in kept.cache.get("t", [row_id], set()).values():
                assert row == kept.versions[-1].get(("t", row_id))


@given(st.lists(steps, max_size=25), st.booleans())
def test_when_everything_is_let_go_nothing_is_left_and_every_byte_is_returned(script: list[Any], by_resetting: bool) -> None:
    kept = Kept()
    for step in script:
        play(kept, step)
    for holder in range(3):
        kept.cache.release(holder, kept.now)
    if by_resetting:
        kept.cache.reset(Timestamp(kept.ts))
    else:
        kept.cache.sweep(kept.now + kept.grace_s)

    assert (kept.cache.ranges, kept.cache.size_bytes) == (0, 0)


@given(st.lists(steps, max_size=25))
def test_the_cache_stays_in_its_budget(script: list[Any]) -> None:
    kept = Kept(max_bytes=8_000)
    for step in script:
        play(kept, step)
        kept.cache.sweep(kept.now)
        assert kept.cache.size_bytes <= 8_000


def a_message(n: float, chat: str = "a", **fields: Any) -> Row:
    return a_row(f"m{n}", chatId=chat, createdAt=float(n), **fields)


def chat_of(count: int, **settings: Any) -> Kept:
    kept = Kept(**settings)
    kept.commit(*(inserted(a_message(n)) for n in range(count)))
    return kept


newest = in_chat(descending=True, limit=5)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(in_chat(descending=True, limit=2), id="fewer"),
        pytest.param(in_chat(descending=True, lower=at_least(15)), id="a part of it, whole"),
        pytest.param(in_chat(lower=more_than(14), upper=less_than(18)), id="the other way round"),
        pytest.param(in_chat(descending=True, upper=at_most(17), limit=2), id="from the middle"),
        pytest.param(IndexRange(BY_CHAT, ("a",), lower=at_least(99)), id="where no rows are"),
    ],
)
def test_a_range_answers_every_read_that_lies_in_it(again: IndexRange) -> None:
    kept = chat_of(20)
    kept.read(newest)
    assert kept.known(again) == kept.stored(again, kept.ts)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(in_chat(descending=True, limit=20), id="more"),
        pytest.param(in_chat(limit=1), id="from the other end"),
        pytest.param(in_chat("b"), id="another prefix"),
        pytest.param(IndexRange(BY_CHAT), id="a shorter prefix"),
        pytest.param(IndexRange(BY_CLIENT_ID, ("a", "c")), id="another index"),
    ],
)
def test_what_was_not_read_is_a_miss(other: IndexRange) -> None:
    kept = chat_of(20)
    kept.read(newest)
    assert kept.known(other) is None


def test_pages_that_follow_each_other_answer_a_read_across_them() -> None:
    kept = chat_of(20)
    kept.read(in_chat(upper=at_most(9.0)))
    kept.read(in_chat(lower=more_than(9.0), upper=at_most(15.0)))

    assert the_ids(kept.known(in_chat(lower=at_least(7), upper=at_most(12)))) == [f"m{n}" for n in range(7, 13)]
    assert the_ids(kept.known(in_chat(upper=at_most(15), descending=True, limit=8))) == [f"m{n}" for n in range(15, 7, -1)]
    assert kept.known(in_chat()) is None


def test_an_empty_range_is_known_to_be_empty_and_fills() -> None:
    kept = chat_of(3)
    assert kept.read(in_chat("new", limit=5)) == []
    assert kept.known(in_chat("new", limit=5)) == []

    kept.commit(inserted(a_row("x", chatId="new", createdAt=1.0)))

    assert the_ids(kept.known(in_chat("new"))) == ["x"]


def test_deletions_are_filled_up_from_the_slack_and_beyond_it_the_database_is_asked() -> None:
    kept = chat_of(50)
    kept.read(newest)
    for n in range(slack(5)):
        kept.commit(deleted(f"m{49 - n}"))
        assert kept.known(newest) == kept.stored(newest, kept.ts)

    kept.commit(deleted("m0"), deleted(f"m{49 - slack(5)}"))

    assert kept.known(newest) is None
    assert kept.read(newest) == kept.stored(newest, kept.ts)
    assert kept.known(newest) is not None


@pytest.mark.parametrize("descending", [True, False])
def test_a_limited_range_does_not_grow_with_what_comes_before_its_rows(descending: bool) -> None:
    kept = chat_of(50)
    wanted = in_chat(descending=descending, limit=5)
    kept.read(wanted)
    size = kept.cache.size_bytes
    for n in range(50, 500):
        kept.commit(inserted(a_message(n if descending else -n)))
        assert kept.known(wanted) == kept.stored(wanted, kept.ts)

    assert kept.cache.size_bytes < 2 * size
    assert kept.reads == 1
    for limit in range(5, 40):
        more = replace(wanted, limit=limit)
        assert kept.known(more) in (None, kept.stored(more, kept.ts)), "what was let go is not believed to be known"


def test_a_reader_of_more_keeps_more() -> None:
    kept = chat_of(50)
    fifty = in_chat(descending=True, limit=30)
    kept.read(newest)
    kept.read(fifty)
    for n in range(50, 300):
        kept.commit(inserted(a_message(n)))
        assert kept.known(newest) == kept.stored(newest, kept.ts)
        assert kept.read(fifty) == kept.stored(fifty, kept.ts)

    assert kept.reads <= 2 + 1, "the first range grew to what the second reader needs"


def test_a_page_with_both_ends_fixed_keeps_what_is_put_in_between() -> None:
    kept = chat_of(20)
    page = in_chat(descending=True, lower=at_least(15.0))
    kept.read(in_chat(descending=True, limit=5))
    for n in range(20, 200):
        kept.commit(inserted(a_message(n)))
        assert kept.read(page) == kept.stored(page, kept.ts)
    assert kept.reads == 1


def test_a_commit_between_the_read_and_its_arrival_is_not_missed() -> None:
    kept = chat_of(3)
    kept.commit(inserted(a_message(3)), deleted("m0"))
    kept.commit(updated(a_message(1, chat="b")), updated(a_message(2, text="new")))

    kept.read(in_chat(), lag=2)

    assert kept.known(in_chat()) == kept.stored(in_chat(), kept.ts)


@pytest.mark.parametrize(
    "unsure", [pytest.param(updated_by_others("m1"), id="unresolved"), pytest.param(TableReset("messages"), id="reset")]
)
def test_what_cannot_be_applied_for_certain_is_not_taken_in_and_drops_what_is_there(unsure: RowChange | TableReset) -> None:
    kept = chat_of(3)
    kept.commit(unsure, seen=(unsure,))
    kept.read(in_chat(), lag=1)
    assert kept.known(in_chat()) is None

    kept.read(in_chat())
    assert kept.known(in_chat()) is not None
    kept.commit(unsure, seen=(unsure,))
    assert kept.known(in_chat()) is None
    assert kept.cache.size_bytes == 0


def test_two_rows_that_swap_their_unique_keys_in_one_commit_are_both_found() -> None:
    kept = Kept()
    one, other = a_row("m1", chatId="a", clientMessageId="k1"), a_row("m2", chatId="a", clientMessageId="k2")
    kept.commit(inserted(one), inserted(other))
    by_client_id = IndexRange(BY_CLIENT_ID, ("a",))
    kept.read(by_client_id)

    kept.commit(updated({**one, "clientMessageId": "k2"}), updated({**other, "clientMessageId": "k1"}))

    assert the_ids(kept.known(by_client_id)) == ["m2", "m1"]


def test_a_row_that_is_known_not_to_be_there_comes() -> None:
    kept = chat_of(3)
    assert kept.get("messages", "later") is None
    assert kept.cache.get("messages", ["later"], set()) == {"later": None}

    kept.commit(inserted(a_row("later", chatId="z")))

    assert kept.cache.get("messages", ["later"], set()) == {"later": a_row("later", chatId="z")}


def test_a_row_of_a_range_is_known_by_id_also_after_it_left_the_range() -> None:
    kept = chat_of(3)
    kept.read(in_chat())
    assert kept.get("messages", "m1") == a_message(1)

    kept.commit(updated(a_message(1, chat="b")))

    assert kept.get("messages", "m1") == a_message(1, chat="b")
    assert kept.reads == 1


def test_what_nobody_shows_goes_after_the_grace_period_and_what_somebody_shows_stays() -> None:
    kept = chat_of(3, grace_s=60.0)
    kept.commit(inserted(a_row("x", chatId="b", createdAt=1.0)))
    shown: set[Piece] = set()
    kept.read(in_chat("a"), used=shown)
    kept.cache.hold("query", shown, now=0.0)
    kept.read(in_chat("b"))

    kept.cache.sweep(now=59.0)
    assert kept.known(in_chat("b")) is not None
    kept.cache.sweep(now=60.0)
    assert kept.known(in_chat("b")) is None
    assert kept.known(in_chat("a")) is not None

    kept.cache.release("query", now=100.0)
    kept.cache.sweep(now=159.0)
    assert kept.known(in_chat("a")) is not None
    kept.cache.sweep(now=160.0)
    assert kept.known(in_chat("a")) is None


def test_over_the_budget_the_longest_unused_goes_first_and_what_is_shown_last() -> None:
    kept = Kept(max_bytes=100_000)
    chats = [f"chat {n}" for n in range(40)]
    kept.commit(*(inserted(a_row(chat, chatId=chat, createdAt=1.0, text="x" * 2_000)) for chat in chats))
    shown: set[Piece] = set()
    kept.read(in_chat(chats[0]), used=shown)
    kept.cache.hold("query", shown, now=0.0)

    for n, chat in enumerate(chats[1:]):
        kept.read(in_chat(chat), used=set())
        kept.now = float(n)

    assert kept.known(in_chat(chats[0])) is not None, "somebody shows it"
    assert kept.known(in_chat(chats[1])) is None
    assert kept.known(in_chat(chats[-1])) is not None
    assert kept.cache.evictions > 0


def used_by(kept: Kept, chat: str) -> set[Piece]:
    """What a read of the chat comes from."""
    used: set[Piece] = set()
    kept.read(in_chat(chat), used=used)
    return used


def test_what_was_used_again_stays_longer() -> None:
    kept = Kept(max_bytes=100_000)
    chats = [f"chat {n}" for n in range(40)]
    kept.commit(*(inserted(a_row(chat, chatId=chat, createdAt=1.0, text="x" * 2_000)) for chat in chats))
    for n, chat in enumerate(chats):
        kept.cache.hold(chat, used_by(kept, chat), now=float(n))
        kept.cache.hold(chats[0], used_by(kept, chats[0]), now=float(n))

    assert kept.reads == len(chats), "the first one, run again and again, was always there"
    assert kept.known(in_chat(chats[1])) is None


def test_what_a_run_has_just_read_goes_last() -> None:
    kept = Kept(max_bytes=33_000)
    kept.commit(*(inserted(a_row(chat, chatId=chat, createdAt=1.0, text="x" * 2_000)) for chat in "abcde"))
    in_use: set[Piece] = set()
    kept.read(in_chat("a"), used=in_use)
    shown: set[Piece] = set()
    kept.read(in_chat("b"), used=shown)
    kept.cache.hold("query", shown, now=0.0)
    kept.read(in_chat("c"))

    kept.read(in_chat("d"), used=in_use)
    assert kept.known(in_chat("c")) is None, "nobody shows it"
    kept.read(in_chat("e"), used=in_use)
    assert kept.known(in_chat("b")) is None, "somebody shows it, and asks the database again"

    for chat in "ade":
        assert kept.known(in_chat(chat)) is not None


@pytest.mark.parametrize(("text_bytes", "is_kept"), [(1_000, True), (4_000, False), (10_000, False)])
def test_a_range_that_would_push_out_what_others_use_is_not_kept(text_bytes: int, is_kept: bool) -> None:
    kept = Kept(max_bytes=20_000)
    kept.commit(inserted(a_message(1, text="x" * text_bytes)))
    kept.read(in_chat())
    assert (kept.known(in_chat()) is not None) == is_kept
    assert (kept.cache.size_bytes > 0) == is_kept


def with_array(**fields: Any) -> Row:
    """A row of another writer that an index of the database has in as many places as the array has items."""
    return a_row("odd", chatId="a", **{"createdAt": [100.0, 300.0], **fields})


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(in_chat(), id="all"),
        pytest.param(in_chat(upper=at_most(200.0)), id="by one of its items"),
        pytest.param(IndexRange(BY_CHAT, descending=True, limit=2), id="limited"),
    ],
)
def test_rows_whose_place_the_index_alone_knows_are_not_kept(wanted: IndexRange) -> None:
    cache = RangeCache(max_bytes=1_000_000, grace_s=60.0)

    assert not cache.hydrate(wanted, [a_message(1), with_array()], [], 0.0, set())

    assert cache.read(wanted, set()) is None
    assert cache.size_bytes == 0


@pytest.mark.parametrize("change", [deleted("odd"), updated(a_row("odd", chatId="a", createdAt=1.0))], ids=["goes", "is put right"])
def test_a_row_with_an_array_that_is_kept_by_its_id_spoils_no_range(change: RowChange) -> None:
    cache = RangeCache(max_bytes=1_000_000, grace_s=60.0)
    cache.hydrate_rows("messages", ["odd"], {"odd": with_array(createdAt=[100.0])}, [], 0.0, set())
    later = in_chat(lower=at_least(200.0))
    cache.hydrate(later, [a_message(250)], [], 0.0, set())  # the index does not find the other row there

    cache.apply(a_commit(1, change))

    assert cache.read(later, set()) in (None, [a_message(250)])
    assert cache.get("messages", ["odd"], set()) in ({}, {"odd": change.after})


def test_a_row_that_got_an_array_while_a_range_was_read_is_not_looked_for_in_the_range_where_it_would_stand() -> None:
    cache = RangeCache(max_bytes=1_000_000, grace_s=60.0)
    doubt = a_commit(1, updated_by_others("odd"))
    cache.apply(doubt)
    cache.hydrate_rows("messages", ["odd"], {"odd": with_array()}, [], 0.0, set())

    is_kept = cache.hydrate(in_chat(lower=at_least(200.0)), [], [doubt], 0.0, set())  # read before the commit

    assert not is_kept, "the index finds the row there by its 300"
