"""What the poll planner does with thousands in flight: it uses what it is allowed, and no call takes long."""

from __future__ import annotations

import pytest

from .closed_system import ClosedSystem


@pytest.mark.parametrize("wakes_every", [0.0, 0.016])
def test_the_budget_is_used_and_delays_are_near_the_bound_above_100_polls_a_second(wakes_every: float) -> None:
    """At 500 polls a second 98 % of them leave, eight at a time, and results are found at most 5 % above the bound.

    That holds for an event loop as well that wakes up only every 16 ms.
    """
    system = ClosedSystem(2000, mean=10.0, rate=500.0, ramp=10.0, wakes_every=wakes_every)
    system.run(18_000)
    used, delay = system.measure(14_000)
    assert used >= 0.98
    assert sum(system.sizes[-1000:]) / 1000 >= 7.5
    assert delay <= 1.05 * system.least_delay()


def test_no_call_of_the_engine_computes_many_due_times() -> None:
    """With 5000 in flight, half of them late after a burst, a call computes 600 due times at most."""
    system = ClosedSystem(5000, mean=10.0, rate=1000.0)
    system.run(10_000)
    assert system.found > 1000
    assert system.max_computed <= 600


def test_few_due_times_are_computed_while_the_price_rises() -> None:
    """With 1000 in flight that started at once, and none of them finished, a poll costs 50 of them in the mean."""
    system = ClosedSystem(1000, mean=100.0, rate=100.0)
    before = system.policy.computed
    system.run(900)
    assert not system.found
    assert system.policy.computed - before <= 900 * 50
