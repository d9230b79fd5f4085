"""A spending limit, and estimates."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.errors import BudgetExceeded
from kling_async.providers import Certainty, Price, Source
from kling_async.providers.pricing import Estimate, estimate
from kling_async.scheduling.budget import Budget

SOURCE = Source(Certainty.DOCUMENTED, "a page")


def price(low: str, high: str | None = None) -> Price:
    """Shorten the tables."""
    return Price(low=Decimal(low), high=Decimal(high or low), source=SOURCE)


Row = tuple[list[tuple[str, Price | None]], Estimate, bool, str]
TABLE: dict[str, Row] = {
    "nothing": ([], Estimate(low=Decimal(0), high=Decimal(0), priced=0), True, "$0.00"),
    "one price": (
        [("a", price("0.012"))],
        Estimate(low=Decimal("0.012"), high=Decimal("0.012"), priced=1),
        True,
        "$0.012",
    ),
    "a sum without rounding": (
        [("a", price("0.1"))] * 3,
        Estimate(low=Decimal("0.3"), high=Decimal("0.3"), priced=3),
        True,
        "$0.30",
    ),
    "a range": (
        [("a", price("3.00")), ("b", price("1.20", "12.00"))],
        Estimate(low=Decimal("4.20"), high=Decimal("15.00"), priced=2),
        True,
        "$4.20 to $15.00",
    ),
    "no price": (
        [("b", None), ("a", None), ("b", None)],
        Estimate(low=Decimal(0), high=Decimal(0), priced=0, unpriced=("b", "a", "b")),
        False,
        "unknown for 3 jobs (no published price for a, b)",
    ),
    "some prices": (
        [("a", price("3.00")), ("b", None)],
        Estimate(low=Decimal("3.00"), high=Decimal("3.00"), priced=1, unpriced=("b",)),
        False,
        "$3.00 for 1 job, unknown for 1 job (no published price for b)",
    ),
}


@pytest.mark.parametrize(("prices", "expected", "known", "text"), TABLE.values(), ids=list(TABLE))
def test_estimates(prices: list[tuple[str, Price | None]], expected: Estimate, *, known: bool, text: str) -> None:
    """Prices are added up, ranges as ranges, and what is unknown is said to be unknown, never counted as 0."""
    seen = estimate(iter(prices))
    assert expected == seen
    assert (known, text) == (seen.known, str(seen))


def test_without_a_limit_everything_fits() -> None:
    """A budget that was not set holds nothing up, priced or not."""
    budget = Budget(None)
    assert all(budget.reserve(one) for one in (Decimal(10**9), None))
    budget.settle(None, spent=None)
    budget.settle(Decimal(1), spent=Decimal(1))


def test_an_unknown_price_fits_no_budget() -> None:
    """What has no price cannot be held to a limit: it is refused, and the error says how to name one."""
    budget = Budget(Decimal(10))
    with pytest.raises(BudgetExceeded, match="prices="):
        budget.reserve(None)
    assert (Decimal(0), Decimal(0)) == (budget.reserved, budget.spent)


def test_what_is_reserved_counts_until_it_is_settled() -> None:
    """A reservation takes room; settled for less it gives the rest back, and settled for nothing known it stays."""
    budget = Budget(Decimal("1.00"))
    assert budget.reserve(Decimal("0.60"))
    assert not budget.reserve(Decimal("0.60"))
    budget.settle(Decimal("0.60"), spent=Decimal("0.10"))
    assert (Decimal("0.10"), Decimal(0)) == (budget.spent, budget.reserved)
    assert budget.reserve(Decimal("0.60"))
    budget.settle(Decimal("0.60"), spent=None)
    assert Decimal("0.70") == budget.spent
    assert not budget.reserve(Decimal("0.31"))
    assert budget.reserve(Decimal("0.30"))


def test_the_error_says_what_is_left() -> None:
    """The error at the limit says what is left of it, and what would have been enough for the job."""
    budget = Budget(Decimal("1.00"))
    budget.reserve(Decimal("0.75"))
    error = budget.exceeded("cat-1", Decimal("0.30"))
    assert "cat-1" == error.key
    assert "it costs up to $0.30, and $0.25 of $1.00 are left" in str(error)
    assert "max_cost=1.05 would do for this job" in str(error)
    assert "what was submitted before is paid for" in str(error)
    assert "Nothing was sent" not in str(error)


cents = st.integers(0, 500).map(lambda number: Decimal(number) / 100)


@given(cents, st.lists(st.tuples(cents, st.floats(0, 1), st.integers(0, 5)), max_size=80))
def test_a_budget_is_never_exceeded(limit: Decimal, jobs: list[tuple[Decimal, float, int]]) -> None:
    """G16: in whatever order jobs begin and end, what was spent and what still may be stay within the limit."""
    budget, under_way = Budget(limit), list[tuple[Decimal, Decimal | None]]()
    for price, share, ends in jobs:
        if budget.reserve(price):
            under_way.append((price, None if share < 0.2 else (price * Decimal(share)).quantize(Decimal("0.01"))))
        for _ in range(min(ends, len(under_way))):
            reserved, spent = under_way.pop(ends % len(under_way))
            budget.settle(reserved, spent=spent)
        assert budget.spent + budget.reserved <= limit
        assert sum((one for one, _ in under_way), Decimal(0)) == budget.reserved
