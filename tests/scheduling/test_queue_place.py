"""The place of a job in the queue, and the seconds that it may expect to wait."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.expectation import expected_seconds
from kling_async.scheduling.rate_limit import RateLimiter
from kling_async.scheduling.ticket import Ticket

from .conftest import EngineHarness, harness


def place(at: EngineHarness, ticket: Ticket | None, now: float, typical: float = 10.0) -> tuple[int, float] | None:
    """Return a job's place where each kind of work takes so many seconds."""
    found = at.engine.submissions.queue.place(ticket, now=now, typical=lambda _: typical)
    return None if found is None else (found[0], round(found[1], 3))


def test_an_empty_queue_has_no_wait() -> None:
    """A job that comes now is next, and leaves at once."""
    assert (0, 0.0) == place(harness(submit_per_second=1.0, submit_burst=1), None, 5.0)


def test_jobs_leave_at_the_rate() -> None:
    """Each job ahead costs one interval; the burst is free, and what has waited already counts."""
    at = harness(submit_per_second=0.5, submit_burst=2, max_open=None)
    tickets = [at.add(key) for key in "abcd"]
    assert [(0, 0.0), (1, 0.0), (2, 2.0), (3, 4.0)] == [place(at, ticket, 0.0) for ticket in tickets]
    assert (4, 6.0) == place(at, None, 0.0)
    at.submit(0.0)
    assert place(at, tickets[0], 0.0) is None
    assert [(0, 0.0), (1, 1.0), (2, 3.0)] == [place(at, ticket, 1.0) for ticket in tickets[1:]]


def test_a_job_waits_for_slots() -> None:
    """Where the slots are full, they turn over as fast as work of this kind takes."""
    at = harness(submit_per_second=None, max_open=2)
    at.accepted("a")
    at.accepted("b")
    tickets = [at.add(key) for key in "cde"]
    assert [(0, 5.0), (1, 10.0), (2, 15.0)] == [place(at, ticket, 0.0) for ticket in tickets]


def test_clients_that_share_the_account_have_equal_parts() -> None:
    """With three more clients a job waits four times as long for the rate, and for the slots."""
    at = harness(submit_per_second=1.0, submit_burst=1, max_open=None)
    tickets = [at.add(key) for key in "ab"]
    at.engine.share_polls(4, 0.0)
    assert (1, 4.0) == place(at, tickets[1], 0.0)
    full = harness(submit_per_second=None, max_open=2)
    full.accepted("a")
    full.accepted("b")
    full.engine.share_polls(4, 0.0)
    assert (0, 20.0) == place(full, full.add("c"), 0.0)


def test_a_withdrawn_job_is_no_longer_ahead() -> None:
    """A job whose caller has gone does not count, though the queue drops it later."""
    at = harness(submit_per_second=1.0, submit_burst=1)
    first, second = at.add("a"), at.add("b")
    at.detach(first, now=0.0)
    assert (0, 0.0) == place(at, second, 0.0)


@given(
    per_second=st.floats(0.01, 100.0),
    burst=st.integers(1, 20),
    sent=st.lists(st.floats(0.0, 50.0), max_size=30),
    ahead=st.integers(0, 30),
)
def test_the_rate_limiter_keeps_what_it_foretells(
    per_second: float, burst: int, sent: Sequence[float], ahead: int
) -> None:
    """What leaves as soon as it may leaves when that was foretold."""
    limiter, now = RateLimiter(per_second=per_second, burst=burst), 0.0
    for at in sorted(sent):
        now = limiter.ready_at(max(now, at))
        limiter.consume(now)
    foretold = limiter.ready_after(ahead, now)
    for _ in range(ahead):
        now = limiter.ready_at(now)
        limiter.consume(now)
    assert foretold == pytest.approx(limiter.ready_at(now), abs=1e-6)


def test_what_is_left_is_the_area_under_the_curve() -> None:
    """Between 2 and 4 s evenly, 3 s are expected; at 3 s half a second is left, and beyond the curve nothing."""
    ages, running = [0.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 0.5, 0.0, 0.0]
    left = [expected_seconds(ages, running, age=age) for age in (0.0, 1.0, 3.0, 4.5, 9.0)]
    assert [3.0, 2.0, 0.5, 0.0, 0.0] == left


def test_expectations_are_learned() -> None:
    """After many completions of 40 s the guess is gone, and what is left falls with the age."""
    model, kind = DurationModel(), ("image", "gptproto", "kling-image-o1")
    for _ in range(200):
        model.observe_start(kind)
        model.observe_completion(kind, after=39.0, by=41.0)
    assert model.expected_seconds(kind) == pytest.approx(40.0, rel=0.1)
    left = [model.expected_seconds(kind, age=age) for age in (0.0, 10.0, 20.0, 30.0)]
    assert all(later < earlier for earlier, later in pairwise(left))
