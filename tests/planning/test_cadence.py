"""When to look again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.planning.cadence import next_check


@pytest.mark.parametrize(
    ("age", "then"), [(0.0, 0.5), (1.0, 1.5), (10.0, 11.5), (60.0, 69.0), (100.0, 115.0), (600.0, 615.0)]
)
def test_the_schedule(age: float, then: float) -> None:
    """Often while young, then at a share of the age, at last every 15 seconds."""
    assert then == next_check(age)


@given(st.floats(0, 1e6))
def test_no_look_is_too_early_or_too_late(age: float) -> None:
    """The next look is half a second to 15 seconds away."""
    assert 0.499 <= next_check(age) - age <= 15.001


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_order_of_ages_is_kept(one: float, other: float) -> None:
    """What is younger is looked at no later."""
    young, old = sorted((one, other))
    assert next_check(young) <= next_check(old)


def test_ten_minutes_take_few_looks() -> None:
    """A prediction of ten minutes costs some dozens of polls, and one of five seconds is found within its second."""
    ages = [0.0]
    while ages[-1] < 600:
        ages.append(next_check(ages[-1]))
    assert 30 < len(ages) < 70
    assert 1.0 > max(later - earlier for earlier, later in pairwise(ages) if earlier < 5)
