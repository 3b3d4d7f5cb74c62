"""A model behind any endpoint that speaks OpenAI's chat completions: their own, a gateway, or one on this machine.

What comes is a stream of server-sent events, of which `choices[0].delta.content` is the text, and `[DONE]` the end. A stream that
ends without one broke off.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import httpx
from httpx_sse import SSEError, aconnect_sse

from .models import ModelFailed, Turn
from .settings import Settings

log = logging.getLogger(__name__)

_CONNECT_S: Final = 10.0
_SHOWN_CHARS: Final = 300


class OpenAiModel:
    """Keeps its connections. To be closed."""

    def __init__(self, settings: Settings) -> None:
        assert settings.chat_model_url is not None, "the built-in model is asked where there is none"
        key = settings.chat_model_key
        self._http = httpx.AsyncClient(
            headers={} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx.Timeout(settings.chat_model_silence_s, connect=min(_CONNECT_S, settings.chat_model_silence_s)),
        )
        self._url = f"{settings.chat_model_url.rstrip('/')}/chat/completions"
        self._model, self._system_prompt = settings.chat_model, settings.chat_system_prompt

    async def close(self) -> None:
        await self._http.aclose()

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[str, None]:
        try:
            async with aconnect_sse(self._http, "POST", self._url, json=self._body(turns)) as events:
                if events.response.status_code != httpx.codes.OK:
                    said = await events.response.aread()
                    raise _failed("the model refused", status=events.response.status_code, said=said.decode(errors="replace"))
                async for event in events.aiter_sse():
                    if event.data == "[DONE]":
                        return
                    if text := _text(event.data):
                        yield text
        except httpx.TimeoutException as error:
            raise _failed("the model was silent for too long", error=type(error).__name__) from error
        except (httpx.HTTPError, SSEError) as error:
            raise _failed("the model cannot be reached", error=type(error).__name__) from error
        raise _failed("the model broke off")

    def _body(self, turns: Sequence[Turn]) -> dict[str, Any]:
        said = [{"role": turn.role, "content": turn.text} for turn in (Turn("system", self._system_prompt), *turns)]
        return {"model": self._model, "messages": said, "stream": True}


def _text(data: str) -> str:
    """The text that one event brings; some bring none: the role, or why it is over."""
    try:
        tree = json.loads(data)
        if "error" in tree:
            raise _failed("the model failed", said=json.dumps(tree["error"]))
        choices = tree["choices"]
        text = choices[0]["delta"].get("content") if choices else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _failed("the model said something that cannot be read", said=data) from error
    return text if isinstance(text, str) else ""


def _failed(phrase: str, **fields: object) -> ModelFailed:
    """The operator hears what it was; the person who asked, that it was."""
    log.warning(phrase, extra={name: str(value)[:_SHOWN_CHARS] for name, value in fields.items()})
    return ModelFailed(f"{phrase[0].upper()}{phrase[1:]}.")
