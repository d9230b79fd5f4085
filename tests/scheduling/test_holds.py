"""Jobs that a gate holds back: they are queued again as if they had never left the queue."""

from __future__ import annotations

import math

import pytest

from kling_async.scheduling.polling.durations import DurationModel
from kling_async.types.events import EventKind
from kling_async.types.gate import Hold
from kling_async.types.limits import LimitKind, LimitOrigin, SpeedLimit
from kling_async.types.prediction import Status
from kling_async.types.status import JobStatus

from .conftest import IMAGE, EngineHarness, harness, prediction


def hold(seconds: float = 2.0, kind: LimitKind | None = LimitKind.RATE) -> Hold:
    """Make the answer of a gate; without a kind of limit it is for want of money."""
    limit = None if kind is None else SpeedLimit(provider="gptproto", kind=kind, value=1, origin=LimitOrigin.SHARED)
    return Hold(seconds=seconds, limit=limit)


def held(at: EngineHarness, keys: str, now: float = 0.0, answer: Hold | None = None) -> None:
    """Take submissions, and report that a gate holds them back."""
    tickets = [at.engine.take_submit(now) for _ in keys]
    for ticket in tickets:
        assert ticket is not None
        at.deliver(at.engine.submitted(ticket, answer or hold(), sent_at=now, now=now))


def test_a_held_job_is_asked_for_again_at_its_time() -> None:
    """It leaves from the time on that the gate has named, and no other job of the account before it."""
    at = harness(max_open=5)
    for key in "abc":
        at.add(key)
    held(at, "a")
    assert 2.0 == at.engine.submit_at(0.0)
    assert at.engine.take_submit(1.99) is None
    assert "a" == at.submit(2.0).key
    assert "b" == at.submit(2.0).key


def test_held_jobs_keep_their_order() -> None:
    """Several that were asked for at once, and held, leave in the order of the queue."""
    at = harness()
    for key in "abcd":
        at.add(key)
    held(at, "abc")
    assert list("abcd") == [at.submit(2.0).key for _ in "abcd"]


def test_a_hold_is_neither_a_failure_nor_an_error() -> None:
    """The one event says when it is asked for again; no attempt is counted, and no slot or token is taken."""
    at = harness(submit_per_second=0.1, submit_burst=1, max_open=1)
    ticket = at.add("a")
    for now in (0.0, 2.0, 4.0):
        held(at, "a", now)
    assert [EventKind.HELD] * 3 == at.kinds("a")
    assert [(None, 2.0, JobStatus.PLANNED)] * 3 == [(one.error, one.retry_in, one.status) for one in at.events]
    assert (0, None, 0, True) == (ticket.failures, ticket.last_error, at.engine.slots.in_use, ticket.queued)
    assert "a" == at.submit(6.0).key


def test_want_of_money_holds_one_job_alone() -> None:
    """Other jobs of the account, which may belong to another run, leave meanwhile."""
    at = harness()
    at.add("dear")
    at.add("cheap")
    held(at, "a", answer=hold(kind=None))
    assert "cheap" == at.submit(0.1).key
    assert 2.0 == at.engine.submit_at(0.1)
    assert "dear" == at.submit(2.0).key


def test_a_slot_that_is_freed_here_is_asked_for_at_once() -> None:
    """Slots are shared, so one that this client frees ends the wait; the end of any other job does not end a rate's."""
    for kind, at_once in ((LimitKind.SLOTS, True), (LimitKind.RATE, False)):
        at = harness(max_open=5)
        running = at.accepted("a")
        at.add("b")
        held(at, "b", answer=hold(kind=kind))
        assert 2.0 == at.engine.submit_at(0.5)
        _, now = at.poll(0.0, until=1.0)
        at.answer_poll(running, prediction("a", Status.SUCCEEDED), now=now)
        assert at_once is (at.engine.submit_at(now) == now)


def test_the_shared_limit_is_named() -> None:
    """What holds the queue back is the limit that clients share, as long as it does."""
    at = harness()
    at.add("a")
    held(at, "a", answer=hold(kind=LimitKind.SLOTS))
    limit = at.engine.speed_limit(1.0)
    assert (LimitKind.SLOTS, LimitOrigin.SHARED) == (limit and (limit.kind, limit.origin))
    assert "1 slot: shared by all clients" == str(limit)
    assert at.engine.speed_limit(2.0) is None


def test_a_held_job_that_nothing_waits_for_is_dropped() -> None:
    """If its listener left while the gate was asked, it is never submitted, and no event is sent."""
    at = harness()
    ticket = at.add("a")
    assert ticket is at.engine.take_submit(0.0)
    at.detach(ticket, now=0.0)
    at.deliver(at.engine.submitted(ticket, hold(), sent_at=0.0, now=0.0))
    assert [] == at.events
    assert (True, math.inf, 0) == (ticket.closed, at.engine.submit_at(9.0), at.engine.slots.in_use)


def test_a_held_job_ends_at_its_deadline() -> None:
    """A gate that never opens keeps no caller longer than it wants to wait."""
    at = harness()
    at.add("a", deadline=5.0)
    held(at, "a", answer=hold(60.0))
    at.deliver(at.engine.expire(5.0))
    assert [EventKind.HELD, EventKind.FINISHED] == at.kinds("a")
    assert at.events[-1].error is not None
    assert not at.events[-1].error.may_be_billed


@pytest.mark.parametrize("workers", [1, 3])
def test_polls_are_divided_by_the_clients(workers: int) -> None:
    """With three clients at an account each polls at a third of the rate, from the moment on that it is told."""
    at = harness(poll_per_second=3.0)
    at.engine.share_polls(3, 0.0)
    at.engine.share_polls(workers, 0.0)
    for number in range(60):
        at.accepted(f"job-{number}", now=0.0)
    polled, now = 0, 0.0
    while now < 100.0:
        ticket, now = at.poll(now)
        at.answer_poll(ticket, prediction(ticket.key), now=now)
        polled += 1
    assert 290 / workers <= polled <= 310 / workers + 8


def test_slots_are_kept_for_as_long_as_nearly_all_jobs_take() -> None:
    """A lost submission may run for the 99th percentile of its kind, and for ten minutes where nothing is known."""
    durations = DurationModel()
    assert 600.0 == durations.slot_seconds(IMAGE)
    for _ in range(200):
        durations.observe_start(IMAGE)
        durations.observe_completion(IMAGE, after=9.0, by=10.0)
    assert 9.0 < durations.slot_seconds(IMAGE) < 30.0
    assert 600.0 == durations.slot_seconds(("video", "other"))
