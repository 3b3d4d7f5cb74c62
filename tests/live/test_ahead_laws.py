"""Memory at the feed's position, by brute force: what it answers is what the database would, whatever no round has applied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.clock import SystemClock
from hub.core.commits import Commit
from hub.core.ranges import IndexRange
from hub.live.ahead import Ahead
from hub.live.position import FeedPosition
from hub.store import FeedBatch
from hub.testing.memory import MemoryStore
from hub.timestamps import Timestamp
from hub.values import Row, RowId
from tests.builders import a_row, deleted, few_rows, ids, in_chat, inserted, updated, updated_by_others
from tests.core.test_rangecache import Kept, limited, play, steps


class Behind(Kept):
    """A cache that stays where it is while commits go on, until a round brings it up to them."""

    is_behind = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.position = FeedPosition(SystemClock())
        self.position.advance(FeedBatch(Timestamp(0), resync=True))
        self.ahead = Ahead(self.cache, self.position, dict)

    def bring(self, commit: Commit) -> None:
        if not self.is_behind:
            super().bring(commit)
        self.position.advance(FeedBatch(Timestamp(self.ts), (commit,)))

    def round(self) -> None:
        for commit in self.commits[self.cache.position :]:
            self.cache.apply(commit)


class Versions(MemoryStore):
    """Rows by id, as they were at a time."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        rows = self._kept.versions[at]
        return {row_id: rows[table, row_id] for row_id in ids if (table, row_id) in rows}


one_change = st.one_of(
    st.tuples(st.just("put"), few_rows()),
    st.tuples(st.just("put"), few_rows()),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("unseen"), few_rows()),
)
later_steps = st.one_of(
    st.tuples(st.just("commit"), st.lists(one_change, min_size=1, max_size=1)),
    st.tuples(st.just("commit"), st.lists(one_change, min_size=1, max_size=1)),
    st.tuples(st.just("resolve"), st.none()),
    st.tuples(st.just("round"), st.none()),
    st.tuples(st.just("reset"), st.none()),
)


@given(st.lists(steps, max_size=12), st.lists(later_steps, max_size=12), st.lists(limited, min_size=1, max_size=4))
@settings(max_examples=300)
def test_what_it_answers_is_what_a_fresh_read_would(before: list[Any], later: list[Any], asked: list[IndexRange]) -> None:
    kept = Behind()
    for step in before:
        play(kept, step)
    for wanted in asked:
        kept.read(wanted)
    kept.is_behind = True
    for step in later:
        match step:
            case ("resolve", _):
                asyncio.run(kept.ahead.resolve("t", Versions(kept)))
            case ("round", _):
                kept.round()
            case _:
                play(kept, step)
        for wanted in asked:
            known = kept.ahead.read(wanted)
            assert known is None or known == kept.stored(wanted, kept.ts)
        rows = kept.ahead.get("t", [f"m{n}" for n in range(6)])
        assert rows == {row_id: kept.versions[-1].get(("t", row_id)) for row_id in rows}


def test_what_left_a_limited_range_is_made_up_for_by_the_rows_behind_it() -> None:
    kept = Behind()
    for n in range(6):
        kept.commit(inserted(a_row(f"m{n}", chatId="a", createdAt=n)))
    first_three = in_chat("a", limit=3)
    kept.read(first_three)
    kept.is_behind = True

    for n in range(2):
        kept.commit(deleted(f"m{n}"))
        assert kept.ahead.read(first_three) == kept.stored(first_three, kept.ts)
    kept.commit(updated(a_row("m2", chatId="elsewhere", createdAt=2)))

    assert [row["_id"] for row in kept.ahead.read(first_three) or []] == ["m3", "m4", "m5"]


def test_a_row_that_was_changed_again_while_it_was_looked_up_stays_in_doubt() -> None:
    kept = Behind()
    row = a_row("m1", chatId="a", createdAt=1)
    kept.commit(inserted(row))
    kept.read(in_chat("a"))
    kept.is_behind = True
    kept.commit(updated(row), seen=(updated_by_others("m1"),))

    class ChangedMeanwhile(Versions):
        async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
            found = await super().get(table, ids, at)
            kept.commit(updated({**row, "createdAt": 2}), seen=(updated_by_others("m1"),))
            return found

    assert asyncio.run(kept.ahead.resolve("messages", ChangedMeanwhile(kept))) is False
    assert kept.ahead.read(in_chat("a")) is None
    assert asyncio.run(kept.ahead.resolve("messages", Versions(kept))) is True
    assert kept.ahead.read(in_chat("a")) == [{**row, "createdAt": 2}]
