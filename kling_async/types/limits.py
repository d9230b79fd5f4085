"""Rate and concurrency limits of a provider account."""

from __future__ import annotations

from attrs import frozen

from .errors import InputError, InputFault

__all__ = ["Limits"]


@frozen(kw_only=True)
class Limits:
    """Rate and concurrency limits of one account.

    The defaults are conservative, for providers that document no limits.

    Attributes:
        submit_per_second: sustained submissions per second; None is no limit.
        submit_burst: submissions that may leave at once after an idle time.
        poll_per_second: sustained polls per second; None is no limit.
        max_open: slots for open jobs: an image job occupies one per image, a video job one. None is no limit.
        max_submitting: submissions in flight at once, and so the maximum that a crash leaves unconfirmed.

    Raises:
        InputError: a number is not above 0, or not a number.
    """

    submit_per_second: float | None = 2.0
    submit_burst: int = 8
    poll_per_second: float | None = 20.0
    max_open: int | None = 50
    max_submitting: int = 8

    def __attrs_post_init__(self) -> None:
        faults = [
            InputFault(name, getattr(self, name), "must be a number above 0" + (", or None" if optional else ""))
            for name, integer, optional in _LIMITS
            if not _above_0(getattr(self, name), integer=integer, optional=optional)
        ]
        if faults:
            raise InputError.of("Invalid limits", faults)


_LIMITS = (
    ("submit_per_second", False, True),
    ("submit_burst", True, False),
    ("poll_per_second", False, True),
    ("max_open", True, True),
    ("max_submitting", True, False),
)


def _above_0(value: object, *, integer: bool, optional: bool) -> bool:
    if value is None:
        return optional
    if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)):
        return False
    return 0 < value < float("inf")
