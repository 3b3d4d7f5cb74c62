"""What the caller is set up with, from the environment: `HUB_URL`, `HUB_CHAT_MODEL_URL` and so on. Read once, in `build_app`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="HUB_", env_ignore_empty=True, extra="ignore", frozen=True)

    url: str = "http://127.0.0.1:8000"
    """Where the hub is."""
    service_key: SecretStr | None = None
    """Answers are written with it, as an answer may outlive its user's token. Without it they are written with the token."""

    chat_model_url: str | None = None
    """Of an OpenAI-compatible endpoint, as `https://api.openai.com/v1`. Without it the built-in model answers."""
    chat_model_key: SecretStr | None = None
    chat_model: str = "gpt-4o-mini"
    chat_system_prompt: str = "You are a helpful assistant. Answer in Markdown, and be brief."
    chat_model_silence_s: float = Field(default=30.0, gt=0)
    """A model that says nothing for so long has failed."""

    chat_pace_s: float = Field(default=0.04, ge=0)
    """Between two words of the built-in model."""

    chat_history: int = Field(default=40, ge=1, le=1_000)
    """Messages of the chat that the model sees."""
    chat_answer_max_s: float = Field(default=300.0, gt=0)
    chat_answers_max: int = Field(default=200, ge=1)
    """Answers that are written at the same time; whoever asks for another one is told to try again."""
    chat_lease_s: float = Field(default=60.0, gt=0)
    """An answer that was not written to for so long, and is not being written here, has lost its caller."""
    chat_allowed_origins: str = ""
    """Pages of other origins that may call, where this runs by itself; commas between them."""

    @property
    def allowed_origins(self) -> list[str]:
        return [origin.strip() for origin in self.chat_allowed_origins.split(",") if origin.strip()]

    @model_validator(mode="after")
    def _lease_is_longer_than_silence(self) -> Self:
        """Else an answer that another process is still writing would be taken for lost."""
        if self.chat_lease_s <= self.chat_model_silence_s:
            raise ValueError("HUB_CHAT_LEASE_S must be longer than HUB_CHAT_MODEL_SILENCE_S")
        return self
