"""The arithmetic of admission: rate, slots and money.

Pure functions over numbers, so that the scheduling of one process and a gate that many machines share decide alike.

The rate is GCRA (ITU-T I.371): one number, the theoretical arrival time, says up to when the rate is spent. A request
may leave `burst - 1` intervals before it, and moves it on by one interval. So in any window W at most
`burst + rate * W` requests leave, whatever the order of calls. All times are seconds of one clock, which is the
caller's choice.
"""

from __future__ import annotations

from decimal import Decimal

__all__ = [
    "after_rate_change",
    "after_token",
    "burst_tolerance",
    "money_fits",
    "settled_cost",
    "slots_fit",
    "token_at",
]


def burst_tolerance(interval: float, *, burst: int) -> float:
    """Return how many seconds before the theoretical arrival time a request may leave."""
    return (burst - 1) * interval


def token_at(arrival: float, *, tolerance: float) -> float:
    """Return the time from which a request may leave, by the theoretical arrival time."""
    return arrival - tolerance


def after_token(arrival: float, *, now: float, interval: float) -> float:
    """Return the theoretical arrival time after a request that leaves now."""
    return max(arrival, now) + interval


def after_rate_change(arrival: float, *, now: float, interval: float, tolerance: float) -> float:
    """Return the theoretical arrival time after a change of the rate.

    What was spent before counts as before, but no request waits for longer than one new interval.
    """
    return min(arrival, now + interval + tolerance)


def slots_fit(slots: int, *, in_use: int, limit: int | None) -> bool:
    """Return whether so many slots are free; None is no limit. A job larger than the limit fits if it is alone."""
    return limit is None or in_use == 0 or in_use + slots <= limit


def money_fits(price: Decimal, *, spent: Decimal, reserved: Decimal, limit: Decimal) -> bool:
    """Return whether a maximum price can be reserved, beside what is spent and reserved; all in US dollars."""
    return spent + reserved + price <= limit


def settled_cost(price: Decimal, *, spent: Decimal | None) -> Decimal:
    """Return what a finished job counts as in US dollars; an unknown amount counts as the whole reservation."""
    return price if spent is None else spent
