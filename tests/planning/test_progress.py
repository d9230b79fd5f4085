"""Counting what happens to the jobs of a batch."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from kling_async.errors import AnswerLost, ContentRejected, JournalError, KlingError, NotSent, RateLimited, WaitTimeout
from kling_async.planning.moves import Event, EventKind, State, Ticket
from kling_async.planning.progress import Progress, Tally
from kling_async.prediction import Status

from .conftest import Desk, desk, prediction

DONE, FAILED = prediction("a", Status.SUCCEEDED), prediction("a", Status.FAILED)
PLACES = ("planned", "sending", "running", "succeeded", "failed", "unconfirmed")


def counted(count: int, *, total: int | None = None) -> tuple[Desk, Tally]:
    """Put jobs into an engine whose events a tally hears."""
    at, tally = desk(dice=0.0), Tally(now=0.0, total=total)
    for number in range(count):
        tally.pulled()
        at.add(f"{number}", listener=lambda event: tally.heard(event, cost=Decimal("0.05")), until=100.0)
    return at, tally


def places(tally: Tally) -> dict[str, int]:
    """Return where jobs are, without the empty places."""
    now = tally.snapshot(now=1.0)
    assert now.pulled == sum(getattr(now, place) for place in PLACES)
    return {place: getattr(now, place) for place in PLACES if getattr(now, place)}


def test_a_job_is_in_one_place_at_a_time() -> None:
    """Each step takes a job out of one place and puts it into the next."""
    at, tally = counted(2)
    assert {"planned": 2} == places(tally)
    ticket = at.send(0.0)
    assert {"planned": 1, "sending": 1} == places(tally)
    at.answer(ticket, prediction("0"), now=0.0)
    assert {"planned": 1, "running": 1} == places(tally)
    at.told(at.look(0.0)[0], DONE, now=9.0)
    assert {"planned": 1, "succeeded": 1} == places(tally)
    assert (1, Decimal("0.01"), 0) == (
        tally.snapshot(now=9.0).finished,
        tally.snapshot(now=9.0).spent,
        tally.snapshot(now=9.0).unpriced,
    )


ENDS: dict[str, tuple[KlingError, str, str]] = {
    "refused": (ContentRejected("x"), "failed", "0"),
    "lost": (AnswerLost("x"), "unconfirmed", "0.05"),
    "TLS": (NotSent("x", reason="tls"), "failed", "0"),
}


@pytest.mark.parametrize(("error", "place", "spent"), ENDS.values(), ids=list(ENDS))
def test_an_end_without_a_prediction(error: KlingError, place: str, spent: str) -> None:
    """What was refused cost nothing; what is unconfirmed counts for its price, since it may be billed."""
    at, tally = counted(1)
    at.answer(at.send(0.0), error, now=0.0)
    assert ({place: 1}, Decimal(spent)) == (places(tally), tally.snapshot(now=0.0).spent)


@pytest.mark.parametrize(
    ("error", "kind"), [(RateLimited("x"), EventKind.THROTTLED), (NotSent("x"), EventKind.NOT_SENT)]
)
def test_what_goes_back_into_line_is_planned_again(error: KlingError, kind: EventKind) -> None:
    """A submission that certainly did not start is counted where it is: in line, and sent a second time."""
    at, tally = counted(1)
    at.answer(at.send(0.0), error, now=0.0)
    assert kind is at.events[-1].kind
    assert {"planned": 1} == places(tally)
    at.send(at.engine.submit_at(0.0))
    assert {"sending": 1} == places(tally)
    assert int(kind is EventKind.THROTTLED) == tally.snapshot(now=0.0).throttled


def test_what_is_stopped_is_still_planned() -> None:
    """A job that a stop takes out of the line did not fail, and a later run takes it up."""
    at, tally = counted(1)
    left = at.add("left", listener=lambda event: tally.heard(event, cost=None))
    tally.pulled()
    at.send(0.0)
    [one] = left.subscriptions
    at.hear(at.engine.recall(left, one.hear, now=1.0))
    assert {"planned": 1, "sending": 1} == places(tally)


def test_what_never_left_was_never_counted_as_sent() -> None:
    """A submission that a journal could not write down was not told as sent, so it fails out of the line."""
    at, tally = counted(2)
    ticket = at.engine.take_submit(0.0)
    assert ticket is not None
    at.answer(ticket, JournalError("no room"), now=0.0)
    assert {"planned": 1, "failed": 1} == places(tally)


def test_what_another_call_pays_for_is_not_spent() -> None:
    """A job that was joined counts as finished, and costs nothing here."""
    for came in (DONE, None):
        at, tally = desk(), Tally(now=0.0, total=1)
        tally.pulled()
        ticket = at.add("0", listener=lambda event, tally=tally: tally.heard(event, cost=Decimal(1), free=True))
        at.answer(at.send(0.0), came or AnswerLost("x"), now=0.0)
        now = tally.snapshot(now=0.0)
        assert (Decimal(0), 0, 1) == (now.spent, now.unpriced, now.finished)
        assert ticket.state.over


def test_a_throttled_look_moves_nothing() -> None:
    """A 429 to a look is counted as one, and the prediction runs on."""
    at, tally = counted(1)
    at.answer(at.send(0.0), prediction("0"), now=0.0)
    at.told(at.look(0.0)[0], RateLimited("x"), now=5.0)
    assert ({"running": 1}, 1) == (places(tally), tally.snapshot(now=5.0).throttled)


def test_time_runs_out_in_every_place() -> None:
    """A job that is given up leaves the place where it was: the line, or the running."""
    at, tally = counted(2)
    at.answer(at.send(0.0), prediction("0"), now=0.0)
    at.hear(at.engine.overdue(100.0))
    assert {"failed": 2} == places(tally)
    assert {NotSent, WaitTimeout} == {type(event.error) for event in at.events if event.error}


def test_a_latch_takes_jobs_out_of_the_line() -> None:
    """What is refused with its account was planned, and fails."""
    at, tally = counted(3)
    error = ContentRejected("x")
    error.__class__ = type("Denied", (ContentRejected,), {})
    at.answer(at.send(0.0), error, now=0.0)
    assert {"planned": 2, "failed": 1} == places(tally)


def test_a_failed_prediction_costs_what_it_says() -> None:
    """The provider's own cost counts where it names one, 0 included; else the published price."""
    for cost, spent, unpriced in ((Decimal(0), "0", 0), (Decimal("0.02"), "0.02", 0), (None, "0.05", 0)):
        at, tally = counted(1)
        at.answer(at.send(0.0), prediction("0"), now=0.0)
        at.told(at.look(0.0)[0], evolve(FAILED, cost=cost), now=9.0)
        now = tally.snapshot(now=9.0)
        assert ({"failed": 1}, Decimal(spent), unpriced) == (places(tally), now.spent, now.unpriced)


def test_without_any_price_the_count_says_so() -> None:
    """What is finished and has no known price is counted apart: unknown is unknown, never 0."""
    tally = Tally(now=0.0, total=1)
    at = desk()
    tally.pulled()
    at.add("0", listener=lambda event: tally.heard(event, cost=None))
    at.answer(at.send(0.0), AnswerLost("x"), now=0.0)
    assert (Decimal(0), 1) == (tally.snapshot(now=0.0).spent, tally.snapshot(now=0.0).unpriced)


def test_speed_and_time_to_go() -> None:
    """From a few finishes on, the speed of the latest fifty tells the time to go; before, and without a total, none."""
    tally = Tally(now=0.0, total=100)
    seen: list[Progress] = []
    for number in range(60):
        tally.pulled()
        tally.refused(now=number * (1.0 if number < 10 else 2.0))
        seen.append(tally.snapshot(now=120.0))
    assert [None] * 4 == [now.per_second for now in seen[:4]]
    assert 1.0 == pytest.approx(seen[4].per_second)
    assert 95.0 == pytest.approx(seen[4].remaining)
    assert 0.5 == pytest.approx(seen[-1].per_second)
    assert 80.0 == pytest.approx(seen[-1].remaining)
    assert (100, 120.0) == (seen[-1].total, seen[-1].elapsed)


def test_what_is_replayed_is_counted_and_makes_no_speed() -> None:
    """An ending that the journal tells is an ending, with its cost, and says nothing of how fast this run is."""
    tally = Tally(now=0.0, total=30)
    for number in range(30):
        tally.pulled()
        ticket = Ticket(key=f"{number}", job=None, path=(), state=State.ENDED)
        ended = Event(EventKind.FINISHED, number / 100, "gptproto", ticket, evolve(DONE, cost=None), replayed=True)
        tally.heard(ended, cost=Decimal("0.03"))
    now = tally.snapshot(now=1.0)
    assert (30, None, Decimal("0.90")) == (now.succeeded, now.per_second, now.spent)


def test_the_total_is_known_at_the_end() -> None:
    """An iterator that ends tells how many jobs there were."""
    tally = Tally(now=0.0, total=None)
    tally.pulled()
    assert (None, None) == (tally.snapshot(now=0.0).total, tally.snapshot(now=0.0).remaining)
    tally.ended()
    assert 1 == tally.snapshot(now=0.0).total
