"""The assistant: takes what a user says, lets a model answer, and writes both through the hub.

`build_app` makes the ASGI application, for `hub dev` (which mounts it) and for uvicorn. Who may write where is the hub's decision:
a user's own token is passed on with everything that is done in their name.

    POST /chat                      say something; the answer streams back, as the `ai` package's DefaultChatTransport reads it
    GET  /chat/{chat id}/stream     follow the answer that is being written; 204 if there is none
    POST /stop                      end an answer with what there is
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from itertools import takewhile
from typing import Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.client import ApplicationError, AsyncHubClient, Forbidden, HubError, Mutation, Unauthorized, Unavailable
from hub.client import BadRequest as RefusedByHub

from . import following
from .answers import Answer, Answers, Busy, Place
from .builtin import BuiltInModel
from .chunks import EventStream
from .hub_api import ChatId, Message, MessageId, Sent, api
from .models import Model, Turn
from .requests import BadRequest, Said, read_said, read_stop, token_of
from .settings import Settings

_FOLLOWED: Final = 20
"""Newest messages of a chat among which the one that is followed must be."""
_RETRY_AFTER_S: Final = "5"
_STATUS_BY_CODE: Final = {"CHAT_NOT_FOUND": 404, "MESSAGE_NOT_FOUND": 404, "USER_NOT_FOUND": 403, "FORBIDDEN": 403}

log = logging.getLogger(__name__)


def build_app(hub_url: str | None = None, service_key: str | None = None) -> Starlette:
    """What is not given comes from the environment: see `Settings`."""
    settings = Settings()
    if hub_url is not None:
        settings = settings.model_copy(update={"url": hub_url})
    if service_key is not None:
        settings = settings.model_copy(update={"service_key": SecretStr(service_key)})
    assistant = Assistant(settings)
    cors = Middleware(CORSMiddleware, allow_origins=settings.allowed_origins, allow_headers=["*"], allow_methods=["GET", "POST"])
    return Starlette(
        routes=[
            Route("/chat", assistant.chat, methods=["POST"]),
            Route("/chat/{chat_id}/stream", assistant.stream, methods=["GET"]),
            Route("/stop", assistant.stop, methods=["POST"]),
        ],
        lifespan=assistant.running,
        middleware=[cors] if settings.allowed_origins else [],
        exception_handlers={BadRequest: _bad_request, Busy: _busy, HubError: _refused},
    )


class Assistant:
    """The routes, and what they share while the application runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context()  # one for all clients: making it takes longer than a call
        self._service: AsyncHubClient | None = None
        self._answers: Answers

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """At the end, answers that are still being written are broken off, and marked so."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            if settings.service_key is not None:
                self._service = await stack.enter_async_context(
                    AsyncHubClient(settings.url, service_key=settings.service_key.get_secret_value(), tls=self._tls)
                )
            model = await stack.enter_async_context(_model(settings))
            self._answers = Answers(model, limit_s=settings.chat_answer_max_s, answers_max=settings.chat_answers_max)
            await stack.enter_async_context(self._answers.running())
            yield

    # --- routes ------------------------------------------------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        token, said = token_of(request), await read_said(request)
        if self._answers.are_full:
            raise Busy
        async with AsyncExitStack() as stack:
            user = await stack.enter_async_context(self._as(token))
            sent = await user.mutation(_message(said))
            rows = await user.query(api.messages.list(chatId=said.chat_id, limit=self._settings.chat_history + 1))
            message_id = sent["assistantMessageId"]
            about = {"chatId": said.chat_id, "userMessageId": sent["userMessageId"]}
            if (answer := self._answering(token, rows, message_id)) is not None:
                await self._settle_others(user, rows)
                return EventStream(message_id, about, answer.deltas())
            deltas = await self._followed(user, said.chat_id, message_id)
            return EventStream(message_id, about, deltas, stack.pop_all())

    async def stream(self, request: Request) -> Response:
        token, chat_id = token_of(request), ChatId(request.path_params["chat_id"])
        async with AsyncExitStack() as stack:
            user = await stack.enter_async_context(self._as(token))
            states = user.subscribe(api.messages.list(chatId=chat_id, limit=_FOLLOWED))
            row = following.newest_streaming(await anext(states))
            if row is None:
                return Response(status_code=204)
            deltas = following.deltas(user, states, row, self._settings.chat_lease_s)
            return EventStream(row["_id"], {"chatId": chat_id}, deltas, stack.pop_all())

    async def stop(self, request: Request) -> Response:
        token, stop = token_of(request), await read_stop(request)
        async with self._as(token) as user:
            # Read as the user first: whoever may not see the message may not stop it.
            row = following.row_of(await user.query(api.messages.list(chatId=stop.chat_id)), stop.message_id)
            if row is None:
                raise BadRequest("there is no such message among the newest of the chat", 404)
            answer = self._answers.get(stop.message_id)
            if answer is not None:
                await answer.stop()
            elif row["status"] == "streaming":  # another process may write it: what it writes from now on is ignored
                await following.settle(user, row, "complete")
        return JSONResponse({"messageId": stop.message_id})

    # --- answers -----------------------------------------------------------------------------------------------------

    def _answering(self, token: str, rows: Sequence[Message], message_id: MessageId) -> Answer | None:
        """The answer that is written here, from now on or already; None if it is not ours to write.

        Without an await: of two requests that say the same, the second finds the answer that the first has started.
        """
        answer = self._answers.get(message_id)
        row = following.row_of(rows, message_id)
        if answer is None and row is not None and row["status"] == "streaming" and not row["content"]:
            place = Place(row["chatId"], message_id, row["userId"] if self._service is not None else None)
            answer = self._answers.start(place, _turns(rows, message_id), self._writer(token))
        return answer

    async def _followed(self, user: AsyncHubClient, chat_id: ChatId, message_id: MessageId) -> AsyncGenerator[str, None]:
        """The answer to something that was said before: it is complete, or another process writes it, or nobody does any more."""
        states = user.subscribe(api.messages.list(chatId=chat_id))
        row = following.row_of(await anext(states), message_id)
        if row is None:
            raise BadRequest("the answer to this message is too long ago", 409)
        return following.deltas(user, states, row, self._settings.chat_lease_s)

    async def _settle_others(self, user: AsyncHubClient, rows: Sequence[Message]) -> None:
        """Answers in this chat that have lost their caller."""
        for row in rows:
            is_left = row["status"] == "streaming" and self._answers.get(row["_id"]) is None
            if is_left and following.lease_left_s(row, self._settings.chat_lease_s) == 0:
                await following.settle(user, row, "error")

    def _writer(self, token: str) -> AbstractAsyncContextManager[AsyncHubClient]:
        """Who writes the answer. The hub takes it from the chat's owner, or from a service that names the owner; the service is
        better, as the user's token may expire in the middle of a long answer."""
        return self._as(token) if self._service is None else nullcontext(self._service)

    def _as(self, token: str) -> AsyncHubClient:
        return AsyncHubClient(self._settings.url, token=token, tls=self._tls)


@asynccontextmanager
async def _model(settings: Settings) -> AsyncIterator[Model]:
    if settings.chat_model_url is None:
        yield BuiltInModel(settings.chat_pace_s)
        return
    from .openai import OpenAiModel  # here, as what it reads events with is needed for nothing else

    model = OpenAiModel(settings)
    try:
        yield model
    finally:
        await model.close()


def _message(said: Said) -> Mutation[Sent]:
    """What the user says, and the place for the answer, in one transaction. A repeat finds what the first one made."""
    return api.messages.send(
        chatId=said.chat_id,
        userMessage={"clientMessageId": said.client_message_id, "content": said.content},
        assistantMessage={"clientMessageId": said.reply_name, "content": "", "status": "streaming"},
    )


def _turns(rows: Sequence[Message], message_id: MessageId) -> list[Turn]:
    """What was said before the answer, the oldest first."""
    before = takewhile(lambda row: row["_id"] != message_id, rows)
    return [Turn(row["role"], row["content"]) for row in before if row["content"]]


# --- refusals --------------------------------------------------------------------------------------------------------


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return _refusal(error.status, "BadRequest", str(error))


def _busy(request: Request, error: Exception) -> Response:
    return _refusal(503, "Busy", "too many answers are being written; try again in a moment", {"Retry-After": _RETRY_AFTER_S})


def _refused(request: Request, error: Exception) -> Response:
    """What the hub said, as an HTTP status."""
    match error:
        case ApplicationError(data={"code": str() as code}):
            return _refusal(_STATUS_BY_CODE.get(code, 400), code, error.message)
        case Unauthorized():
            return _refusal(401, error.code, error.message)
        case Forbidden():
            return _refusal(403, error.code, error.message)
        case RefusedByHub() | ApplicationError():
            return _refusal(400, error.code, error.message)
        case Unavailable():
            return _refusal(503, error.code, error.message, {"Retry-After": _RETRY_AFTER_S})
    log.error("the hub failed", exc_info=error)
    return _refusal(502, "HubFailed", "the hub did not do what was asked of it")


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"code": code, "message": message}, status, headers)
