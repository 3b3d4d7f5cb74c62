"""GrowingText: a text field that is written in small steps, and stored so that a step costs what it adds.

Declared with `Table.grows`, put together by `hub.functions.rows`, taken apart by `ctx.db.patch`. While its row grows, what is added
lies in a list of parts beside the field; functions and clients see the one text. Once the row grows no more it is the one field
again. Source of the form: appending 3 characters to a field of 20 kB is a change event of 20,351 bytes, pushing a part 353.
Invariant: whatever the parts are, the field's text followed by them is the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hub.errors import InvalidRow
from hub.functions.indexes import BadField, recorded_field
from hub.values import Row, Value

if TYPE_CHECKING:
    from hub.functions.tables import TableInfo

MAX_PARTS: Final = 64
"""With one more, the last are made one, as many as `_shortened` says."""


@dataclass(frozen=True, slots=True)
class GrowingText:
    """`python` is the field's name in its class, `text` and `parts` are stored names. `while_` says of a row, as its class, whether
    it still grows."""

    python: str
    text: str
    parts: str
    while_: Callable[[Any], bool]

    def joined(self, row: Row) -> Value:
        """The whole text; None if the row has none. Raises InvalidRow for parts that no hub wrote."""
        text, parts = row.get(self.text), row.get(self.parts)
        if not parts:
            return text
        texts = ["" if text is None else text, *parts] if isinstance(parts, list) else [None]
        if not all(isinstance(part, str) for part in texts):
            raise InvalidRow(f"{row['_id']!s}: {self.parts} is not a list of strings that follows one")
        return "".join(texts)  # type: ignore[arg-type]  # seen a line above

    def settle(self, before: Row, after: dict[str, Value], *, is_changed: bool, still_grows: bool) -> None:
        """Bring `after` into its stored form. If `is_changed` its text is whole, and may be any; else it is that of `before`."""
        known = self.joined(before)
        text = after.get(self.text) if is_changed else known
        parts = after.pop(self.parts, None)
        if text is None:
            return
        has_grown = isinstance(text, str) and isinstance(known, str) and text.startswith(known)
        if not (still_grows and has_grown):
            after[self.text] = text
            return
        assert isinstance(text, str)
        assert isinstance(known, str)
        after[self.text] = before.get(self.text, "")
        longer = _extended(parts if isinstance(parts, list) else [], text[len(known) :])
        if longer:
            after[self.parts] = longer


def declare(table: TableInfo, named: Callable[[object], object], while_: Callable[[Any], bool], place: str) -> None:
    """Give the table its growing text; what is wrong with it becomes a problem of the table."""
    try:
        field = recorded_field(table, named)
        parts = f"{field.stored}Parts"
        if table.row_type.model_fields[field.python].annotation not in (str, str | None):
            raise BadField(f"{field.python!r} is not a str")
        if any(parts in (known.stored, known.wire) for known in table.all_fields):
            raise BadField(f"{parts!r}, where its parts would be stored, is a field itself")
    except BadField as problem:
        table.problems.append(f"{place}: growing text of {table.class_name}: {problem}")
        return
    table.add_growing(GrowingText(field.python, field.stored, parts, while_), place)


def _extended(parts: list[Value], more: str) -> list[Value]:
    if not more:
        return parts
    longer = [*parts, more]
    return longer if len(longer) <= MAX_PARTS else _shortened(longer)


def _shortened(parts: list[Value]) -> list[Value]:
    """The last parts as one, back to the first that is more than twice what follows it.

    So each part that stays is more than twice the rest: there are at most log3(n) of them, and by the next time `MAX_PARTS` less
    those have been added. And a text that is written again is then in a part half as large again: each character is written
    log1.5(n) times at most, n log n in all.
    """
    first, size = len(parts) - 1, len(_text(parts[-1]))
    while first and len(_text(parts[first - 1])) <= 2 * size:
        first -= 1
        size += len(_text(parts[first]))
    return [*parts[:first], "".join(map(_text, parts[first:]))]


def _text(part: Value) -> str:
    assert isinstance(part, str)
    return part
