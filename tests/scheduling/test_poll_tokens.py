"""Polls leave in groups where the rate allows many, and never more of them than it allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.poll_tokens import PollTokens, poll_burst


def leave(tokens: PollTokens, *, since: float, until: float) -> list[float]:
    """Let polls leave as soon as they may, and return when."""
    times, now = list[float](), since
    while (now := tokens.ready_at(now)) < until:
        tokens.consume(now)
        times.append(now)
    return times


@pytest.mark.parametrize(
    ("per_second", "group", "burst"),
    [(None, 1, 4), (5.0, 1, 4), (20.0, 1, 4), (39.9, 1, 4), (100.0, 5, 12), (540.0, 8, 18), (2000.0, 30, 62)],
)
def test_the_polls_of_a_period_leave_together(per_second: float | None, group: int, burst: int) -> None:
    """Eight polls at 540 a second and five at 100; one by one at the default rate, where periods would be noticed."""
    tokens = PollTokens(per_second)
    assert poll_burst(per_second) == burst
    if per_second is not None:
        times = leave(tokens, since=100.0, until=110.0)[burst:]
        sizes = [times.count(at) for at in sorted(set(times))]
        assert sum(sizes) / len(sizes) >= 0.95 * group
        assert len(times) == pytest.approx(10.0 * per_second, rel=0.02, abs=2.0)


@given(
    st.floats(0.1, 5000.0),
    st.lists(st.tuples(st.floats(0.0, 0.3), st.integers(0, 40)), max_size=30),
)
def test_no_window_has_more_polls_than_the_rate_and_the_burst(
    per_second: float, asked: list[tuple[float, int]]
) -> None:
    """However unevenly it is asked, a bucket of the burst that leaks at the rate never overflows."""
    tokens, now, level = PollTokens(per_second), 0.0, 0.0
    for pause, polls in asked:
        now += pause
        level = max(0.0, level - pause * per_second)
        for _ in range(polls):
            if tokens.ready_at(now) <= now:
                tokens.consume(now)
                level += 1.0
        assert level <= poll_burst(per_second) + 1e-6


def test_a_poll_that_is_due_while_tokens_are_left_waits_for_no_period() -> None:
    """Periods are for polls that have to wait anyway."""
    tokens = PollTokens(540.0)
    for now in (100.0001, 100.0042, 100.0107):
        assert tokens.ready_at(now) == now
        tokens.consume(now)


def test_a_question_that_comes_late_loses_no_poll() -> None:
    """The burst holds two periods: asked late by almost half of one, 98 % of what the rate allows leaves."""
    tokens, left = PollTokens(540.0), 0
    for step in range(1000):
        now = 100.0 + step * 1.4 * 8.0 / 540.0
        while tokens.ready_at(now) <= now:
            tokens.consume(now)
            left += 1
    assert left >= 0.98 * 1000 * 1.4 * 8


def test_a_pause_holds_until_its_end() -> None:
    """After a 429 no poll leaves before the time that the provider names."""
    tokens = PollTokens(540.0)
    tokens.consume(10.0)
    tokens.pause_until(15.0, now=10.1, sent_at=10.0)
    assert 15.0 <= tokens.ready_at(10.2) < 15.1
    assert math.isclose(1.0 / 540.0, tokens.token_seconds)
