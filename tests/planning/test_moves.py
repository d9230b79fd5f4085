"""The words between an engine and those around it."""

from __future__ import annotations

import sys

import pytest

from kling_async.planning.moves import Event, EventKind, State, Ticket

from .conftest import PATH


def test_the_words_are_their_own_text() -> None:
    """States and events can be logged and compared as text; the words are in the documentation, and are kept."""
    assert ["planned", "sending", "accepted", "ended", "failed", "unconfirmed"] == [*State]
    ways = {"submitted", "accepted", "resumed", "status", "throttled", "not_sent", "poll_error"}
    assert ways | {"finished", "saved", "not_saved"} == {*EventKind}


def test_an_event_is_named_after_its_job_and_says_no_more_than_it_must() -> None:
    """An event knows its job's key, does not change, and its text holds no ticket with all that hangs on it."""
    ticket = Ticket(key="cat-1", job=None, path=PATH)
    event = Event(EventKind.SUBMITTED, 1.5, "gptproto", ticket)
    assert "cat-1" == event.key
    assert "Ticket" not in repr(event)
    with pytest.raises(AttributeError):
        event.at = 2.0  # type: ignore[misc]


def test_two_tickets_of_one_kind_are_two() -> None:
    """Tickets are told apart by being themselves, and carry no dictionary: there may be a hundred thousand."""
    one, two = (Ticket(key="a", job=None, path=PATH) for _ in range(2))
    assert one != two
    assert 2 == len({one, two})
    assert not hasattr(one, "__dict__")
    assert sys.getsizeof(one) < 256
