"""What a report knows of one job, and what its statuses mean to whoever reads the report."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from attrs import field, frozen

__all__ = ["STATUSES", "ReportRow", "Tone", "tone_of"]

_YEAR_9999: Final = 253_370_764_800.0
"""Where calendars end, in seconds of the Unix clock."""


class Tone(StrEnum):
    """What a status means to the reader; it chooses the colour."""

    GOOD = "good"
    DOUBT = "doubt"
    """Nobody here knows, and money may have been spent."""
    BAD = "bad"
    OPEN = "open"


STATUSES: Final[Mapping[str, Tone]] = MappingProxyType(
    {
        "succeeded": Tone.GOOD,
        "unconfirmed": Tone.DOUBT,
        "failed": Tone.BAD,
        "refused": Tone.BAD,
        "expired": Tone.BAD,
        "cancelled": Tone.BAD,
        "abandoned": Tone.BAD,
        "running": Tone.OPEN,
        "planned": Tone.OPEN,
    }
)
"""The statuses that are expected, in the order in which they are listed. Any other is shown as it is."""


def tone_of(status: str) -> Tone:
    """Tell what a status means to the reader; one that is not known promises nothing."""
    return STATUSES.get(status, Tone.OPEN)


def _known(at: float | None) -> float | None:
    return at if at is not None and 0.0 <= at < _YEAR_9999 else None


@frozen(kw_only=True)
class ReportRow:
    """What a report knows of one job.

    Attributes:
        key: the job's key.
        position: its place in the run.
        provider: the provider's name.
        model: the model that was asked for.
        kind: what it makes.
        prompt: what was asked for, in words.
        status: how it stands; see `STATUSES`.
        cause: why it did not succeed, or None.
        advice: what to do about that, or None.
        id: the provider's, once there is one.
        outputs: addresses of what was generated, as far as they are known; signed ones expire.
        files: its files, as POSIX paths from the folder that the report lies in.
        sent_at: when its first submission left, in seconds of the Unix clock, as all times here; None if unknown, which
            a time that no calendar knows counts as.
        accepted_at: when the provider took it.
        finished_at: when it was seen to be over.
        saved_at: when its last file was saved.
        cost: what it cost in US dollars, or, of one that is unconfirmed or abandoned, may have cost; None if unknown.
        attempts: how many submissions were sent.
        labels: the variables of a prompt matrix, with the values of this job.
    """

    key: str
    position: int
    provider: str
    model: str
    kind: Literal["image", "video"]
    prompt: str
    status: str
    cause: str | None = None
    advice: str | None = None
    id: str | None = None
    outputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    sent_at: float | None = field(default=None, converter=_known)
    accepted_at: float | None = field(default=None, converter=_known)
    finished_at: float | None = field(default=None, converter=_known)
    saved_at: float | None = field(default=None, converter=_known)
    cost: Decimal | None = None
    attempts: int = 1
    labels: Mapping[str, str] = field(factory=dict[str, str])

    @property
    def times(self) -> list[float]:
        """The times at which something happened to it, as far as they are known."""
        times = (self.sent_at, self.accepted_at, self.finished_at, self.saved_at)
        return [at for at in times if at is not None]

    @property
    def took(self) -> float | None:
        """How long it took from the first submission to its end, in seconds."""
        if self.sent_at is None or self.finished_at is None:
            return None
        return max(0.0, self.finished_at - self.sent_at)
