"""UTF-16: text as JavaScript counts it. Offsets and lengths on the wire are UTF-16 code units; Python counts code points.

Used by applications that take text in pieces and by the client that sends them. Invariant: no pair of surrogates, which is one
character, is ever cut.
"""

from __future__ import annotations

import re

from hub.errors import ApplicationError

_UNPAIRED = re.compile("[\ud800-\udfff]")
_HIGH = re.compile("[\ud800-\udbff]")


def utf16_length(text: str) -> int:
    """The text's length in UTF-16 code units: JavaScript's `length`."""
    return len(text) if text.isascii() else len(_encoded(text)) // 2


def append_at(text: str, delta: str, offset: int) -> str:
    """The text, with `delta` at `offset` (UTF-16 code units). What of it is there already is not added again.

    So pieces of one text may come twice, and cut in other places, and make the same text. Raises ApplicationError with one of these
    codes: OFFSET_GAP beyond the text's end, which `expected` says; TEXT_DIFFERS where something else is there; OFFSET_IN_CHARACTER
    and HALF_CHARACTER for an offset or a delta that would cut a pair of surrogates.
    """
    if has_half(delta):
        raise ApplicationError({"code": "HALF_CHARACTER"}, "the delta has half of a character: an unpaired surrogate")
    length = utf16_length(text)
    if offset == length:
        return text + delta
    if not 0 <= offset < length:
        raise ApplicationError({"code": "OFFSET_GAP", "expected": length, "offset": offset}, f"the text ends at {length}")
    there, more = _encoded(text)[2 * offset :], _encoded(delta)
    if 0xDC <= there[1] <= 0xDF:
        raise ApplicationError({"code": "OFFSET_IN_CHARACTER", "offset": offset}, "the offset is in the middle of a character")
    if not (there.startswith(more) or more.startswith(there)):
        raise ApplicationError({"code": "TEXT_DIFFERS", "offset": offset}, "another text is there already")
    return text + more[len(there) :].decode("utf-16-le")


def has_half(text: str) -> bool:
    """Whether there is an unpaired surrogate in it, which no UTF-8 can carry."""
    return _UNPAIRED.search(text) is not None


def whole_characters(text: str) -> tuple[str, str]:
    """The text with its pairs of surrogates made characters, and the half at its end, if any, whose other half may come later."""
    if text.isascii():
        return text, ""
    held = text[-1] if _HIGH.match(text[-1]) else ""
    return _encoded(text[: len(text) - len(held)]).decode("utf-16-le", "surrogatepass"), held


def _encoded(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
