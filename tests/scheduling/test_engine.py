"""One engine, with every answer given by hand."""

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
from kling_async.scheduling.retry import max_submit_attempts
from kling_async.scheduling.ticket import Ticket
from kling_async.scheduling.transitions import CLOSING, TRANSITIONS, Trigger, transition
from kling_async.types.events import Event, EventKind
from kling_async.types.prediction import Status
from kling_async.types.status import JobStatus

from .conftest import FREE, IMAGE, EngineHarness, harness, prediction

DONE = prediction("a", Status.SUCCEEDED)
FINAL = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED, JobStatus.UNCONFIRMED}
SUBMISSION_ENDS = {
    *(Trigger.REQUEUED, Trigger.DEFERRED, Trigger.REFUSED),
    *(Trigger.ANSWER_LOST, Trigger.ACCEPTED, Trigger.UNRECORDED, Trigger.MOVED),
}
LOOKUP_RESULTS = {Trigger.ACCEPTED, Trigger.UNRECORDED, Trigger.ANSWER_LOST, Trigger.REFUSED}
POLL_RESULTS = {Trigger.STILL_RUNNING, Trigger.SUCCEEDED, Trigger.FAILED, Trigger.CANCELLED, Trigger.EXPIRED}
IMPOSSIBLE = {
    # a queued job was not sent, so no answer can come; it may move on with one that was sent
    *product([JobStatus.PLANNED], (SUBMISSION_ENDS - {Trigger.MOVED}) | {Trigger.LOOKED_UP} | POLL_RESULTS),
    # a submission in flight is not taken twice, not dropped, and not polled
    *product([JobStatus.SUBMITTING], {Trigger.TAKEN, Trigger.DROPPED} | POLL_RESULTS),
    # a submission that is looked up is never sent again, and is not polled before it is found
    *product([JobStatus.RESOLVING], {Trigger.TAKEN, Trigger.LOOKED_UP} | (SUBMISSION_ENDS - LOOKUP_RESULTS)),
    *product([JobStatus.RESOLVING], POLL_RESULTS),
    # an accepted job is never submitted again
    *product([JobStatus.ACCEPTED], {Trigger.TAKEN, Trigger.LOOKED_UP} | SUBMISSION_ENDS),
    # a final status is final
    *product(FINAL | {JobStatus.ABANDONED}, Trigger),
}


@pytest.mark.parametrize(("status", "trigger"), list(product(JobStatus, Trigger)))
def test_every_pair_is_in_the_table_or_impossible(status: JobStatus, trigger: Trigger) -> None:
    """The table has each status with each trigger that can come in it, and no other."""
    assert ((status, trigger) in TRANSITIONS) is not ((status, trigger) in IMPOSSIBLE)


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("closed", [False, True])
def test_a_ticket_changes_by_the_table_alone_and_not_once_it_is_closed(status: JobStatus, closed: bool) -> None:
    """Each trigger has the effect that the table says; without one, or on a closed ticket, it is an error."""
    for trigger in Trigger:
        ticket = Ticket(key="a", job=None, work_kind=IMAGE, status=status, closed=closed)
        after = None if closed else TRANSITIONS.get((status, trigger))
        if after is None:
            with pytest.raises(RuntimeError, match=trigger.value):
                transition(ticket, trigger)
        else:
            transition(ticket, trigger)
        assert (after or status, closed or (after is not None and trigger in CLOSING)) == (ticket.status, ticket.closed)


def test_what_is_over_leads_nowhere() -> None:
    """Final statuses lead nowhere, others do, and all are reached from the first; only the user abandons a job."""
    assert FINAL | {JobStatus.ABANDONED} == {status for status in JobStatus if status.is_terminal}
    assert {status for status in JobStatus if not status.is_terminal} == {status for status, _ in TRANSITIONS}
    assert set(JobStatus) - {JobStatus.ABANDONED} == {JobStatus.PLANNED, *TRANSITIONS.values()}


def test_a_trigger_that_leads_to_a_final_status_closes_the_ticket() -> None:
    """A ticket is closed when its status is final, and in three more cases: deferred, unrecorded and dropped."""
    closing = {trigger for (_, trigger), after in TRANSITIONS.items() if after.is_terminal}
    assert closing | {Trigger.DEFERRED, Trigger.UNRECORDED, Trigger.DROPPED} == CLOSING
    kept = {(one, one) for one in (JobStatus.PLANNED, JobStatus.RESOLVING, JobStatus.ACCEPTED)}
    assert kept == {(status, after) for (status, trigger), after in TRANSITIONS.items() if trigger is Trigger.DROPPED}
    assert JobStatus.PLANNED is TRANSITIONS[JobStatus.SUBMITTING, Trigger.DEFERRED]
    assert JobStatus.ACCEPTED is TRANSITIONS[JobStatus.SUBMITTING, Trigger.UNRECORDED]


def test_no_way_leads_from_a_lost_answer_or_an_acceptance_to_another_post() -> None:
    """What may have been paid for can never be sent again: no path of the table leads there."""
    reached, todo = set[JobStatus](), [JobStatus.RESOLVING, JobStatus.UNCONFIRMED]
    while todo:
        state = todo.pop()
        reached.add(state)
        todo += [to for (start, _), to in TRANSITIONS.items() if start is state and to not in reached]
    assert {JobStatus.RESOLVING, JobStatus.ACCEPTED, *FINAL} == reached


def refused(kind: type[KlingError] = RateLimited, **facts: object) -> KlingError:
    """Make an error."""
    return kind("no", **facts)  # type: ignore[arg-type]


def test_the_whole_way() -> None:
    """planned, submitting, accepted, still running, finished: each step is notified once and in order."""
    at = harness()
    ticket = at.add()
    assert JobStatus.PLANNED is ticket.status
    assert ticket is at.submit(0.0)
    assert JobStatus.SUBMITTING is ticket.status
    at.answer_submit(ticket, prediction("a"), now=0.2, sent_at=0.0)
    assert JobStatus.ACCEPTED is ticket.status
    polled, now = at.poll(0.2)
    at.answer_poll(polled, prediction("a"), now=now)
    assert JobStatus.ACCEPTED is ticket.status
    polled, now = at.poll(now)
    at.answer_poll(polled, DONE, now=now)
    assert (JobStatus.SUCCEEDED, JobStatus.ACCEPTED) == (ticket.status, ticket.previous)
    assert [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED] == at.kinds()
    assert (DONE, None) == (at.events[-1].prediction, at.events[-1].error)
    assert at.events == at.received
    assert (math.inf, math.inf) == (at.engine.submit_at(now), at.engine.poll_at(now))
    assert 0 == at.engine.slots.in_use


def test_the_reply_is_let_go_while_it_runs() -> None:
    """A running prediction keeps no copy of the reply; a finished one does."""
    at = harness()
    ticket = at.accepted()
    assert ticket.prediction is not None
    assert ticket.prediction.raw is None
    at.answer_poll(*at.poll(0.0)[:1], DONE, now=9.0)
    assert {"much": "text"} == at.events[-1].prediction.raw  # type: ignore[union-attr]


def test_a_new_word_is_notified_once() -> None:
    """The provider's own status word is news when it changes, and only then."""
    at = harness()
    at.accepted()
    now = 0.0
    for word in ("processing", "rendering", "rendering", "painting"):
        ticket, now = at.poll(now)
        at.answer_poll(ticket, prediction("a", word=word), now=now)
    assert 2 == at.kinds().count(EventKind.STATUS)
    assert "painting" == at.events[-1].prediction.native_status  # type: ignore[union-attr]


@pytest.mark.parametrize("only_submit", [False, True])
def test_an_acceptance_may_be_the_end(only_submit: bool) -> None:
    """A submission that comes back finished, or whose caller wants no more, is over at once and is never polled."""
    at = harness()
    ticket = at.add(only_submit=only_submit)
    at.submit(0.0)
    at.answer_submit(ticket, prediction("a") if only_submit else DONE, now=1.0)
    assert [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED] == at.kinds()
    assert (math.inf, 0) == (at.engine.poll_at(1.0), at.engine.slots.in_use)


LOST = [
    AnswerLost("x"),
    UnexpectedReply("x"),
    ProviderUnavailable("x", http_status=502),
    BadRequest("x", http_status=408),
]


@pytest.mark.parametrize("error", LOST)
def test_a_lost_answer_is_the_end(error: KlingError) -> None:
    """G4: what may have been started is unconfirmed, reported as such, and never queued again."""
    at = harness()
    ticket = at.add()
    at.submit(0.0)
    at.answer_submit(ticket, error, now=1.0)
    lost = at.events[-1].error
    assert JobStatus.UNCONFIRMED is ticket.status
    assert ticket.closed
    assert isinstance(lost, AnswerLost)
    assert error in (lost, lost.__cause__)
    assert "a" == lost.key
    assert (math.inf, None) == (at.engine.submit_at(1e9), at.engine.take_submit(1e9))
    assert 0 == at.engine.slots.in_use


def test_a_refusal_is_the_end_of_one_job_only() -> None:
    """What repeating cannot cure fails at once, and those behind go on."""
    at = harness()
    first, second = at.add("a"), at.add("b")
    at.submit(0.0)
    at.answer_submit(first, refused(ContentRejected, http_status=400), now=1.0)
    assert JobStatus.FAILED is first.status
    assert second is at.submit(1.0)


ACCOUNT_REFUSALS = [
    refused(AuthenticationError, http_status=401),
    refused(PermissionDenied, http_status=403),
    refused(InsufficientBalance, http_status=402),
]


@pytest.mark.parametrize("error", ACCOUNT_REFUSALS)
def test_a_refused_account_is_blocked(error: KlingError) -> None:
    """401, 403, no money: all queued jobs end with that error at once, each under its own key, and are never sent."""
    at = harness()
    running = at.accepted("old")
    tickets = [at.add(key) for key in ("a", "b", "c")]
    at.submit(1.0)
    at.answer_submit(tickets[0], error, now=2.0)
    assert [(JobStatus.PLANNED, True)] * 3 == [(ticket.status, ticket.closed) for ticket in tickets]
    ends = [event for event in at.events if event.kind is EventKind.FINISHED]
    assert [("a", type(error)), ("b", type(error)), ("c", type(error))] == [
        (event.key, type(event.error)) for event in ends
    ]
    assert ["a", "b", "c"] == [event.error.key for event in ends if event.error]
    assert [JobStatus.SUBMITTING, JobStatus.PLANNED, JobStatus.PLANNED] == [ticket.previous for ticket in tickets]
    assert at.engine.take_submit(2.0) is None
    # what is paid for is still polled
    polled, now = at.poll(2.0)
    assert running is polled
    at.answer_poll(polled, DONE, now=now)
    assert JobStatus.SUCCEEDED is running.status


@pytest.mark.parametrize(("after", "rejected"), [(0.0, True), (29.9, True), (30.0, False), (1000.0, False)])
def test_a_block_holds_for_half_a_minute(after: float, rejected: bool) -> None:
    """What comes while the account is refused is refused with it; then one is tried again."""
    at = harness()
    at.add("a")
    at.answer_submit(at.submit(0.0), ACCOUNT_REFUSALS[0], now=10.0)
    late = at.add("late")
    at.deliver(at.engine.reject_queued(10.0 + after))
    assert (JobStatus.PLANNED, rejected) == (late.status, late.closed)
    assert rejected is (at.engine.take_submit(10.0 + after) is None)


def test_what_comes_back_into_a_blocked_queue_is_refused_with_it() -> None:
    """A job that was on its way when the account was refused, and may be repeated, is not."""
    at = harness()
    for key in "ab":
        at.add(key)
    one, two = at.submit(0.0), at.submit(0.0)
    at.answer_submit(one, ACCOUNT_REFUSALS[0], now=1.0)
    at.answer_submit(two, refused(retry_after=1.0), now=1.1, sent_at=0.0)
    assert (JobStatus.PLANNED, True) == (two.status, two.closed)
    assert at.engine.take_submit(1e6) is None
    assert [EventKind.SUBMITTED, EventKind.THROTTLED, EventKind.FINISHED] == at.kinds("b")


def test_a_429_pauses_the_line_and_loses_no_job() -> None:
    """The job goes back to the head, nothing is sent before the time that was asked, and then it goes first."""
    at = harness()
    for key in "abc":
        at.add(key)
    first = at.submit(0.0)
    at.answer_submit(first, refused(retry_after=20.0), now=1.0, sent_at=0.0)
    throttled = at.events[-1]
    assert (EventKind.THROTTLED, "a") == (throttled.kind, throttled.key)
    assert JobStatus.PLANNED is first.status
    again = at.engine.submit_at(1.0)
    assert again >= 21.0
    assert throttled.retry_in == pytest.approx(again - 1.0)
    assert at.engine.take_submit(again - 0.01) is None
    assert first is at.submit(again)
    assert "b" == at.submit(at.engine.submit_at(again)).key


def test_a_429_to_a_poll_pauses_the_whole_account() -> None:
    """A 429 to a poll means too many requests altogether: submissions wait as well."""
    at = harness()
    at.accepted("a")
    at.add("b")
    ticket, now = at.poll(0.0)
    at.answer_poll(ticket, refused(retry_after=100.0), now=now)
    assert EventKind.THROTTLED is at.events[-1].kind
    assert min(at.engine.poll_at(now), at.engine.submit_at(now)) >= now + 100.0
    assert (None, None) == (at.engine.take_submit(now + 99.0), at.engine.take_poll(now + 99.0))
    assert ticket is at.poll(now)[0]


def test_a_429_to_a_submission_does_not_hold_polls() -> None:
    """Polls free slots, so a full account is still polled while its submissions wait."""
    at = harness()
    at.accepted("a")
    at.add("b")
    at.answer_submit(at.submit(0.0), refused(retry_after=100.0), now=0.1, sent_at=0.0)
    assert at.poll(0.1)[1] < 60.0
    assert at.engine.submit_at(60.0) >= 100.0


def test_429s_give_up_in_the_end() -> None:
    """A provider that never stops saying 429 is asked eight times while nothing else is open."""
    at = harness(random=0.0)
    ticket, now, posts = at.add(), 0.0, 0
    while not ticket.closed:
        now = at.engine.submit_at(now)
        at.submit(now)
        posts += 1
        at.answer_submit(ticket, refused(), now=now)
    assert (8, JobStatus.PLANNED) == (posts, ticket.status)
    assert at.engine.take_submit(1e6) is None
    assert isinstance(at.events[-1].error, RateLimited)


def test_429s_are_waited_out_while_others_run() -> None:
    """Where our own predictions may fill the provider's slots, a 429 says only that, and is not counted."""
    at = harness(random=0.0)
    at.accepted("old")
    ticket, now = at.add(), 0.0
    for _ in range(30):
        now = at.engine.submit_at(now)
        at.answer_submit(at.submit(now), refused(), now=now)
    assert ticket.queued


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    """When the provider asks for more time than the caller has, the job ends with the error at once."""
    at = harness()
    ticket = at.add(deadline=50.0)
    at.answer_submit(at.submit(0.0), refused(retry_after=60.0), now=1.0)
    assert (JobStatus.PLANNED, True) == (ticket.status, ticket.closed)
    assert isinstance(at.events[-1].error, RateLimited)
    assert at.engine.take_submit(1e6) is None


@pytest.mark.parametrize("reason", ["refused", "timeout", "dns", "tls"])
def test_what_did_not_leave_is_sent_again(reason: str) -> None:
    """No byte left: as many attempts as the reason deserves, with others let past meanwhile, and each is notified."""
    at = harness()
    ticket, now, posts = at.add(), 0.0, 0
    error = NotSent("x", reason=reason)
    while not ticket.closed:
        now = at.engine.submit_at(now)
        assert ticket is at.submit(now)
        posts += 1
        at.answer_submit(ticket, error, now=now)
        if ticket.queued and posts == 1:
            other = at.accepted(f"other {reason}", now=now)
            at.deliver(at.engine.polled(other, prediction("o", Status.SUCCEEDED), asked_at=now, now=now))
    assert max_submit_attempts(error) == posts
    assert JobStatus.PLANNED is ticket.status
    assert at.engine.take_submit(1e6) is None
    assert [*[EventKind.SUBMITTED, EventKind.NOT_SENT] * (posts - 1), EventKind.SUBMITTED, EventKind.FINISHED] == (
        at.kinds("a")
    )


def test_tries_of_an_earlier_step_do_not_count() -> None:
    """Once accepted, a job starts its polls with a clean record."""
    at = harness()
    ticket = at.add()
    at.answer_submit(at.submit(0.0), NotSent("x"), now=0.0)
    at.answer_submit(at.submit(at.engine.submit_at(0.0)), prediction("a"), now=5.0)
    assert (0, None) == (ticket.failures, ticket.last_error)


def test_a_job_without_listeners_is_not_sent_again() -> None:
    """A job whose caller went away while it was on its way, and that was not started, ends there."""
    for error in (refused(retry_after=1.0), NotSent("x")):
        at = harness()
        ticket = at.add()
        at.submit(0.0)
        at.detach(ticket, now=0.5)
        at.answer_submit(ticket, error, now=1.0)
        assert (JobStatus.PLANNED, True) == (ticket.status, ticket.closed)
        assert at.engine.take_submit(1e6) is None
        assert 0 == at.engine.slots.in_use


# Deadlines, and listeners that leave.


def test_a_listener_that_waits_too_long_in_the_queue_is_notified_and_nothing_is_sent() -> None:
    """A job whose time is up before its turn is NotSent, with the last trouble as its cause."""
    at = harness(max_open=1)
    at.accepted("old")
    ticket = at.add("late", deadline=10.0)
    assert 10.0 == at.engine.deadline_at()
    assert [] == at.deliver(at.engine.expire(9.9))
    [event] = at.deliver(at.engine.expire(10.0))
    assert isinstance(event.error, NotSent)
    assert ("late", "timeout") == (event.key, event.error.reason)
    assert (JobStatus.PLANNED, True, ()) == (ticket.status, ticket.closed, ticket.subscriptions)
    assert (math.inf, None) == (at.engine.deadline_at(), at.engine.take_submit(11.0))


def test_a_listener_that_waits_too_long_for_a_result_keeps_it() -> None:
    """WaitTimeout carries the prediction, whose slot is held, and which is polled until it is finished."""
    at = harness(max_open=1)
    ticket = at.accepted(deadline=10.0)
    [event] = at.deliver(at.engine.expire(10.0))
    assert isinstance(event.error, WaitTimeout)
    assert "id-a" == event.error.prediction.id
    assert (JobStatus.ACCEPTED, 1) == (ticket.status, at.engine.slots.in_use)
    polled, now = at.poll(10.0)
    at.answer_poll(polled, DONE, now=now)
    assert (JobStatus.SUCCEEDED, 0) == (ticket.status, at.engine.slots.in_use)
    assert [event] == [one for one in at.received if one.kind is EventKind.FINISHED]


def test_the_cause_of_a_timeout_is_the_last_trouble() -> None:
    """When every poll failed, the timeout says why."""
    at = harness()
    at.accepted(deadline=60.0)
    trouble = ProviderUnavailable("x", http_status=502)
    at.answer_poll(at.poll(0.0)[0], trouble, now=9.0)
    [event] = at.deliver(at.engine.expire(60.0))
    assert event.error is not None
    assert trouble is event.error.__cause__


def test_what_is_on_its_way_is_not_given_up() -> None:
    """A deadline during the POST waits for its answer: the listener learns the id of what was paid for."""
    at = harness()
    ticket = at.add(deadline=10.0)
    at.submit(9.0)
    assert [] == at.deliver(at.engine.expire(10.0))
    assert 10.0 < at.engine.deadline_at() < 12.0
    at.answer_submit(ticket, prediction("a"), now=10.2)
    [event] = at.deliver(at.engine.expire(at.engine.deadline_at()))
    assert isinstance(event.error, WaitTimeout)


def test_detached_in_the_queue_is_never_sent() -> None:
    """A listener that leaves a queued job costs nothing."""
    at = harness()
    ticket, other = at.add("a"), at.add("b")
    at.detach(ticket, now=0.0)
    assert other is at.submit(0.0)
    assert (JobStatus.PLANNED, True) == (ticket.status, ticket.closed)
    assert at.engine.take_submit(1e6) is None
    assert [] == [event for event in at.events if event.key == "a"]


def test_detached_while_it_runs_is_polled_less() -> None:
    """A prediction without a listener holds its slot, so it is polled, though later than one with a listener."""

    def second_poll(*, detached: bool) -> float:
        at = harness()
        ticket = at.accepted()
        _, now = at.poll(0.0)
        at.engine._polls._policy._probing.clear()
        if detached:
            at.detach(ticket, now=now)
        at.answer_poll(ticket, prediction("a"), now=now)
        return at.poll(now)[1] - now

    assert second_poll(detached=False) * 2 < second_poll(detached=True) < 60.0


def test_detached_ones_are_dropped_in_the_end() -> None:
    """A prediction that never ends gives its slot back after an hour without anybody waiting."""
    at = harness(max_open=1)
    ticket = at.accepted()
    at.detach(ticket, now=100.0)
    assert 3700.0 == at.engine.deadline_at()
    assert [] == at.deliver(at.engine.expire(3700.0))
    assert (JobStatus.ACCEPTED, True, 0) == (ticket.status, ticket.closed, at.engine.slots.in_use)
    assert math.inf == at.engine.deadline_at()
    assert at.engine.take_poll(1e6) is None


def test_a_late_answer_to_a_poll_of_a_dropped_job_changes_nothing() -> None:
    """What was given up while a poll was on its way stays so, and gives its slot back once."""
    at = harness(max_open=1)
    ticket = at.accepted()
    at.poll(0.0)
    at.detach(ticket, now=0.0)
    at.deliver(at.engine.expire(3600.0))
    at.answer_poll(ticket, DONE, now=3601.0)
    assert (JobStatus.ACCEPTED, True, 0) == (ticket.status, ticket.closed, at.engine.slots.in_use)


def test_closing_ends_the_wait_of_all_listeners() -> None:
    """When the client closes, every wait ends: an accepted job has its prediction, a queued one was not sent."""
    at = harness(max_open=1)
    at.accepted("a", deadline=600.0)
    at.add("b", deadline=600.0)
    gone = at.add("c", deadline=600.0)
    at.detach(gone, now=1.0)
    one, two = at.deliver(at.engine.close(5.0))
    assert isinstance(one.error, WaitTimeout)
    assert isinstance(two.error, NotSent)
    assert ("a", "b", "closed") == (one.key, two.key, two.error.reason)
    assert [] == at.deliver(at.engine.close(6.0))


# Several listeners.

SENT, RUNS, OVER = EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED


def brought(at: EngineHarness, state: str) -> Ticket:
    """Bring a job to where a second listener joins it."""
    ticket = at.add()
    if state == "queued":
        return ticket
    at.engine.take_submit(0.0)
    if state == "taken":
        return ticket
    at.deliver(at.engine.sending(ticket, 0.0))
    if state in ("turned away", "not sent"):
        at.answer_submit(ticket, refused() if state == "turned away" else NotSent("x"), now=0.0)
    elif state == "accepted":
        at.answer_submit(ticket, prediction("a"), now=0.0)
    return ticket


def go_on(at: EngineHarness, ticket: Ticket) -> None:
    """Bring a job to its end, from wherever it is."""
    now = 0.0
    if ticket.status is JobStatus.PLANNED:
        now = at.engine.submit_at(0.0)
        assert ticket is at.submit(now)
    elif ticket.status is JobStatus.SUBMITTING and not ticket.posted:
        at.deliver(at.engine.sending(ticket, now))
    if ticket.status is JobStatus.SUBMITTING:
        at.answer_submit(ticket, prediction("a"), now=now)
    if not ticket.closed:
        polled, now = at.poll(now)
        at.answer_poll(polled, DONE, now=now)


JOINED: dict[str, list[EventKind]] = {
    "queued": [SENT, RUNS, OVER],
    "taken": [SENT, RUNS, OVER],
    "on its way": [SENT, RUNS, OVER],
    "turned away": [SENT, RUNS, OVER],
    "not sent": [SENT, RUNS, OVER],
    "accepted": [EventKind.RESUMED, OVER],
}


@pytest.mark.parametrize("state", JOINED)
def test_a_second_listener_hears_how_far_it_is_and_what_follows(state: str) -> None:
    """Whenever it joins, its events add up to one way from the queue to the end, and the first hears what it heard."""
    at, second = harness(random=0.0), list[Event]()
    ticket = brought(at, state)
    before = len(at.received)
    at.join(ticket, second)
    assert before == len(at.received)
    go_on(at, ticket)
    assert JOINED[state] == [event.kind for event in second]
    assert (OVER, ()) == (at.received[-1].kind, ticket.subscriptions)


@pytest.mark.parametrize("state", JOINED)
def test_a_listener_that_wants_it_accepted_is_notified_once_it_is(state: str) -> None:
    """It hears the end at the acceptance, at once if that was before; the job goes on for the others."""
    at, second = harness(random=0.0), list[Event]()
    ticket = brought(at, state)
    at.join(ticket, second, only_submit=True)
    if state != "accepted":
        if ticket.status is JobStatus.PLANNED:
            at.submit(at.engine.submit_at(0.0))
        at.answer_submit(ticket, prediction("a"), now=0.0)
    assert OVER is second[-1].kind
    assert (JobStatus.ACCEPTED, 1) == (ticket.status, len(ticket.subscriptions))
    assert second[-1].prediction is not None
    before = len(second)
    polled, now = at.poll(0.0)
    at.answer_poll(polled, DONE, now=now)
    assert (before, OVER) == (len(second), at.received[-1].kind)


@pytest.mark.parametrize("first", [True, False])
def test_a_job_goes_on_for_whoever_wants_it_finished(first: bool) -> None:
    """One listener that waits for the end is enough, whichever came first; without one it is over once accepted."""
    at, second = harness(), list[Event]()
    ticket = at.add(only_submit=first)
    at.join(ticket, second, only_submit=not first)
    at.answer_submit(at.submit(0.0), prediction("a"), now=0.0)
    assert (JobStatus.ACCEPTED, 1) == (ticket.status, len(ticket.subscriptions))
    at = harness()
    ticket = at.add(only_submit=True)
    at.join(ticket, second)
    at.detach(ticket, second, now=0.0)
    at.answer_submit(at.submit(0.0), prediction("a"), now=0.0)
    assert (JobStatus.ACCEPTED, True) == (ticket.status, ticket.closed)


def test_each_listener_has_a_deadline_of_its_own() -> None:
    """Each is notified at its own time, in any order of coming, and the job waits for the last."""
    at, second, third = harness(), list[Event](), list[Event]()
    ticket = at.accepted(deadline=20.0)
    at.join(ticket, second, deadline=10.0)
    at.join(ticket, third, deadline=30.0)
    for until, heard in ((10.0, second), (20.0, at.received), (30.0, third)):
        assert until == at.engine.deadline_at()
        at.deliver(at.engine.expire(until))
        assert isinstance(heard[-1].error, WaitTimeout)
    assert 1 == sum(event.kind is OVER for event in at.received)
    assert (JobStatus.ACCEPTED, 3630.0) == (ticket.status, at.engine.deadline_at())


def test_in_the_queue_a_job_stays_for_the_listeners_that_wait_on() -> None:
    """Neither a deadline, nor leaving, nor a stop of one drops it; it may also be tried again past one's deadline."""
    at, second, third = harness(random=0.0), list[Event](), list[Event]()
    ticket = at.add(deadline=10.0)
    at.join(ticket, second)
    at.join(ticket, third)
    at.deliver(at.engine.expire(10.0))
    at.deliver(at.engine.withdraw(ticket, second.append, now=11.0))
    assert (JobStatus.PLANNED, 1) == (ticket.status, len(ticket.subscriptions))
    assert ["timeout", "stopped"] == [heard[-1].error.reason for heard in (at.received, second)]  # type: ignore[union-attr]
    at.answer_submit(at.submit(12.0), refused(retry_after=60.0), now=12.0)
    assert ticket.queued
    at.detach(ticket, third, now=13.0)
    assert (JobStatus.PLANNED, True) == (ticket.status, ticket.closed)
    assert [SENT, EventKind.THROTTLED] == [event.kind for event in third]
    assert at.engine.take_submit(1e6) is None


def test_a_stop_reaches_only_queued_jobs() -> None:
    """Who wants to leave a job that is on its way, or running, goes on hearing of it."""
    at = harness()
    ticket = at.accepted()
    assert [] == at.deliver(at.engine.withdraw(ticket, at.received.append, now=1.0))
    assert 1 == len(ticket.subscriptions)


def test_a_job_has_the_highest_priority_of_its_listeners() -> None:
    """A caller that joins a row of a batch has it polled more often, and less so again when it has left."""
    at, second = harness(), list[Event]()
    ticket = at.accepted()
    at.join(ticket, second, priority=2.0)
    assert 2.0 == ticket.priority
    at.detach(ticket, second, now=1.0)
    assert 1.0 == ticket.priority
    at.detach(ticket, now=1.0)
    assert ticket.priority < 1.0


def test_a_listener_that_leaves_while_others_are_notified_hears_nothing() -> None:
    """An event is delivered one by one; a listener that another one's reaction detaches is not called."""
    at, second = harness(random=0.0), list[Event]()

    def first(event: Event) -> None:
        if event.kind is EventKind.THROTTLED:
            at.detach(ticket, second, now=1.0)

    ticket = at.add(listener=first)
    at.join(ticket, second)
    at.answer_submit(at.submit(0.0), refused(), now=1.0)
    assert [SENT] == [event.kind for event in second]


def test_each_gets_an_error_of_its_own() -> None:
    """Errors are raised in several tasks, so each has its own object, with the same facts and the same cause."""
    at, second, third = harness(), list[Event](), list[Event]()
    ticket = at.add()
    at.join(ticket, second)
    at.join(ticket, third)
    lost = AnswerLost("gone", http_status=502)
    lost.__cause__ = OSError("reset")
    at.answer_submit(at.submit(0.0), lost, now=1.0)
    errors = [heard[-1].error for heard in (at.received, second, third)]
    assert 3 == len({id(error) for error in errors})
    assert [(str(lost), lost.__cause__, "a")] * 3 == [
        (str(error), error.__cause__, error.key) for error in errors if error
    ]


def test_closing_tells_all_listeners() -> None:
    """Each listener of each job is notified that the client is closed, and no budget is asked any more."""
    at, second = harness(max_open=1), list[Event]()
    running, waiting = at.accepted("a", deadline=600.0), at.add("b", deadline=600.0)
    for ticket in (running, waiting):
        at.join(ticket, second, deadline=600.0, pay=lambda: pytest.fail("it was asked"))
    at.deliver(at.engine.close(5.0))
    for heard in (at.received, second):
        assert [WaitTimeout, NotSent] == [type(event.error) for event in heard if event.kind is OVER]
    assert (JobStatus.PLANNED, True) == (waiting.status, waiting.closed)
    assert (JobStatus.ACCEPTED, False) == (running.status, running.closed)


@pytest.mark.parametrize("on_its_way", [False, True])
@pytest.mark.parametrize("has_room", [False, True])
def test_a_listener_that_joined_pays_once_the_first_has_left(has_room: bool, on_its_way: bool) -> None:
    """G16: a job is sent only for a listener that pays: the others are asked when the first has left."""
    at, second, third = harness(random=0.0), list[Event](), list[Event]()
    asked = list[str]()

    def pay(name: str, answer: bool) -> bool:
        asked.append(name)
        return answer

    ticket = at.add()
    at.join(ticket, second, pay=lambda: pay("second", False))
    at.join(ticket, third, pay=lambda: pay("third", has_room))
    if on_its_way:
        at.submit(0.0)
    at.detach(ticket, now=0.5)
    assert bool(asked) is not on_its_way
    if on_its_way:
        at.answer_submit(ticket, refused(), now=1.0)
    assert ["second", "third"] == asked
    assert (JobStatus.PLANNED, not has_room) == (ticket.status, ticket.closed)
    if has_room:
        at.detach(ticket, second, now=1.0)
        at.answer_submit(at.submit(at.engine.submit_at(1.0)), prediction("a"), now=9.0)
        assert ["second", "third"] == asked
        return
    for heard in (second, third):
        error = heard[-1].error
        assert isinstance(error, BudgetExceeded)
        assert ("a", False) == (error.key, error.may_be_billed)
    assert at.engine.take_submit(1e6) is None


# Looks.


def once(at: EngineHarness, *, now: float, deadline: float = math.inf) -> Ticket:
    """Ask for one poll of a prediction."""
    ticket = Ticket(
        key="a", job=None, work_kind=IMAGE, slots=0, single_poll=True, deadline=deadline, listener=at.received.append
    )
    at.engine.restore(ticket, prediction("a"), now=now)
    return ticket


def test_one_poll_is_taken_at_once_and_ends() -> None:
    """A single poll waits for no cadence, takes no slot, and is over with its answer, finished or not."""
    at = harness(max_open=1)
    ticket = once(at, now=5.0)
    assert (5.0, 0) == (at.engine.poll_at(5.0), at.engine.slots.in_use)
    assert ticket is at.engine.take_poll(5.0)
    at.answer_poll(ticket, prediction("a"), now=5.1)
    assert [EventKind.FINISHED] == at.kinds()
    assert (JobStatus.ACCEPTED, True) == (ticket.status, ticket.closed)
    assert (JobStatus.ACCEPTED, Status.RUNNING) == (at.events[-1].status, at.events[-1].prediction.status)  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [refused(retry_after=2.0), refused(ProviderUnavailable, http_status=503)])
def test_one_poll_is_repeated_soon_and_ends_with_its_error(error: KlingError) -> None:
    """What can pass is tried again within seconds, not by the cadence; when time is up the error itself is notified."""
    at = harness()
    ticket = once(at, now=5.0, deadline=35.0)
    at.answer_poll(at.poll(5.0)[0], error, now=5.1)
    _, now = at.poll(5.1)
    assert 5.1 < now < 8.0
    at.answer_poll(ticket, error, now=now)
    [event] = at.deliver(at.engine.expire(35.0))
    assert error is event.error


def test_a_restored_prediction_goes_on() -> None:
    """A prediction of an earlier run takes its slot, is never posted, and is followed until it is finished."""
    at = harness(max_open=1)
    ticket = Ticket(key="a", job=None, work_kind=IMAGE, listener=at.received.append)
    at.engine.restore(ticket, prediction("a"), now=50.0, age=45.0)
    assert (JobStatus.ACCEPTED, 5.0, 1) == (ticket.status, ticket.accepted_at, at.engine.slots.in_use)
    at.add("b")
    assert at.engine.take_submit(60.0) is None
    polled, now = at.poll(50.0)
    assert ticket is polled
    at.answer_poll(ticket, DONE, now=now)
    assert "b" == at.submit(now).key


PASSING = [
    ProviderUnavailable("x"),
    ProviderUnavailable("x", http_status=503),
    UnexpectedReply("x"),
    BadRequest("x", http_status=408),
]


@pytest.mark.parametrize("error", PASSING)
def test_a_failed_poll_is_repeated(error: KlingError) -> None:
    """Whatever can pass fails no prediction: each failure is notified, and it is polled again, with growing waits."""
    at = harness(random=0.5)
    ticket = at.accepted()
    polled, now = at.poll(0.0)
    waits = []
    for _ in range(12):
        assert ticket is polled
        at.answer_poll(polled, error, now=now)
        polled, later = at.poll(now)
        waits.append(round(later - now, 6))
        now = later
    assert [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0] == waits[:7]
    assert 12 == at.kinds().count(EventKind.POLL_ERROR)
    at.answer_poll(polled, DONE, now=now)
    assert JobStatus.SUCCEEDED is ticket.status


@pytest.mark.parametrize(("age", "over"), [(0.0, False), (59.0, False), (60.0, True), (500.0, True)])
def test_an_unknown_id_may_be_too_new(age: float, over: bool) -> None:
    """404 within a minute of the acceptance is asked again; after that it is an answer, and gives the slot back."""
    at = harness()
    ticket = at.accepted(now=100.0)
    at.answer_poll(at.poll(100.0)[0], BadRequest("x", http_status=404), now=100.0 + age)
    assert (JobStatus.ACCEPTED, over) == (ticket.status, ticket.closed)
    assert (EventKind.FINISHED if over else EventKind.POLL_ERROR) is at.events[-1].kind
    assert (0 if over else 1) == at.engine.slots.in_use


@pytest.mark.parametrize("error", ACCOUNT_REFUSALS[:2])
def test_a_poll_that_is_refused_ends_the_wait_and_blocks_nothing(error: KlingError) -> None:
    """When the provider will not say, the caller is notified, with the id; submissions are another matter."""
    at = harness()
    ticket = at.accepted()
    at.answer_poll(at.poll(0.0)[0], error, now=5.0)
    assert (JobStatus.ACCEPTED, True) == (ticket.status, ticket.closed)
    assert (error, "id-a") == (at.events[-1].error, at.events[-1].prediction.id)  # type: ignore[union-attr]
    at.add("b")
    assert "b" == at.submit(5.0).key


# Who goes first.


def test_submissions_keep_their_order() -> None:
    """First come, first served."""
    at = harness()
    for key in "abcdef":
        at.add(key)
    assert list("abcdef") == [at.submit(0.0).key for _ in "abcdef"]


def test_a_heavy_job_is_not_overtaken_for_ever() -> None:
    """An image job of nine waits for nine slots at the head of the queue; lighter ones behind it wait, too."""
    at = harness(max_open=9)
    for number in range(9):
        at.accepted(f"light {number}")
    heavy = at.add("heavy", slots=9)
    at.add("behind")
    for number in range(9):
        assert at.engine.take_submit(float(number)) is None
        ticket, _ = at.poll(10.0)
        at.answer_poll(ticket, DONE, now=10.0)
    assert heavy is at.submit(10.0)
    assert (9, None) == (at.engine.slots.in_use, at.engine.take_submit(10.0))


def test_slots_are_weighed() -> None:
    """A job takes as many slots as it weighs, from its submission to its end."""
    at = harness(max_open=5)
    one, two, three = at.add("a", slots=3), at.add("b", slots=2), at.add("c", slots=1)
    assert (one, two, None) == (at.submit(0.0), at.submit(0.0), at.engine.take_submit(0.0))
    assert math.inf == at.engine.submit_at(0.0)
    at.answer_submit(one, AnswerLost("x"), now=1.0)
    assert 2 == at.engine.slots.in_use
    assert three is at.submit(1.0)


def test_the_load_counts_what_waits() -> None:
    """Of two accounts the one with more room is found by its load."""
    busy, idle = harness(max_open=10), harness(max_open=100)
    for at in (busy, idle):
        at.accepted("a")
        at.add("b")
    assert (0.2, 0.02) == (busy.engine.load, idle.engine.load)
    assert 0.001 == pytest.approx(harness(FREE).engine.load + 0.001)


def test_submits_and_polls_have_budgets_of_their_own() -> None:
    """A spent rate of one kind leaves the other alone."""
    at = harness(submit_per_second=1.0, submit_burst=1, poll_per_second=1.0)
    at.accepted("a")
    at.add("b")
    assert (None, 1.0) == (at.engine.take_submit(0.0), at.engine.submit_at(0.0))
    ticket, now = at.poll(0.0, until=60.0)
    assert "a" == ticket.key
    assert now < 10.0


# Storms.


def test_lost_answers_in_a_row_slow_submissions_down() -> None:
    """After three submissions leave one by one with pauses of 5 s at least; one that is accepted ends it."""
    at = harness(random=0.0)
    for number in range(8):
        at.add(f"{number}")
    sent = [at.submit(0.0) for _ in range(3)]
    for ticket in sent:
        at.answer_submit(ticket, AnswerLost("gone"), now=1.0)
    assert at.engine.take_submit(1.0) is None
    assert 6.0 <= at.engine.submit_at(1.0) < 7.0
    probe = at.submit(at.engine.submit_at(1.0))
    assert math.inf == at.engine.submit_at(10.0)
    at.answer_submit(probe, AnswerLost("gone"), now=10.0)
    again = at.engine.submit_at(10.0)
    assert again >= 15.0
    at.answer_submit(at.submit(again), prediction("a"), now=again + 1)
    assert at.engine.take_submit(again + 60) is not None
    assert at.engine.take_submit(again + 60) is not None
