"""ModelClient: the sync protocol as the `convex` JavaScript client understands it, and stricter.

It has no socket: tests hand it the hub's frames and take its own from `sent`. Whatever would wedge a real client, or break one of
the hub's promises to it, is an assertion here: the version chain, a timestamp that goes back, an answer that comes after the
transition that shows its commit, a query left without a result.
"""

from __future__ import annotations

import base64
import json
import struct
import uuid
from dataclasses import dataclass, field
from typing import Any

ZERO = {"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="}


def to_ts(text: str) -> int:
    number: int = struct.unpack("<Q", base64.b64decode(text))[0]
    return number


@dataclass
class Call:
    """A mutation: `result` or `error` once answered; `is_settled` once a transition has brought the client to its commit."""

    request_id: int
    path: str
    args: dict[str, Any]
    response: dict[str, Any] | None = None
    is_settled: bool = False
    times_sent: int = 0

    @property
    def result(self) -> Any:
        assert self.response is not None, f"{self.path} is not answered"
        assert self.response["success"], self.response
        return self.response["result"]

    @property
    def error_data(self) -> Any:
        assert self.response is not None, f"{self.path} is not answered"
        assert not self.response["success"], self.response
        return self.response.get("errorData")


@dataclass
class Watched:
    path: str
    args: dict[str, Any]
    value: Any = None
    error: str | None = None
    error_data: Any = None
    journal: str | None = None
    updates: int = 0

    @property
    def has_result(self) -> bool:
        return self.updates > 0


@dataclass
class ModelClient:
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent: list[str] = field(default_factory=list)
    queries: dict[int, Watched] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)
    version: dict[str, Any] = field(default_factory=lambda: dict(ZERO))
    max_observed: int = 0
    transitions: list[dict[str, Any]] = field(default_factory=list)
    auth_errors: list[dict[str, Any]] = field(default_factory=list)
    fatal: str | None = None
    connection_count: int = -1
    _query_set: int = 0
    _identity: int = 0
    _next_query: int = 0
    _next_request: int = 0
    _token: dict[str, Any] | None = None

    # --- what the application does -----------------------------------------------------------------------------

    def connect(self) -> None:
        """Open a (new) socket: send what the real client sends then, in its order."""
        self.connection_count += 1
        self.version = dict(ZERO)
        self._query_set = self._identity = 0
        connect: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self.session_id,
            "connectionCount": self.connection_count,
            "lastCloseReason": "InitialConnect" if not self.connection_count else "test",
            "clientTs": 0,
        }
        if self.max_observed:
            connect["maxObservedTimestamp"] = base64.b64encode(struct.pack("<Q", self.max_observed)).decode()
        self._send(connect)
        if self._token is not None:
            self._authenticate()
        again = [self._add(query_id, watched, again=True) for query_id, watched in self.queries.items()]
        self._modify(again)
        for watched in self.queries.values():
            watched.updates = 0
        for call in list(self.calls.values()):
            if not call.is_settled:
                self._send_call(call)

    def watch(self, path: str, **args: Any) -> int:
        query_id = self._next_query
        self._next_query += 1
        self.queries[query_id] = Watched(path, args)
        self._modify([self._add(query_id, self.queries[query_id])])
        return query_id

    def unwatch(self, query_id: int) -> None:
        del self.queries[query_id]
        self._modify([{"type": "Remove", "queryId": query_id}])

    def mutate(self, path: str, **args: Any) -> Call:
        call = self.calls[self._next_request] = Call(self._next_request, path, args)
        self._next_request += 1
        self._send_call(call)
        return call

    def authenticate(self, token: str | None, *, admin: bool = False) -> None:
        self._token = {"tokenType": "None"} if token is None else {"tokenType": "Admin" if admin else "User", "value": token}
        self._authenticate()

    def take(self) -> list[str]:
        taken, self.sent = self.sent, []
        return taken

    # --- what the hub sends ------------------------------------------------------------------------------------

    @property
    def subprotocol(self) -> str | None:
        """What it asks for; None for the stock protocol."""
        return None

    def packed(self, message: str) -> str | bytes:
        """What it sends, as it goes over the socket."""
        return message

    def receive_frame(self, payload: str | bytes) -> None:
        assert isinstance(payload, str)
        self.receive(payload)

    def receive(self, text: str) -> None:
        message = json.loads(text)
        match message["type"]:
            case "Transition":
                self._transition(message)
            case "MutationResponse":
                self._response(message)
            case "AuthError":
                self.auth_errors.append(message)
            case "FatalError":
                self.fatal = message["error"]
            case "Ping":
                pass
            case other:
                raise AssertionError(f"a client does not know {other}")

    @property
    def ts(self) -> int:
        return to_ts(self.version["ts"])

    @property
    def is_calm(self) -> bool:
        """Everything it asked for has come: each query has a result, each call is settled, no version is outstanding."""
        return (
            all(watched.has_result for watched in self.queries.values())
            and all(call.is_settled for call in self.calls.values())
            and self.version["querySet"] == self._query_set
            and self.version["identity"] == self._identity
        )

    def _transition(self, message: dict[str, Any]) -> None:
        start, end = message["startVersion"], message["endVersion"]
        assert start == self.version, f"the chain is broken: at {self.version}, got {start}"
        assert to_ts(end["ts"]) >= max(to_ts(start["ts"]), 0), "a session's timestamp went back"
        assert to_ts(end["ts"]) >= self.max_observed or self.max_observed == 0, "older than what this client has seen elsewhere"
        assert end["querySet"] <= self._query_set
        seen: set[int] = set()
        for item in message["modifications"]:
            assert item["queryId"] not in seen, "two modifications of one query"
            seen.add(item["queryId"])
            self._modification(item)
        self.version = end
        self.max_observed = max(self.max_observed, to_ts(end["ts"]))
        self.transitions.append(message)
        for call in self.calls.values():
            self._settle(call, to_ts(end["ts"]))

    def _settle(self, call: Call, ts: int) -> None:
        if call.response is None or call.is_settled:
            return
        if not call.response["success"] or to_ts(call.response["ts"]) <= ts:
            call.is_settled = True

    def _modification(self, item: dict[str, Any]) -> None:
        watched = self.queries.get(item["queryId"])
        if watched is None:
            return  # removed meanwhile
        match item["type"]:
            case "QueryUpdated":
                watched.value, watched.error, watched.error_data = item["value"], None, None
            case "QueryFailed":
                watched.value, watched.error, watched.error_data = None, item["errorMessage"], item.get("errorData")
            case "QueryRemoved":
                return
        assert isinstance(item["logLines"], list)
        watched.journal = item["journal"]
        watched.updates += 1

    def _response(self, message: dict[str, Any]) -> None:
        call = self.calls[message["requestId"]]
        is_other_caller = not message["success"] and "RequestOfAnotherCaller" in message["result"]  # after a change of user
        assert call.response is None or is_other_caller or call.response["success"] == message["success"], "two different answers"
        if message["success"]:
            assert to_ts(message["ts"]) > 0
            if call.response is None:
                # The answer to a repeat has the time at which its record was read: nothing of it can have been shown too early.
                assert to_ts(message["ts"]) > self.ts or call.times_sent > 1, "a transition showed the commit before its answer"
                self.max_observed = max(self.max_observed, to_ts(message["ts"]))
        call.response = call.response or message

    # --- frames ------------------------------------------------------------------------------------------------

    def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(json.dumps(message))

    def _modify(self, modifications: list[dict[str, Any]]) -> None:
        base, self._query_set = self._query_set, self._query_set + 1
        self._send({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": self._query_set, "modifications": modifications})

    def _add(self, query_id: int, watched: Watched, *, again: bool = False) -> dict[str, Any]:
        add: dict[str, Any] = {"type": "Add", "queryId": query_id, "udfPath": watched.path, "args": [watched.args]}
        return {**add, "journal": watched.journal} if again else add

    def _send_call(self, call: Call) -> None:
        call.times_sent += 1
        self._send({"type": "Mutation", "requestId": call.request_id, "udfPath": call.path, "args": [call.args]})

    def _authenticate(self) -> None:
        assert self._token is not None
        self._send({"type": "Authenticate", "baseVersion": self._identity, **self._token})
        self._identity += 1
