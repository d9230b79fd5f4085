"""When to look at a prediction again.

One simple schedule for now: often while young, then at a fixed share of the age, since what has run for minutes is not
found out sooner by asking every second. Ages are seconds since the submission was accepted.
"""

from __future__ import annotations

from typing import Final

__all__ = ["next_check"]

_SHORTEST: Final = 0.5
"""Seconds between two looks at least: the quickest models answer in about five."""
_SHARE: Final = 0.15
"""The gap as a share of the age: a look is late by half of that on average."""
_LONGEST: Final = 15.0


def next_check(age: float) -> float:
    """Return the age at which to look again at a prediction that was not finished at `age`."""
    return age + min(max(_SHORTEST, _SHARE * age), _LONGEST)
