"""Log lines: a phrase and its fields, one line for each."""

from __future__ import annotations

import logging
import re

from hub.logs import FieldFormatter


def shown(message: str, **fields: object) -> str:
    record = logging.LogRecord("hub.server", logging.WARNING, "file.py", 1, message, (), None)
    vars(record).update(fields)
    return FieldFormatter().format(record)


def test_a_line_has_time_level_logger_phrase_and_fields() -> None:
    line = shown("session closed", session="ab12", bytes=3)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING hub\.server session closed session=ab12 bytes=3", line)


def test_a_field_cannot_make_a_second_line_or_a_second_field() -> None:
    line = shown("refused", reason="a\nb c=d", empty="")

    assert line.endswith(r"refused reason='a\nb c=d' empty=''")


def test_a_traceback_follows_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        text = shown("a request failed", exc_info=(type(error), error, error.__traceback__), reference="r1")

    assert text.splitlines()[0].endswith("a request failed reference=r1")
    assert text.endswith("ValueError: why")
