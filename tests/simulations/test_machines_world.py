"""A hundred workers at one gate, in virtual time: rate, slots and budget hold, and nearly all of the rate is used."""

from __future__ import annotations

import pytest

from .machines_world import PRICE, Setting, World


class Ungated(World):
    """A gate that grants what is asked for."""

    def _answer_of_account(self) -> None:
        return None

    def _answer_of_money(self) -> None:
        return None


def over_burst(world: World) -> float:
    """Return by how many submissions a bucket that refills at the rate overflows, at worst."""
    setting, worst = world.setting, 0.0
    level, last = float(setting.burst), world.leaves[0]
    for at in world.leaves:
        level = min(setting.burst, level + (at - last) * setting.rate) - 1.0
        last, worst = at, max(worst, -level)
    return worst


@pytest.mark.parametrize(
    ("workers", "rate", "jobs"),
    [(3, 20.0, 5_000), (100, 200.0, 15_000), pytest.param(100, 200.0, 1_000_000, marks=pytest.mark.long)],
)
def test_the_rate_is_used_and_shared(workers: int, rate: float, jobs: int) -> None:
    """At least 0.98 of the rate is used, never more in any window, and no worker gets far less than another.

    A job takes few transactions, even where each worker asks for each token.
    """
    world = World(Setting(workers=workers, jobs=jobs, rate=rate)).run()
    assert jobs == len(world.leaves) == sum(worker.submitted for worker in world.workers)
    assert over_burst(world) < 1e-3
    assert 0.98 <= world.rate_used <= 1.0
    assert world.unfairness < 3.0
    assert world.transactions / jobs < 8.0


@pytest.mark.long
def test_the_lock_of_the_account_is_what_saturates_first() -> None:
    """A hundred workers that wait for a low rate hold its lock nearly all the time, and lose no token by that."""
    world = World(Setting(workers=100, jobs=12_000, rate=20.0)).run()
    assert world.lock_used > 0.9
    assert world.rate_used >= 0.98
    assert world.gate_per_job > 10.0


def test_slots_and_budget_are_shared() -> None:
    """No more are open than there are slots, nearly all of which are used, and no more is spent than allowed."""
    setting = Setting(workers=20, jobs=2000, rate=1000.0, burst=100, slots=50, max_cost=1500 * PRICE)
    world = World(setting).run()
    assert 50 == world.most_open
    assert 1500 == len(world.leaves)
    assert 1500 * PRICE == world.spent


def test_without_the_gate_the_limits_are_passed() -> None:
    """The counts notice a gate that grants everything."""
    setting = Setting(workers=20, jobs=2000, rate=10.0, slots=50, max_cost=1500 * PRICE)
    world = Ungated(setting).run()
    assert over_burst(world) > 10.0
    assert world.most_open > 50
    assert world.spent > 1500 * PRICE
