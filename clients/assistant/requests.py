"""What callers send: who they are, and what they say. Both bodies of POST /chat become one `Said`.

{"chatId", "userMessage": {"clientMessageId", "content"}}      for pages of one's own
{"id", "messages", "trigger", "messageId"}                     what the `ai` package's DefaultChatTransport sends
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from .hub_api import ChatId, MessageId

BODY_MAX_BYTES: Final = 4 * 2**20
"""DefaultChatTransport sends the whole chat every time."""

BodyT = TypeVar("BodyT", bound="_Body")
Id = Annotated[str, Field(min_length=1, max_length=200)]


class BadRequest(Exception):
    """With the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Said:
    """`client_message_id` names the message before it is stored, `reply_name` the answer to it; a repeat has the same names."""

    chat_id: ChatId
    client_message_id: str
    content: str
    reply_name: str


@dataclass(frozen=True, slots=True)
class Stop:
    chat_id: ChatId
    message_id: MessageId


class _Body(BaseModel):
    model_config = {"alias_generator": to_camel}


class _UserMessage(_Body):
    client_message_id: Id
    content: Annotated[str, Field(min_length=1)]


class _Plain(_Body):
    chat_id: Id
    user_message: _UserMessage


class _UiMessage(_Body):
    id: Id
    role: str
    parts: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "".join(str(part.get("text", "")) for part in self.parts if part.get("type") == "text")


class _FromTransport(_Body):
    id: Id
    messages: Annotated[list[_UiMessage], Field(min_length=1)]
    trigger: Literal["submit-message", "regenerate-message"]


class _StopBody(_Body):
    chat_id: Id
    message_id: Id


def token_of(request: Request) -> str:
    """The user's. There must be one: without it a `hub dev` would trust us with everything, as a neighbour on its machine."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadRequest("who are you? A user's token is needed, as `Authorization: Bearer …`", 401)
    return token.strip()


async def read_said(request: Request) -> Said:
    text = await _read(request)
    if b'"messages"' in text:
        body = _parsed(_FromTransport, text)
        last = body.messages[-1]
        if last.role != "user" or not last.text.strip():
            raise BadRequest("the last message must be the user's, with some text")
        again = f"/{uuid.uuid4()}" if body.trigger == "regenerate-message" else ""
        return Said(ChatId(body.id), last.id, last.text, f"{last.id}/reply{again}")
    plain = _parsed(_Plain, text)
    name = plain.user_message.client_message_id
    return Said(ChatId(plain.chat_id), name, plain.user_message.content, f"{name}/reply")


async def read_stop(request: Request) -> Stop:
    body = _parsed(_StopBody, await _read(request))
    return Stop(ChatId(body.chat_id), MessageId(body.message_id))


def _parsed(kind: type[BodyT], text: bytes) -> BodyT:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRequest(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX_BYTES:
            raise BadRequest(f"the body has more than {BODY_MAX_BYTES} bytes", 413)
    return bytes(body)
