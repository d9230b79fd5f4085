"""The outcome of a job of a batch, with its times and its cost, as the journal would tell them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from ..system.clock import Clock
from ..types.events import Event, EventKind
from ..types.jobs import Outcome
from ..types.status import JobStatus, status_of
from .admission import Admission

__all__ = ["OutcomeFacts"]


class OutcomeFacts:
    """Makes the outcomes of a batch. Of the jobs that are open it keeps when they were sent.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[int, datetime] = {}

    def record(self, position: int, event: Event) -> None:
        """Note when the job at a position was sent first."""
        if event.kind is EventKind.SUBMITTED:
            self._sent.setdefault(position, self._clock.utc())

    def outcome(self, admission: Admission, position: int, event: Event) -> Outcome:
        """Return the outcome of the job at a position by its last event."""
        known, sent_at = admission.known, self._sent.pop(position, None)
        if known is not None and known.sent_at is not None:
            sent_at = _time(known.sent_at)
        status, finished_at = status_of(event.prediction, event.error), None
        if sent_at is not None and status in _FINISHED:
            finished_at = self._clock.utc() if known is None or not event.replayed else _time(known.finished_at)
        return Outcome.from_job(
            admission.job_at(event.provider),
            event.prediction,
            event.error,
            cost=self._cost(admission, event, status),
            sent_at=sent_at,
            finished_at=finished_at,
            refused=admission.refused,
        )

    def _cost(self, admission: Admission, event: Event, status: JobStatus) -> Decimal | None:
        if status is JobStatus.PLANNED or (status is JobStatus.FAILED and event.prediction is None):
            return None
        if event.prediction is not None and event.prediction.cost is not None:
            return event.prediction.cost
        known = None if admission.is_billable else admission.known
        return admission.price_at(event.provider) if known is None else known.price


_FINISHED: Final = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
