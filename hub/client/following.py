"""One subscription's side of the sync protocol: what to send on a new socket, what a frame means, how long to wait for the next.

Pure: the subscriptions of both clients feed it and perform what it says. It keeps over sockets what a client must: the session's
id, the greatest timestamp seen, the journal, the last state shown. Each socket starts at version zero, and every transition must
start where the last one ended; a chain that breaks means another socket, never a guess.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub import timestamps
from hub.client.attempts import backoff_s
from hub.client.calls import read_error
from hub.client.credentials import Login
from hub.client.options import Timeouts
from hub.errors import BadRequest, HubError, Unauthorized, Unavailable
from hub.protocol import json_values
from hub.protocol.messages import Version
from hub.timestamps import Timestamp

QUERY_ID: Final = 0
MAX_DELAY_S: Final = 16.0
MAX_REJECTIONS: Final = 2
"""Tokens in a row that the hub may refuse, before the caller hears of it."""
_LOST_DELAY_S: Final = 0.1
_CLOSED_DELAY_S: Final = 1.0
_OVERLOADED_DELAY_S: Final = 3.0
_OVERLOADED: Final = "TooManyConcurrentRequests"


class Broken(Exception):
    """The socket says what no hub says, or breaks off the chain of versions: another one is needed."""


class Rejected(Exception):
    """The hub refuses the login of this socket, and closes it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class State:
    """What the query shows now: a value, or the error it fails with until something changes."""

    value: Any = None
    error: HubError | None = None

    def unwrap(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class Following:
    """One query followed over as many sockets as it takes.

    `args` is encoded JSON. `min_ts` is what the caller has seen elsewhere: nothing older is shown.
    """

    def __init__(
        self, path: str, args: str, timeouts: Timeouts, min_ts: Timestamp, jitter: Callable[[], float] = random.random
    ) -> None:
        self._path, self._args, self._timeouts, self._jitter = path, args, timeouts, jitter
        self._session_id = str(uuid.uuid4())
        self._sockets = 0
        self._close_reason: str = "InitialConnect"
        self._version = Version()
        self._observed = min_ts
        self._journal: str | None = None
        self._last: str | None = None
        self._failures = 0
        self._rejections = 0
        self._ends: float | None = None

    @property
    def ts(self) -> Timestamp:
        """The moment at which the last state is true."""
        return self._observed

    # --- sockets -----------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The caller waits, and has seen nothing yet: from here on its patience is measured."""
        if self._ends is None:
            self._ends = now + self._timeouts.deadline_s

    def patience_s(self, now: float) -> float:
        """How long the socket may be silent."""
        if self._last is not None or self._ends is None:
            return self._timeouts.silence_s
        return max(0.001, min(self._timeouts.silence_s, self._ends - now))

    def opened(self, login: Login | None) -> list[str]:
        """Frames to send first on a new socket."""
        self._version = Version()
        connect: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self._session_id,
            "connectionCount": self._sockets,
            "lastCloseReason": self._close_reason,
        }
        if self._observed:
            connect["maxObservedTimestamp"] = timestamps.encode(self._observed)
        self._sockets += 1
        frames = [json.dumps(connect)]
        if login is not None:
            frames.append(json.dumps({"type": "Authenticate", "baseVersion": 0, "tokenType": login.kind, "value": login.secret}))
        return [*frames, self._add()]

    def _add(self) -> str:
        journal = "" if self._last is None else f',"journal":{json.dumps(self._journal)}'
        add = f'{{"type":"Add","queryId":{QUERY_ID},"udfPath":{json.dumps(self._path)},"args":[{self._args}]{journal}}}'
        return f'{{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{add}]}}'

    def lost(self, now: float, reason: str, *, was_closed: bool = False, cause: Exception | None = None) -> float:
        """The socket is gone, or could not be opened: how long to wait before the next one.

        Raises Unavailable if nothing was ever shown and the caller's patience is over; once something was shown there is no end.
        """
        self._close_reason = reason
        self._failures += 1
        first_s = _LOST_DELAY_S if not was_closed else _OVERLOADED_DELAY_S if reason.startswith(_OVERLOADED) else _CLOSED_DELAY_S
        delay_s = backoff_s(self._failures, self._jitter(), first_s, MAX_DELAY_S)
        if self._last is None and self._ends is not None and now + delay_s >= self._ends:
            raise Unavailable(f"the subscription got no first value in {self._timeouts.deadline_s:g} s ({reason})") from cause
        return delay_s

    def rejected(self, rejection: Rejected, *, can_renew: bool) -> None:
        """Raises Unauthorized unless a fresh token is worth a try."""
        self._close_reason = rejection.reason
        self._rejections += 1
        if not can_renew or self._rejections > MAX_REJECTIONS:
            raise Unauthorized(rejection.reason)

    # --- frames ------------------------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes) -> State | None:
        """The new state, if the frame brings one. Raises Broken, Rejected, or BadRequest from a hub that cannot read us."""
        try:
            message = json_values.parse(frame)
            match message["type"]:
                case "Transition":
                    return self._transition(message)
                case "AuthError":
                    raise Rejected(str(message["error"]))
                case "FatalError":
                    fatal = str(message["error"])
                case _:  # Ping, and what newer hubs may say
                    return None
        except (BadRequest, KeyError, TypeError, ValueError) as error:
            raise Broken(f"ProtocolFailure: {type(error).__name__}") from error
        raise BadRequest(f"the hub could not read what this client sent: {fatal}")

    def _transition(self, message: Mapping[str, Any]) -> State | None:
        if _version(message["startVersion"]) != self._version:
            raise Broken("ProtocolFailure: StartVersionMismatch")
        end = _version(message["endVersion"])
        if end.ts < self._observed:
            raise Broken("ProtocolFailure: the timestamp went back")
        change = next((item for item in message["modifications"] if item.get("queryId") == QUERY_ID), None)
        state = self._changed(change) if change is not None else None
        self._version, self._observed = end, end.ts
        return state

    def _changed(self, change: Mapping[str, Any]) -> State | None:
        """The new state; None if it is the one that was shown last, as it often is on a new socket."""
        if change["type"] == "QueryUpdated":
            state = State(json_values.decode(change["value"]))
        elif change["type"] == "QueryFailed":
            state = State(error=read_error(change))
        else:
            return None
        self._journal = change.get("journal")
        self._failures = self._rejections = 0
        # as text: to Python, True and 1 are equal
        shown = json.dumps(
            {name: change[name] for name in ("value", "errorMessage", "errorData") if name in change}, sort_keys=True
        )
        if shown == self._last:
            return None
        self._last = shown
        return state


def _version(tree: Mapping[str, Any]) -> Version:
    return Version(int(tree["querySet"]), int(tree["identity"]), timestamps.decode(tree["ts"]))
