"""How a batch is getting on: counts, speed, time to go, and money, from the events that happen."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Final

from attrs import frozen

from ..errors import NotSent
from ..prediction import Status
from .moves import Event, EventKind, State

__all__ = ["Progress", "Tally"]

_RECENT: Final = 50
"""Finishes over which the speed is taken."""
_COUNTED_AS: Final = {State.PLANNED: "planned", State.SENDING: "sending", State.ACCEPTED: "running"}
_FEW: Final = 5
"""Finishes below which a speed says nothing."""


@frozen(kw_only=True)
class Progress:
    """How a batch is getting on, at one moment.

    Attributes:
        total: jobs in all, or None while the iterator has not said.
        pulled: jobs taken from the iterator so far.
        planned: waiting for their turn, or taken out of the line by a stop.
        sending: submissions on their way.
        running: accepted and not finished.
        succeeded: finished well.
        failed: refused, failed, or given up.
        unconfirmed: submitted, without a usable answer.
        saved: jobs whose files are there.
        throttled: how often the provider said 429.
        elapsed: seconds since it began.
        per_second: finishes per second lately, or None while too few; what an earlier run had ended does not count.
        remaining: seconds to go at that speed, or None.
        spent: US dollars for what is finished or unconfirmed, at published prices or those that were named; it includes
            what an earlier run has paid for these jobs.
        unpriced: such jobs without a known price.
    """

    total: int | None
    pulled: int
    planned: int
    sending: int
    running: int
    succeeded: int
    failed: int
    unconfirmed: int
    saved: int
    throttled: int
    elapsed: float
    per_second: float | None
    remaining: float | None
    spent: Decimal
    unpriced: int

    @property
    def finished(self) -> int:
        """Jobs that are over, however they ended."""
        return self.succeeded + self.failed + self.unconfirmed


class Tally:
    """Counts what happens to the jobs of one batch."""

    def __init__(self, *, now: float, total: int | None) -> None:
        self._began = now
        self._total = total
        self._counts: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._spent = Decimal(0)
        self._unpriced = 0

    def pulled(self) -> None:
        """Count a job that was taken from the iterator."""
        self._counts["pulled"] += 1
        self._counts["planned"] += 1

    def refused(self, *, now: float) -> None:
        """Count a job that was refused before it was planned."""
        self._counts["planned"] -= 1
        self._over("failed", now)

    def ended(self) -> None:
        """Note that the iterator has ended, so that the total is known."""
        self._total = self._counts["pulled"]

    def paid_before(self, amount: Decimal) -> None:
        """Count US dollars that an earlier attempt at a job has cost, which is submitted once more."""
        self._spent += amount

    def heard(self, event: Event, *, cost: Decimal | None, free: bool = False) -> None:
        """Count an event.

        Args:
            event: what happened.
            cost: the most that the job can cost, or None where no price is known.
            free: whether another call, which submitted the job, counts what it costs.
        """
        if event.kind is EventKind.SUBMITTED:
            self._move("planned", "sending")
        elif event.kind is EventKind.ACCEPTED:
            self._move("sending", "running")
        elif event.kind is EventKind.RESUMED:
            self._move("planned", "running")
        elif event.kind is EventKind.NOT_SENT:
            self._move("sending", "planned")
        elif event.kind is EventKind.THROTTLED:
            self._counts["throttled"] += 1
            if event.prediction is None:
                self._move("sending", "planned")
        elif event.kind is EventKind.SAVED:
            self._counts["saved"] += 1
        elif event.kind is EventKind.FINISHED:
            self._finished(event, cost, free=free)

    def _move(self, before: str, after: str) -> None:
        self._counts[before] -= 1
        self._counts[after] += 1

    def _finished(self, event: Event, cost: Decimal | None, *, free: bool) -> None:
        if isinstance(event.error, NotSent) and event.error.reason == "stopped":
            return  # it did not fail, and is as planned as it was
        state, prediction = event.ticket.state, event.prediction
        ticket = event.ticket
        self._counts[_COUNTED_AS[ticket.came_from if ticket.state.over else ticket.state]] -= 1
        lost = state is State.UNCONFIRMED
        well = prediction is not None and prediction.status is Status.SUCCEEDED
        place = "unconfirmed" if lost else "succeeded" if well else "failed"
        if event.replayed:
            self._counts[place] += 1  # it took no time in this run, so it says nothing of the speed
        else:
            self._over(place, event.at)
        if (lost or prediction is not None) and not free:
            known = prediction.cost if prediction is not None and prediction.cost is not None else cost
            self._spent += known or 0
            self._unpriced += known is None

    def _over(self, how: str, now: float) -> None:
        self._counts[how] += 1
        self._recent.append(now)

    def snapshot(self, *, now: float) -> Progress:
        """Return how things stand."""
        counts = self._counts
        recent = self._recent
        speed = None
        if len(recent) >= _FEW and recent[-1] > recent[0]:
            speed = (len(recent) - 1) / (recent[-1] - recent[0])
        over = counts["succeeded"] + counts["failed"] + counts["unconfirmed"]
        left = None if self._total is None else self._total - over
        return Progress(
            total=self._total,
            pulled=counts["pulled"],
            planned=counts["planned"],
            sending=counts["sending"],
            running=counts["running"],
            succeeded=counts["succeeded"],
            failed=counts["failed"],
            unconfirmed=counts["unconfirmed"],
            saved=counts["saved"],
            throttled=counts["throttled"],
            elapsed=now - self._began,
            per_second=speed,
            remaining=None if left is None or speed is None else left / speed,
            spent=self._spent,
            unpriced=self._unpriced,
        )
