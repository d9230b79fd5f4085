"""What inputs will cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kling_async.planning.money import Estimate, estimate
from kling_async.providers.spec import Certainty, Price, Source

SOURCE = Source(Certainty.DOCUMENTED, "a page")


def price(low: str, high: str | None = None) -> Price:
    """Shorten the tables."""
    return Price(low=Decimal(low), high=Decimal(high or low), source=SOURCE)


Row = tuple[list[tuple[str, Price | None]], Estimate, bool, str]
TABLE: dict[str, Row] = {
    "nothing": ([], Estimate(low=Decimal(0), high=Decimal(0), priced=0), True, "$0"),
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
        "$0.3",
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
        "3 at a price that is not published (a, b)",
    ),
    "some prices": (
        [("a", price("3.00")), ("b", None)],
        Estimate(low=Decimal("3.00"), high=Decimal("3.00"), priced=1, unpriced=("b",)),
        False,
        "$3.00 for 1, and 1 at a price that is not published (b)",
    ),
}


@pytest.mark.parametrize(("prices", "expected", "known", "text"), TABLE.values(), ids=list(TABLE))
def test_estimates(prices: list[tuple[str, Price | None]], expected: Estimate, *, known: bool, text: str) -> None:
    """Prices are added up, ranges as ranges, and what is unknown is said to be unknown, never counted as 0."""
    seen = estimate(iter(prices))
    assert expected == seen
    assert (known, text) == (seen.known, str(seen))
