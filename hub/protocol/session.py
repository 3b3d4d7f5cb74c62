"""Session: one client's protocol state, from the opening of its socket to its end.

The WebSocket shell hands it messages and performs the effects it gets back; the live engine asks `wanted` and `least_ts` and
offers results to `advance`. No clock, no task, no logging: everything it does is a function of the calls made.

Invariants: the transitions chain (each starts at the version where the last one ended, the first at zero); their timestamps
never go back, and are never below an answer that was sent before; every query of the set gets a result in the transition that
first reflects it; nothing comes after a Close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, assert_never

from hub.errors import BadRequest
from hub.protocol.content import Content
from hub.protocol.messages import (
    AddQuery,
    Authenticate,
    AuthError,
    Call,
    CallResponse,
    CatchUp,
    ClientMessage,
    Close,
    Connect,
    Effect,
    Event,
    Failure,
    FatalError,
    HoldForRepeats,
    ModifyQuerySet,
    QueryChanged,
    QueryId,
    QueryRemoved,
    RemoveQuery,
    RequestId,
    Result,
    Resumed,
    RunMutation,
    Send,
    Success,
    Transition,
    Unwatch,
    Verify,
    Version,
    Watch,
)
from hub.protocol.steps import StepFormat, Steps, Way
from hub.timestamps import ZERO, Timestamp

Recall: TypeAlias = Callable[[AddQuery, Success], Resumed | None]
_REASON_BYTES = 123


def closing(code: int, name: str, detail: str) -> Close:
    """A Close whose reason begins with a name that clients choose their back-off by, and fits in the frame."""
    return Close(code, f"{name}: {detail}".encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore"))


class Session:
    """`max_queries` bounds the query set, `max_mutations` the mutations that are received and not yet answered.

    `is_closed`: a Close was given out, or the shell said that the socket is gone; every method does nothing from here on.
    `least_ts`: the next transition's timestamp must not be below it. `owes_transition`: the client waits for one even if no result
    changes, because it changed its query set or identity, or heard an answer. `shown`: the results that it was told. They are for
    others to read, at each delivery.
    """

    __slots__ = (
        "_connect",
        "_has_received",
        "_identity",
        "_is_verifying",
        "_latest_request",
        "_max_mutations",
        "_max_queries",
        "_queries",
        "_query_set",
        "_refused",
        "_removed",
        "_sent",
        "_unanswered",
        "_values_before_failure",
        "is_closed",
        "least_ts",
        "owes_transition",
        "shown",
    )

    def __init__(self, *, max_queries: int, max_mutations: int) -> None:
        self._max_queries = max_queries
        self._max_mutations = max_mutations
        self._connect: Connect | None = None
        self._has_received = False
        self._is_verifying = False
        self.is_closed = False
        # What was received, and what the client was last brought to: a transition leads from the second to the first.
        self._query_set = 0
        self._identity = 0
        self._sent = Version()
        self.owes_transition = False
        self.least_ts = ZERO
        # The query set: what the engine evaluates, and what the session itself answers with an error.
        self._queries: dict[QueryId, AddQuery] = {}
        self._refused: dict[QueryId, Failure] = {}
        self.shown: dict[QueryId, Result] = {}
        self._values_before_failure: dict[QueryId, Success] = {}
        self._removed: dict[QueryId, None] = {}
        self._unanswered = 0
        self._latest_request = -1

    def __repr__(self) -> str:
        name = self._connect.session_id if self._connect is not None else "without Connect"
        state = "closed" if self.is_closed else "owes a transition" if self.owes_transition else "idle"
        return f"<Session {name}, {len(self._queries)} queries, {state}>"

    @property
    def is_verifying(self) -> bool:
        """A Verify is not yet decided: the next message has to wait."""
        return self._is_verifying

    @property
    def wanted(self) -> Mapping[QueryId, AddQuery]:
        """The queries that `advance` needs a result for."""
        return self._queries

    def held(self, query_id: QueryId) -> Content | None:
        """The value that the client was sent last, as who it is now."""
        if self._identity != self._sent.identity:
            return None
        shown = self.shown.get(query_id)
        base = shown if isinstance(shown, Success) else self._values_before_failure.get(query_id)
        return None if base is None else base.content

    # --- from the socket ---------------------------------------------------------------------------------------------

    def receive(self, message: ClientMessage) -> list[Effect]:
        """Decide what follows from a message. Not to be called while a Verify waits for its outcome."""
        if self.is_closed or isinstance(message, Event):
            return []
        assert not self._is_verifying, "messages wait while a token is verified"
        is_first, self._has_received = not self._has_received, True
        match message:
            case Connect():
                return self._receive_connect(message) if is_first else self._restart("Connect must come first, and once")
            case ModifyQuerySet():
                return self._modify(message)
            case Call():
                return self._receive_call(message)
            case Authenticate():
                return self._authenticate(message)
            case _:
                assert_never(message)

    def malformed(self, error: BadRequest) -> list[Effect]:
        """The frame could not be read: the client is broken, and would send the same again after a mere close."""
        return self._end(Send(FatalError(error.message)), Close(1002, error.code))

    def gone(self) -> None:
        """The socket is closed; whatever is still on its way to this session is dropped."""
        self.is_closed = True
        self.owes_transition = False

    def _receive_connect(self, message: Connect) -> list[Effect]:
        self._connect = message
        effects: list[Effect] = []
        if message.max_observed_timestamp is not None:
            self.least_ts = max(self.least_ts, message.max_observed_timestamp)
            effects.append(CatchUp(message.max_observed_timestamp))
        if message.connection_count > 0:
            effects.append(HoldForRepeats())
        return effects

    def _modify(self, message: ModifyQuerySet) -> list[Effect]:
        if message.base_version != self._query_set or message.new_version <= message.base_version:
            return self._restart("the query set version does not follow the last one")
        effects: list[Effect] = []
        for item in message.modifications:
            is_known = item.query_id in self._queries or item.query_id in self._refused
            match item:
                case AddQuery() if not is_known:
                    effects += self._add(item)
                case RemoveQuery() if is_known:
                    effects += self._remove(item.query_id)
                case _:
                    return self._restart(f"query {item.query_id} is added twice, or removed and not there")
        if len(self._queries) + len(self._refused) > self._max_queries:
            return self._overloaded(f"more than {self._max_queries} queries in one session")
        self._query_set = message.new_version
        self.owes_transition = True
        return effects

    def _add(self, query: AddQuery) -> list[Effect]:
        refusal = _refusal(query)
        if refusal is not None:
            self._refused[query.query_id] = refusal
            return []
        self._queries[query.query_id] = query
        return [Watch(query)]

    def _remove(self, query_id: QueryId) -> list[Effect]:
        # Reported also where no result was sent: a reconnected client resets its back-off by it.
        self._removed[query_id] = None
        self.shown.pop(query_id, None)
        self._values_before_failure.pop(query_id, None)
        if self._refused.pop(query_id, None) is not None:
            return []
        del self._queries[query_id]
        return [Unwatch(query_id)]

    def _receive_call(self, call: Call) -> list[Effect]:
        refusal = _refusal(call)
        if refusal is not None:
            return self._answer(CallResponse(call.kind, call.request_id, refusal))
        if call.kind == "action":
            return self._answer(CallResponse("action", call.request_id, _NO_ACTIONS))
        if self._connect is None:
            # It could not be recognised if it came again, and would run twice; after a close the client sends Connect.
            return self._restart("a mutation needs Connect first")
        if self._unanswered >= self._max_mutations:
            return self._overloaded(f"more than {self._max_mutations} mutations wait in one session")
        may_repeat = self._connect.connection_count > 0 or call.request_id <= self._latest_request
        self._latest_request = max(self._latest_request, call.request_id)
        self._unanswered += 1
        return [RunMutation(call, self._connect.session_id, may_repeat)]

    def _authenticate(self, message: Authenticate) -> list[Effect]:
        if message.base_version != self._identity:
            return self._restart("the identity version does not follow the last one")
        self._is_verifying = True
        return [Verify(message)]

    # --- from the engine ---------------------------------------------------------------------------------------------

    def authenticated(self, *, is_other_caller: bool = True) -> list[Effect]:
        """The token of the last Verify is good. A renewed token of the same caller leaves the queries where they are."""
        if self.is_closed:
            return []
        assert self._is_verifying, "there is no Verify to decide"
        self._is_verifying = False
        self._identity += 1
        self.owes_transition = True
        if not is_other_caller:
            return []
        return [effect for query_id in list(self._queries) for effect in self._watch_again(query_id)]

    def _watch_again(self, query_id: QueryId) -> list[Effect]:
        """A page keeps its end under the new identity: the client holds the pages that begin there."""
        query, shown = self._queries[query_id], self.shown.get(query_id)
        if shown is not None and shown.journal is not None:
            query = self._queries[query_id] = replace(query, journal=shown.journal)
        return [Unwatch(query_id), Watch(query)]

    def rejected(self, error: str) -> list[Effect]:
        """The token of the last Verify is bad: the client fetches another and comes back."""
        self._is_verifying = False
        return self._end(Send(AuthError(error, self._identity, update_attempted=True)), Close())

    def expired(self, error: str) -> list[Effect]:
        """The accepted token ran out. Not said while another one is being verified: that one decides."""
        if self._is_verifying:
            return []
        return self._end(Send(AuthError(error, self._identity, update_attempted=False)), Close())

    def answered(self, request_id: RequestId, result: Result, ts: Timestamp | None) -> list[Effect]:
        """A mutation's outcome; `ts` is the commit's (or a later) timestamp, and None exactly for a failure."""
        if self.is_closed:
            return []
        assert (ts is not None) == isinstance(result, Success), "a success has a timestamp, a failure has none"
        assert self._unanswered > 0, "nothing waits for an answer"
        self._unanswered -= 1
        if ts is not None:
            self.least_ts = max(self.least_ts, ts)
        return self._answer(CallResponse("mutation", request_id, result, ts))

    def _answer(self, response: CallResponse) -> list[Effect]:
        """Clients settle a promise with the first transition after its answer, so each answer owes one."""
        self.owes_transition = True
        return [Send(response)]

    def advance(self, ts: Timestamp, results: Mapping[QueryId, Result], recall: Recall | None = None) -> Transition | None:
        """The transition to `ts`, or None if nobody needs one. `results` holds what is true at `ts` for every wanted query;
        `recall` finds a value that the client says it still holds, for the first result of a query on this socket.

        A result is sent if it is the query's first on this socket, or differs from the last one in value, error or log
        lines. A journal that alone changed is not sent: it describes the value that the client already has.
        """
        if self.is_closed:
            return None
        assert ts >= self.least_ts, "a session's timestamp never goes back"
        changes: list[QueryChanged] = []
        for query_id in self._queries:
            result, shown = results[query_id], self.shown.get(query_id)
            if result is shown:
                continue
            if isinstance(result, Success) and isinstance(shown, Success) and result.value != shown.value:  # the usual change
                changes.append(QueryChanged(query_id, result, shown, result.journal != shown.journal))
                self.shown[query_id] = result
            else:
                self._show(query_id, result, changes, recall)
        for query_id, refusal in self._refused.items():
            self._show(query_id, refusal, changes, None)
        if not changes and not self.owes_transition:
            return None
        start, self._sent = self._sent, Version(self._query_set, self._identity, ts)
        self.least_ts, self.owes_transition = ts, False
        return Transition(start, self._sent, (*self._take_removed(), *changes) if self._removed else tuple(changes))

    def step(self, query_id: QueryId, steps: Steps, wire_format: StepFormat) -> Way | None:
        """`advance` for where one query has another value, all others are as `shown` (which is the caller's to see), and nothing
        is owed; None, with nothing done, where it is not as simple as that."""
        shown = self.shown.get(query_id)
        if self.owes_transition or self.is_closed or steps.ts < self.least_ts or not isinstance(shown, Success):
            return None
        way = steps.way(shown, wire_format, self._sent)
        if way is None:
            return None
        self._sent = way.end
        self.least_ts = steps.ts
        self.shown[query_id] = steps.result
        return way

    def _take_removed(self) -> list[QueryRemoved]:
        removed = [QueryRemoved(query_id) for query_id in self._removed if query_id not in self.shown]
        self._removed.clear()
        return removed

    def _show(self, query_id: QueryId, result: Result, changes: list[QueryChanged], recall: Recall | None) -> None:
        shown = self.shown.get(query_id)
        if isinstance(result, Failure) and query_id in self._queries:
            result = self._with_journal(query_id, result)
        if not _is_same(shown, result):
            changes.append(self._change(query_id, shown, result, recall))
        elif shown is not None and shown.journal != result.journal:
            return  # what is shown is what the client was told, its journal too
        self.shown[query_id] = result  # the same for all sessions, also when equal: the old one can be freed

    def _change(self, query_id: QueryId, shown: Result | None, result: Result, recall: Recall | None) -> QueryChanged:
        if shown is None:
            query = self._queries.get(query_id)
            if query is None or not query.held or recall is None or isinstance(result, Failure):
                return QueryChanged(query_id, result)
            return QueryChanged(query_id, result, resumed=recall(query, result))
        base = self._base(query_id, shown, result)
        return QueryChanged(query_id, result, base, tells_journal=shown.journal != result.journal)

    def _base(self, query_id: QueryId, shown: Result, result: Result) -> Success | None:
        """The value that the client holds; kept while errors are shown in its place."""
        base = shown if isinstance(shown, Success) else self._values_before_failure.pop(query_id, None)
        if base is not None and isinstance(result, Failure):
            self._values_before_failure[query_id] = base
        return base

    def _with_journal(self, query_id: QueryId, result: Failure) -> Failure:
        """A page that fails for a while keeps its end: told "no journal", the client would have it cut anew later."""
        if result.journal is not None:
            return result
        shown = self.shown.get(query_id)
        journal = shown.journal if shown is not None else self._queries[query_id].journal
        return result if journal is None else replace(result, journal=journal)

    # --- endings -----------------------------------------------------------------------------------------------------

    def _restart(self, detail: str) -> list[Effect]:
        """The two sides disagree on versions or ids: after a reconnect both begin at zero, and nothing is lost."""
        return self._end(closing(1011, "InternalServerError", detail))

    def _overloaded(self, detail: str) -> list[Effect]:
        return self._end(closing(1013, "TooManyConcurrentRequests", detail))

    def _end(self, *effects: Effect) -> list[Effect]:
        if self.is_closed:
            return []
        self.gone()
        return list(effects)


_NO_ACTIONS = Failure("Actions are not available in this hub: call a mutation or a query.", "FunctionNotFound")


def _refusal(asked: AddQuery | Call) -> Failure | None:
    """What is answered without asking the engine: arguments that cannot be read, functions of another component."""
    if asked.problem is not None:
        return Failure(f"BadRequest: {asked.path}: {asked.problem}", BadRequest.code)
    if asked.component is not None:
        return Failure(f"Components are not available in this hub: {asked.path} of {asked.component}.", "FunctionNotFound")
    return None


def _is_same(shown: Result | None, result: Result) -> bool:
    if shown is result:
        return True
    if isinstance(shown, Success) and isinstance(result, Success):
        return shown.value == result.value and shown.log_lines == result.log_lines
    if isinstance(shown, Failure) and isinstance(result, Failure):
        return (shown.message, shown.data, shown.log_lines) == (result.message, result.data, result.log_lines)
    return False
