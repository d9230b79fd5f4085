"""The arithmetic of admission, as many workers that share its numbers use it."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.types.admission import (
    after_rate_change,
    after_token,
    burst_tolerance,
    money_fits,
    settled_cost,
    slots_fit,
    token_at,
)


@given(
    burst=st.integers(1, 20),
    per_second=st.floats(0.1, 50),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    window=st.floats(0.01, 20),
)
def test_no_window_has_more_than_the_burst_and_the_rate(
    burst: int, per_second: float, pauses: list[float], window: float
) -> None:
    """Whoever takes the tokens, and whenever: at most burst + rate x W requests leave in any window W."""
    interval = 1 / per_second
    tolerance, arrival, now = burst_tolerance(interval, burst=burst), -math.inf, 0.0
    left = list[float]()
    for pause in pauses:
        now = max(now + pause, token_at(arrival, tolerance=tolerance))
        arrival = after_token(arrival, now=now, interval=interval)
        left.append(now)
    for start in left:
        inside = sum(start <= at < start + window for at in left)
        assert inside <= burst + per_second * window + 1e-6


def test_a_burst_leaves_at_once_and_then_the_rate_holds() -> None:
    """After a silence so many leave at once, and each further one an interval later."""
    arrival, times = -math.inf, list[float]()
    for _ in range(5):
        at = max(10.0, token_at(arrival, tolerance=burst_tolerance(0.5, burst=3)))
        arrival = after_token(arrival, now=at, interval=0.5)
        times.append(at)
    assert [10.0, 10.0, 10.0, 10.5, 11.0] == times


def test_a_changed_rate_lets_no_request_wait_for_longer_than_one_of_its_intervals() -> None:
    """What a slow rate has spent does not hold back a faster one for its own long interval."""
    slow = after_token(-math.inf, now=0.0, interval=60.0)
    tolerance = burst_tolerance(1.0, burst=2)
    assert 1.0 == token_at(after_rate_change(slow, now=0.0, interval=1.0, tolerance=tolerance), tolerance=tolerance)
    assert 0.5 == after_rate_change(0.5, now=0.0, interval=60.0, tolerance=0.0)


@pytest.mark.parametrize(
    ("slots", "in_use", "limit", "fits"),
    [(1, 4, 5, True), (2, 4, 5, False), (9, 0, 5, True), (9, 1, 5, False), (9, 999, None, True)],
)
def test_slots(slots: int, in_use: int, limit: int | None, fits: bool) -> None:
    """Jobs fill the slots exactly; one that is larger than all of them has them alone."""
    assert fits is slots_fit(slots, in_use=in_use, limit=limit)


def test_money_is_reserved_to_the_last_cent_and_settled_at_what_is_known() -> None:
    """A price fits if the limit is just reached; an unknown cost counts as the whole price."""
    spent, reserved, limit = Decimal("0.10"), Decimal("0.20"), Decimal("0.40")
    assert money_fits(Decimal("0.10"), spent=spent, reserved=reserved, limit=limit)
    assert not money_fits(Decimal("0.1000001"), spent=spent, reserved=reserved, limit=limit)
    assert Decimal("0.03") == settled_cost(Decimal("0.05"), spent=Decimal("0.03"))
    assert Decimal("0.05") == settled_cost(Decimal("0.05"), spent=None)
