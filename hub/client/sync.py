"""HubClient and its subscriptions: for programs with threads, or with none.

A thin shell around `calls`, `attempts` and `following`: it sends, sleeps and reads as they say. The asynchronous client has the
same methods around the same decisions. A client may be shared by threads; a subscription has one reader, and may be closed by
any thread.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Generic, Self, overload

import httpx
from typing_extensions import TypeVar
from websockets.sync.client import ClientConnection, connect

from hub import timestamps
from hub.client.attempts import Attempts
from hub.client.calls import Answer, Call, Setback, encode_args, key_for, no_answer, read_response, write_body
from hub.client.credentials import Credentials, FetchToken, Login
from hub.client.following import Following, Rejected
from hub.client.latest import Latest
from hub.client.options import MAX_CONNECTIONS, Timeouts, read_address
from hub.client.outgoing import Outgoing, Pacing
from hub.client.references import Args, Mutation, Query, opened
from hub.client.sockets import LOST, read_loss, refuse_redirect, socket_options
from hub.client.streams import TextStream
from hub.errors import HubError

log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True, default=Any)


class HubClient:
    """Calls of a hub at `url`.

    `token` is an end user's, or a function that fetches one (`fetch(refresh)`); `service_key` is for servers. To be closed, or
    used as a context manager.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | FetchToken | None = None,
        service_key: str | None = None,
        timeouts: Timeouts | None = None,
        max_connections: int = MAX_CONNECTIONS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = read_address(url)
        self._credentials = Credentials(token, service_key)
        self._timeouts = timeouts or Timeouts()
        self._tls = tls if self._address.is_secure else None  # of sockets: the library takes none for a plain address
        self._latest = Latest()
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._http = httpx.Client(base_url=self._address.http, limits=limits, verify=tls or True)
        self._subscriptions: set[Subscription] = set()

    def __repr__(self) -> str:
        return f"<HubClient {self._address.http}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every subscription and connection."""
        for subscription in list(self._subscriptions):
            subscription.close()
        self._http.close()

    @property
    def last_ts(self) -> str | None:
        """The newest moment that an answer or a subscription has shown: what another service passes as `min_ts`."""
        return self._latest.text

    @overload
    def query(self, call: Query[T], /, *, min_ts: str | None = None) -> T: ...

    @overload
    def query(self, path: str, args: Args | None = None, /, *, min_ts: str | None = None, **named: Any) -> Any: ...

    def query(self, call: str | Query[Any], args: Args | None = None, /, *, min_ts: str | None = None, **named: Any) -> Any:
        """The query's result now; with `min_ts` at that commit or later. Raises HubError."""
        path, args = opened(call, args, named)
        return self._run(Call("query", write_body(path, encode_args(args), min_ts)))

    @overload
    def mutation(self, call: Mutation[T], /, *, idempotency_key: str | None = None) -> T: ...

    @overload
    def mutation(self, path: str, args: Args | None = None, /, *, idempotency_key: str | None = None, **named: Any) -> Any: ...

    def mutation(
        self, call: str | Mutation[Any], args: Args | None = None, /, *, idempotency_key: str | None = None, **named: Any
    ) -> Any:
        """Apply the mutation once, however often it must be sent. Raises HubError; see MutationOutcomeUnknown."""
        path, args = opened(call, args, named)
        return self._run(Call("mutation", write_body(path, encode_args(args)), key_for(idempotency_key)))

    @overload
    def subscribe(self, call: Query[T], /, *, min_ts: str | None = None) -> Subscription[T]: ...

    @overload
    def subscribe(self, path: str, args: Args | None = None, /, *, min_ts: str | None = None, **named: Any) -> Subscription: ...

    def subscribe(
        self, call: str | Query[Any], args: Args | None = None, /, *, min_ts: str | None = None, **named: Any
    ) -> Subscription:
        """The query's result now, and again whenever it changes."""
        path, args = opened(call, args, named)
        seen = self._latest.ts if min_ts is None else max(self._latest.ts, timestamps.decode(min_ts))
        following = Following(path, encode_args(args), self._timeouts, seen)
        options = socket_options(self._timeouts, self._tls)
        subscription = Subscription(
            self._address.websocket, following, self._credentials, self._latest, options, self._subscriptions
        )
        self._subscriptions.add(subscription)
        return subscription

    @overload
    def stream_text(self, call: Mutation[T], /, *, offset: int = 0, pacing: Pacing | None = None) -> TextStream[T]: ...

    @overload
    def stream_text(
        self, path: str, args: Args | None = None, /, *, offset: int = 0, pacing: Pacing | None = None, **named: Any
    ) -> TextStream: ...

    def stream_text(
        self,
        call: str | Mutation[Any],
        args: Args | None = None,
        /,
        *,
        offset: int = 0,
        pacing: Pacing | None = None,
        **named: Any,
    ) -> TextStream:
        """A text that comes in pieces, from a model for one, written exactly once by a mutation that takes `delta`, `offset` and
        `status`, as `messages:streamUpsert` does. `offset`: where it goes on, if its beginning is there already."""
        path, args = opened(call, args, named)
        text = Outgoing(args, offset, pacing or Pacing())
        return TextStream(text, lambda write: self.mutation(path, write.args, idempotency_key=write.idempotency_key))

    # --- one call ----------------------------------------------------------------------------------------------------

    def _run(self, call: Call) -> Any:
        attempts = Attempts(call.idempotency_key, self._timeouts, time.monotonic())
        while True:
            login = self._credentials.current()
            outcome = self._attempt(call, login, attempts.timeout_s(time.monotonic()))
            if isinstance(outcome, Answer):
                return self._take(outcome)
            if self._credentials.can_renew and attempts.may_renew(outcome):
                self._credentials.renew(login)
            else:
                time.sleep(attempts.wait_s(outcome, time.monotonic()))

    def _attempt(self, call: Call, login: Login | None, timeout_s: float) -> Answer | Setback:
        headers = call.headers if login is None else {**call.headers, "Authorization": login.header}
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, self._timeouts.connect_s))
        try:
            response = self._http.post(f"/api/{call.kind}", content=call.body, headers=headers, timeout=timeout)
        except httpx.RequestError as error:
            return no_answer(error)
        return read_response(response)

    def _take(self, answer: Answer) -> Any:
        self._latest.observe(answer.ts)
        if answer.error is not None:
            raise answer.error
        return answer.value


class Subscription(Generic[T_co]):
    """An iterator over the states of one query, newest last. It connects with the first value, and again whenever it must.

    A query that fails raises its error, and the subscription goes on: the next value is the one it recovers with. `ts` is the
    moment at which the last value is true.
    """

    def __init__(
        self,
        url: str,
        following: Following,
        credentials: Credentials,
        latest: Latest,
        options: dict[str, Any],
        siblings: set[Subscription],
    ) -> None:
        self._url, self._following, self._credentials, self._latest = url, following, credentials, latest
        self._options, self._siblings = options, siblings
        self._socket: ClientConnection | None = None
        self._login: Login | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def ts(self) -> str:
        return timestamps.encode(self._following.ts)

    def close(self) -> None:
        """End it, from whatever thread: a reader that waits gets StopIteration."""
        self._closed.set()
        self._siblings.discard(self)
        self._drop()

    def __next__(self) -> T_co:
        self._following.start(time.monotonic())
        while not self._closed.is_set():
            try:
                socket = self._socket or self._open()
                state = self._following.receive(socket.recv(self._following.patience_s(time.monotonic())))
            except Rejected as rejection:
                self._replace_login(rejection)
            except LOST as error:
                self._wait(error)
            except HubError:
                self.close()
                raise
            else:
                if state is not None:
                    self._latest.observe(self._following.ts)
                    value: T_co = state.unwrap()
                    return value
        raise StopIteration

    def _open(self) -> ClientConnection:
        self._login = self._credentials.current()
        # entered as a context: called otherwise, newer versions of the library warn
        socket: ClientConnection = connect(self._url, **self._options).__enter__()
        self._socket = socket
        if self._closed.is_set():  # meanwhile, by another thread, which had nothing to close yet
            self._drop()
        try:
            refuse_redirect(self._url, socket.request.headers.get("Host") if socket.request else None)
            for frame in self._following.opened(self._login):
                socket.send(frame)
        except BaseException:  # Ctrl-C, too: half a greeting is of no use to the next reader
            self._drop()
            raise
        return socket

    def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()

    def _replace_login(self, rejection: Rejected) -> None:
        self._drop()
        try:
            self._following.rejected(rejection, can_renew=self._credentials.can_renew)
        except HubError:
            self.close()
            raise
        self._credentials.renew(self._login)

    def _wait(self, error: Exception) -> None:
        """Until it is time for another socket."""
        self._drop()
        if self._closed.is_set():
            return
        try:
            reason, was_closed = read_loss(error)
            delay_s = self._following.lost(time.monotonic(), reason, was_closed=was_closed, cause=error)
        except HubError:
            self.close()
            raise
        log.info("a subscription lost its connection", extra={"reason": reason, "delay_s": delay_s})
        self._closed.wait(delay_s)
