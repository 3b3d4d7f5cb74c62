"""What holds for a session whatever the order of messages, commits, answers, cuts and logins; the model client is the judge."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.protocol.codec import read_message
from hub.protocol.formats import STOCK
from hub.protocol.json_values import encode
from hub.protocol.messages import (
    AddQuery,
    CatchUp,
    Close,
    Effect,
    Failure,
    HoldForRepeats,
    QueryId,
    RequestId,
    Result,
    RunMutation,
    Send,
    Success,
    Unwatch,
    Verify,
    Watch,
)
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session
from hub.protocol.steps import Steps
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp
from tests.protocol.model_client import ModelClient

cells = st.sampled_from(["a", "b"])
paths = st.sampled_from(["shared:a", "shared:b", "mine:a", "odd:b", "shop:a"])
ROUNDS_TO_SETTLE = 5


def state_of(session: Session) -> dict[str, object]:
    return {name: getattr(session, name) for name in Session.__slots__}


class SessionLaws(RuleBasedStateMachine):
    """A database of two counters, one client, and a hub that decides everything with `Session` and `Outbox`."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[tuple[Timestamp, str]] = []
        self.head = Timestamp(1)
        self.records: set[tuple[str, RequestId]] = set()
        self.client = ModelClient(self.truth)
        self.running: list[tuple[Session, RunMutation]] = []
        self.accept()

    def accept(self) -> None:
        self.session = Session(max_queries=100, max_mutations=100)
        self.outbox = Outbox(STOCK, budget_bytes=10_000, patience_s=1, ping_after_s=15, now=0)
        self.caller, self.verifying = "", ""
        self.watched: dict[QueryId, tuple[AddQuery, str]] = {}  # and the caller it is evaluated for
        self.client.connect()

    def truth(self, path: str, caller: str, ts: Timestamp) -> Any:
        """A query's value, or the text of its error."""
        module, cell = path.split(":")
        count = sum(1 for at, changed in self.commits if at <= ts and changed == cell)
        match module:
            case "shared":
                return count
            case "mine":
                return f"{count} as {caller}"
            case "odd":
                return f"{count} is odd" if count % 2 else count
            case _:
                return f"Components are not available in this hub: {path} of shop."

    def result(self, query_id: QueryId, ts: Timestamp) -> Result:
        query, caller = self.watched[query_id]
        value = self.truth(query.path, caller, ts)
        return Failure(value, "FunctionCrashed") if str(value).endswith("is odd") else Success(encode(value))

    # --- the application --------------------------------------------------------------------------------------------

    @rule(path=paths)
    def subscribe(self, path: str) -> None:
        self.client.subscribe(path)

    @precondition(lambda self: self.client.queries)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        self.client.unsubscribe(data.draw(st.sampled_from(sorted(self.client.queries))))

    @rule(token=st.sampled_from(["alice", "alice", "bob", "bad"]))
    def log_in(self, token: str) -> None:
        self.client.authenticate(token)

    @rule(cell=cells)
    def mutate(self, cell: str) -> None:
        self.client.mutate(cell)

    # --- the network ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.client.to_server and not self.session.is_verifying)
    @rule(count=st.integers(1, 8))
    def frames_reach_the_hub(self, count: int) -> None:
        for _ in range(min(count, len(self.client.to_server))):
            if not self.session.is_verifying:
                self.perform(self.session.receive(read_message(self.client.to_server.pop(0))))

    @precondition(lambda self: self.outbox.next() is not None)
    @rule(count=st.integers(1, 4))
    def frames_reach_the_client(self, count: int) -> None:
        for _ in range(count):
            frame = self.outbox.next()
            if frame is not None:
                self.outbox.written(now=0)
                self.client.receive(frame.payload.decode())

    @precondition(lambda self: self.client.seen.query_set > 0)
    @rule()
    def the_socket_is_cut_and_the_client_comes_back(self) -> None:
        self.session.gone()
        self.client.cut()
        self.accept()

    # --- the hub ----------------------------------------------------------------------------------------------------

    @rule(cell=cells, step=st.integers(1, 3))
    def somebody_else_commits(self, cell: str, step: int) -> None:
        self.head = Timestamp(self.head + step)
        self.commits.append((self.head, cell))

    @precondition(lambda self: self.session.is_verifying)
    @rule()
    def the_token_is_verified(self) -> None:
        if self.verifying == "bad":
            self.perform(self.session.rejected("no such token"))
        else:
            is_other, self.caller = self.verifying != self.caller, self.verifying
            self.perform(self.session.authenticated(is_other_caller=is_other))

    @precondition(lambda self: self.caller)
    @rule()
    def the_token_expires(self) -> None:
        self.perform(self.session.expired("it is late"))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.sampled_from([False, False, True]))
    def a_mutation_is_done(self, data: st.DataObject, fails: bool) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        self.finish(*self.running.pop(place), fails=fails)

    def finish(self, session: Session, run: RunMutation, *, fails: bool) -> None:
        key = (run.session_id, run.call.request_id)
        if key in self.records:
            # A first run that a repeat on the next socket has overtaken finds the record when it commits its own.
            assert run.may_repeat or session.is_closed, "it would run twice"
        elif fails:
            self.answer(session, run, Failure("no", "FunctionCrashed"), None)
            return
        else:
            self.records.add(key)
            self.somebody_else_commits(str(run.call.args["cell"]), 1)
        self.answer(session, run, Success("null"), self.head)

    def answer(self, session: Session, run: RunMutation, result: Result, ts: Timestamp | None) -> None:
        effects = session.answered(run.call.request_id, result, ts)
        if session is self.session:
            self.perform(effects)
        else:
            assert effects == [], "the socket is gone"

    @precondition(lambda self: self.outbox.can_advance and self.session.least_ts <= self.head)
    @rule(behind=st.integers(0, 3))
    def the_session_advances(self, behind: int) -> None:
        self.advance(Timestamp(max(self.head - behind, self.session.least_ts)))

    @precondition(lambda self: self.outbox.can_advance and self.session.least_ts <= self.head)
    @rule()
    def the_session_takes_the_short_way(self) -> None:
        """It is the way that `advance` would have gone."""
        results = {query_id: self.result(query_id, self.head) for query_id in self.session.wanted}
        changed = [query_id for query_id in results if results[query_id] != self.session.shown.get(query_id)]
        if len(changed) != 1 or not isinstance(result := results[changed[0]], Success):
            return
        advanced = copy.deepcopy(self.session)
        way = self.session.step(changed[0], Steps(result, self.head, Volley()), STOCK)
        if way is not None:
            frame = way.frame(changed[0])
            transition = advanced.advance(self.head, results)
            assert transition is not None
            assert STOCK.write(transition).payload == frame.payload
            assert state_of(advanced) == state_of(self.session)
            self.outbox.put_frame(frame, now=0, is_transition=True)
        else:
            assert self.session.owes_transition or not isinstance(advanced.shown.get(changed[0]), Success)

    def advance(self, ts: Timestamp) -> None:
        results = {query_id: self.result(query_id, ts) for query_id in self.session.wanted}
        owes = self.session.owes_transition
        transition = self.session.advance(ts, results)
        assert not self.session.owes_transition
        if transition is None:
            assert not owes
        else:
            assert owes or transition.modifications
            self.outbox.put(transition, now=0)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    self.outbox.put(message, now=0)
                case Watch(query):
                    assert query.query_id not in self.watched
                    self.watched[query.query_id] = query, self.caller
                case Unwatch(query_id):
                    del self.watched[query_id]
                case RunMutation():
                    self.running.append((self.session, effect))
                case Verify(message):
                    self.verifying = message.value
                case CatchUp(ts):
                    assert ts <= self.head
                case HoldForRepeats():
                    assert self.client.connections > 1
                case Close() as close:
                    self.close(close)

    def close(self, close: Close) -> None:
        assert close == Close(), "a well-behaved client is closed for its token only"
        self.frames_reach_the_client(len(self.outbox))
        self.the_socket_is_cut_and_the_client_comes_back()

    # --- the laws ---------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_watched_is_what_is_wanted(self) -> None:
        assert {query_id: query for query_id, (query, _) in self.watched.items()} == self.session.wanted

    def when_everything_arrives_nobody_waits(self) -> None:
        for _ in range(ROUNDS_TO_SETTLE):  # a bad token means a new socket
            while self.client.to_server or self.session.is_verifying:
                if self.session.is_verifying:
                    self.the_token_is_verified()
                else:
                    self.frames_reach_the_hub(1)
            while self.running:
                self.finish(*self.running.pop(0), fails=False)
            self.frames_reach_the_client(len(self.outbox))
            self.advance(self.head)
            self.frames_reach_the_client(len(self.outbox))
        assert self.client.is_settled

    def teardown(self) -> None:
        self.when_everything_arrives_nobody_waits()


TestSessionLaws = SessionLaws.TestCase
TestSessionLaws.settings = settings(max_examples=200, stateful_step_count=60, deadline=None, phases=set(Phase) - {Phase.explain})
