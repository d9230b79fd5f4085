"""Pauses of submissions after lost answers, and after a refusal of the account."""

from __future__ import annotations

import pytest

from kling_async.errors import AnswerLost, AuthenticationError
from kling_async.scheduling.breaker import AccountBlock, CircuitBreaker


def lose(breaker: CircuitBreaker, now: float) -> float | None:
    """Send one submission whose answer is lost."""
    assert breaker.permits
    breaker.submission_started()
    breaker.submission_ended()
    return breaker.record_lost_answer(AnswerLost("gone"), now=now)


def test_the_third_lost_answer_opens_the_breaker() -> None:
    """From the third in a row on, each lost answer asks for a pause of 5 seconds and a growing delay."""
    breaker = CircuitBreaker(random=lambda: 0.5)
    pauses = [lose(breaker, 100.0) for _ in range(5)]
    assert [None, None, pytest.approx(106.0), pytest.approx(107.0), pytest.approx(109.0)] == pauses


def test_an_open_breaker_permits_one_submission_at_a_time() -> None:
    """While it is open, a submission may leave only if no other one is in flight; an acceptance closes it."""
    breaker = CircuitBreaker(random=lambda: 0.0)
    breaker.submission_started()
    assert breaker.permits
    for _ in range(3):
        breaker.record_lost_answer(AnswerLost("gone"), now=0.0)
    assert not breaker.permits
    breaker.submission_ended()
    assert breaker.permits
    breaker.submission_started()
    breaker.record_acceptance()
    assert breaker.permits
    breaker.submission_ended()
    assert lose(breaker, 0.0) is None


def test_a_block_lasts_half_a_minute() -> None:
    """A refusal of the account holds for 30 seconds, and a later one in its place."""
    block, first, second = AccountBlock(), AuthenticationError("x"), AuthenticationError("y")
    assert block.error_at(0.0) is None
    block.block(first, now=10.0)
    assert (first, None) == (block.error_at(39.9), block.error_at(40.0))
    block.block(second, now=100.0)
    assert second is block.error_at(101.0)
