"""The assistant's parts that need no network: the built-in model, the settings, and what is documented of them."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from clients.assistant.answers import Answers, Busy, Place
from clients.assistant.builtin import BuiltInModel, answer_to
from clients.assistant.hub_api import ChatId, MessageId
from clients.assistant.models import Turn
from clients.assistant.settings import Settings
from hub.client import AsyncHubClient
from tests.scenarios.hub_process import REPOSITORY

WORDS = ["hello", "a list please", "show me code", "a story", "what now?", "", "x" * 500]


@pytest.mark.parametrize("said", WORDS, ids=lambda said: said[:12] or "nothing")
async def test_the_built_in_model_says_the_same_to_the_same_words_piece_by_piece(said: str) -> None:
    pieces = [piece async for piece in BuiltInModel(0).reply([Turn("assistant", "Yes?"), Turn("user", said)])]

    assert "".join(pieces) == answer_to(said)
    assert len(pieces) > 10


def test_every_setting_is_documented_with_its_default() -> None:
    readme = (REPOSITORY / "clients" / "assistant" / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(HUB_\w+)` \|([^|]*)\|", readme, re.MULTILINE))

    assert set(rows) == {f"HUB_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        shown = rows[f"HUB_{name.upper()}"].strip("` ")
        if name != "chat_system_prompt":
            assert shown == (f"{field.default:g}" if isinstance(field.default, float) else str(field.default or "")), name


def test_a_lease_that_a_silent_model_would_outlast_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_CHAT_LEASE_S", "20")

    with pytest.raises(ValidationError, match="HUB_CHAT_LEASE_S must be longer"):
        Settings()


async def test_one_answer_too_many_is_refused() -> None:
    answers = Answers(BuiltInModel(0), limit_s=1, answers_max=1)
    nobody = AsyncHubClient("http://127.0.0.1:1")
    places = [Place(ChatId("c"), MessageId(name), None) for name in ("one", "two")]
    async with answers.running():
        answers.start(places[0], [], nobody)
        with pytest.raises(Busy):
            answers.start(places[1], [], nobody)
