"""One engine, told by hand what the world answers."""

from __future__ import annotations

import math
from itertools import product

import pytest

from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    BudgetExceeded,
    ContentRejected,
    InsufficientBalance,
    KlingError,
    NotSent,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    UnexpectedReply,
    WaitTimeout,
)
from kling_async.planning.engine import TRANSITIONS
from kling_async.planning.moves import Event, EventKind, State, Ticket
from kling_async.planning.retry import judge_submission
from kling_async.prediction import Status

from .conftest import FREE, PATH, Desk, desk, prediction

DONE = prediction("a", Status.SUCCEEDED)
NEWS = sorted({news for _, news in TRANSITIONS})
IMPOSSIBLE = {
    # what is in line was not sent, so no answer can come
    *product([State.PLANNED], ["not started", "refused", "answer lost", "accepted", "still running", "finished"]),
    # what is on its way is not taken twice, not given up, and not looked at
    *product([State.SENDING], ["taken", "given up", "still running", "finished"]),
    # what is accepted is never sent again
    *product([State.ACCEPTED], ["taken", "not started", "refused", "answer lost", "accepted"]),
    # what is over stays over
    *product([State.ENDED, State.FAILED, State.UNCONFIRMED], NEWS),
}


@pytest.mark.parametrize(("state", "news"), list(product(State, NEWS)))
def test_every_pair_is_in_the_table_or_impossible(state: State, news: str) -> None:
    """The table names each state and each piece of news that can come in it, and no other."""
    assert ((state, news) in TRANSITIONS) is not ((state, news) in IMPOSSIBLE)


def test_what_is_over_leads_nowhere() -> None:
    """Three states are ends, every other one has a way on, and every state can be reached from the first."""
    assert {State.ENDED, State.FAILED, State.UNCONFIRMED} == {state for state in State if state.over}
    assert {state for state in State if not state.over} == {state for state, _ in TRANSITIONS}
    assert set(State) == {State.PLANNED, *TRANSITIONS.values()}


def test_no_way_leads_from_a_lost_answer_or_an_acceptance_to_another_post() -> None:
    """What may have been paid for can never be sent again: no path of the table leads there."""
    reached, todo = set[State](), [State.ACCEPTED, State.UNCONFIRMED]
    while todo:
        state = todo.pop()
        reached.add(state)
        todo += [to for (start, _), to in TRANSITIONS.items() if start is state and to not in reached]
    assert {State.ACCEPTED, State.ENDED, State.UNCONFIRMED} == reached


def refused(kind: type[KlingError] = RateLimited, **facts: object) -> KlingError:
    """Make an error."""
    return kind("no", **facts)  # type: ignore[arg-type]


def test_the_whole_way() -> None:
    """planned, sending, accepted, still running, finished: each step is told once and in order."""
    at = desk()
    ticket = at.add()
    assert State.PLANNED is ticket.state
    assert ticket is at.send(0.0)
    assert State.SENDING is ticket.state
    at.answer(ticket, prediction("a"), now=0.2, sent_at=0.0)
    assert State.ACCEPTED is ticket.state
    looked, now = at.look(0.2)
    at.told(looked, prediction("a"), now=now)
    assert State.ACCEPTED is ticket.state
    looked, now = at.look(now)
    at.told(looked, DONE, now=now)
    assert (State.ENDED, State.ACCEPTED) == (ticket.state, ticket.came_from)
    assert [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED] == at.kinds()
    assert (DONE, None) == (at.events[-1].prediction, at.events[-1].error)
    assert at.events == at.heard
    assert (math.inf, math.inf) == (at.engine.submit_at(now), at.engine.poll_at(now))
    assert 0 == at.engine.slots.taken


def test_the_reply_is_let_go_while_it_runs() -> None:
    """A running prediction keeps no copy of the reply; a finished one does."""
    at = desk()
    ticket = at.accepted()
    assert ticket.prediction is not None
    assert ticket.prediction.raw is None
    at.told(*at.look(0.0)[:1], DONE, now=9.0)
    assert {"much": "text"} == at.events[-1].prediction.raw  # type: ignore[union-attr]


def test_a_new_word_is_told_once() -> None:
    """The provider's own status word is news when it changes, and only then."""
    at = desk()
    at.accepted()
    now = 0.0
    for word in ("processing", "rendering", "rendering", "painting"):
        ticket, now = at.look(now)
        at.told(ticket, prediction("a", word=word), now=now)
    assert 2 == at.kinds().count(EventKind.STATUS)
    assert "painting" == at.events[-1].prediction.native_status  # type: ignore[union-attr]


@pytest.mark.parametrize("only_submit", [False, True])
def test_an_acceptance_may_be_the_end(only_submit: bool) -> None:
    """A submission that comes back finished, or whose caller wants no more, is over at once and is never polled."""
    at = desk()
    ticket = at.add(only_submit=only_submit)
    at.send(0.0)
    at.answer(ticket, prediction("a") if only_submit else DONE, now=1.0)
    assert [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED] == at.kinds()
    assert (math.inf, 0) == (at.engine.poll_at(1.0), at.engine.slots.taken)


LOST = [
    AnswerLost("x"),
    UnexpectedReply("x"),
    ProviderUnavailable("x", http_status=502),
    BadRequest("x", http_status=408),
]


@pytest.mark.parametrize("error", LOST)
def test_a_lost_answer_is_the_end(error: KlingError) -> None:
    """G4: what may have been started is unconfirmed, told as such, and never in line again."""
    at = desk()
    ticket = at.add()
    at.send(0.0)
    at.answer(ticket, error, now=1.0)
    assert (State.UNCONFIRMED, error) == (ticket.state, at.events[-1].error)
    assert "a" == error.key
    assert (math.inf, None) == (at.engine.submit_at(1e9), at.engine.take_submit(1e9))
    assert 0 == at.engine.slots.taken


def test_a_refusal_is_the_end_of_one_job_only() -> None:
    """What repeating cannot cure fails at once, and those behind go on."""
    at = desk()
    first, second = at.add("a"), at.add("b")
    at.send(0.0)
    at.answer(first, refused(ContentRejected, http_status=400), now=1.0)
    assert State.FAILED is first.state
    assert second is at.send(1.0)


LATCHING = [
    refused(AuthenticationError, http_status=401),
    refused(PermissionDenied, http_status=403),
    refused(InsufficientBalance, http_status=402),
]


@pytest.mark.parametrize("error", LATCHING)
def test_a_refused_account_is_latched(error: KlingError) -> None:
    """401, 403, no money: everything in line is told so at once, each under its own key, and is never sent."""
    at = desk()
    running = at.accepted("old")
    tickets = [at.add(key) for key in ("a", "b", "c")]
    at.send(1.0)
    at.answer(tickets[0], error, now=2.0)
    assert [State.FAILED] * 3 == [ticket.state for ticket in tickets]
    ends = [event for event in at.events if event.kind is EventKind.FINISHED]
    assert [("a", type(error)), ("b", type(error)), ("c", type(error))] == [
        (event.key, type(event.error)) for event in ends
    ]
    assert ["a", "b", "c"] == [event.error.key for event in ends if event.error]
    assert [State.SENDING, State.PLANNED, State.PLANNED] == [ticket.came_from for ticket in tickets]
    assert at.engine.take_submit(2.0) is None
    # what is paid for is still looked at
    looked, now = at.look(2.0)
    assert running is looked
    at.told(looked, DONE, now=now)
    assert State.ENDED is running.state


@pytest.mark.parametrize(("after", "told"), [(0.0, True), (29.9, True), (30.0, False), (1000.0, False)])
def test_a_latch_holds_for_half_a_minute(after: float, told: bool) -> None:
    """What comes while the account is refused is refused with it; then one is tried again."""
    at = desk()
    at.add("a")
    at.answer(at.send(0.0), LATCHING[0], now=10.0)
    late = at.add("late")
    at.hear(at.engine.refuse_planned(10.0 + after))
    assert (State.FAILED if told else State.PLANNED) is late.state
    assert told is (at.engine.take_submit(10.0 + after) is None)


def test_what_comes_back_into_a_latched_line_is_refused_with_it() -> None:
    """A job that was on its way when the account was refused, and may be repeated, is not."""
    at = desk()
    for key in "ab":
        at.add(key)
    one, two = at.send(0.0), at.send(0.0)
    at.answer(one, LATCHING[0], now=1.0)
    at.answer(two, refused(retry_after=1.0), now=1.1, sent_at=0.0)
    assert State.FAILED is two.state
    assert [EventKind.SUBMITTED, EventKind.THROTTLED, EventKind.FINISHED] == at.kinds("b")


def test_a_429_pauses_the_line_and_loses_no_job() -> None:
    """The job goes back to the head, nothing is sent before the time that was asked, and then it goes first."""
    at = desk()
    for key in "abc":
        at.add(key)
    first = at.send(0.0)
    at.answer(first, refused(retry_after=20.0), now=1.0, sent_at=0.0)
    throttled = at.events[-1]
    assert (EventKind.THROTTLED, "a") == (throttled.kind, throttled.key)
    assert State.PLANNED is first.state
    again = at.engine.submit_at(1.0)
    assert again >= 21.0
    assert throttled.wait_for == pytest.approx(again - 1.0)
    assert at.engine.take_submit(again - 0.01) is None
    assert first is at.send(again)
    assert "b" == at.send(at.engine.submit_at(again)).key


def test_a_429_to_a_look_pauses_the_whole_account() -> None:
    """Who may not even look asks too much altogether: submissions wait as well."""
    at = desk()
    at.accepted("a")
    at.add("b")
    ticket, now = at.look(0.0)
    at.told(ticket, refused(retry_after=100.0), now=now)
    assert EventKind.THROTTLED is at.events[-1].kind
    assert min(at.engine.poll_at(now), at.engine.submit_at(now)) >= now + 100.0
    assert (None, None) == (at.engine.take_submit(now + 99.0), at.engine.take_poll(now + 99.0))
    assert ticket is at.look(now)[0]


def test_a_429_to_a_submission_does_not_hold_looks() -> None:
    """Looks are what frees slots, so a full account is still looked at while its submissions wait."""
    at = desk()
    at.accepted("a")
    at.add("b")
    at.answer(at.send(0.0), refused(retry_after=100.0), now=0.1, sent_at=0.0)
    assert at.look(0.1)[1] < 60.0
    assert at.engine.submit_at(60.0) >= 100.0


def test_429s_give_up_in_the_end() -> None:
    """A provider that never stops saying 429 is asked eight times while nothing else is open."""
    at = desk(dice=0.0)
    ticket, now, posts = at.add(), 0.0, 0
    while ticket.state is State.PLANNED:
        now = at.engine.submit_at(now)
        at.send(now)
        posts += 1
        at.answer(ticket, refused(), now=now)
    assert (8, State.FAILED) == (posts, ticket.state)
    assert isinstance(at.events[-1].error, RateLimited)


def test_429s_are_waited_out_while_others_run() -> None:
    """Where our own predictions may fill the provider's slots, a 429 says only that, and is not counted."""
    at = desk(dice=0.0)
    at.accepted("old")
    ticket, now = at.add(), 0.0
    for _ in range(30):
        now = at.engine.submit_at(now)
        at.answer(at.send(now), refused(), now=now)
    assert State.PLANNED is ticket.state


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    """When the provider asks for more time than the caller has, the error is told at once."""
    at = desk()
    ticket = at.add(until=50.0)
    at.answer(at.send(0.0), refused(retry_after=60.0), now=1.0)
    assert State.FAILED is ticket.state
    assert isinstance(at.events[-1].error, RateLimited)


@pytest.mark.parametrize("reason", ["refused", "timeout", "dns", "tls"])
def test_what_did_not_leave_is_sent_again(reason: str) -> None:
    """No byte left: as many attempts as the reason deserves, with others let past meanwhile, and each is told."""
    at = desk()
    ticket, now, posts = at.add(), 0.0, 0
    error = NotSent("x", reason=reason)
    while ticket.state is State.PLANNED:
        now = at.engine.submit_at(now)
        assert ticket is at.send(now)
        posts += 1
        at.answer(ticket, error, now=now)
        if ticket.state is State.PLANNED and posts == 1:
            other = at.accepted(f"other {reason}", now=now)
            at.hear(at.engine.polled(other, prediction("o", Status.SUCCEEDED), asked_at=now, now=now))
    assert judge_submission(error).attempts == posts
    assert State.FAILED is ticket.state
    assert [*[EventKind.SUBMITTED, EventKind.NOT_SENT] * (posts - 1), EventKind.SUBMITTED, EventKind.FINISHED] == (
        at.kinds("a")
    )


def test_tries_of_an_earlier_step_do_not_count() -> None:
    """Once accepted, a job starts its polls with a clean record."""
    at = desk()
    ticket = at.add()
    at.answer(at.send(0.0), NotSent("x"), now=0.0)
    at.answer(at.send(at.engine.submit_at(0.0)), prediction("a"), now=5.0)
    assert (0, None) == (ticket.tries, ticket.trouble)


def test_what_nobody_wants_any_more_is_not_sent_again() -> None:
    """A job whose caller went away while it was on its way, and that was not started, ends there."""
    for error in (refused(retry_after=1.0), NotSent("x")):
        at = desk()
        ticket = at.add()
        at.send(0.0)
        at.forget(ticket, now=0.5)
        at.answer(ticket, error, now=1.0)
        assert State.FAILED is ticket.state
        assert at.engine.take_submit(1e6) is None
        assert 0 == at.engine.slots.taken


# Deadlines, and callers who leave.


def test_who_waits_too_long_in_line_is_told_and_nothing_is_sent() -> None:
    """A job whose time is up before its turn is NotSent, with the last trouble as its cause."""
    at = desk(max_open=1)
    at.accepted("old")
    ticket = at.add("late", until=10.0)
    assert 10.0 == at.engine.deadline_at()
    assert [] == at.hear(at.engine.overdue(9.9))
    [event] = at.hear(at.engine.overdue(10.0))
    assert isinstance(event.error, NotSent)
    assert ("late", "timeout") == (event.key, event.error.reason)
    assert (State.FAILED, ()) == (ticket.state, ticket.subscriptions)
    assert (math.inf, None) == (at.engine.deadline_at(), at.engine.take_submit(11.0))


def test_who_waits_too_long_for_a_result_keeps_it() -> None:
    """WaitTimeout carries the prediction, whose slot is held, and which is looked at until it is finished."""
    at = desk(max_open=1)
    ticket = at.accepted(until=10.0)
    [event] = at.hear(at.engine.overdue(10.0))
    assert isinstance(event.error, WaitTimeout)
    assert "id-a" == event.error.prediction.id
    assert (State.ACCEPTED, 1) == (ticket.state, at.engine.slots.taken)
    looked, now = at.look(10.0)
    at.told(looked, DONE, now=now)
    assert (State.ENDED, 0) == (ticket.state, at.engine.slots.taken)
    assert [event] == [one for one in at.heard if one.kind is EventKind.FINISHED]


def test_the_cause_of_a_timeout_is_the_last_trouble() -> None:
    """When every look failed, the timeout says why."""
    at = desk()
    at.accepted(until=60.0)
    trouble = ProviderUnavailable("x", http_status=502)
    at.told(at.look(0.0)[0], trouble, now=9.0)
    [event] = at.hear(at.engine.overdue(60.0))
    assert event.error is not None
    assert trouble is event.error.__cause__


def test_what_is_on_its_way_is_not_given_up() -> None:
    """A deadline during the POST waits for its answer: whoever paid is told what for."""
    at = desk()
    ticket = at.add(until=10.0)
    at.send(9.0)
    assert [] == at.hear(at.engine.overdue(10.0))
    assert 10.0 < at.engine.deadline_at() < 12.0
    at.answer(ticket, prediction("a"), now=10.2)
    [event] = at.hear(at.engine.overdue(at.engine.deadline_at()))
    assert isinstance(event.error, WaitTimeout)


def test_forgotten_in_line_is_never_sent() -> None:
    """A caller who leaves before the turn costs nothing."""
    at = desk()
    ticket, other = at.add("a"), at.add("b")
    at.forget(ticket, now=0.0)
    assert other is at.send(0.0)
    assert State.FAILED is ticket.state
    assert [] == [event for event in at.events if event.key == "a"]


def test_forgotten_while_it_runs_is_looked_at_less() -> None:
    """What nobody waits for holds its slot, so it is looked at, though later than what somebody waits for."""

    def second_look(*, forgotten: bool) -> float:
        at = desk()
        ticket = at.accepted()
        _, now = at.look(0.0)
        ticket.scouting = False
        if forgotten:
            at.forget(ticket, now=now)
        at.told(ticket, prediction("a"), now=now)
        return at.look(now)[1] - now

    assert second_look(forgotten=False) * 2 < second_look(forgotten=True) < 60.0


def test_forgotten_ones_are_given_up_in_the_end() -> None:
    """A prediction that never ends gives its slot back after an hour without anybody waiting."""
    at = desk(max_open=1)
    ticket = at.accepted()
    at.forget(ticket, now=100.0)
    assert 3700.0 == at.engine.deadline_at()
    assert [] == at.hear(at.engine.overdue(3700.0))
    assert (State.ENDED, 0) == (ticket.state, at.engine.slots.taken)
    assert math.inf == at.engine.deadline_at()
    assert at.engine.take_poll(1e6) is None


def test_a_late_answer_to_a_look_of_the_given_up_is_no_news() -> None:
    """What was given up while a look was on its way stays so, and gives its slot back once."""
    at = desk(max_open=1)
    ticket = at.accepted()
    at.look(0.0)
    at.forget(ticket, now=0.0)
    at.hear(at.engine.overdue(3600.0))
    at.told(ticket, DONE, now=3601.0)
    assert (State.ENDED, 0) == (ticket.state, at.engine.slots.taken)


def test_closing_tells_everybody_who_waits() -> None:
    """When the client closes, nobody waits for ever: who has a prediction keeps it, who has none was not sent."""
    at = desk(max_open=1)
    at.accepted("a", until=600.0)
    at.add("b", until=600.0)
    gone = at.add("c", until=600.0)
    at.forget(gone, now=1.0)
    one, two = at.hear(at.engine.dismiss(5.0))
    assert isinstance(one.error, WaitTimeout)
    assert isinstance(two.error, NotSent)
    assert ("a", "b", "closed") == (one.key, two.key, two.error.reason)
    assert [] == at.hear(at.engine.dismiss(6.0))


# Several listeners.

SENT, RUNS, OVER = EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED


def brought(at: Desk, state: str) -> Ticket:
    """Bring a job to where a second listener joins it."""
    ticket = at.add()
    if state == "in line":
        return ticket
    at.engine.take_submit(0.0)
    if state == "taken":
        return ticket
    at.hear(at.engine.sending(ticket, 0.0))
    if state in ("turned away", "not sent"):
        at.answer(ticket, refused() if state == "turned away" else NotSent("x"), now=0.0)
    elif state == "accepted":
        at.answer(ticket, prediction("a"), now=0.0)
    return ticket


def go_on(at: Desk, ticket: Ticket) -> None:
    """Bring a job to its end, from wherever it is."""
    now = 0.0
    if ticket.state is State.PLANNED:
        now = at.engine.submit_at(0.0)
        assert ticket is at.send(now)
    elif ticket.state is State.SENDING and not ticket.posted:
        at.hear(at.engine.sending(ticket, now))
    if ticket.state is State.SENDING:
        at.answer(ticket, prediction("a"), now=now)
    if not ticket.state.over:
        looked, now = at.look(now)
        at.told(looked, DONE, now=now)


JOINED: dict[str, list[EventKind]] = {
    "in line": [SENT, RUNS, OVER],
    "taken": [SENT, RUNS, OVER],
    "on its way": [SENT, RUNS, OVER],
    "turned away": [SENT, RUNS, OVER],
    "not sent": [SENT, RUNS, OVER],
    "accepted": [EventKind.RESUMED, OVER],
}


@pytest.mark.parametrize("state", JOINED)
def test_a_second_listener_hears_how_far_it_is_and_what_follows(state: str) -> None:
    """Whenever it joins, its events add up to one way from the line to the end, and the first hears what it heard."""
    at, second = desk(dice=0.0), list[Event]()
    ticket = brought(at, state)
    before = len(at.heard)
    at.join(ticket, second)
    assert before == len(at.heard)
    go_on(at, ticket)
    assert JOINED[state] == [event.kind for event in second]
    assert (OVER, ()) == (at.heard[-1].kind, ticket.subscriptions)


@pytest.mark.parametrize("state", JOINED)
def test_a_listener_that_wants_it_accepted_is_told_once_it_is(state: str) -> None:
    """It hears the end at the acceptance, at once if that was before; the job goes on for the others."""
    at, second = desk(dice=0.0), list[Event]()
    ticket = brought(at, state)
    at.join(ticket, second, only_submit=True)
    if state != "accepted":
        if ticket.state is State.PLANNED:
            at.send(at.engine.submit_at(0.0))
        at.answer(ticket, prediction("a"), now=0.0)
    assert OVER is second[-1].kind
    assert (State.ACCEPTED, 1) == (ticket.state, len(ticket.subscriptions))
    assert second[-1].prediction is not None
    before = len(second)
    looked, now = at.look(0.0)
    at.told(looked, DONE, now=now)
    assert (before, OVER) == (len(second), at.heard[-1].kind)


@pytest.mark.parametrize("first", [True, False])
def test_a_job_goes_on_for_whoever_wants_it_finished(first: bool) -> None:
    """One listener that waits for the end is enough, whichever came first; without one it is over once accepted."""
    at, second = desk(), list[Event]()
    ticket = at.add(only_submit=first)
    at.join(ticket, second, only_submit=not first)
    at.answer(at.send(0.0), prediction("a"), now=0.0)
    assert (State.ACCEPTED, 1) == (ticket.state, len(ticket.subscriptions))
    at = desk()
    ticket = at.add(only_submit=True)
    at.join(ticket, second)
    at.forget(ticket, second, now=0.0)
    at.answer(at.send(0.0), prediction("a"), now=0.0)
    assert State.ENDED is ticket.state


def test_each_listener_has_a_deadline_of_its_own() -> None:
    """Each is told at its own time, in any order of coming, and the job waits for the last."""
    at, second, third = desk(), list[Event](), list[Event]()
    ticket = at.accepted(until=20.0)
    at.join(ticket, second, until=10.0)
    at.join(ticket, third, until=30.0)
    for until, heard in ((10.0, second), (20.0, at.heard), (30.0, third)):
        assert until == at.engine.deadline_at()
        at.hear(at.engine.overdue(until))
        assert isinstance(heard[-1].error, WaitTimeout)
    assert 1 == sum(event.kind is OVER for event in at.heard)
    assert (State.ACCEPTED, 3630.0) == (ticket.state, at.engine.deadline_at())


def test_in_line_a_job_stays_for_those_who_go_on_waiting() -> None:
    """Neither a deadline, nor leaving, nor a stop of one drops it; it may also be tried again past one's deadline."""
    at, second, third = desk(dice=0.0), list[Event](), list[Event]()
    ticket = at.add(until=10.0)
    at.join(ticket, second)
    at.join(ticket, third)
    at.hear(at.engine.overdue(10.0))
    at.hear(at.engine.recall(ticket, second.append, now=11.0))
    assert (State.PLANNED, 1) == (ticket.state, len(ticket.subscriptions))
    assert ["timeout", "stopped"] == [heard[-1].error.reason for heard in (at.heard, second)]  # type: ignore[union-attr]
    at.answer(at.send(12.0), refused(retry_after=60.0), now=12.0)
    assert State.PLANNED is ticket.state
    at.forget(ticket, third, now=13.0)
    assert (State.FAILED, [SENT, EventKind.THROTTLED]) == (ticket.state, [event.kind for event in third])


def test_a_stop_reaches_only_what_stands_in_line() -> None:
    """Who wants to leave a job that is on its way, or running, goes on hearing of it."""
    at = desk()
    ticket = at.accepted()
    assert [] == at.hear(at.engine.recall(ticket, at.heard.append, now=1.0))
    assert 1 == len(ticket.subscriptions)


def test_a_job_is_worth_what_its_keenest_listener_makes_it() -> None:
    """A caller who joins a row of a bulk run has it looked at more keenly, and less so again when it has left."""
    at, second = desk(), list[Event]()
    ticket = at.accepted()
    at.join(ticket, second, worth=2.0)
    assert 2.0 == ticket.worth
    at.forget(ticket, second, now=1.0)
    assert 1.0 == ticket.worth
    at.forget(ticket, now=1.0)
    assert ticket.worth < 1.0


def test_who_leaves_while_others_are_told_hears_nothing() -> None:
    """An event is told one by one; a listener that goes on account of what another one heard is not called."""
    at, second = desk(dice=0.0), list[Event]()

    def first(event: Event) -> None:
        if event.kind is EventKind.THROTTLED:
            at.forget(ticket, second, now=1.0)

    ticket = at.add(listener=first)
    at.join(ticket, second)
    at.answer(at.send(0.0), refused(), now=1.0)
    assert [SENT] == [event.kind for event in second]


def test_each_gets_an_error_of_its_own() -> None:
    """Errors are raised in several tasks, so each has its own object, with the same facts and the same cause."""
    at, second, third = desk(), list[Event](), list[Event]()
    ticket = at.add()
    at.join(ticket, second)
    at.join(ticket, third)
    lost = AnswerLost("gone", http_status=502)
    lost.__cause__ = OSError("reset")
    at.answer(at.send(0.0), lost, now=1.0)
    errors = [heard[-1].error for heard in (at.heard, second, third)]
    assert 3 == len({id(error) for error in errors})
    assert [(str(lost), lost.__cause__, "a")] * 3 == [
        (str(error), error.__cause__, error.key) for error in errors if error
    ]


def test_closing_tells_all_listeners() -> None:
    """Each listener of each job is told that the client is closed, and no budget is asked any more."""
    at, second = desk(max_open=1), list[Event]()
    running, waiting = at.accepted("a", until=600.0), at.add("b", until=600.0)
    for ticket in (running, waiting):
        at.join(ticket, second, until=600.0, pay=lambda: pytest.fail("it was asked"))
    at.hear(at.engine.dismiss(5.0))
    for heard in (at.heard, second):
        assert [WaitTimeout, NotSent] == [type(event.error) for event in heard if event.kind is OVER]
    assert State.FAILED is waiting.state


@pytest.mark.parametrize("on_its_way", [False, True])
@pytest.mark.parametrize("has_room", [False, True])
def test_who_joined_pays_once_the_first_has_left(has_room: bool, on_its_way: bool) -> None:
    """G16: a job is sent only for a listener that pays: those who joined are asked when the first has left."""
    at, second, third = desk(dice=0.0), list[Event](), list[Event]()
    asked = list[str]()

    def pay(name: str, answer: bool) -> bool:
        asked.append(name)
        return answer

    ticket = at.add()
    at.join(ticket, second, pay=lambda: pay("second", False))
    at.join(ticket, third, pay=lambda: pay("third", has_room))
    if on_its_way:
        at.send(0.0)
    at.forget(ticket, now=0.5)
    assert bool(asked) is not on_its_way
    if on_its_way:
        at.answer(ticket, refused(), now=1.0)
    assert ["second", "third"] == asked
    assert (State.PLANNED if has_room else State.FAILED) is ticket.state
    if has_room:
        at.forget(ticket, second, now=1.0)
        at.answer(at.send(at.engine.submit_at(1.0)), prediction("a"), now=9.0)
        assert ["second", "third"] == asked
        return
    for heard in (second, third):
        error = heard[-1].error
        assert isinstance(error, BudgetExceeded)
        assert ("a", False) == (error.key, error.may_be_billed)
    assert at.engine.take_submit(1e6) is None


# Looks.


def once(at: object, *, now: float, until: float = math.inf) -> Ticket:
    """Ask for one look at a prediction."""
    ticket = Ticket(key="a", job=None, path=PATH, weight=0, once=True, until=until, listener=at.heard.append)  # type: ignore[attr-defined]
    at.engine.restore(ticket, prediction("a"), now=now)  # type: ignore[attr-defined]
    return ticket


def test_one_look_is_taken_at_once_and_ends() -> None:
    """A single look waits for no cadence, takes no slot, and is over with its answer, finished or not."""
    at = desk(max_open=1)
    ticket = once(at, now=5.0)
    assert (5.0, 0) == (at.engine.poll_at(5.0), at.engine.slots.taken)
    assert ticket is at.engine.take_poll(5.0)
    at.told(ticket, prediction("a"), now=5.1)
    assert [EventKind.FINISHED] == at.kinds()
    assert (State.ENDED, Status.RUNNING) == (ticket.state, at.events[-1].prediction.status)  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [refused(retry_after=2.0), refused(ProviderUnavailable, http_status=503)])
def test_one_look_is_repeated_soon_and_ends_with_its_error(error: KlingError) -> None:
    """What can pass is tried again within seconds, not by the cadence; when time is up the error itself is told."""
    at = desk()
    ticket = once(at, now=5.0, until=35.0)
    at.told(at.look(5.0)[0], error, now=5.1)
    _, now = at.look(5.1)
    assert 5.1 < now < 8.0
    at.told(ticket, error, now=now)
    [event] = at.hear(at.engine.overdue(35.0))
    assert error is event.error


def test_a_restored_prediction_goes_on() -> None:
    """A prediction of an earlier run takes its slot, is never posted, and is followed until it is finished."""
    at = desk(max_open=1)
    ticket = Ticket(key="a", job=None, path=PATH, listener=at.heard.append)
    at.engine.restore(ticket, prediction("a"), now=50.0, age=45.0)
    assert (State.ACCEPTED, 5.0, 1) == (ticket.state, ticket.accepted_at, at.engine.slots.taken)
    at.add("b")
    assert at.engine.take_submit(60.0) is None
    looked, now = at.look(50.0)
    assert ticket is looked
    at.told(ticket, DONE, now=now)
    assert "b" == at.send(now).key


PASSING = [
    ProviderUnavailable("x"),
    ProviderUnavailable("x", http_status=503),
    UnexpectedReply("x"),
    BadRequest("x", http_status=408),
]


@pytest.mark.parametrize("error", PASSING)
def test_a_failed_look_is_repeated(error: KlingError) -> None:
    """Whatever can pass fails no prediction: each failure is told, and it is looked at again, with growing waits."""
    at = desk(dice=0.5)
    ticket = at.accepted()
    looked, now = at.look(0.0)
    waits = []
    for _ in range(12):
        assert ticket is looked
        at.told(looked, error, now=now)
        looked, later = at.look(now)
        waits.append(round(later - now, 6))
        now = later
    assert [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0] == waits[:7]
    assert 12 == at.kinds().count(EventKind.POLL_ERROR)
    at.told(looked, DONE, now=now)
    assert State.ENDED is ticket.state


@pytest.mark.parametrize(("age", "over"), [(0.0, False), (59.0, False), (60.0, True), (500.0, True)])
def test_an_unknown_id_may_be_too_new(age: float, over: bool) -> None:
    """404 within a minute of the acceptance is asked again; after that it is an answer, and gives the slot back."""
    at = desk()
    ticket = at.accepted(now=100.0)
    at.told(at.look(100.0)[0], BadRequest("x", http_status=404), now=100.0 + age)
    assert over is ticket.state.over
    assert (EventKind.FINISHED if over else EventKind.POLL_ERROR) is at.events[-1].kind
    assert (0 if over else 1) == at.engine.slots.taken


@pytest.mark.parametrize("error", LATCHING[:2])
def test_a_look_that_is_refused_ends_the_wait_and_latches_nothing(error: KlingError) -> None:
    """When the provider will not say, the caller is told, with the id; submissions are another matter."""
    at = desk()
    ticket = at.accepted()
    at.told(at.look(0.0)[0], error, now=5.0)
    assert (State.ENDED, error, "id-a") == (ticket.state, at.events[-1].error, at.events[-1].prediction.id)  # type: ignore[union-attr]
    at.add("b")
    assert "b" == at.send(5.0).key


# Who goes first.


def test_submissions_keep_their_order() -> None:
    """First come, first served."""
    at = desk()
    for key in "abcdef":
        at.add(key)
    assert list("abcdef") == [at.send(0.0).key for _ in "abcdef"]


def test_a_heavy_job_is_not_overtaken_for_ever() -> None:
    """An image job of nine waits for nine slots at the head of the line; lighter ones behind it wait, too."""
    at = desk(max_open=9)
    for number in range(9):
        at.accepted(f"light {number}")
    heavy = at.add("heavy", weight=9)
    at.add("behind")
    for number in range(9):
        assert at.engine.take_submit(float(number)) is None
        ticket, _ = at.look(10.0)
        at.told(ticket, DONE, now=10.0)
    assert heavy is at.send(10.0)
    assert (9, None) == (at.engine.slots.taken, at.engine.take_submit(10.0))


def test_slots_are_weighed() -> None:
    """A job takes as many slots as it weighs, from its submission to its end."""
    at = desk(max_open=5)
    one, two, three = at.add("a", weight=3), at.add("b", weight=2), at.add("c", weight=1)
    assert (one, two, None) == (at.send(0.0), at.send(0.0), at.engine.take_submit(0.0))
    assert math.inf == at.engine.submit_at(0.0)
    at.answer(one, AnswerLost("x"), now=1.0)
    assert 2 == at.engine.slots.taken
    assert three is at.send(1.0)


def test_the_load_counts_what_waits() -> None:
    """Of two accounts the one with more room is found by its load."""
    busy, idle = desk(max_open=10), desk(max_open=100)
    for at in (busy, idle):
        at.accepted("a")
        at.add("b")
    assert (0.2, 0.02) == (busy.engine.load, idle.engine.load)
    assert 0.001 == pytest.approx(desk(FREE).engine.load + 0.001)


def test_submits_and_polls_have_budgets_of_their_own() -> None:
    """A spent rate of one kind leaves the other alone."""
    at = desk(submit_per_second=1.0, submit_burst=1, poll_per_second=1.0)
    at.accepted("a")
    at.add("b")
    assert (None, 1.0) == (at.engine.take_submit(0.0), at.engine.submit_at(0.0))
    ticket, now = at.look(0.0, until=60.0)
    assert "a" == ticket.key
    assert now < 10.0


# Storms.


def test_lost_answers_in_a_row_slow_submissions_down() -> None:
    """After three submissions leave one by one with pauses of 5 s at least; one that is accepted ends it."""
    at = desk(dice=0.0)
    for number in range(8):
        at.add(f"{number}")
    sent = [at.send(0.0) for _ in range(3)]
    for ticket in sent:
        at.answer(ticket, AnswerLost("gone"), now=1.0)
    assert at.engine.take_submit(1.0) is None
    assert 6.0 <= at.engine.submit_at(1.0) < 7.0
    probe = at.send(at.engine.submit_at(1.0))
    assert math.inf == at.engine.submit_at(10.0)
    at.answer(probe, AnswerLost("gone"), now=10.0)
    again = at.engine.submit_at(10.0)
    assert again >= 15.0
    at.answer(at.send(again), prediction("a"), now=again + 1)
    assert at.engine.take_submit(again + 60) is not None
    assert at.engine.take_submit(again + 60) is not None
