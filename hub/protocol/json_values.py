"""The JSON form of values: what a function takes and returns, as text that every `convex` client reads alike.

Called where a result is first encoded, where arguments arrive, and where a query's key is made. Text from `encode` is always
safe to send: a bad key or tag in the middle of a transition would wedge the JavaScript client for ever. `decode` undoes
`encode`, except that a plain number is a float64 on the wire: an `int` comes back as the equal `float`.

Tags are objects of one key: `$integer` and `$float` hold 8 bytes little-endian in base64, `$bytes` any bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as _quote
from typing import Any

from hub.core.heldrow import SentRow
from hub.errors import BadRequest, LimitExceeded
from hub.protocol.value_rules import (
    MAX_BYTES,
    MAX_EXACT_INT,
    MAX_NESTING,
    Problem,
    quoted_key,
    read_list,
    read_object,
    refuse_unpaired_surrogates,
    step,
    too_deep,
)
from hub.values import Int64, Value

# --- values to text ------------------------------------------------------------------------------------------------


def encode(value: Value, *, max_nesting: int = MAX_NESTING, max_bytes: int = MAX_BYTES) -> str:
    """JSON text of the value, keys in the order given. Raises FunctionError, or LimitExceeded, naming the place."""
    try:
        text = _write(value, max_nesting, ordered=False)
    except Problem as problem:
        raise problem.error(str(problem)) from None
    size = utf8_length(text)
    if size > max_bytes:
        raise LimitExceeded(f"the encoded value has {size} bytes, the limit is {max_bytes}")
    return text


def canonical(args: Mapping[str, Value]) -> str:
    """One text for equal arguments, whatever the order of keys, and for 1 and 1.0: what live queries are keyed by.

    Never fails on what `decode` returned.
    """
    try:
        return _write(dict(args), MAX_NESTING, ordered=True)
    except Problem as problem:
        raise problem.error(str(problem)) from None


def quoted(text: str) -> str:
    """A message for people may hold anything, also half a character, which the Rust client would not read."""
    whole = text if text.isascii() else text.encode(errors="replace").decode()
    return _quote(whole)


def utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _write(value: Value, room: int, ordered: bool) -> str:
    """`room` is how many containers may still be opened. The types a row mostly has come first."""
    kind = type(value)
    if kind is str:
        return _write_text(value)  # type: ignore[arg-type]  # mypy does not narrow by `kind`
    if kind is float:
        return _write_float(value)  # type: ignore[arg-type]
    if kind is dict:
        return _write_object(value, room, ordered)  # type: ignore[arg-type]
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if kind is list:
        return _write_list(value, room, ordered)  # type: ignore[arg-type]
    if isinstance(value, SentRow) and not ordered and room > 1:
        value.text = value.text or _write_object(value, room, ordered)
        return value.text
    return _write_rare(value, room, ordered)


def _write_text(text: str) -> str:
    if not text.isascii():
        refuse_unpaired_surrogates(text)
    return _quote(text)


def _write_float(number: float) -> str:
    """Whole ones as `3.0`: the legacy Python HTTP client refuses integers in results."""
    text = float.__repr__(number)
    if text[-1] in "fn" or text == "-0.0":  # inf, nan
        return _SPECIAL_FLOATS[text]
    return text


def _write_object(items: Mapping[str, Value], room: int, ordered: bool) -> str:
    if not room:
        raise too_deep()
    fields = []
    name = ""
    try:
        for name in sorted(items, key=quoted_key) if ordered else items:
            key, value = quoted_key(name), items[name]
            is_plain = type(value) is str and value.isascii()  # as most are: a call less
            fields.append(key + (_quote(value) if is_plain else _write(value, room - 1, ordered)))  # type: ignore[arg-type]
    except Problem as problem:
        problem.steps.append(step(name))
        raise
    return "{" + ",".join(fields) + "}"


def _write_list(items: list[Value], room: int, ordered: bool) -> str:
    if not room:
        raise too_deep()
    parts: list[str] = []
    try:
        for item in items:
            parts.append(_write(item, room - 1, ordered))  # noqa: PERF401  # the length tells where it failed
    except Problem as problem:
        problem.steps.append(f"[{len(parts)}]")
        raise
    return "[" + ",".join(parts) + "]"


def _write_rare(value: Value, room: int, ordered: bool) -> str:
    """Integers, tagged values, and subclasses of what `_write` knows (enumerations, for one)."""
    if isinstance(value, Int64):
        if not -(2**63) <= value < 2**63:
            raise Problem("the Int64 does not fit in 64 bits")
        return _tag("$integer", struct.pack("<q", value))
    if isinstance(value, int):
        if not -MAX_EXACT_INT <= value <= MAX_EXACT_INT:
            raise Problem("the int is beyond ±2^53, where numbers are no longer exact; use hub.Int64")
        return float.__repr__(float(value))
    if isinstance(value, bytes):
        return _tag("$bytes", value)
    if isinstance(value, str):
        return _write_text(str.__str__(value))
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, dict):
        return _write_object(value, room, ordered)
    if isinstance(value, list):
        return _write_list(value, room, ordered)
    raise Problem(f"a {type(value).__name__} cannot go over the wire")


def _tag(name: str, raw: bytes) -> str:
    return f'{{"{name}":"{base64.b64encode(raw).decode("ascii")}"}}'


_SPECIAL_FLOATS = {
    float.__repr__(number): _tag("$float", struct.pack("<d", number)) for number in (math.nan, math.inf, -math.inf, -0.0)
}


# --- JSON to values ------------------------------------------------------------------------------------------------


def parse(text: str | bytes) -> Any:
    """JSON text to Python's tree, strictly (no NaN). Raises BadRequest for whatever is wrong with it."""
    try:
        return _PARSER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:  # not UTF-8, NaN, an integer of thousands of digits
        raise BadRequest(f"not JSON: {type(error).__name__}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_PARSER = json.JSONDecoder(parse_constant=_refuse_constant)


def decode(tree: object, *, max_nesting: int = MAX_NESTING) -> Value:
    """The value that a parsed JSON tree stands for. Raises BadRequest, naming the place."""
    try:
        return _read(tree, max_nesting)
    except Problem as problem:
        raise BadRequest(str(problem)) from None


def decode_args(tree: object, *, allow_object: bool = False) -> dict[str, Value]:
    """Arguments as they are called with: a list of one object; over HTTP (`allow_object`) also the object alone."""
    if isinstance(tree, list) and len(tree) == 1:
        tree = tree[0]
    elif not allow_object:
        raise BadRequest("`args` must be a list of one object")
    args = decode(tree)
    if not isinstance(args, dict):
        raise BadRequest("`args` must be an object")
    return args


def _read(tree: object, room: int) -> Value:
    if tree is None or tree is True or tree is False:
        return tree
    if isinstance(tree, str):
        if not tree.isascii():
            refuse_unpaired_surrogates(tree)
        return tree
    if isinstance(tree, (int, float)):
        return _read_number(tree)
    if isinstance(tree, dict):
        tag = next(iter(tree)) if len(tree) == 1 else ""
        return _read_tag(tag, tree[tag]) if tag.startswith("$") else read_object(tree, room, _read)
    assert isinstance(tree, list), "a parsed JSON tree"
    return read_list(tree, room, _read)


def _read_number(number: int | float) -> float:
    """A plain number is a float64, as in JavaScript, however it is written."""
    try:
        read = float(number)
    except OverflowError:
        read = math.inf
    if not math.isfinite(read):
        raise Problem("the number is too large for a float64")
    return read


def _read_tag(tag: str, content: object) -> Value:
    reader = _TAG_READERS.get(tag)
    if reader is None:
        raise Problem("a key that begins with `$` is a tag, and only $integer, $float and $bytes are known")
    if not isinstance(content, str):
        raise Problem(f"{tag} must hold a string in base64")
    try:
        raw = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(f"{tag} must hold a string in base64") from None
    if tag != "$bytes" and len(raw) != 8:
        raise Problem(f"{tag} must hold 8 bytes")
    return reader(raw)


def _read_float(raw: bytes) -> float:
    number: float = struct.unpack("<d", raw)[0]
    if math.isfinite(number) and float.__repr__(number) != "-0.0":
        raise Problem("$float is for NaN, infinities and -0 only")
    return number


def _read_integer(raw: bytes) -> Int64:
    return Int64(struct.unpack("<q", raw)[0])


_TAG_READERS: Mapping[str, Callable[[bytes], Value]] = {"$integer": _read_integer, "$float": _read_float, "$bytes": bytes}


# --- values to plain JSON ------------------------------------------------------------------------------------------


def lossy(value: Value) -> Any:
    """A tree for `json.dumps`, without tags: what HTTP's `format: "json"` answers. Types cannot be told from it."""
    if isinstance(value, dict):
        return {name: lossy(item) for name, item in value.items()}
    if isinstance(value, list):
        return [lossy(item) for item in value]
    if isinstance(value, Int64):
        return str(int(value))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def lossy_text(encoded: str) -> str:
    """The same for a result that is encoded already: text to text."""
    if '"$' not in encoded:  # no tag in it: both forms are the same
        return encoded
    return json.dumps(lossy(decode(parse(encoded), max_nesting=MAX_NESTING)), ensure_ascii=False, separators=(",", ":"))
