"""Results: what a run gave, encoded once, for every session, HTTP reply and request record that gets it."""

from __future__ import annotations

import json
import re

from hub.errors import ApplicationError, FunctionError, HubError
from hub.functions.execution import Run
from hub.protocol import json_values
from hub.protocol.content import Content
from hub.protocol.messages import Failure, Result, Success

_REFERENCE = re.compile(r"\[Request ID: [0-9a-f]+\]")


def encode_run(run: Run, *, is_wide: bool = False) -> Result:
    """The run's outcome with its value as text; a value that cannot be sent is a failure like any other. `is_wide`: for many."""
    if run.error is not None:
        return failure(run.error, run.log_lines, run.journal)
    try:
        text = json_values.encode(run.value)
    except HubError as error:
        return failure(error, run.log_lines, run.journal)
    return Success(text, run.log_lines, run.journal, Content(run.value, len(text)), is_wide)


def failure(error: HubError, log_lines: tuple[str, ...] = (), journal: str | None = None) -> Failure:
    data: str | None = None
    if isinstance(error, ApplicationError):
        try:
            data = json_values.encode(error.data)
        except HubError as problem:
            error = FunctionError(f"the data of an ApplicationError cannot be sent: {problem.message}")
    return Failure(error.message, error.code, data, log_lines, journal)


def same_result(one: Result, other: Result) -> bool:
    """Whether a client would see no difference; the reference in an error's text does not count."""
    match one, other:
        case Success(), Success():
            return one.value == other.value and one.log_lines == other.log_lines and one.journal == other.journal
        case Failure(), Failure():
            return (
                one.data == other.data
                and one.log_lines == other.log_lines
                and _REFERENCE.sub("", one.message) == _REFERENCE.sub("", other.message)
            )
    return False


def to_record(result: Result) -> bytes:
    """What a request record keeps of an answer."""
    if isinstance(result, Success):
        log_lines = json.dumps(result.log_lines) if result.log_lines else "[]"
        return f'{{"value": {json.dumps(result.value)}, "logLines": {log_lines}}}'.encode()
    kept = {"message": result.message, "code": result.code, "data": result.data, "logLines": result.log_lines}
    return json.dumps(kept).encode("utf-8")


def from_record(outcome: bytes) -> Result:
    kept = json.loads(outcome)
    log_lines = tuple(kept["logLines"])
    if "value" in kept:
        return Success(kept["value"], log_lines)
    return Failure(kept["message"], kept["code"], kept["data"], log_lines)
