"""How log lines look: for operators, on stderr; stdout belongs to what a command answers.

A line is a fixed phrase and its fields: `2026-01-31T12:00:00.123Z WARNING hub.server.websocket session closed session=ab12`.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class FieldFormatter(logging.Formatter):
    """Appends what was passed as `extra`. A line break in a field cannot make a second line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = (f"{name}={_shown(value)}" for name, value in vars(record).items() if name not in _STANDARD)
        return " ".join((super().formatMessage(record), *fields))


class ClientMistakes(logging.Filter):
    """What a client got wrong is answered on its socket, and is no error for the operator. uvicorn calls two such things errors:
    each text frame that is not UTF-8, and each upgrade that the application refused with a response."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_bad_text = record.exc_info is not None and isinstance(record.exc_info[1], UnicodeDecodeError)
        return not is_bad_text and record.msg != "ASGI callable returned without completing handshake."


def configure(level: str) -> None:
    """Once, at the start of a process. The libraries' own chatter stays below."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("hub").setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(ClientMistakes())


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(not char.isprintable() or char in ' "' for char in text) else text
