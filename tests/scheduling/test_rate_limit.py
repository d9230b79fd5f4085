"""How fast requests may leave, whatever the provider says meanwhile."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.rate_limit import RateLimiter

EPSILON = 1e-6


def leave(limiter: RateLimiter, now: float, count: int) -> list[float]:
    """Let so many leave, each as soon as it may; return when they left."""
    times = list[float]()
    for _ in range(count):
        now = limiter.ready_at(now)
        limiter.consume(now)
        times.append(now)
    return times


def test_a_burst_and_then_the_rate() -> None:
    """After a silence as many as the burst leave at once, and then one per interval."""
    assert [10.0, 10.0, 10.0, 10.5, 11.0] == leave(RateLimiter(per_second=2.0, burst=3), 10.0, 5)


def test_silence_is_not_saved_up_beyond_the_burst() -> None:
    """However long nothing left, no more than the burst leaves at once."""
    limiter = RateLimiter(per_second=1.0, burst=2)
    leave(limiter, 0.0, 2)
    assert [1000.0, 1000.0, 1001.0] == leave(limiter, 1000.0, 3)


def test_asking_spends_nothing() -> None:
    """Only what leaves counts, however often one asks."""
    limiter = RateLimiter(per_second=1.0)
    assert [5.0] * 3 == [limiter.ready_at(5.0) for _ in range(3)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("leave"), st.floats(0.0, 2.0), st.just(0.0)),
        st.tuples(st.just("wait"), st.floats(0.0, 90.0), st.just(0.0)),
        st.tuples(st.just("hold"), st.floats(-5.0, 40.0), st.floats(0.0, 5.0)),
    ),
    max_size=120,
)


@given(steps, st.sampled_from([0.1, 1.0, 3.0, 20.0, 600.0]), st.integers(1, 9))
def test_no_window_holds_more_than_burst_and_rate(
    steps: list[tuple[str, float, float]], rate: float, burst: int
) -> None:
    """G13: in every window W at most burst + rate x W leave, whatever pauses and silences come between."""
    limiter, now, left = RateLimiter(per_second=rate, burst=burst), 0.0, list[float]()
    for what, number, back in steps:
        if what == "leave":
            now = limiter.ready_at(now)
            limiter.consume(now)
            left.append(now)
            now += number / rate * (len(left) % 3 == 0)
        elif what == "wait":
            now += number
        else:
            limiter.pause_until(now + number, now=now, sent_at=now - back)
    for first, one in enumerate(left):
        for last in range(first, len(left)):
            assert last - first + 1 <= burst + rate * (left[last] - one) + EPSILON


@given(st.floats(0.001, 300.0), st.sampled_from([0.5, 5.0, None]), st.integers(1, 9))
def test_a_pause_lasts_until_its_end(wait: float, rate: float | None, burst: int) -> None:
    """Nothing leaves before the time that the provider named; with a limit, not even the burst does then."""
    limiter = RateLimiter(per_second=rate, burst=burst)
    leave(limiter, 100.0, 1)
    assert limiter.pause_until(100.0 + wait, now=100.0, sent_at=100.0)
    times = leave(limiter, 100.0, 4)
    assert times[0] >= 100.0 + wait
    assert times[0] <= 100.0 + wait + limiter.interval / 0.7 + EPSILON
    assert rate is None or all(b - a >= 1 / rate - EPSILON for a, b in pairwise(times))


def test_a_second_pause_never_shortens_the_first() -> None:
    """What was promised to one 429 is kept when another one asks for less."""
    limiter = RateLimiter(per_second=1.0)
    limiter.pause_until(100.0, now=0.0, sent_at=0.0)
    limiter.pause_until(10.0, now=1.0, sent_at=0.5)
    assert 100.0 == limiter.ready_at(1.0)


def test_recovery_is_gradual() -> None:
    """After a hold the gaps are longer than at the full rate, shrink steadily, and are whole within a minute."""
    limiter = RateLimiter(per_second=1.0)
    limiter.pause_until(10.0, now=0.0, sent_at=0.0)
    times = leave(limiter, 0.0, 70)
    gaps = [b - a for a, b in pairwise(times)]
    assert 1.3 < gaps[0] < 1.0 / 0.7 + EPSILON
    assert all(a >= b - EPSILON for a, b in pairwise(gaps))
    assert min(gaps) >= 1.0 - EPSILON
    assert 1.0 == pytest.approx(gaps[-1])


def test_each_new_429_slows_further() -> None:
    """A provider that keeps saying 429 is asked less and less often, but never not at all."""
    limiter, now, gaps = RateLimiter(per_second=1.0), 0.0, list[float]()
    for _ in range(30):
        assert limiter.pause_until(now, now=now, sent_at=now)
        first, now = leave(limiter, now, 2)
        gaps.append(now - first)
    assert all(a <= b + EPSILON for a, b in pairwise(gaps[:5]))
    assert 1.4 < gaps[0] < gaps[5] < 20.0
    assert max(gaps) < 20.0


def test_old_429s_are_no_news() -> None:
    """A 429 to a request that was on its way when the hold began neither slows nor holds again."""
    one, two = (RateLimiter(per_second=10.0, burst=4) for _ in range(2))
    for limiter in (one, two):
        leave(limiter, 0.0, 4)
        assert limiter.pause_until(2.0, now=1.0, sent_at=0.0)
    for _ in range(3):
        assert not two.pause_until(1.8, now=1.2, sent_at=0.5)
    assert leave(one, 0.0, 50) == leave(two, 0.0, 50)


def test_an_old_429_may_still_lengthen_the_hold() -> None:
    """What asks for a longer wait is obeyed, even when it is not news."""
    limiter = RateLimiter(per_second=10.0)
    limiter.pause_until(2.0, now=1.0, sent_at=0.0)
    assert not limiter.pause_until(30.0, now=1.2, sent_at=0.5)
    assert 30.0 == limiter.ready_at(1.2)


def test_without_a_rate_only_pauses_count() -> None:
    """No limit is no limit, until a 429 pauses it and once the pause is over."""
    limiter = RateLimiter(per_second=None)
    assert 0.0 == limiter.interval
    assert [7.0] * 100 == leave(limiter, 7.0, 100)
    limiter.pause_until(9.0, now=7.0, sent_at=7.0)
    assert [9.0] * 100 == leave(limiter, 7.0, 100)


def test_a_pause_in_the_past_gives_nothing_back() -> None:
    """A time that has passed already does not make the budget's clock jump."""
    limiter = RateLimiter(per_second=1.0)
    leave(limiter, 100.0, 3)
    limiter.pause_until(0.0, now=102.0, sent_at=102.0)
    times = leave(limiter, 102.0, 3)
    assert 103.0 <= times[0]
    assert all(b - a >= 1.0 for a, b in pairwise(times))
