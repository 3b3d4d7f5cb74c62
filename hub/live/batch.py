"""Batch: mutations that run one after another at one position, each seeing what those before it wrote, and commit together.

Made and filled by `hub.live.sequencer`. It decides what the one transaction writes (each row's net change, every request's record)
and what each mutation is answered once that is committed; it runs nothing and sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.core.commits import BatchId, Commit, RowChange, TableReset
from hub.core.invalidation import InvalidationIndex
from hub.core.ranges import IndexKey, IndexRange
from hub.core.readset import ReadSet
from hub.errors import ApplicationError, HubError, RequestMismatch, RequestOfAnotherCaller
from hub.functions.execution import Run
from hub.live.batch_rows import BatchRows, Place
from hub.live.mutations import Answer, MutationRequest
from hub.live.results import encode_run, failure, from_record, to_record
from hub.protocol.messages import Failure, Result
from hub.store import Delete, Insert, Replace, RequestRecord, Update, Write, WriteBatch
from hub.timestamps import Timestamp

Isolation = Literal["serializable", "snapshot"]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch takes no further mutation. `rows` and `size_bytes` are passed by one mutation at most; `run_s` is how long one
    that waits for the database may hold up those that ran before it."""

    mutations: int
    rows: int
    size_bytes: int
    run_s: float


@dataclass(slots=True, eq=False)
class Member:
    """A request while it is worked on. `may_be_recorded`: it can have been committed already, so its record is looked up.

    `fetch` brings what it missed into memory, `fetches` counts them.
    """

    request: MutationRequest
    may_be_recorded: bool
    is_answered: bool = False
    fetch: asyncio.Task[bool] | None = None
    fetches: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """How a member ended. `answer` lacks its timestamp, which is the commit's. `reads` is None if the function was not run.
    `guesses` are the unique keys that it took for free unseen."""

    member: Member
    answer: Answer
    reads: ReadSet | None
    writes: tuple[Write, ...]
    record: RequestRecord | None
    size_bytes: int
    guesses: tuple[IndexRange, ...] = ()

    @property
    def commits(self) -> bool:
        """Whether there is something to commit: writes, or the record of a request that must get the same answer again."""
        return bool(self.writes) or self.record is not None


@dataclass(slots=True)
class Batch:
    """Members in the order in which they ran, all of one isolation. `rows` has their writes, `clocks` the clock rows' numbers at
    the position. `follows` is the batch on whose writes it ran, while that one was committing.

    `held_up` are sessions of which nothing more can run in it, for something of theirs is left out.
    """

    rows: BatchRows
    clocks: Mapping[str, int]
    follows: BatchId | None = None
    isolation: Isolation | None = None
    held_up: set[str] = field(default_factory=set)
    done: list[Done] = field(default_factory=list)
    wrong: set[IndexRange] = field(default_factory=set)
    """Unique keys that were guessed free and are taken."""
    _records: dict[str, RequestRecord] = field(default_factory=dict)
    _rows_written: int = 0
    _size_bytes: int = 0

    def add(self, done: Done) -> None:
        self.done.append(done)
        self.rows.apply(done.writes)
        if done.record is not None:
            self._records[done.record.key] = done.record
        self._rows_written += len(done.writes)
        self._size_bytes += done.size_bytes

    def is_full(self, limits: BatchLimits) -> bool:
        return len(self.done) >= limits.mutations or self._rows_written >= limits.rows or self._size_bytes >= limits.size_bytes

    def holds_for(self, members: Sequence[Member], news: Iterable[Commit]) -> bool:
        """Whether its members are the first of these, and would run as they did; `news` are commits that they have not seen."""
        if self.wrong or any(commit.changes for commit in news) or any(done.reads is None for done in self.done):
            return False
        return [done.member for done in self.done] == list(members[: len(self.done)])

    def move(self, at: Timestamp, commits: Sequence[Commit], clocks: Mapping[str, int]) -> None:
        """To a later position, for which it holds. What was left out may be added behind it."""
        self.rows, self.clocks, self.follows = self.rows.moved(at, commits, with_writes=True), clocks, None
        self.held_up.clear()

    def repeated(self, member: Member) -> Done | None:
        """If an earlier member is the same request: its answer, which is this one's as soon as it is committed."""
        record = self._records.get(member.request.key or "")
        return None if record is None else Done(member, recorded(record, member.request), None, (), None, 0)

    @property
    def commits(self) -> bool:
        return any(done.commits for done in self.done)

    @property
    def is_conclusive(self) -> bool:
        """Whether every answer is one that a commit proves. One that commits nothing must be shown to be current by other means."""
        return all(done.commits or done.member.request.key in self._records for done in self.done)

    def guessed(self) -> set[IndexRange]:
        return {key for done in self.done for key in done.guesses}

    def unproved(self) -> set[IndexRange]:
        """Guessed keys that nothing written has in the end."""
        return {key for key in self.guessed() if not self.rows.proves(key)}

    def guessers(self, keys: Collection[IndexRange]) -> Iterator[tuple[str, IndexKey]]:
        """Which functions guessed these keys free, and in which index."""
        return ((done.member.request.path, key.index) for done in self.done for key in done.guesses if key in keys)

    def to_write(self, name: BatchId) -> WriteBatch:
        return WriteBatch(name, self.rows.writes(), tuple(self._records.values()), self.isolation or "serializable")

    def states(self) -> dict[Place, list[RowChange]]:
        """Of each row that was written: how it was before the batch, and after each write of a member."""
        states: dict[Place, list[RowChange]] = {}
        for write in (write for done in self.done for write in done.writes):
            place = (write.table, write.id)
            if place not in states:
                before = self.rows.before(place)
                states[place] = [] if before is None else [RowChange(*place, "replace", before)]
            states[place].append(_change(write))
        return states

    def is_overtaken_by(self, commits: Sequence[Commit]) -> bool:
        """Whether one of them concerns what a member read."""
        if not commits:
            return False
        readers: InvalidationIndex[Member] = InvalidationIndex()
        for done in self.done:
            if done.reads is not None:
                readers.watch(done.member, done.reads)
        return any(readers.invalidate(change) for commit in commits for change in commit.changes)


def finish(member: Member, run: Run, guesses: Iterable[IndexRange] = ()) -> Done:
    """What a run comes to: a value that cannot be sent is a failure, and a failure writes nothing."""
    result = encode_run(run)
    writes = () if isinstance(result, Failure) else run.writes
    record = _record(member.request, result) if _is_recorded(member.request, run, result) else None
    size_bytes = run.size_bytes + (len(record.outcome) if record is not None else 0)
    return Done(member, Answer(result), run.reads, writes, record, size_bytes, tuple(guesses))


class Overtaken:
    """Which runs at an earlier position still hold at a later one: those that nothing concerns that changed since.

    Ask in the order of the batch. What a member wrote that had to run again has changed too, for those that come after it.
    """

    def __init__(self, earlier: Batch | None, members: Sequence[Member], commits: Sequence[Commit]) -> None:
        self._batch = earlier
        self._states: dict[Place, list[RowChange]] | None = None
        self._earlier = {done.member: done for done in earlier.done} if earlier is not None else {}
        self._wrong = earlier.wrong if earlier is not None else set()
        self._readers: InvalidationIndex[Member] | None = None  # made when something has changed: mostly nothing has
        self._changes: list[RowChange | TableReset] = []
        self._touched: set[Member] = set()
        self._changed(change for commit in commits for change in commit.changes)
        for gone in self._earlier.keys() - set(members):
            self.is_left_out(gone)

    def still_holds(self, member: Member) -> Done | None:
        done = self._earlier.get(member)
        if done is None or done.reads is None or member in self._concerned():
            return None
        return done if self._wrong.isdisjoint(done.guesses) else None

    def runs_again(self, done: Done) -> None:
        self.is_left_out(done.member)
        self._changed(map(_change, done.writes))

    def is_left_out(self, member: Member) -> None:
        """What it wrote is not there any more for those that come after it.

        Each row is again as it was at the position, or as another member wrote it: who did not see it there may see it now.
        """
        earlier = self._earlier.get(member)
        if earlier is None or not earlier.writes:
            return
        assert self._batch is not None
        self._states = self._batch.states() if self._states is None else self._states
        for write in earlier.writes:
            self._changed(self._states.pop((write.table, write.id), ()))  # told once, it is known to all

    def _changed(self, changes: Iterable[RowChange | TableReset]) -> None:
        if self._earlier:
            self._changes.extend(changes)

    def _concerned(self) -> set[Member]:
        if self._changes and self._readers is None:
            self._readers = InvalidationIndex()
            for member, done in self._earlier.items():
                if done.reads is not None:
                    self._readers.watch(member, done.reads)
        for change in self._changes:
            assert self._readers is not None
            self._touched |= self._readers.invalidate(change)
        self._changes.clear()
        return self._touched


def _change(write: Write) -> RowChange:
    match write:
        case Insert():
            return RowChange(write.table, write.id, "insert", write.row)
        case Replace():
            return RowChange(write.table, write.id, "replace", write.row)
        case Update():
            return RowChange(write.table, write.id, "update", write.after)
        case Delete():
            return RowChange(write.table, write.id, "delete")


def _is_recorded(request: MutationRequest, run: Run, result: Result) -> bool:
    """Errors other than the application's own are not recorded: a repeat may do better."""
    is_final = run.error is None and not isinstance(result, Failure)
    return request.key is not None and (is_final or isinstance(run.error, ApplicationError))


def _record(request: MutationRequest, result: Result) -> RequestRecord:
    assert request.key is not None
    return RequestRecord(request.key, request.caller.name, request.body, to_record(result), request.keep_s)


def recorded(record: RequestRecord, request: MutationRequest) -> Answer:
    """What a repeat is told; RequestMismatch when the key was used for something else."""
    if record.caller != request.caller.name:
        return Answer(failure(RequestOfAnotherCaller("RequestOfAnotherCaller: this request id belongs to another caller")))
    if record.body != request.body:
        text = "RequestMismatch: this request key was used before, for another function or other arguments"
        return Answer(None, error=RequestMismatch(text))
    return Answer(from_record(record.outcome))


def without_run(member: Member, error: HubError) -> Done:
    """A request that cannot be run at all: there is no such function for its caller."""
    return Done(member, Answer(failure(error)), None, (), None, 0)
