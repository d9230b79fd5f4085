from __future__ import annotations

import math
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.errors import InputError
from kling_async.scheduling.polling.inspection import optimal_next, tail_gap
from kling_async.scheduling.polling.plan import SHORTEST_GAP, PollPlan, SurvivalCurve, optimal_checks

PRICES = st.floats(0.01, 50.0)


@st.composite
def curves(draw: st.DrawFn, *, ends: bool = True) -> SurvivalCurve:
    """Draw a curve with steps of any size, flat stretches included."""
    gaps = draw(st.lists(st.floats(0.1, 20.0), min_size=1, max_size=25))
    weights = draw(st.lists(st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0]), min_size=len(gaps), max_size=len(gaps)))
    left = 0.0 if ends else draw(st.floats(0.01, 1.0))
    weights[-1] += 0.01
    beyond = list(accumulate([left, *reversed(weights)]))
    return SurvivalCurve.of(accumulate(gaps), [share / beyond[-1] for share in reversed(beyond[:-1])])


def cost(curve: SurvivalCurve, checks: tuple[float, ...], price: float) -> float:
    """Price of the polls, and delay plus mean, where every poll is at an age of the curve."""
    share = dict(zip(curve.ages, curve.survival, strict=True))
    return math.fsum(share[a] * (price + b - a) for a, b in pairwise((0.0, *checks)))


def least(curve: SurvivalCurve, price: float) -> float:
    """The same by trying every next age from every age, which takes the square of the grid."""
    best = [0.0] * len(curve.ages)
    best[-1] = curve.survival[-1] * (1 + math.expm1(tail_gap(curve.ages[-1], price) / curve.ages[-1])) * curve.ages[-1]
    for i in range(len(curve.ages) - 2, -1, -1):
        best[i] = min(
            curve.survival[i] * (price + curve.ages[j] - curve.ages[i]) + best[j] for j in range(i + 1, len(curve.ages))
        )
    return best[0]


def log_normal(median: float, sigma: float, count: int = 2000) -> SurvivalCurve:
    """Make a lognormal curve on a fine grid of even steps."""
    ages = [median * math.exp(5 * sigma) * k / count for k in range(1, count + 1)]
    return SurvivalCurve.of(ages, [math.erfc(math.log(age / median) / (sigma * math.sqrt(2))) / 2 for age in ages])


@given(curves(), PRICES)
def test_checks_cost_what_trying_everything_costs(curve: SurvivalCurve, price: float) -> None:
    """The hull finds the exact optimum of any curve."""
    assert cost(curve, optimal_checks(curve, price=price), price) == pytest.approx(least(curve, price), rel=1e-9)


@given(curves(ends=False), PRICES)
def test_an_open_end_is_paid_for_at_a_constant_rate(curve: SurvivalCurve, price: float) -> None:
    """Where the curve leaves some running, the optimum counts the polls beyond it."""
    steps, at, paid = optimal_next(curve.ages, curve.survival, price), 0, 0.0
    while steps[at] > at:
        paid += curve.survival[at] * (price + curve.ages[steps[at]] - curve.ages[at])
        at = steps[at]
    scale = curve.ages[-1]
    paid += curve.survival[-1] * math.exp(tail_gap(scale, price) / scale) * scale
    assert paid == pytest.approx(least(curve, price), rel=1e-9)


@given(curves(ends=False), PRICES)
def test_checks_ascend_to_where_nothing_is_left(curve: SurvivalCurve, price: float) -> None:
    """The list goes beyond the ages of the curve until 1 in 10,000 still runs."""
    checks = optimal_checks(curve, price=price)
    assert all(a < b for a, b in pairwise((0.0, *checks)))
    assert curve.survival_at(checks[-1]) <= 1e-4 or checks[-1] == curve.ages[-1]


@pytest.mark.parametrize("price", [0.1, 1.0, 10.0])
def test_what_finishes_at_a_constant_rate_is_polled_in_equal_gaps(price: float) -> None:
    """Exponential: the gap t solves e^(ht) - ht - 1 = h * price."""
    ages = [k * 0.02 for k in range(1, 15000)]
    checks = optimal_checks(SurvivalCurve.of(ages, [math.exp(-age / 10) for age in ages]), price=price)
    gap = tail_gap(10.0, price)
    assert math.expm1(gap / 10) - gap / 10 == pytest.approx(price / 10)
    assert [b - a for a, b in pairwise((0.0, *checks))][:6] == pytest.approx([gap] * 6, abs=0.05)


@pytest.mark.parametrize("price", [0.3, 1.0, 4.0])
def test_uniform_times_are_polled_in_gaps_that_shrink_by_the_price(price: float) -> None:
    """Uniform on [0, A]: x_k = kA/n + price k (n - k) / 2, with the largest n such that n (n - 1) < 2A / price."""
    ages = [k * 0.01 for k in range(1, 2001)]
    checks = optimal_checks(SurvivalCurve.of(ages, [1 - age / 20 for age in ages]), price=price)
    n = max(n for n in range(1, 50) if n * (n - 1) < 40 / price)
    wanted = [k * 20 / n + price * k * (n - k) / 2 for k in range(1, n + 1)]
    assert len(checks) == n
    assert checks == pytest.approx(wanted, abs=0.03)


def test_gaps_follow_the_first_order_condition() -> None:
    """x_{k+1} - x_k = (F(x_k) - F(x_{k-1})) / f(x_k) - price (Barlow, Hunter, Proschan)."""
    median, sigma, price = 100.0, 0.5, 2.0
    curve = log_normal(median, sigma, 40000)
    checks = (0.0, *optimal_checks(curve, price=price))
    for before, here, after in zip(checks, checks[1:], checks[2:6], strict=False):
        z = math.log(here / median) / sigma
        density = math.exp(-z * z / 2) / (here * sigma * math.sqrt(2 * math.pi))
        assert after - here == pytest.approx(
            (curve.survival_at(before) - curve.survival_at(here)) / density - price, rel=0.01
        )


@given(curves(), PRICES, st.floats(0.2, 5.0))
def test_time_and_price_scale_together(curve: SurvivalCurve, price: float, by: float) -> None:
    """(T, price) -> (aT, a price) costs a times as much."""
    scaled = SurvivalCurve.of([age * by for age in curve.ages], curve.survival)
    there = cost(scaled, optimal_checks(scaled, price=price * by), price * by)
    assert there == pytest.approx(by * cost(curve, optimal_checks(curve, price=price), price))


@given(curves(), PRICES, st.floats(1.01, 10.0))
def test_no_next_check_is_earlier_at_a_higher_price(curve: SurvivalCurve, price: float, by: float) -> None:
    """Indexability: from every age, the best next age does not fall as the price rises."""
    cheap, dear = (optimal_next(curve.ages, curve.survival, p) for p in (price, price * by))
    running = [i for i in range(len(curve.ages)) if curve.survival[i] > 0]
    # Where nothing finishes in between, two next ages may cost the same.
    assert all(curve.survival[dear[i]] <= curve.survival[cheap[i]] + 1e-12 for i in running)


@pytest.mark.parametrize(("price", "polls", "delay"), [(0.2, 15.1, 3.00), (1.0, 6.95, 6.65), (5.0, 3.38, 14.6)])
def test_plans_reach_the_published_optimum(price: float, polls: float, delay: float) -> None:
    """Video, lognormal(110, 0.5): polls and delay as an independent computation had them."""
    curve = SurvivalCurve.of(*_by_ratio(lambda age: math.erfc(math.log(age / 110) / (0.5 * math.sqrt(2))) / 2))
    plan, age, share, found, area = PollPlan(curve), 0.0, 1.0, 0.0, 0.0
    while share > 1e-9:
        check = plan.next_check(age, price)
        found, area = found + share, area + share * (check - age)
        age, share = check, math.erfc(math.log(check / 110) / (0.5 * math.sqrt(2))) / 2
    assert found == pytest.approx(polls, rel=0.02)
    assert area - 124.65 == pytest.approx(delay, rel=0.02)


@given(curves(ends=False), st.floats(0.0, 1000.0), st.floats(1e-6, 1e6))
def test_a_plan_always_polls_again_later(curve: SurvivalCurve, age: float, price: float) -> None:
    """No age and no price starve a prediction, and no two polls overlap."""
    check = PollPlan(curve).next_check(age, price)
    assert age + SHORTEST_GAP <= check < math.inf


@given(curves(), st.floats(1.0, 1000.0), PRICES)
def test_what_outlasts_its_curve_is_polled_in_growing_gaps(curve: SurvivalCurve, beyond: float, price: float) -> None:
    """A curve that says "all finished" does not end the polls of a prediction that still runs."""
    check = PollPlan(curve).next_check(curve.ages[-1] + beyond, price)
    assert check - curve.ages[-1] - beyond == pytest.approx(max(tail_gap(curve.ages[-1], price), SHORTEST_GAP), rel=0.1)


def test_plans_interpolate_between_prices_without_falling() -> None:
    """The next check rises with the price, smoothly."""
    plan = PollPlan(log_normal(9.0, 0.35))
    checks = [plan.next_check(8.0, 0.01 * 1.05**k) for k in range(200)]
    assert all(b - a > -0.02 for a, b in pairwise(checks))
    assert all(b - a < 1.0 for a, b in pairwise(checks[:120]))


def test_the_mean_counts_the_tail() -> None:
    """The mean of an exponential curve is found, even from a grid that ends early."""
    ages = [k * 0.01 for k in range(1, 1001)]
    assert SurvivalCurve.of(ages, [math.exp(-age / 10) for age in ages]).mean == pytest.approx(10.0, rel=1e-4)


def test_a_curve_starts_at_age_nought_with_all_running() -> None:
    """Age 0 is added where it is missing, and its share is 1: nothing was polled there."""
    assert (
        SurvivalCurve.of([2.0, 4.0], [0.5, 0.0])
        == SurvivalCurve.of([0.0, 2.0, 4.0], [0.9, 0.5, 0.0])
        == SurvivalCurve.of((0, 2, 4), (1, 0.5, 0))
    )


def test_between_ages_the_share_falls_in_a_straight_line_and_then_exponentially() -> None:
    """What a curve says at any age."""
    curve = SurvivalCurve.of([2.0, 4.0], [0.5, 0.25])
    assert [curve.survival_at(age) for age in (-1.0, 0.0, 1.0, 3.0, 4.0)] == [1.0, 1.0, 0.75, 0.375, 0.25]
    assert curve.survival_at(8.0) == pytest.approx(0.25 / math.e)


@pytest.mark.parametrize(
    ("ages", "shares"),
    [
        ([], []),
        ([0.0], [1.0]),
        ([1.0, 2.0], [0.5]),
        ([2.0, 1.0], [0.5, 0.4]),
        ([1.0, 1.0], [0.5, 0.4]),
        ([-1.0, 1.0], [0.5, 0.4]),
        ([1.0, math.inf], [0.5, 0.4]),
        ([1.0, math.nan], [0.5, 0.4]),
        ([math.nan, 1.0], [0.5, 0.4]),
        ([1.0, 2.0], [0.4, 0.5]),
        ([1.0, 2.0], [1.5, 0.5]),
        ([1.0, 2.0], [0.5, -0.1]),
        ([1.0, 2.0], [0.5, math.nan]),
    ],
)
def test_no_curve_is_made_of_nonsense(ages: list[float], shares: list[float]) -> None:
    """Ages must ascend from 0, shares must fall within [0, 1]."""
    with pytest.raises(InputError):
        SurvivalCurve.of(ages, shares)


@pytest.mark.parametrize("price", [0.0, -1.0, math.inf, math.nan])
def test_a_poll_has_a_price(price: float) -> None:
    """A price that is no positive number is refused."""
    with pytest.raises(InputError):
        optimal_checks(SurvivalCurve.of([1.0], [0.0]), price=price)


def _by_ratio(running: object) -> tuple[list[float], list[float]]:
    assert callable(running)
    ages = [0.25 * 1.02**k for k in range(519)]
    return ages, [running(age) for age in ages]
