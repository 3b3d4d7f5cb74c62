"""Single rules of the session, each by name; `test_session_laws` has what holds under any order of messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.errors import BadRequest
from hub.protocol.content import Content
from hub.protocol.messages import (
    AddQuery,
    Authenticate,
    AuthError,
    Call,
    CallResponse,
    CatchUp,
    Close,
    Connect,
    Effect,
    Event,
    Failure,
    FatalError,
    HoldForRepeats,
    ModifyQuerySet,
    QueryChanged,
    QueryId,
    QueryRemoved,
    RemoveQuery,
    RequestId,
    Result,
    Resumed,
    RunMutation,
    Send,
    Success,
    Transition,
    Unwatch,
    Verify,
    Version,
    Watch,
)
from hub.protocol.session import Session, closing
from hub.timestamps import Timestamp

Q0, Q1 = QueryId(0), QueryId(1)
R0 = RequestId(0)
ONE, TWO = Success("1.0"), Success("2.0")
LOGIN = Authenticate(0, "User", "token")


def at(ts: int) -> Timestamp:
    return Timestamp(ts)


def a_session(connection_count: int = 0, max_queries: int = 3, max_mutations: int = 2) -> Session:
    session = Session(max_queries=max_queries, max_mutations=max_mutations)
    session.receive(Connect("s", connection_count))
    return session


def an_add(query_id: QueryId = Q0, journal: str | None = None) -> AddQuery:
    return AddQuery(query_id, "messages:list", {}, "{}", journal)


def adding(*queries: AddQuery, base: int = 0) -> ModifyQuerySet:
    return ModifyQuerySet(base, base + 1, queries)


def removing(*query_ids: QueryId, base: int = 1) -> ModifyQuerySet:
    return ModifyQuerySet(base, base + 1, tuple(RemoveQuery(query_id) for query_id in query_ids))


def a_mutation(request_id: RequestId = R0) -> Call:
    return Call("mutation", request_id, "messages:send", {}, "key")


def watching(*query_ids: QueryId, journal: str | None = None) -> Session:
    session = a_session()
    session.receive(adding(*(an_add(query_id, journal) for query_id in query_ids)))
    session.advance(at(1), dict.fromkeys(query_ids, ONE))
    return session


def the_close(effects: list[Effect]) -> Close:
    (*_, last) = effects
    assert isinstance(last, Close)
    return last


# --- transitions ---------------------------------------------------------------------------------------------------


def test_the_first_transition_starts_at_zero_and_has_every_query() -> None:
    session = a_session()
    assert session.receive(adding(an_add(Q0), an_add(Q1))) == [Watch(an_add(Q0)), Watch(an_add(Q1))]

    transition = session.advance(at(7), {Q0: ONE, Q1: TWO})

    changes = (QueryChanged(Q0, ONE), QueryChanged(Q1, TWO))
    assert transition == Transition(Version(), Version(1, 0, at(7)), changes)
    assert not session.owes_transition


def test_several_query_set_changes_are_folded_into_one_transition() -> None:
    session = a_session()
    session.receive(adding(an_add(Q0)))
    session.receive(ModifyQuerySet(1, 5, (an_add(Q1),)))
    session.receive(removing(Q0, base=5))

    transition = session.advance(at(7), {Q1: ONE})

    assert transition == Transition(Version(), Version(6, 0, at(7)), (QueryRemoved(Q0), QueryChanged(Q1, ONE)))


def test_an_empty_query_set_change_owes_a_transition() -> None:
    session = a_session()
    session.receive(adding())
    assert session.advance(at(7), {}) == Transition(Version(), Version(1, 0, at(7)))


def test_only_changed_results_are_sent_and_without_a_change_nothing_is() -> None:
    session = watching(Q0, Q1)

    assert session.advance(at(2), {Q0: replace(ONE), Q1: replace(ONE, journal="end")}) is None
    transition = session.advance(at(3), {Q0: ONE, Q1: TWO})

    assert transition == Transition(Version(1, 0, at(1)), Version(1, 0, at(3)), (QueryChanged(Q1, TWO, base=ONE),))


@pytest.mark.parametrize("is_new", [False, True])
def test_a_change_says_whether_the_journal_is_another_than_the_one_that_was_told(is_new: bool) -> None:
    session = watching(Q0)
    session.advance(at(2), {Q0: replace(ONE, journal="not told")})

    transition = session.advance(at(3), {Q0: replace(TWO, journal="not told" if is_new else None)})

    assert transition is not None
    assert transition.modifications == (QueryChanged(Q0, transition.modifications[0].result, ONE, tells_journal=is_new),)  # type: ignore[union-attr]


def test_what_the_client_holds_is_told_only_of_who_it_is_now() -> None:
    session, value = watching(Q0), replace(TWO, content=Content(2.0, 3))
    session.advance(at(2), {Q0: value})
    before = session.held(Q0)

    session.receive(Authenticate(0, "User", "token"))
    session.authenticated()
    meanwhile = session.held(Q0)
    session.advance(at(3), {Q0: value})

    assert before is value.content
    assert meanwhile is None
    assert session.held(Q0) is value.content


def test_only_the_first_result_on_a_socket_is_looked_for_among_what_the_client_holds() -> None:
    session, content = a_session(), Content(1.0, 3)
    held = replace(an_add(Q0), held=(content.digest,))
    session.receive(adding(held, an_add(Q1)))
    asked: list[tuple[AddQuery, Success]] = []

    def recall(query: AddQuery, result: Success) -> Resumed | None:
        asked.append((query, result))
        return Resumed(0, content)

    first = session.advance(at(1), {Q0: ONE, Q1: ONE}, recall)
    second = session.advance(at(2), {Q0: TWO, Q1: TWO}, recall)

    assert first is not None
    assert second is not None
    assert first.modifications == (QueryChanged(Q0, ONE, resumed=Resumed(0, content)), QueryChanged(Q1, ONE))
    assert second.modifications == (QueryChanged(Q0, TWO, ONE), QueryChanged(Q1, TWO, ONE))
    assert asked == [(held, ONE)]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(TWO, id="value"),
        pytest.param(replace(ONE, log_lines=("[LOG] 'x'",)), id="log lines"),
        pytest.param(Failure("boom", "FunctionCrashed"), id="failure"),
    ],
)
def test_a_result_that_differs_is_sent(result: Success | Failure) -> None:
    transition = watching(Q0).advance(at(2), {Q0: result})
    assert transition is not None
    assert transition.modifications == (QueryChanged(Q0, result, base=ONE),)


def test_a_failure_is_sent_again_when_its_message_or_data_differs() -> None:
    session, failure = watching(Q0), Failure("a", "ApplicationError", "1.0")
    for different in (failure, replace(failure, message="b"), replace(failure, message="b", data="2.0")):
        assert session.advance(at(2), {Q0: different}) is not None
        assert session.advance(at(2), {Q0: replace(different)}) is None


def test_a_change_names_the_value_that_the_client_holds_also_behind_errors() -> None:
    session, broken = watching(Q0), Failure("a", "FunctionCrashed")
    results: list[Result] = [broken, replace(broken, message="b"), TWO, ONE]

    transitions = [session.advance(at(ts), {Q0: result}) for ts, result in enumerate(results, start=2)]

    changes = [change for transition in transitions if transition is not None for change in transition.modifications]
    assert changes == [QueryChanged(Q0, result, base) for result, base in zip(results, (ONE, ONE, ONE, TWO), strict=True)]


def test_a_query_that_failed_and_comes_again_under_its_id_has_no_value_to_build_on() -> None:
    session = watching(Q0)
    session.advance(at(2), {Q0: Failure("a", "FunctionCrashed")})
    session.receive(ModifyQuerySet(1, 2, (RemoveQuery(Q0), an_add(Q0))))

    transition = session.advance(at(3), {Q0: TWO})

    assert transition is not None
    assert transition.modifications == (QueryChanged(Q0, TWO),)


def test_a_query_that_comes_again_under_its_id_gets_its_result_again() -> None:
    session = watching(Q0)
    effects = session.receive(ModifyQuerySet(1, 2, (RemoveQuery(Q0), an_add(Q0))))

    transition = session.advance(at(2), {Q0: ONE})

    assert effects == [Unwatch(Q0), Watch(an_add(Q0))]
    assert transition is not None
    assert transition.modifications == (QueryChanged(Q0, ONE),)


def test_a_timestamp_never_goes_back() -> None:
    session = watching(Q0)
    session.receive(a_mutation())
    session.answered(R0, ONE, at(9))
    assert session.least_ts == 9
    with pytest.raises(AssertionError, match="never goes back"):
        session.advance(at(8), {Q0: ONE})
    session.advance(at(10), {Q0: ONE})
    assert session.least_ts == 10


def test_a_removal_is_told_once() -> None:
    session = watching(Q0, Q1)
    session.receive(removing(Q0))

    told, later = session.advance(at(2), {Q1: ONE}), session.advance(at(3), {Q1: TWO})

    assert told is not None
    assert later is not None
    assert told.modifications == (QueryRemoved(Q0),)
    assert later.modifications == (QueryChanged(Q1, TWO, base=ONE),)


def test_a_reconnected_client_gets_nothing_older_than_it_has_seen() -> None:
    session = Session(max_queries=1, max_mutations=1)
    effects = session.receive(Connect("s", 3, "InactiveServer", at(40)))
    assert effects == [CatchUp(at(40)), HoldForRepeats()]
    assert session.least_ts == 40


def test_a_query_of_another_component_fails_and_is_not_watched() -> None:
    session = a_session()
    assert session.receive(adding(replace(an_add(Q0), component="shop"), an_add(Q1))) == [Watch(an_add(Q1))]
    assert list(session.wanted) == [Q1]

    transition = session.advance(at(1), {Q1: ONE})

    assert transition is not None
    failed = next(change for change in transition.modifications if change.query_id == Q0)
    assert isinstance(failed, QueryChanged)
    assert "Components are not available" in failed.result.message  # type: ignore[union-attr]  # fails otherwise
    assert session.receive(removing(Q0)) == []


def test_a_query_whose_arguments_cannot_be_read_fails_alone() -> None:
    session = a_session()
    session.receive(adding(replace(an_add(Q0), problem="half an emoji")))
    transition = session.advance(at(1), {})
    expected = Failure("BadRequest: messages:list: half an emoji", "BadRequest")
    assert transition == Transition(Version(), Version(1, 0, at(1)), (QueryChanged(Q0, expected),))


# --- pages ---------------------------------------------------------------------------------------------------------


def test_a_page_keeps_its_end_when_the_identity_changes() -> None:
    session = watching(Q0)
    session.advance(at(2), {Q0: Success("[]", journal="end 5")})
    session.receive(LOGIN)
    assert session.authenticated() == [Unwatch(Q0), Watch(an_add(Q0, journal="end 5"))]
    assert session.wanted[Q0].journal == "end 5"


def test_a_page_that_fails_keeps_its_end() -> None:
    failure = Failure("boom", "FunctionCrashed")
    with_journal = QueryChanged(Q0, replace(failure, journal="end 5"))
    page = Success("[]", journal="end 5")

    session = watching(Q0)
    session.advance(at(2), {Q0: page})
    failing = session.advance(at(3), {Q0: failure})
    fresh = a_session()
    fresh.receive(adding(an_add(Q0, journal="end 5")))
    failing_at_once = fresh.advance(at(3), {Q0: failure})

    assert failing is not None
    assert failing_at_once is not None
    assert failing.modifications == (with_journal._replace(base=page),)
    assert failing_at_once.modifications == (with_journal,)
    assert session.advance(at(4), {Q0: failure}) is None


# --- mutations -----------------------------------------------------------------------------------------------------


def test_every_answer_owes_a_transition_and_a_success_one_at_its_timestamp() -> None:
    session = a_session()
    assert session.receive(a_mutation()) == [RunMutation(a_mutation(), "s", may_repeat=False)]
    assert session.answered(R0, ONE, at(5)) == [Send(CallResponse("mutation", R0, ONE, at(5)))]
    assert session.owes_transition
    assert session.advance(at(5), {}) == Transition(Version(), Version(0, 0, at(5)))

    failure = Failure("no", "ApplicationError", "{}")
    session.receive(a_mutation(RequestId(1)))
    assert session.answered(RequestId(1), failure, None) == [Send(CallResponse("mutation", RequestId(1), failure))]
    assert session.advance(at(5), {}) == Transition(Version(0, 0, at(5)), Version(0, 0, at(5)))


def test_a_mutation_of_a_reconnected_client_or_with_an_old_request_id_may_repeat() -> None:
    assert a_session(connection_count=1).receive(a_mutation()) == [RunMutation(a_mutation(), "s", may_repeat=True)]
    session = a_session()
    session.receive(a_mutation())
    assert session.receive(a_mutation()) == [RunMutation(a_mutation(), "s", may_repeat=True)]


def test_an_action_fails_and_a_transition_follows() -> None:
    session = a_session()
    (effect,) = session.receive(replace(a_mutation(), kind="action"))
    assert isinstance(effect, Send)
    assert isinstance(effect.message, CallResponse)
    assert effect.message.kind == "action"
    assert "Actions are not available" in effect.message.result.message  # type: ignore[union-attr]  # fails otherwise
    assert session.owes_transition


@pytest.mark.parametrize("refused", [{"component": "shop"}, {"problem": "half an emoji"}])
def test_a_mutation_that_cannot_be_called_is_answered_without_being_run(refused: dict[str, str]) -> None:
    session = a_session()
    (effect,) = session.receive(replace(a_mutation(), **refused))  # type: ignore[arg-type]  # both fields are texts
    assert isinstance(effect, Send)
    assert isinstance(effect.message, CallResponse)
    assert isinstance(effect.message.result, Failure)
    assert session.owes_transition


def test_a_mutation_without_connect_is_not_run_but_queries_and_tokens_are_served() -> None:
    session = Session(max_queries=1, max_mutations=1)
    assert session.receive(LOGIN) == [Verify(LOGIN)]
    session.authenticated()
    assert session.receive(adding(an_add())) == [Watch(an_add())]
    close = the_close(session.receive(a_mutation()))
    assert (close.code, close.reason.split(":")[0]) == (1011, "InternalServerError")


def test_too_many_waiting_mutations_or_queries_close_the_socket() -> None:
    busy, greedy = a_session(max_mutations=1), a_session(max_queries=1)
    busy.receive(a_mutation())
    for effects in (busy.receive(a_mutation(RequestId(1))), greedy.receive(adding(an_add(Q0), an_add(Q1)))):
        close = the_close(effects)
        assert (close.code, close.reason.split(":")[0]) == (1013, "TooManyConcurrentRequests")

    served = a_session(max_mutations=1)
    served.receive(a_mutation())
    served.answered(R0, ONE, at(1))
    assert served.receive(a_mutation(RequestId(1))) == [RunMutation(a_mutation(RequestId(1)), "s", may_repeat=False)]


# --- identity ------------------------------------------------------------------------------------------------------


def test_a_new_identity_watches_every_query_again_and_sends_only_what_changed() -> None:
    session = watching(Q0, Q1)
    session.receive(LOGIN)
    assert session.is_verifying
    effects = session.authenticated()
    assert effects == [Unwatch(Q0), Watch(an_add(Q0)), Unwatch(Q1), Watch(an_add(Q1))]

    transition = session.advance(at(1), {Q0: ONE, Q1: TWO})

    assert transition == Transition(Version(1, 0, at(1)), Version(1, 1, at(1)), (QueryChanged(Q1, TWO, base=ONE),))


def test_a_renewed_token_leaves_the_queries_and_still_owes_a_transition() -> None:
    session = watching(Q0)
    session.receive(LOGIN)
    assert session.authenticated(is_other_caller=False) == []
    assert session.advance(at(1), {Q0: ONE}) == Transition(Version(1, 0, at(1)), Version(1, 1, at(1)))


def test_a_bad_token_is_an_auth_error_at_the_old_identity_and_the_end() -> None:
    session = a_session()
    session.receive(LOGIN)
    assert session.rejected("bad") == [Send(AuthError("bad", 0, update_attempted=True)), Close()]
    assert session.is_closed


def test_an_expired_token_ends_the_session_unless_a_new_one_is_being_verified() -> None:
    session = a_session()
    session.receive(LOGIN)
    session.authenticated()
    session.receive(replace(LOGIN, base_version=1))
    assert session.expired("late") == []
    session.authenticated()
    assert session.expired("late") == [Send(AuthError("late", 2, update_attempted=False)), Close()]


def test_nothing_is_received_while_a_token_is_verified() -> None:
    session = a_session()
    session.receive(LOGIN)
    with pytest.raises(AssertionError, match="messages wait"):
        session.receive(adding(an_add()))


# --- misuse, endings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Connect("s", 0), id="Connect twice"),
        pytest.param(adding(an_add(Q1), base=0), id="an old base version"),
        pytest.param(adding(an_add(Q1), base=2), id="a base version ahead"),
        pytest.param(ModifyQuerySet(1, 1, ()), id="a version that stays"),
        pytest.param(adding(an_add(Q0), base=1), id="an id that is there"),
        pytest.param(removing(Q1), id="an id that is not there"),
        pytest.param(replace(LOGIN, base_version=1), id="an identity version ahead"),
    ],
)
def test_disagreement_on_versions_and_ids_makes_the_client_start_over(
    message: Connect | ModifyQuerySet | Authenticate,
) -> None:
    session = watching(Q0)
    close = the_close(session.receive(message))
    assert (close.code, close.reason.split(":")[0]) == (1011, "InternalServerError")


def test_connect_after_something_else_makes_the_client_start_over() -> None:
    session = Session(max_queries=1, max_mutations=1)
    session.receive(Event())
    session.receive(adding())
    assert isinstance(session.receive(Connect("s", 0))[0], Close)


def test_a_malformed_frame_is_fatal() -> None:
    (send, close) = a_session().malformed(BadRequest("not JSON"))
    assert send == Send(FatalError("not JSON"))
    assert isinstance(close, Close)


def test_nothing_comes_after_the_end() -> None:
    session = watching(Q0)
    session.receive(a_mutation())
    session.gone()

    assert session.receive(adding(base=1)) == []
    assert session.answered(R0, ONE, at(5)) == []
    assert session.advance(at(5), {Q0: TWO}) is None
    assert session.expired("late") == []
    assert session.malformed(BadRequest("x")) == []
    assert not session.owes_transition


def test_a_close_reason_fits_in_its_frame_and_stays_whole_text() -> None:
    close = closing(1011, "InternalServerError", "é" * 100)
    assert len(close.reason.encode()) <= 123
    assert close.reason.endswith("é")
