"""A model of the published JavaScript client: what it sends, what it checks, when its promises settle.

Speaks text frames. Every check here is something that makes the real client hang, throw or show a wrong screen; `truth` is what
a query's result is for a caller at a timestamp.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub import timestamps
from hub.timestamps import ZERO, Timestamp

Truth = Callable[[str, str, Timestamp], Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A version as the client keeps it."""

    query_set: int = 0
    identity: int = 0
    ts: Timestamp = ZERO


@dataclass(slots=True)
class Promise:
    """One mutation. `answered_at` is set by a success that waits for its transition."""

    cell: str
    answered_at: Timestamp | None = None
    outcome: str | None = None


@dataclass(slots=True)
class ModelClient:
    truth: Truth
    session_id: str = "c6c64edc-cf2f-44d8-a64d-277b64a979ce"
    token: str = ""
    paths: dict[int, str] = field(default_factory=dict)
    queries: set[int] = field(default_factory=set)
    promises: dict[int, Promise] = field(default_factory=dict)
    to_server: list[str] = field(default_factory=list)
    connections: int = 0
    observed: Timestamp = ZERO
    is_open: bool = False
    # of the socket that is open
    seen: Seen = field(default_factory=Seen)
    results: dict[int, Any] = field(default_factory=dict)
    sets: dict[int, set[int]] = field(default_factory=dict)
    callers: list[str] = field(default_factory=list)
    answers_without_transition: int = 0

    # --- what the application does -----------------------------------------------------------------------------------

    def connect(self) -> None:
        self.is_open, self.to_server = True, []
        self.seen, self.results, self.sets, self.callers = Seen(), {}, {0: set()}, [""]
        self.answers_without_transition = 0
        connect = {"type": "Connect", "sessionId": self.session_id, "connectionCount": self.connections}
        self._send(connect | ({"maxObservedTimestamp": timestamps.encode(self.observed)} if self.observed else {}))
        self.connections += 1
        if self.token:
            self._send_token()
        self._modify([_add(query_id, self.paths[query_id]) for query_id in sorted(self.queries)])
        for request_id, promise in self.promises.items():
            if promise.outcome is None:
                promise.answered_at = None
                self._send_mutation(request_id, promise.cell)

    def subscribe(self, path: str) -> None:
        query_id = len(self.paths)
        self.paths[query_id] = path
        self.queries.add(query_id)
        self._modify([_add(query_id, path)])

    def unsubscribe(self, query_id: int) -> None:
        self.queries.remove(query_id)
        self._modify([{"type": "Remove", "queryId": query_id}])

    def authenticate(self, token: str) -> None:
        self.token = token
        if self.is_open:
            self._send_token()

    def mutate(self, cell: str) -> None:
        request_id = len(self.promises)
        self.promises[request_id] = Promise(cell)
        if self.is_open:
            self._send_mutation(request_id, cell)

    def cut(self) -> None:
        self.is_open, self.to_server = False, []

    # --- what arrives ------------------------------------------------------------------------------------------------

    def receive(self, text: str) -> None:
        frame = json.loads(text)
        match frame["type"]:
            case "Transition":
                self._transition(frame)
            case "MutationResponse":
                self._answer(frame)
            case "AuthError":
                assert frame["baseVersion"] + 1 >= self.seen.identity
                self.token = ""
            case kind:
                raise AssertionError(f"a well-behaved client never gets a {kind}")

    def _transition(self, frame: Any) -> None:
        start, end = _seen(frame["startVersion"]), _seen(frame["endVersion"])
        assert start == self.seen, "the client would be wedged for ever"
        assert end.ts >= self.observed, "older than what this client has seen, here or elsewhere"
        assert end.identity < len(self.callers)
        touched = [change["queryId"] for change in frame["modifications"]]
        assert len(touched) == len(set(touched)), "one modification for each query"
        for change in frame["modifications"]:
            self._apply(change)
        self.seen, self.observed = end, max(self.observed, end.ts)
        self.answers_without_transition = 0
        self._check_screen()
        for promise in self.promises.values():
            if promise.answered_at is not None and promise.answered_at <= end.ts:
                promise.outcome, promise.answered_at = "resolved", None

    def _apply(self, change: Any) -> None:
        query_id = change["queryId"]
        if change["type"] == "QueryRemoved":
            self.results.pop(query_id, None)
            return
        assert change["logLines"] == []
        assert "journal" in change
        assert "errorData" not in change
        result = change["value"] if change["type"] == "QueryUpdated" else change["errorMessage"]
        assert query_id not in self.results or self.results[query_id] != result, "every update re-renders"
        self.results[query_id] = result

    def _check_screen(self) -> None:
        """All queries of the set, each as it is at the transition's timestamp for the transition's identity."""
        assert self.results.keys() == self.sets[self.seen.query_set]
        caller = self.callers[self.seen.identity]
        for query_id, result in self.results.items():
            assert result == self.truth(self.paths[query_id], caller, self.seen.ts)

    def _answer(self, frame: Any) -> None:
        self.answers_without_transition += 1
        promise = self.promises[frame["requestId"]]
        if not frame["success"]:
            assert frame["ts"] is None
            promise.outcome = "rejected"
            return
        ts = timestamps.decode(frame["ts"])
        self.observed = max(self.observed, ts)
        if promise.outcome is None:
            promise.answered_at = ts

    @property
    def is_settled(self) -> bool:
        """Nothing that the application waits for is missing."""
        return (
            all(promise.outcome is not None for promise in self.promises.values())
            and self.seen.query_set == max(self.sets)
            and self.seen.identity == len(self.callers) - 1
            and self.results.keys() == self.queries
            and self.answers_without_transition == 0
        )

    # --- frames ------------------------------------------------------------------------------------------------------

    def _modify(self, modifications: list[Any]) -> None:
        if not self.is_open:
            return  # all of it is sent by `connect`
        base = max(self.sets)
        self.sets[base + 1] = set(self.queries)
        self._send({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": base + 1, "modifications": modifications})

    def _send_token(self) -> None:
        self._send({"type": "Authenticate", "baseVersion": len(self.callers) - 1, "tokenType": "User", "value": self.token})
        self.callers.append(self.token)

    def _send_mutation(self, request_id: int, cell: str) -> None:
        self._send({"type": "Mutation", "requestId": request_id, "udfPath": "cells:bump", "args": [{"cell": cell}]})

    def _send(self, frame: Any) -> None:
        self.to_server.append(json.dumps(frame))


def _add(query_id: int, path: str) -> Any:
    component = {"componentPath": "shop"} if path.startswith("shop") else {}
    return {"type": "Add", "queryId": query_id, "udfPath": path, "args": [{}], **component}


def _seen(version: Any) -> Seen:
    assert all(type(version[name]) is int for name in ("querySet", "identity"))
    return Seen(version["querySet"], version["identity"], timestamps.decode(version["ts"]))
