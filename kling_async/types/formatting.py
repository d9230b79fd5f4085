"""Format money, durations, rates and counts for people: the same text in the live display, the report and the CLI.

A measured duration is written with its units (`3 min 20 s`). A running clock, which changes at every tick, is written
as `3:20`, because its width then hardly changes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

__all__ = [
    "exact_amount",
    "format_bytes",
    "format_clock",
    "format_count",
    "format_duration",
    "format_money",
    "format_price",
    "format_price_range",
    "format_rate",
]

_CENT: Final = Decimal("0.01")
_UNITS: Final = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))
"""The two units of a duration and their seconds, the largest first."""


def format_money(dollars: Decimal) -> str:
    """Write an amount in US dollars: in cents from a dollar on, below it with up to four decimals.

    An image costs cents and fractions of them.
    """
    if dollars >= 1:
        return f"${dollars:,.2f}"
    amount = f"{dollars:.4f}"
    return "$" + amount[:-2] + amount[-2:].rstrip("0")


def format_price(dollars: Decimal) -> str:
    """Write US dollars exactly, with cents at least: `$0.012`, `$1.20`. For prices and for what a limit must allow."""
    return f"${exact_amount(dollars):,f}"


def format_price_range(low: Decimal, high: Decimal) -> str:
    """Write a range of exact US dollars as `$1.20 to $12.00`, or one amount if both ends are the same."""
    return format_price(low) if low == high else f"{format_price(low)} to {format_price(high)}"


def exact_amount(dollars: Decimal) -> Decimal:
    """Return the same amount with two decimals or, if it has fractions of a cent, as many as it needs."""
    cents = dollars.quantize(_CENT)
    return cents if cents == dollars else dollars.normalize()


def format_duration(seconds: float) -> str:
    """Write a measured duration in its two largest units: `4.2 s`, `41 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, long, part, short in _UNITS:
        if whole >= long:
            rest = whole % long // short
            return f"{whole // long} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def format_clock(seconds: float) -> str:
    """Write a running clock: `0:07`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_bytes(count: int) -> str:
    """Write a number of bytes with a decimal unit, as providers state their limits, such as "1.5 MB"."""
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def format_rate(per_second: float) -> str:
    """Write a rate per second or, below one per second, per minute: `2.0/s`, `30.0/min`."""
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{per_second * 60:,.1f}/min"


def format_count(count: int, noun: str) -> str:
    """Write a count with its noun: `1 job`, `1,200 jobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
