from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import timestamps
from hub.errors import BadRequest
from hub.timestamps import Timestamp

seconds = st.integers(0, 2**31 - 1)
increments = st.integers(0, 2**32 - 1)


@given(st.integers(0, 2**64 - 1))
def test_decoding_undoes_encoding(number: int) -> None:
    text = timestamps.encode(Timestamp(number))
    assert len(text) == 12
    assert timestamps.decode(text) == number


@given(seconds, increments)
def test_unpacking_undoes_packing(second: int, increment: int) -> None:
    assert timestamps.unpack(timestamps.pack(second, increment)) == (second, increment)


@given(st.tuples(seconds, increments), st.tuples(seconds, increments))
def test_timestamps_order_by_second_and_then_increment(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (timestamps.pack(*one) < timestamps.pack(*other)) == (one < other)


def test_the_wire_form_is_little_endian_as_the_published_client_reads_it() -> None:
    assert timestamps.encode(timestamps.ZERO) == "AAAAAAAAAAA="
    assert timestamps.encode(Timestamp(1)) == "AQAAAAAAAAA="


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("AAAAAAAAAAA", id="no padding"),
        pytest.param("AAAAAAAAAAAA", id="nine bytes"),
        pytest.param("AAAAAAAAAA==", id="seven bytes"),
        pytest.param("AAAAAAAAAA\n=", id="a newline inside"),
        pytest.param("AAAAAAAAAA-=", id="the URL alphabet"),
        pytest.param("äAAAAAAAAAA=", id="not ASCII"),
        pytest.param(0, id="a number"),
        pytest.param(None, id="nothing"),
    ],
)
def test_whatever_is_no_timestamp_is_refused(text: object) -> None:
    with pytest.raises(BadRequest):
        timestamps.decode(text)
