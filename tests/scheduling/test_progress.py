"""Counting what happens to the jobs of a batch."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from kling_async.errors import AnswerLost, ContentRejected, JournalError, KlingError, NotSent, RateLimited, WaitTimeout
from kling_async.scheduling.progress import Progress, ProgressTracker
from kling_async.types.events import Event, EventKind
from kling_async.types.prediction import Status
from kling_async.types.status import JobStatus, status_of

from .conftest import EngineHarness, harness, prediction

DONE, FAILED = prediction("a", Status.SUCCEEDED), prediction("a", Status.FAILED)
STATUSES = ("planned", "submitting", "accepted", "succeeded", "failed", "unconfirmed")


def counted(count: int, *, total: int | None = None) -> tuple[EngineHarness, ProgressTracker]:
    """Put jobs into an engine whose events a tracker hears."""
    at, tracker = harness(random=0.0), ProgressTracker(now=0.0, total=total)
    for number in range(count):
        tracker.pulled()
        at.add(f"{number}", listener=lambda event: tracker.record(event, cost=Decimal("0.05")), deadline=100.0)
    return at, tracker


def statuses(tracker: ProgressTracker) -> dict[str, int]:
    """Return where jobs are, without the empty places."""
    now = tracker.snapshot(now=1.0)
    assert now.pulled == sum(getattr(now, place) for place in STATUSES)
    return {place: getattr(now, place) for place in STATUSES if getattr(now, place)}


def test_a_job_has_one_status_at_a_time() -> None:
    """Each step takes a job out of one place and puts it into the next."""
    at, tracker = counted(2)
    assert {"planned": 2} == statuses(tracker)
    ticket = at.submit(0.0)
    assert {"planned": 1, "submitting": 1} == statuses(tracker)
    at.answer_submit(ticket, prediction("0"), now=0.0)
    assert {"planned": 1, "accepted": 1} == statuses(tracker)
    at.answer_poll(at.poll(0.0)[0], DONE, now=9.0)
    assert {"planned": 1, "succeeded": 1} == statuses(tracker)
    assert (1, Decimal("0.01"), 0) == (
        tracker.snapshot(now=9.0).done,
        tracker.snapshot(now=9.0).spent,
        tracker.snapshot(now=9.0).unpriced,
    )


ENDS: dict[str, tuple[KlingError, str, str]] = {
    "refused": (ContentRejected("x"), "failed", "0"),
    "lost": (AnswerLost("x"), "unconfirmed", "0.05"),
    "TLS": (NotSent("x", reason="tls"), "failed", "0"),
}


@pytest.mark.parametrize(("error", "place", "spent"), ENDS.values(), ids=list(ENDS))
def test_an_end_without_a_prediction(error: KlingError, place: str, spent: str) -> None:
    """What was refused cost nothing; what is unconfirmed counts for its price, since it may be billed."""
    at, tracker = counted(1)
    at.answer_submit(at.submit(0.0), error, now=0.0)
    assert ({place: 1}, Decimal(spent)) == (statuses(tracker), tracker.snapshot(now=0.0).spent)


@pytest.mark.parametrize(
    ("error", "kind"), [(RateLimited("x"), EventKind.THROTTLED), (NotSent("x"), EventKind.NOT_SENT)]
)
def test_what_goes_back_into_the_queue_is_planned_again(error: KlingError, kind: EventKind) -> None:
    """A submission that certainly did not start is counted where it is: queued, and sent a second time."""
    at, tracker = counted(1)
    at.answer_submit(at.submit(0.0), error, now=0.0)
    assert kind is at.events[-1].kind
    assert {"planned": 1} == statuses(tracker)
    at.submit(at.engine.submit_at(0.0))
    assert {"submitting": 1} == statuses(tracker)
    assert int(kind is EventKind.THROTTLED) == tracker.snapshot(now=0.0).throttled


def test_what_is_stopped_is_still_planned() -> None:
    """A job that a stop takes out of the queue did not fail, and a later run takes it up."""
    at, tracker = counted(1)
    left = at.add("left", listener=lambda event: tracker.record(event, cost=None))
    tracker.pulled()
    at.submit(0.0)
    [one] = left.subscriptions
    at.deliver(at.engine.withdraw(left, one.listener, now=1.0))
    assert {"planned": 1, "submitting": 1} == statuses(tracker)


def test_what_never_left_was_never_counted_as_sent() -> None:
    """A submission that a journal could not record was never reported as sent, so it fails as a planned job."""
    at, tracker = counted(2)
    ticket = at.engine.take_submit(0.0)
    assert ticket is not None
    at.answer_submit(ticket, JournalError("no room"), now=0.0)
    assert {"planned": 1, "failed": 1} == statuses(tracker)


def test_an_acceptance_that_a_journal_could_not_record_is_spent() -> None:
    """The provider has the job: it is accepted and closed, is not planned again, and counts at its price."""
    at, tracker = counted(1)
    ticket = at.submit(0.0)
    error = JournalError("no room", id="pred-1", may_be_billed=True)
    at.answer_submit(ticket, error, now=0.0)
    assert (JobStatus.ACCEPTED, True) == (ticket.status, ticket.closed)
    assert JobStatus.ACCEPTED is at.events[-1].status is status_of(None, error)
    assert {"failed": 1} == statuses(tracker)
    assert (Decimal("0.05"), 0) == (tracker.snapshot(now=0.0).spent, at.engine.slots.in_use)


def test_what_another_call_pays_for_is_not_spent() -> None:
    """A job that was joined counts as finished, and costs nothing here."""
    for came in (DONE, None):
        at, tracker = harness(), ProgressTracker(now=0.0, total=1)
        tracker.pulled()
        ticket = at.add("0", listener=lambda event, tracker=tracker: tracker.record(event, cost=Decimal(1), free=True))
        at.answer_submit(at.submit(0.0), came or AnswerLost("x"), now=0.0)
        now = tracker.snapshot(now=0.0)
        assert (Decimal(0), 0, 1) == (now.spent, now.unpriced, now.done)
        assert ticket.closed


def test_a_throttled_poll_moves_nothing() -> None:
    """A 429 to a poll is counted as one, and the prediction runs on."""
    at, tracker = counted(1)
    at.answer_submit(at.submit(0.0), prediction("0"), now=0.0)
    at.answer_poll(at.poll(0.0)[0], RateLimited("x"), now=5.0)
    assert ({"accepted": 1}, 1) == (statuses(tracker), tracker.snapshot(now=5.0).throttled)


def test_time_runs_out_in_every_place() -> None:
    """A job that is given up leaves the place where it was: the queue, or the running."""
    at, tracker = counted(2)
    at.answer_submit(at.submit(0.0), prediction("0"), now=0.0)
    at.deliver(at.engine.expire(100.0))
    assert {"failed": 2} == statuses(tracker)
    assert {NotSent, WaitTimeout} == {type(event.error) for event in at.events if event.error}


def test_a_block_takes_jobs_out_of_the_queue() -> None:
    """What is refused with its account was planned, and fails."""
    at, tracker = counted(3)
    error = ContentRejected("x")
    error.__class__ = type("Denied", (ContentRejected,), {})
    at.answer_submit(at.submit(0.0), error, now=0.0)
    assert {"planned": 2, "failed": 1} == statuses(tracker)


def test_a_failed_prediction_costs_what_it_says() -> None:
    """The provider's own cost counts where it names one, 0 included; else the published price."""
    for cost, spent, unpriced in ((Decimal(0), "0", 0), (Decimal("0.02"), "0.02", 0), (None, "0.05", 0)):
        at, tracker = counted(1)
        at.answer_submit(at.submit(0.0), prediction("0"), now=0.0)
        at.answer_poll(at.poll(0.0)[0], evolve(FAILED, cost=cost), now=9.0)
        now = tracker.snapshot(now=9.0)
        assert ({"failed": 1}, Decimal(spent), unpriced) == (statuses(tracker), now.spent, now.unpriced)


def test_without_any_price_the_count_says_so() -> None:
    """What is finished and has no known price is counted apart: unknown is unknown, never 0."""
    tracker = ProgressTracker(now=0.0, total=1)
    at = harness()
    tracker.pulled()
    at.add("0", listener=lambda event: tracker.record(event, cost=None))
    at.answer_submit(at.submit(0.0), AnswerLost("x"), now=0.0)
    assert (Decimal(0), 1) == (tracker.snapshot(now=0.0).spent, tracker.snapshot(now=0.0).unpriced)


def test_speed_and_time_to_go() -> None:
    """After a few completions the speed of the latest fifty gives the remaining time; without a total, none."""
    tracker = ProgressTracker(now=0.0, total=100)
    seen: list[Progress] = []
    for number in range(60):
        tracker.pulled()
        tracker.refused(now=number * (1.0 if number < 10 else 2.0))
        seen.append(tracker.snapshot(now=120.0))
    assert [None] * 4 == [now.per_second for now in seen[:4]]
    assert 1.0 == pytest.approx(seen[4].per_second)
    assert 95.0 == pytest.approx(seen[4].remaining)
    assert 0.5 == pytest.approx(seen[-1].per_second)
    assert 80.0 == pytest.approx(seen[-1].remaining)
    assert (100, 120.0) == (seen[-1].total, seen[-1].elapsed)


def test_what_is_replayed_is_counted_and_makes_no_speed() -> None:
    """A replayed result counts with its cost, and does not count for the speed of this run."""
    tracker = ProgressTracker(now=0.0, total=30)
    for number in range(30):
        tracker.pulled()
        ended = Event(
            kind=EventKind.FINISHED,
            at=number / 100,
            provider="gptproto",
            key=f"{number}",
            status=JobStatus.SUCCEEDED,
            previous=JobStatus.PLANNED,
            prediction=evolve(DONE, cost=None),
            replayed=True,
        )
        tracker.record(ended, cost=Decimal("0.03"))
    now = tracker.snapshot(now=1.0)
    assert (30, None, Decimal("0.90")) == (now.succeeded, now.per_second, now.spent)


def test_the_total_is_known_at_the_end() -> None:
    """The end of the iterator sets the total."""
    tracker = ProgressTracker(now=0.0, total=None)
    tracker.pulled()
    assert (None, None) == (tracker.snapshot(now=0.0).total, tracker.snapshot(now=0.0).remaining)
    tracker.exhausted()
    assert 1 == tracker.snapshot(now=0.0).total
