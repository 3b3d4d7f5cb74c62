"""AsyncHubClient and its subscriptions: for programs with an event loop.

A thin shell around `calls`, `attempts` and `following`: it sends, sleeps and reads as they say. The synchronous client has the
same methods around the same decisions. A client belongs to one loop; a subscription has one reader, and may be closed by any
task.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from types import TracebackType
from typing import Any, Generic, Self, overload

import httpx
from typing_extensions import TypeVar
from websockets.asyncio.client import ClientConnection, connect

from hub import timestamps
from hub.client.attempts import Attempts
from hub.client.calls import Answer, Call, Setback, encode_args, key_for, no_answer, read_response, write_body
from hub.client.credentials import AsyncCredentials, FetchTokenAsync, Login
from hub.client.following import Following, Rejected
from hub.client.latest import Latest
from hub.client.options import MAX_CONNECTIONS, Timeouts, read_address
from hub.client.outgoing import Outgoing, Pacing
from hub.client.references import Args, Mutation, Query, opened
from hub.client.sockets import LOST, read_loss, refuse_redirect, socket_options
from hub.client.streams import AsyncTextStream
from hub.errors import HubError

log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True, default=Any)


class AsyncHubClient:
    """Calls of a hub at `url`.

    `token` is an end user's, or a function that fetches one (`fetch(refresh)`, which may be a coroutine function); `service_key`
    is for servers. To be closed, or used as a context manager.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | FetchTokenAsync | None = None,
        service_key: str | None = None,
        timeouts: Timeouts | None = None,
        max_connections: int = MAX_CONNECTIONS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = read_address(url)
        self._credentials = AsyncCredentials(token, service_key)
        self._timeouts = timeouts or Timeouts()
        self._tls = tls if self._address.is_secure else None  # of sockets: the library takes none for a plain address
        self._latest = Latest()
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._http = httpx.AsyncClient(base_url=self._address.http, limits=limits, verify=tls or True)
        self._subscriptions: set[AsyncSubscription] = set()

    def __repr__(self) -> str:
        return f"<AsyncHubClient {self._address.http}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """End every subscription and connection."""
        for subscription in list(self._subscriptions):
            await subscription.close()
        await self._http.aclose()

    @property
    def last_ts(self) -> str | None:
        """The newest moment that an answer or a subscription has shown: what another service passes as `min_ts`."""
        return self._latest.text

    @overload
    async def query(self, call: Query[T], /, *, min_ts: str | None = None) -> T: ...

    @overload
    async def query(self, path: str, args: Args | None = None, /, *, min_ts: str | None = None, **named: Any) -> Any: ...

    async def query(self, call: str | Query[Any], args: Args | None = None, /, *, min_ts: str | None = None, **named: Any) -> Any:
        """The query's result now; with `min_ts` at that commit or later. Raises HubError."""
        path, args = opened(call, args, named)
        return await self._run(Call("query", write_body(path, encode_args(args), min_ts)))

    @overload
    async def mutation(self, call: Mutation[T], /, *, idempotency_key: str | None = None) -> T: ...

    @overload
    async def mutation(
        self, path: str, args: Args | None = None, /, *, idempotency_key: str | None = None, **named: Any
    ) -> Any: ...

    async def mutation(
        self, call: str | Mutation[Any], args: Args | None = None, /, *, idempotency_key: str | None = None, **named: Any
    ) -> Any:
        """Apply the mutation once, however often it must be sent. Raises HubError; see MutationOutcomeUnknown."""
        path, args = opened(call, args, named)
        return await self._run(Call("mutation", write_body(path, encode_args(args)), key_for(idempotency_key)))

    @overload
    def subscribe(self, call: Query[T], /, *, min_ts: str | None = None) -> AsyncSubscription[T]: ...

    @overload
    def subscribe(
        self, path: str, args: Args | None = None, /, *, min_ts: str | None = None, **named: Any
    ) -> AsyncSubscription: ...

    def subscribe(
        self, call: str | Query[Any], args: Args | None = None, /, *, min_ts: str | None = None, **named: Any
    ) -> AsyncSubscription:
        """The query's result now, and again whenever it changes."""
        path, args = opened(call, args, named)
        seen = self._latest.ts if min_ts is None else max(self._latest.ts, timestamps.decode(min_ts))
        following = Following(path, encode_args(args), self._timeouts, seen)
        options = socket_options(self._timeouts, self._tls)
        subscription = AsyncSubscription(
            self._address.websocket, following, self._credentials, self._latest, options, self._subscriptions
        )
        self._subscriptions.add(subscription)
        return subscription

    @overload
    def stream_text(self, call: Mutation[T], /, *, offset: int = 0, pacing: Pacing | None = None) -> AsyncTextStream[T]: ...

    @overload
    def stream_text(
        self, path: str, args: Args | None = None, /, *, offset: int = 0, pacing: Pacing | None = None, **named: Any
    ) -> AsyncTextStream: ...

    def stream_text(
        self,
        call: str | Mutation[Any],
        args: Args | None = None,
        /,
        *,
        offset: int = 0,
        pacing: Pacing | None = None,
        **named: Any,
    ) -> AsyncTextStream:
        """A text that comes in pieces, from a model for one, written exactly once by a mutation that takes `delta`, `offset` and
        `status`, as `messages:streamUpsert` does. `offset`: where it goes on, if its beginning is there already."""
        path, args = opened(call, args, named)
        text = Outgoing(args, offset, pacing or Pacing())
        return AsyncTextStream(text, lambda write: self.mutation(path, write.args, idempotency_key=write.idempotency_key))

    # --- one call ----------------------------------------------------------------------------------------------------

    async def _run(self, call: Call) -> Any:
        attempts = Attempts(call.idempotency_key, self._timeouts, time.monotonic())
        while True:
            login = await self._credentials.current()
            outcome = await self._attempt(call, login, attempts.timeout_s(time.monotonic()))
            if isinstance(outcome, Answer):
                return self._take(outcome)
            if self._credentials.can_renew and attempts.may_renew(outcome):
                await self._credentials.renew(login)
            else:
                await asyncio.sleep(attempts.wait_s(outcome, time.monotonic()))

    async def _attempt(self, call: Call, login: Login | None, timeout_s: float) -> Answer | Setback:
        headers = call.headers if login is None else {**call.headers, "Authorization": login.header}
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, self._timeouts.connect_s))
        try:
            async with asyncio.timeout(timeout_s):  # httpx's own is for each step
                response = await self._http.post(f"/api/{call.kind}", content=call.body, headers=headers, timeout=timeout)
        except (httpx.RequestError, TimeoutError) as error:
            return no_answer(error)
        return read_response(response)

    def _take(self, answer: Answer) -> Any:
        self._latest.observe(answer.ts)
        if answer.error is not None:
            raise answer.error
        return answer.value


class AsyncSubscription(Generic[T_co]):
    """An iterator over the states of one query, newest last. It connects with the first value, and again whenever it must.

    A query that fails raises its error, and the subscription goes on: the next value is the one it recovers with. `ts` is the
    moment at which the last value is true. A reader that is cancelled may wait again.
    """

    def __init__(
        self,
        url: str,
        following: Following,
        credentials: AsyncCredentials,
        latest: Latest,
        options: dict[str, Any],
        siblings: set[AsyncSubscription],
    ) -> None:
        self._url, self._following, self._credentials, self._latest = url, following, credentials, latest
        self._options, self._siblings = options, siblings
        self._socket: ClientConnection | None = None
        self._login: Login | None = None
        self._closed = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    @property
    def ts(self) -> str:
        return timestamps.encode(self._following.ts)

    async def close(self) -> None:
        """End it, from whatever task: a reader that waits gets StopAsyncIteration."""
        self._closed.set()
        self._siblings.discard(self)
        await self._drop()

    async def __anext__(self) -> T_co:
        self._following.start(time.monotonic())
        while not self._closed.is_set():
            try:
                socket = self._socket or await self._open()
                async with asyncio.timeout(self._following.patience_s(time.monotonic())):
                    frame = await socket.recv()
                state = self._following.receive(frame)
            except Rejected as rejection:
                await self._replace_login(rejection)
            except LOST as error:
                await self._wait(error)
            except HubError:
                await self.close()
                raise
            else:
                if state is not None:
                    self._latest.observe(self._following.ts)
                    value: T_co = state.unwrap()
                    return value
        raise StopAsyncIteration

    async def _open(self) -> ClientConnection:
        self._login = await self._credentials.current()
        socket = await connect(self._url, **self._options)
        try:
            refuse_redirect(self._url, socket.request.headers.get("Host") if socket.request else None)
            for frame in self._following.opened(self._login):
                await socket.send(frame)
        except BaseException:  # cancelled, too: half a greeting is of no use to the next reader
            socket.transport.abort()
            raise
        self._socket = socket
        if self._closed.is_set():  # meanwhile, by another task, which had nothing to close yet
            await self._drop()
        return socket

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _replace_login(self, rejection: Rejected) -> None:
        await self._drop()
        try:
            self._following.rejected(rejection, can_renew=self._credentials.can_renew)
        except HubError:
            await self.close()
            raise
        await self._credentials.renew(self._login)

    async def _wait(self, error: Exception) -> None:
        """Until it is time for another socket."""
        await self._drop()
        if self._closed.is_set():
            return
        try:
            reason, was_closed = read_loss(error)
            delay_s = self._following.lost(time.monotonic(), reason, was_closed=was_closed, cause=error)
        except HubError:
            await self.close()
            raise
        log.info("a subscription lost its connection", extra={"reason": reason, "delay_s": delay_s})
        try:
            async with asyncio.timeout(delay_s):
                await self._closed.wait()
        except TimeoutError:
            pass
