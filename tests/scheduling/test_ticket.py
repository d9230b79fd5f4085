"""Tickets, and the events made of them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from kling_async.scheduling.ticket import Ticket
from kling_async.types.events import EventKind
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Status
from kling_async.types.status import JobStatus

from .conftest import IMAGE, harness, prediction


def test_the_words_are_their_own_text() -> None:
    """Statuses and kinds can be logged and compared as text; the words are in the documentation, and are kept."""
    running = ["planned", "submitting", "resolving", "accepted"]
    final = ["succeeded", "failed", "cancelled", "expired", "unconfirmed", "abandoned"]
    assert [*running, *final] == [*JobStatus]
    assert final == [status for status in JobStatus if status.is_terminal]
    kinds = {"submitted", "resolving", "accepted", "resumed", "status", "throttled", "not_sent", "poll_error"}
    assert kinds | {"uploading", "held", "moved", "replaced", "finished", "saved", "not_saved"} == {*EventKind}


def test_an_event_holds_facts_and_no_ticket() -> None:
    """An event knows its job's key, does not change, and its text holds no ticket with all that hangs on it."""
    at = harness()
    at.add("cat-1")
    at.submit(1.5)
    [event] = at.events
    assert (EventKind.SUBMITTED, 1.5, "gptproto", "cat-1") == (event.kind, event.at, event.provider, event.key)
    assert (JobStatus.PLANNED, JobStatus.SUBMITTING) == (event.previous, event.status)
    assert "Ticket" not in repr(event)
    assert not hasattr(event, "ticket")
    assert not hasattr(event, "__dict__")
    assert "a secret wish" not in repr(evolve(event, prompt="a secret wish"))
    with pytest.raises(AttributeError):
        event.at = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("status", JobStatus)
def test_an_event_does_not_change_with_its_job(status: JobStatus) -> None:
    """An event stays as its listener received it, whatever becomes of the job."""
    at = harness()
    ticket = at.add("cat-1")
    at.submit(0.0)
    [event] = at.events
    ticket.status = status
    ticket.prediction = prediction("cat-1")
    assert (JobStatus.SUBMITTING, JobStatus.PLANNED, None) == (event.status, event.previous, event.prediction)


def test_two_tickets_of_one_kind_are_two() -> None:
    """Tickets are notified apart by being themselves, and carry no dictionary: there may be a hundred thousand."""
    one, two = (Ticket(key="a", job=None, work_kind=IMAGE) for _ in range(2))
    assert one != two
    assert 2 == len({one, two})
    assert not hasattr(one, "__dict__")
    assert sys.getsizeof(one) < 256


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cost": Decimal("0.010")},
        {"created_at": datetime(2026, 1, 2, tzinfo=UTC), "nsfw": False},
        {"native_status": "starting", "status": Status.QUEUED},
        {"key": "another", "raw": {"id": 1}},
        {"prompt": "a fox"},
        {"status": Status.SUCCEEDED, "outputs": (Output(url="https://x/y.png", kind=OutputKind.IMAGE),)},
        {"status": Status.FAILED, "failure": Failure(kind=FailureKind.FAILED, message="no")},
    ],
)
def test_a_ticket_returns_the_record_that_it_was_given(changes: dict[str, Any]) -> None:
    """Whatever a ticket keeps of a provider's record, it returns all of it, to the last digit of its cost."""
    tickets = [Ticket(key="a", job=None, work_kind=IMAGE) for _ in range(2)]
    for number, ticket in enumerate(tickets):
        own = {"prompt": f"a fox, study {number}"} if "prompt" in changes else {}
        record = evolve(prediction("a"), **({"id": f"id {number}", "raw": None} | changes | own))
        ticket.prediction = None
        assert (None, None) == (ticket.prediction, ticket.native_status)
        ticket.prediction = record
        kept = ticket.prediction
        assert (record, str(record.cost), record.raw) == (kept, str(kept.cost), kept.raw)
        assert record.prompt == kept.prompt
        assert record.native_status == ticket.native_status


def test_running_predictions_of_one_kind_share_what_is_the_same() -> None:
    """A hundred thousand running predictions differ by their id only, and keep no record each."""
    tickets = [Ticket(key=str(number), job=None, work_kind=IMAGE) for number in range(3)]
    for ticket in tickets:
        ticket.prediction = evolve(prediction(ticket.key), raw=None)
    assert len({id(ticket._known) for ticket in tickets}) == 1
    assert sys.getsizeof(tickets[0]) <= 216
