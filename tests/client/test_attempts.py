"""The laws of trying again: the deadline, the hub's wish, and what may be called a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client.attempts import Attempts
from hub.client.calls import Setback, retry_after_s
from hub.client.errors import MutationOutcomeUnknown
from hub.client.options import Timeouts
from hub.errors import HubError, RequestMismatch, Unauthorized, Unavailable

setbacks = st.builds(
    Setback,
    error=st.just(Unavailable("not now")),
    may_retry=st.booleans(),
    leaves_doubt=st.booleans(),
    status=st.sampled_from([None, 401, 500, 503]),
    retry_after_s=st.floats(0, 20),
)


@given(st.lists(setbacks, min_size=1), st.floats(0, 0.999), st.booleans())
def test_no_wait_ends_past_the_deadline_and_none_is_shorter_than_asked(found: list[Setback], jitter: float, is_query: bool) -> None:
    attempts = Attempts(None if is_query else "key", Timeouts(deadline_s=30), 100.0, lambda: jitter)
    now, doubt = 100.0, False
    for setback in found:
        doubt = doubt or setback.leaves_doubt
        try:
            wait_s = attempts.wait_s(setback, now)
        except HubError as error:
            assert isinstance(error, MutationOutcomeUnknown) == (doubt and not is_query)  # noqa: PT017  # or no error
            return
        assert setback.may_retry
        assert wait_s >= setback.retry_after_s
        now += wait_s
        assert now < 130.0
        assert attempts.timeout_s(now) <= 130.0 - now + 0.001


def refused(error: HubError, *, leaves_doubt: bool = False) -> Setback:
    return Setback(error, may_retry=False, leaves_doubt=leaves_doubt, status=401)


def test_a_mutation_that_may_have_run_is_not_called_refused() -> None:
    attempts = Attempts("key", Timeouts(), 0.0)
    attempts.wait_s(Setback(Unavailable("lost"), may_retry=True, leaves_doubt=True), 0.0)

    with pytest.raises(MutationOutcomeUnknown) as unknown:
        attempts.wait_s(refused(Unauthorized("expired")), 1.0)

    assert unknown.value.idempotency_key == "key"
    assert isinstance(unknown.value.__cause__, Unauthorized)


def test_a_key_of_another_call_was_never_this_calls() -> None:
    attempts = Attempts("key", Timeouts(), 0.0)
    attempts.wait_s(Setback(Unavailable("lost"), may_retry=True, leaves_doubt=True), 0.0)

    with pytest.raises(RequestMismatch):
        attempts.wait_s(refused(RequestMismatch("another call")), 1.0)


def test_a_token_is_renewed_once_for_a_call() -> None:
    attempts = Attempts(None, Timeouts(), 0.0)

    assert attempts.may_renew(refused(Unauthorized("expired")))
    assert not attempts.may_renew(refused(Unauthorized("expired")))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param(None, 0, 0, id="none"),
        pytest.param("7", 7, 7, id="seconds"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0, id="a date that is over"),
        pytest.param("Fri, 31 Dec 2199 23:59:59 GMT", 10**9, 10**10, id="a date"),
        pytest.param("soon", 0, 0, id="neither"),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, least: float, most: float) -> None:
    assert least <= retry_after_s(text) <= most
