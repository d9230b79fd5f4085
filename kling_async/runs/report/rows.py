"""The facts of one job in a report, and the tone of each status."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from attrs import field, frozen

from ...types.status import JobStatus

__all__ = ["STATUSES", "ReportRow", "Tone", "tone_of"]

_YEAR_9999: Final = 253_370_764_800.0
"""The end of Python's calendar, in Unix seconds."""


class Tone(StrEnum):
    """The meaning of a status for the reader; it chooses the colour."""

    GOOD = "good"
    DOUBT = "doubt"
    """The outcome is unknown, and money may have been spent."""
    BAD = "bad"
    OPEN = "open"


STATUSES: Final[Mapping[JobStatus, Tone]] = MappingProxyType(
    {
        JobStatus.SUCCEEDED: Tone.GOOD,
        JobStatus.UNCONFIRMED: Tone.DOUBT,
        JobStatus.FAILED: Tone.BAD,
        JobStatus.EXPIRED: Tone.BAD,
        JobStatus.CANCELLED: Tone.BAD,
        JobStatus.ABANDONED: Tone.BAD,
        JobStatus.RESOLVING: Tone.DOUBT,
        JobStatus.SUBMITTING: Tone.OPEN,
        JobStatus.ACCEPTED: Tone.OPEN,
        JobStatus.PLANNED: Tone.OPEN,
    }
)
"""The tone of each status, in the order in which reports list them."""


def tone_of(status: JobStatus) -> Tone:
    """Return the tone of a status."""
    return STATUSES[status]


def _known(at: float | None) -> float | None:
    return at if at is not None and 0.0 <= at < _YEAR_9999 else None


@frozen(kw_only=True)
class ReportRow:
    """The facts of one job in a report. Times are Unix seconds.

    Attributes:
        key: the job's key.
        position: its index in the run.
        provider: the provider's name, or "" while none was chosen.
        model: the model's name.
        kind: the kind of output.
        prompt: the prompt.
        status: the job's status.
        failure: the kind of failure, such as "content_rejected", or "refused" for a job that no provider accepted.
        cause: why it did not succeed, or None.
        advice: what to do about that, or None.
        id: the provider's, once there is one.
        outputs: the known URLs of its outputs; signed ones expire.
        files: its files, as POSIX paths relative to the report's directory.
        thumbnails: the paths of smaller images that are shown in place of files, by the path of the file.
        objects: the URLs of those of its files that are in an object store; a report links to them.
        sent_at: when its first submission was sent; None if unknown. A time after the year 9999 counts as unknown.
        accepted_at: when the provider accepted it.
        finished_at: when it was first seen as finished.
        saved_at: when its last file was saved.
        cost: its cost in US dollars, or, if it is unconfirmed or abandoned, its possible cost; None if unknown.
        attempts: number of submissions sent.
        refused_prompt: the prompt of the refused input in whose place that of `prompt` was submitted; None without one.
        labels: the values of this job in a prompt matrix, by variable.
    """

    key: str
    position: int
    provider: str
    model: str
    kind: Literal["image", "video"]
    prompt: str
    status: JobStatus
    failure: str | None = None
    cause: str | None = None
    advice: str | None = None
    id: str | None = None
    outputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    thumbnails: Mapping[str, str] = MappingProxyType({})
    objects: tuple[str, ...] = ()
    sent_at: float | None = field(default=None, converter=_known)
    accepted_at: float | None = field(default=None, converter=_known)
    finished_at: float | None = field(default=None, converter=_known)
    saved_at: float | None = field(default=None, converter=_known)
    cost: Decimal | None = None
    attempts: int = 1
    refused_prompt: str | None = None
    labels: Mapping[str, str] = field(factory=dict[str, str])

    @property
    def times(self) -> list[float]:
        """The known times of its events."""
        times = (self.sent_at, self.accepted_at, self.finished_at, self.saved_at)
        return [at for at in times if at is not None]

    @property
    def took(self) -> float | None:
        """Seconds from its first submission to its end, or None."""
        if self.sent_at is None or self.finished_at is None:
            return None
        return max(0.0, self.finished_at - self.sent_at)
