"""Look-ups: a submission whose answer is lost is asked for by its client id, and never sent again."""

from __future__ import annotations

import math

import pytest
from attrs import evolve

from kling_async.errors import AnswerLost, BadRequest, JournalError, NotSent
from kling_async.scheduling.lookups import is_in_window, is_last_lookup, lookup_delay
from kling_async.scheduling.progress import ProgressTracker
from kling_async.scheduling.ticket import Ticket
from kling_async.types.client_id import ClientId
from kling_async.types.events import Event, EventKind
from kling_async.types.prediction import Status
from kling_async.types.status import JobStatus

from .conftest import EngineHarness, harness, prediction

MINE = ClientId(value="7d4", origin="https://x.test", key_hash="abc")
LOST = AnswerLost("the connection broke")


def lost(*, deadline: float = math.inf, **changes: object) -> tuple[EngineHarness, Ticket]:
    """Lose the answer to a submission at 10 s."""
    at = harness(**changes)  # type: ignore[arg-type]
    ticket = at.add(deadline=deadline)
    at.submit(9.0)
    at.answer_submit(ticket, LOST, now=10.0, lookup=True)
    return at, ticket


def look(at: EngineHarness, ticket: Ticket, result: object, now: float) -> float:
    """Look a submission up as soon as it is due; return the time."""
    taken, now = at.poll(now)
    assert taken is ticket
    is_last = at.engine.is_last_lookup(ticket, now)
    at.deliver(at.engine.looked_up(ticket, result, is_last=is_last, now=now))  # type: ignore[arg-type]
    return now


def test_a_lost_answer_is_looked_up() -> None:
    """With a client id the job is not over: it keeps its slots, and is found half a second later."""
    at, ticket = lost(max_open=1)
    assert (JobStatus.RESOLVING, False) == (ticket.status, ticket.closed)
    assert 1 == at.engine.slots.in_use
    assert LOST is at.events[-1].error
    assert 10.5 == look(at, ticket, prediction("a"), now=10.0)
    assert [EventKind.SUBMITTED, EventKind.RESOLVING, EventKind.ACCEPTED] == at.kinds()
    assert (JobStatus.ACCEPTED, JobStatus.RESOLVING) == (at.events[-1].status, at.events[-1].previous)
    at.answer_poll(at.poll(11.0)[0], prediction("a", Status.SUCCEEDED), now=20.0)
    assert (JobStatus.SUCCEEDED, 0) == (ticket.status, at.engine.slots.in_use)


def test_without_a_client_id_it_is_unconfirmed_at_once() -> None:
    """Where the provider takes no client id there is nothing to look up."""
    at = harness()
    ticket = at.add()
    at.submit(0.0)
    at.answer_submit(ticket, LOST, now=1.0)
    assert (JobStatus.UNCONFIRMED, True) == (ticket.status, ticket.closed)


def test_an_answer_with_an_id_needs_no_look_up() -> None:
    """A refusal that names an id says where to look already; the user decides about it."""
    at = harness()
    ticket = at.add()
    at.submit(0.0)
    at.answer_submit(ticket, AnswerLost("HTTP 500, yet with an id", id="x"), now=1.0, lookup=True)
    assert JobStatus.UNCONFIRMED is ticket.status


@pytest.mark.parametrize("nothing", [AnswerLost("not found"), AnswerLost("HTTP 503")])
def test_nothing_found_proves_nothing(nothing: Exception) -> None:
    """For a minute it is looked up again, at growing distances; then it is unconfirmed, with the error of its loss."""
    at, ticket = lost()
    times, now = list[float](), 10.0
    while not ticket.closed:
        assert not times or times[-1] < 70.0
        now = look(at, ticket, nothing, now)
        times.append(now)
    assert [10.5, 11.5, 13.5, 17.5, 25.5, 41.5, 70.0] == pytest.approx(times)
    assert JobStatus.UNCONFIRMED is ticket.status
    assert (EventKind.FINISHED, LOST, JobStatus.RESOLVING) == (
        at.events[-1].kind,
        at.events[-1].error,
        at.events[-1].previous,
    )
    assert 0 == at.engine.slots.in_use
    assert at.engine.take_submit(now) is None


def test_a_job_that_is_looked_up_is_never_sent() -> None:
    """Whatever a look-up says, no further submission is due."""
    at, ticket = lost()
    for _ in range(5):
        look(at, ticket, AnswerLost("not found"), now=10.0)
        assert at.engine.take_submit(1e9) is None


def test_a_caller_does_not_wait_longer_than_it_said() -> None:
    """Its deadline ends the wait with the lost answer; the look-ups go on."""
    at, ticket = lost()
    at.join(ticket, received := [], deadline=12.0, now=10.0)
    assert [EventKind.SUBMITTED, EventKind.RESOLVING] == [event.kind for event in received]
    at.deliver(at.engine.expire(12.0))
    assert isinstance(received[-1].error, AnswerLost)
    assert received[-1].error is not LOST
    assert JobStatus.RESOLVING is ticket.status
    look(at, ticket, prediction("a"), now=12.0)
    assert JobStatus.ACCEPTED is ticket.status


def test_a_closing_client_leaves_it_to_the_next_run() -> None:
    """A wait ends with the lost answer, not with "never sent"; the status stays, for the journal to resume."""
    at, ticket = lost(deadline=100.0)
    at.deliver(at.engine.close(11.0))
    error = at.events[-1].error
    assert isinstance(error, AnswerLost)
    assert not isinstance(error, NotSent)
    assert JobStatus.RESOLVING is ticket.status


def test_one_of_an_earlier_run_is_looked_up() -> None:
    """A submission that a dead process has left is looked up from the start, holding its slots."""
    at = harness(max_open=2)
    ticket = Ticket(key="a", job=None, work_kind=("image",), slots=2)
    at.engine.restore_lost(ticket, LOST, now=100.0)
    assert 2 == at.engine.slots.in_use
    assert 100.5 == look(at, ticket, prediction("a"), now=100.0)
    assert JobStatus.ACCEPTED is ticket.status


def test_found_and_not_written_down() -> None:
    """If the journal cannot record what was found, the job ends with that error, which has the id."""
    at, ticket = lost()
    error = JournalError("the disk is full", id="id-a")
    look(at, ticket, error, now=10.0)
    assert (JobStatus.ACCEPTED, True, error) == (ticket.status, ticket.closed, at.events[-1].error)
    assert 0 == at.engine.slots.in_use


def test_progress_counts_it_once() -> None:
    """A job that is looked up counts as in flight, then as accepted, and nowhere twice."""
    at, ticket = lost()
    tracker = ProgressTracker(now=0.0, total=1)
    tracker.pulled()
    look(at, ticket, prediction("a"), now=10.0)
    at.answer_poll(at.poll(11.0)[0], prediction("a", Status.SUCCEEDED), now=20.0)
    seen = list[tuple[int, int, int, int]]()
    for event in at.events:
        tracker.record(event, cost=None)
        now = tracker.snapshot(now=event.at)
        seen.append((now.planned, now.submitting, now.accepted, now.succeeded))
    assert [(0, 1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)] == seen


def test_a_job_that_joins_is_counted_as_well() -> None:
    """A batch that joins a job in the middle of its look-ups counts it from the beginning."""
    at, ticket = lost()
    received = list[Event]()
    at.join(ticket, received, now=10.0)
    look(at, ticket, AnswerLost("not found"), now=69.0)
    look(at, ticket, AnswerLost("not found"), now=70.0)
    tracker = ProgressTracker(now=0.0, total=1)
    tracker.pulled()
    for event in received:
        tracker.record(event, cost=None)
    end = tracker.snapshot(now=80.0)
    assert (0, 0, 0, 1) == (end.planned, end.submitting, end.accepted, end.unconfirmed)


def test_the_last_look_up_is_at_the_end_of_the_minute() -> None:
    """No pause passes the end, and the one at the end is the last."""
    assert [False, False, True] == [is_last_lookup(age) for age in (0.0, 59.9, 60.0)]
    assert 1.0 == lookup_delay(9, age=59.0)
    assert 0.5 == lookup_delay(9, age=59.9)


def test_a_client_id_belongs_to_an_account() -> None:
    """It is looked up with the key and at the origin that it was sent with."""
    assert MINE.is_of("https://x.test", "abc")
    assert not MINE.is_of("https://y.test", "abc")
    assert not evolve(MINE, key_hash="other").is_of("https://x.test", "abc")


def test_a_refusal_is_the_end() -> None:
    """A repeat that is refused because of its input says that nothing was ever accepted: the job has failed."""
    at, ticket = lost()
    refusal = BadRequest("no such model")
    look(at, ticket, refusal, 10.0)
    assert (JobStatus.FAILED, True, 0) == (ticket.status, ticket.closed, at.engine.slots.in_use)
    assert refusal is at.events[-1].error


@pytest.mark.parametrize(
    ("age", "window", "allowed"),
    [
        (0.0, 86_400.0, True),
        (77_000.0, 86_400.0, True),
        (77_760.0, 86_400.0, False),
        (90_000.0, 86_400.0, False),
        (-1.0, 86_400.0, False),
        (1.0, None, False),
    ],
)
def test_a_submission_is_repeated_within_its_window_only(age: float, window: float | None, *, allowed: bool) -> None:
    """A tenth of the documented window is left unused, and a clock that was set back proves nothing."""
    assert allowed is is_in_window(age, window)
