"""Text in UTF-16 code units: counted as JavaScript does, put together from pieces, never cut inside a character."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import ApplicationError, append_at, utf16_length
from hub.utf16 import whole_characters

texts = st.text("ab\u00e9\u4e16\U0001f600\U0010ffff", max_size=8)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_length_is_javascripts(text: str) -> None:
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2


@given(texts, st.data())
def test_pieces_of_a_text_make_the_text_wherever_they_overlap(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    stored = text[: data.draw(st.integers(start, len(text)))]
    end = data.draw(st.integers(start, len(text)))
    assert append_at(stored, text[start:end], utf16_length(text[:start])) == max(stored, text[:end], key=len)


@pytest.mark.parametrize(
    ("text", "delta", "offset", "data"),
    [
        ("ab", "x", 3, {"code": "OFFSET_GAP", "expected": 2, "offset": 3}),
        ("\U0001f600", "x", 3, {"code": "OFFSET_GAP", "expected": 2, "offset": 3}),
        ("ab", "x", -1, {"code": "OFFSET_GAP", "expected": 2, "offset": -1}),
        ("\U0001f600", "x", 1, {"code": "OFFSET_IN_CHARACTER", "offset": 1}),
        ("\U0001f600", "", 1, {"code": "OFFSET_IN_CHARACTER", "offset": 1}),
        ("abc", "bd", 1, {"code": "TEXT_DIFFERS", "offset": 1}),
        ("abc", "cdX", 1, {"code": "TEXT_DIFFERS", "offset": 1}),
        ("a\U0001f600", "\U0001f601", 1, {"code": "TEXT_DIFFERS", "offset": 1}),
        ("", "\ud83d", 0, {"code": "HALF_CHARACTER"}),
        ("", "\ude00a", 0, {"code": "HALF_CHARACTER"}),
        ("", "\ud83d\ude00", 0, {"code": "HALF_CHARACTER"}),
    ],
    ids=repr,
)
def test_what_would_spoil_the_text_is_refused(text: str, delta: str, offset: int, data: object) -> None:
    with pytest.raises(ApplicationError) as refused:
        append_at(text, delta, offset)
    assert refused.value.data == data


@given(texts, st.lists(st.integers(0, 16), max_size=4))
def test_halves_that_come_one_after_the_other_are_characters_again(text: str, cuts: list[int]) -> None:
    """As a stream of JSON strings brings them: cut between any two code units."""
    units = text.encode("utf-16-le")
    places = sorted({0, len(units), *(2 * cut for cut in cuts if 2 * cut < len(units))})
    whole, held = "", ""
    for start, end in itertools.pairwise(places):
        piece, held = whole_characters(held + units[start:end].decode("utf-16-le", "surrogatepass"))
        assert piece.encode("utf-8") is not None, "nothing in it is half"
        whole += piece
    assert (whole, held) == (text, "")
