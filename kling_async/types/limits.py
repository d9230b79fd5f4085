"""Rate and concurrency limits of a provider account, and which of them holds jobs back."""

from __future__ import annotations

from enum import StrEnum
from math import ceil

from attrs import frozen

from .errors import InputError, InputFault
from .formatting import format_count, format_duration, format_rate

__all__ = ["LimitKind", "LimitOrigin", "Limits", "SpeedLimit"]


@frozen(kw_only=True)
class Limits:
    """Rate and concurrency limits of one account.

    The defaults are conservative. A provider that documents its limits has those of its lowest level.

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


class LimitKind(StrEnum):
    """What can hold jobs back; the limits have their names in `Limits`."""

    RATE = "submit_per_second"
    SLOTS = "max_open"
    SUBMITTING = "max_submitting"
    POLLS = "poll_per_second"
    """Results, and so free slots, are found late."""
    PAUSE = "pause"
    """No submission leaves before a time."""


class LimitOrigin(StrEnum):
    """Where the value of a limit is from."""

    USER = "your limit"
    LEARNED = "learned"
    """A refusal of the provider has shown it."""
    RISING = "rising"
    """It was raised, and no refusal has shown the account's own limit so far."""
    DOCUMENTED = "documented"
    """The provider documents it: for its lowest level, unless it is the same for all."""
    GUESSED = "a guess"
    SLOWED = "slowed down"
    """Your rate, lowered for a while after a refusal or lost answers."""
    REQUESTED = "asked to wait"
    """The provider has named a time to wait, with a 429."""
    BACKOFF = "after a 429"
    """The provider has refused a request because of a limit, and named no time."""
    LOST_ANSWERS = "after lost answers"
    SHARED = "shared by all clients"
    """A journal that several clients share keeps it for all of them together."""


@frozen(kw_only=True)
class SpeedLimit:
    """A limit of an account, its value, and where that is from.

    Attributes:
        provider: the account's provider.
        kind: the limit.
        value: requests per second, slots, submissions in flight or, of a pause, the seconds that are left.
        origin: where the value is from.
    """

    provider: str
    kind: LimitKind
    value: float
    origin: LimitOrigin

    def __str__(self) -> str:
        if self.kind is LimitKind.PAUSE:
            asked = self.origin is LimitOrigin.REQUESTED
            return f"{self.origin} {self.amount}" if asked else f"{self.amount} {self.origin}"
        return f"{self.amount}: {self.origin}"

    @property
    def amount(self) -> str:
        """The value with its unit, such as "2.0/s" or "20 slots"."""
        if self.kind is LimitKind.PAUSE:
            return format_duration(ceil(self.value))
        if self.kind is LimitKind.SLOTS:
            return format_count(int(self.value), "slot")
        if self.kind is LimitKind.SUBMITTING:
            return f"{int(self.value)} submitting"
        return format_rate(self.value).replace("/", " polls/" if self.kind is LimitKind.POLLS else "/")
