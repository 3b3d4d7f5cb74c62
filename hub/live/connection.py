"""Connection: one client's session among the live queries; it performs what `Session` decides.

Owned by the socket's shell (`hub.server.shell`), which feeds it messages and writes what waits in its outbox. Everything here is
synchronous: an answer or a transition has gone to the outbox when the call returns, so their order there is the order of truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import assert_never

from hub.errors import BadRequest, HubError, OutcomeUnknown, TooManyConcurrentRequests
from hub.functions.identity import Caller
from hub.live.engine import Engine, body_hash
from hub.live.moment import is_only_change, newest_common_moment
from hub.live.mutations import Answer, MutationRequest
from hub.live.query import LiveQuery, Subscription
from hub.live.recents import Allowance, found
from hub.live.results import failure
from hub.protocol.messages import (
    AddQuery,
    CatchUp,
    ClientMessage,
    Close,
    Effect,
    HoldForRepeats,
    ModifyQuerySet,
    Ping,
    QueryId,
    RequestId,
    Result,
    Resumed,
    RunMutation,
    Send,
    ServerMessage,
    Success,
    Unwatch,
    Verify,
    Watch,
)
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session, closing
from hub.protocol.steps import Steps, Way
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

_QUIET_S = 0.02
"""Its frames come in one go after Connect: when none came for this long, there are no more."""


class Connection:
    """`close` is set when the socket is to be closed, after what is in the outbox; then `on_close` is called, and again when the
    outbox has become empty. `has_room` is set when the reader may go on that found it `is_full`.

    The session is moved on (`refresh`) when something it shows changes, when it owes its client a transition and the head has
    come far enough, and when its outbox has room again; never while something holds its first transition back.
    """

    __slots__ = (
        "_allowance",
        "_catching_up",
        "_engine",
        "_has_query_set",
        "_is_held",
        "_least_ts",
        "_on_close",
        "_session",
        "_subscriptions",
        "_timers",
        "_unanswered",
        "caller",
        "close",
        "has_room",
        "outbox",
    )

    def __init__(self, engine: Engine, session: Session, outbox: Outbox, caller: Caller, *, on_close: Callable[[], None]) -> None:
        self.outbox = outbox
        self.caller = caller
        self.close: Close | None = None
        self.has_room = asyncio.Event()
        self._on_close = on_close
        self._engine = engine
        self._session = session
        self._subscriptions: dict[QueryId, Subscription] = {}
        self._is_held = False
        self._least_ts = ZERO
        self._unanswered = 0
        self._has_query_set = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._catching_up: asyncio.Task[None] | None = None
        self._allowance: Allowance | None = None

    # --- from the socket ---------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """The next message has to wait in the socket: the client does not read, or has as many mutations waiting as it may."""
        return self.outbox.is_full or self._unanswered >= self._engine.settings.session_mutations_max

    @property
    def is_over(self) -> bool:
        """Nothing is received any more: it is to be closed, or closed."""
        return self._session.is_closed

    def receive(self, message: ClientMessage) -> Verify | None:
        """Handle one message. A Verify is for the shell: no other message may be received until it is decided."""
        self._engine.metrics.messages_received.count(type(message).__name__)
        effects = self._session.receive(message)
        verify = self._perform(effects)
        self._has_query_set = self._has_query_set or isinstance(message, ModifyQuerySet)
        self._wait_for_quiet()
        if not (len(effects) == 1 and isinstance(effects[0], RunMutation)):  # a mutation shows nothing before it is answered
            self.refresh()
        return verify

    def malformed(self, error: BadRequest) -> None:
        self._perform(self._session.malformed(error))

    def authenticated(self, caller: Caller) -> None:
        """The last Verify's token is good."""
        is_other = caller.sharing_key != self.caller.sharing_key
        self.caller = caller
        self._perform(self._session.authenticated(is_other_caller=is_other))
        self.refresh()

    def rejected(self, error: str) -> None:
        self._perform(self._session.rejected(error))

    def expired(self, error: str) -> None:
        self._perform(self._session.expired(error))

    def end(self, close: Close) -> None:
        """The hub itself ends the session, after what is in the outbox."""
        if self.close is None:
            self._session.gone()
            self._perform([close])

    def gone(self) -> None:
        """The socket is closed: nothing is watched for it any more. Its queued mutations still run; it may ask again."""
        self._session.gone()
        self._engine.forget(self)
        for query_id, subscription in self._subscriptions.items():
            self._keep_for_return(query_id, subscription)
            self._engine.live.unwatch(subscription)
        self._subscriptions.clear()
        for timer in self._timers.values():
            timer.cancel()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def beat(self, now: float) -> None:
        """Called every now and then: is it silent for too long, or does its client not read?"""
        if self.close is not None:
            return
        too_slow = None if self.outbox.is_at_ease else self.outbox.overflow(now)
        if too_slow is not None:
            log.warning("session closed, the client does not read", extra={"bytes": self.outbox.size_bytes})
            self.outbox.clear()
            self.end(too_slow)
        elif now >= self.outbox.ping_at:
            self._put(Ping())

    # --- from the transport ------------------------------------------------------------------------------------

    def written(self) -> None:
        """The oldest frame of the outbox has left."""
        self.outbox.written(self._engine.clock.monotonic())
        self._took_some()

    def paused(self) -> None:
        """The transport has not got rid of all it took."""
        self.outbox.paused(self._engine.clock.monotonic())

    def resumed(self) -> None:
        """The transport takes frames again."""
        self.outbox.resumed(self._engine.clock.monotonic())
        self._took_some()
        if self.close is not None:
            self._on_close()

    def lost(self) -> None:
        """The socket is gone, whatever was to be done with it."""
        self._session.gone()
        self.has_room.set()

    def _took_some(self) -> None:
        self.has_room.set()
        self.refresh()

    # --- effects -----------------------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> Verify | None:
        verify: Verify | None = None
        for effect in effects:
            match effect:
                case Send(message):
                    self._put(message)
                case Watch(query):
                    self._watch(query)
                case Unwatch(query_id):
                    self._engine.live.unwatch(self._subscriptions.pop(query_id))
                case RunMutation():
                    self._submit(effect)
                case CatchUp(ts):
                    self._catching_up = asyncio.create_task(self._catch_up(ts), name="catch up")
                case HoldForRepeats():
                    self._is_held = True
                    self._timer("repeats", self._engine.settings.repeat_hold_s, self._release)
                case Verify():
                    verify = effect
                case Close():
                    self.close = self.close or effect
                    self.has_room.set()
                    self._on_close()
                case _:
                    assert_never(effect)
        return verify

    def _put(self, message: ServerMessage) -> None:
        """What serves all sessions puts answers and pings here, so an error ends this one and goes no further."""
        engine = self._engine
        try:
            engine.metrics.sent_bytes.value += self.outbox.put(message, engine.clock.monotonic())
        except Exception:
            self.could_not_be_written_to()

    def _watch(self, query: AddQuery) -> None:
        subscription = Subscription(self, query.query_id, self.caller, query.path, query.args, query.journal)
        self._subscriptions[query.query_id] = subscription
        self._least_ts = self._engine.position  # what this hub acknowledged before the client asked is seen by it
        self._engine.live.watch(subscription)

    def _submit(self, effect: RunMutation) -> None:
        call = effect.call
        self._unanswered += 1
        now = self._engine.clock.monotonic()
        request = MutationRequest(
            path=call.path,
            args=call.args,
            caller=self.caller,
            source=effect.session_id,
            arrived=now,
            deadline=now + self._engine.settings.mutation_deadline_s,
            reply=partial(self._answered, call.request_id),
            key=f"ws:{effect.session_id}:{call.request_id}",
            body=body_hash(call.body_key),
            may_repeat=effect.may_repeat,
            keep_s=self._engine.settings.session_record_keep_s,
        )
        try:
            self._engine.submit(request)
        except TooManyConcurrentRequests as error:
            self.end(closing(1013, error.code, "the hub's queue of mutations is full"))

    def _answered(self, request_id: RequestId, answer: Answer) -> None:
        self._unanswered -= 1
        self.has_room.set()
        if isinstance(answer.error, OutcomeUnknown):
            # The client comes back with the same request id; by then the record tells.
            self.end(closing(1011, "InternalServerError", "the outcome of a mutation is not known yet"))
            return
        result: Result = failure(answer.error or HubError("no result")) if answer.result is None else answer.result
        if not isinstance(result, Success):
            self._engine.metrics.errors.labels(result.code).inc()
        ts = answer.ts if isinstance(result, Success) else None
        self._perform(self._session.answered(request_id, result, ts))
        self._wait_for_quiet()
        self.refresh()

    # --- moving on ---------------------------------------------------------------------------------------------

    def step(self, subscription: Subscription, steps: Steps, now: float) -> bool:
        """Its query has another value: the short way there if that is all, the long one otherwise."""
        session, outbox, query_id = self._session, self.outbox, subscription.query_id
        try:
            is_simple = not self._is_held and outbox.is_at_ease
            if is_simple and is_only_change(steps.ts, subscription, steps.result, self._subscriptions, session.shown):
                way = session.step(query_id, steps, outbox.wire_format)
                if way is not None:
                    return self._deliver(way, query_id, steps, now)
        except Exception:
            self._failed("a session could not be moved on")
        self.refresh()
        return False

    def _deliver(self, way: Way, query_id: QueryId, steps: Steps, now: float) -> bool:
        """See `Subscriber.step`."""
        outbox = self.outbox
        steps.sent += 1
        if outbox.transport is None or not way.is_wide:
            frame = way.frame(query_id)
            steps.sent_bytes += frame.size_bytes
            outbox.put_frame(frame, now, is_transition=True)
            return False
        pieces, size_bytes = way.ready(query_id)
        steps.sent_bytes += size_bytes
        outbox.passed_by(now)
        return steps.volley.add(outbox.transport, pieces, size_bytes, self)

    def refresh(self) -> None:
        """Put the transition to the newest moment that all its queries have in common into the outbox, if one is due.

        Called by what serves all sessions, so an error ends this one and goes no further.
        """
        session, engine = self._session, self._engine
        if self._is_held or session.is_closed or not self.outbox.can_advance:
            return
        try:
            head = engine.head
            if self._least_ts > head or session.least_ts > head:
                engine.refresh_at_next_head(self)
                return
            ts, results = newest_common_moment(head, self._subscriptions)
            if ts < self._least_ts or ts < session.least_ts:
                return  # a query is being evaluated; when it is done, this is called again
            transition = session.advance(ts, results, self._recall)
            if transition is not None:
                engine.metrics.transitions.value += 1
                self._put(transition)
        except Exception:
            self._failed("a session could not be moved on")

    def could_not_be_written_to(self) -> None:
        self._failed("a session could not be written to")

    def _failed(self, what: str) -> None:
        """To be called where the error was caught."""
        log.exception(what)
        self.end(closing(1011, "InternalServerError", "the hub failed"))

    def shown(self) -> list[LiveQuery]:
        return [subscription.live for subscription in self._subscriptions.values() if subscription.live is not None]

    # --- coming back -------------------------------------------------------------------------------------------

    def _keep_for_return(self, query_id: QueryId, subscription: Subscription) -> None:
        held, live = self._session.held(query_id), subscription.live
        if held is not None and live is not None and self.outbox.wire_format.resumes:
            self._engine.recents.keep(live.key, [*live.replaced, held])

    def _recall(self, query: AddQuery, result: Success) -> Resumed | None:
        """Only what this query showed under this identity: nobody learns what another one saw."""
        live = self._subscriptions[query.query_id].live
        if live is None or result.content is None or not self.outbox.wire_format.resumes:
            return None
        self._allowance = self._allowance or Allowance()
        return found(query.held, result.content, [*live.replaced, *self._engine.recents.of(live.key)], self._allowance)

    # --- waiting -----------------------------------------------------------------------------------------------

    async def _catch_up(self, ts: Timestamp) -> None:
        """The session itself waits for the timestamp; this ends it if the hub does not get there."""
        try:
            await self._engine.catch_up(ts)
        except HubError as error:
            self.end(closing(1011, "InternalServerError", error.message))
        except Exception:
            log.exception("a session could not catch up")
            self.end(closing(1011, "InternalServerError", "the hub failed"))

    def _wait_for_quiet(self) -> None:
        if self._is_held and self._has_query_set and not self._unanswered:
            self._timer("quiet", _QUIET_S, self._is_quiet)

    def _is_quiet(self) -> None:
        if not self._unanswered:
            self._release()

    def _release(self) -> None:
        self._is_held = False
        self.refresh()

    def _timer(self, name: str, after_s: float, action: Callable[[], None]) -> None:
        """Start it, in place of the one of that name that may be running."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(after_s, action)
