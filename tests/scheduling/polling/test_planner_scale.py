"""What the poll planner does with thousands in flight: it uses what it is allowed, and no call takes long."""

from __future__ import annotations

from .closed_system import ClosedSystem


def test_the_budget_is_used_and_delays_are_near_the_bound_above_100_polls_a_second() -> None:
    """At 500 polls a second 98 % of them leave, and results are found no later than 5 % above the bound."""
    system = ClosedSystem(2000, mean=10.0, rate=500.0, ramp=10.0)
    system.run(18_000)
    used, delay = system.measure(14_000)
    assert used >= 0.98
    assert delay <= 1.05 * system.least_delay()
