"""Money, durations, rates and counts, as every part of the package writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.types.formatting import (
    exact_amount,
    format_clock,
    format_count,
    format_duration,
    format_money,
    format_price,
    format_price_range,
    format_rate,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *(
            (0, "0 s"),
            (4.21, "4.2 s"),
            (5.0, "5 s"),
            (41.4, "41 s"),
            (59.6, "1 min"),
            (60, "1 min"),
            (200, "3 min 20 s"),
        ),
        *((3600, "1 h"), (7500, "2 h 5 min"), (86_400, "1 d"), (273_600, "3 d 4 h")),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration has its two largest units, and a unit without a value is left out."""
    assert text == format_duration(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.6, "0:08"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clocks(seconds: float, text: str) -> None:
    """A running clock has hours only where there are any."""
    assert text == format_clock(seconds)


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        ("0", "$0.00"),
        ("0.028", "$0.028"),
        ("0.0005", "$0.0005"),
        ("0.42", "$0.42"),
        ("36.176", "$36.18"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_money(dollars: str, text: str) -> None:
    """Small amounts keep the decimals that distinguish them; large ones are written in cents."""
    assert text == format_money(Decimal(dollars))


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("0", "0", "$0.00"),
        ("0.060", "0.06", "$0.06"),
        ("1.2", "12", "$1.20 to $12.00"),
        ("1.212", "1234.5", "$1.212 to $1,234.50"),
    ],
)
def test_prices(low: str, high: str, text: str) -> None:
    """A price is exact, and a range with equal ends is one price."""
    assert text == format_price_range(Decimal(low), Decimal(high))


@given(st.decimals(0, 10**6, places=6))
def test_an_exact_amount_is_exact(dollars: Decimal) -> None:
    """An amount that a flag takes is never less than it was, and has cents at least."""
    text = f"{exact_amount(dollars):f}"
    assert Decimal(text) == dollars
    assert len(text.partition(".")[2]) >= 2
    assert text == format_price(dollars).removeprefix("$").replace(",", "")


@pytest.mark.parametrize(
    ("per_second", "text"), [(0.05, "3.0/min"), (1.0, "1.0/s"), (2, "2.0/s"), (1234.5, "1,234.5/s")]
)
def test_rates(per_second: float, text: str) -> None:
    """A slow rate is written per minute."""
    assert text == format_rate(per_second)


@pytest.mark.parametrize(("count", "text"), [(0, "0 jobs"), (1, "1 job"), (1200, "1,200 jobs")])
def test_counts(count: int, text: str) -> None:
    """A noun is singular for one only."""
    assert text == format_count(count, "job")
