"""Listeners that react to an event of a job by leaving it, while others wait."""

from __future__ import annotations

import pytest

from kling_async.errors import BudgetExceeded, ContentRejected, KlingError, NotSent, RateLimited
from kling_async.types.events import Event, EventKind
from kling_async.types.status import JobStatus

from .conftest import harness


@pytest.mark.parametrize("error", [RateLimited("x"), NotSent("x")])
def test_a_listener_may_leave_when_its_job_is_requeued(error: KlingError) -> None:
    """The last listener that leaves on a 429, or on a lost connection, drops the job, once, and it is never sent."""
    at = harness()

    def listener(event: Event) -> None:
        if event.kind in (EventKind.THROTTLED, EventKind.NOT_SENT):
            at.deliver(at.engine.detach(ticket, listener, now=1.0))

    ticket = at.add(listener=listener)
    at.answer_submit(at.submit(0.0), error, now=1.0)
    assert (JobStatus.PLANNED, True, 0) == (ticket.status, ticket.closed, at.engine.slots.in_use)
    assert EventKind.FINISHED not in at.kinds()
    assert at.engine.take_submit(1e6) is None


@pytest.mark.parametrize("leave", ["detach", "withdraw"])
@pytest.mark.parametrize("error", [NotSent("x", reason="tls"), ContentRejected("x", http_status=400)])
def test_a_finished_job_has_one_result_for_all_its_listeners(error: KlingError, leave: str) -> None:
    """Leaving while the final event is delivered asks no other listener to pay, and withdraws from no queue."""
    at, third = harness(), list[Event]()

    def first(event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            at.deliver(getattr(at.engine, leave)(ticket, second.append, now=1.0))

    second = list[Event]()
    ticket = at.add(listener=first)
    at.join(ticket, second)
    at.join(ticket, third, pay=lambda: pytest.fail("it was asked"))
    at.answer_submit(at.submit(0.0), error, now=1.0)
    assert ticket.closed
    results = [event.error for received in (second, third) for event in received if event.kind is EventKind.FINISHED]
    assert [type(error)] * (1 if leave == "detach" else 2) == [type(each) for each in results]
    assert not any(isinstance(each, BudgetExceeded) for each in results)
    assert all(getattr(each, "reason", None) != "stopped" for each in results)


def test_the_last_listener_may_leave_a_finished_job() -> None:
    """To detach from a job that has just been closed changes nothing."""
    at, second = harness(), list[Event]()

    def first(event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            at.detach(ticket, second, now=1.0)

    ticket = at.add(listener=first)
    at.join(ticket, second)
    at.answer_submit(at.submit(0.0), NotSent("x", reason="tls"), now=1.0)
    assert (JobStatus.PLANNED, True, 1.0) == (ticket.status, ticket.closed, ticket.priority)
    assert [EventKind.SUBMITTED] == [event.kind for event in second]
