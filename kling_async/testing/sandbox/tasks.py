"""Tasks: the specification of a submission, and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from attrs import field, frozen

__all__ = ["Phase", "Task", "TaskSpec"]


class Phase(StrEnum):
    """The phase of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class TaskSpec:
    """One valid submission, of any wire format.

    Attributes:
        count: number of outputs.
        seconds: duration of a video; 0 where no response shows it.
        price: its cost in US dollars.
        slots: how many open tasks it counts as.
        client_id: the caller's own id, by which it can be looked up; empty for none.
        id_form: format of this provider's ids, around a hexadecimal number.
        refunds: whether a failed task is refunded.
        kept_seconds: seconds after its end for which its data and its files are kept; None for ever.
        sync: whether the response waits for the result.
        base64: whether outputs are base64 instead of URLs.
    """

    provider: str
    model: str
    scene: str
    kind: Literal["image", "video"]
    prompt: str
    count: int = 1
    width: int = 320
    height: int = 180
    seconds: int = 0
    price: Decimal
    slots: int = 1
    client_id: str = ""
    id_form: str = "{}"
    refunds: bool = False
    kept_seconds: float | None = None
    sync: bool = False
    base64: bool = False


@frozen(kw_only=True)
class Task:
    """One accepted submission, and the time of its end.

    Attributes:
        at: time of acceptance in seconds of the clock, like `started_at` and `done_at`.
        utc: time of acceptance as a date.
        faults: its faults: arguments by name.
    """

    id: str
    spec: TaskSpec
    at: float
    utc: datetime
    started_at: float
    done_at: float
    faults: Mapping[str, str | None] = field(factory=dict[str, str | None])

    def phase(self, now: float) -> Phase:
        """Return its phase at a time."""
        if now < self.started_at:
            return Phase.QUEUED
        if now < self.done_at:
            return Phase.RUNNING
        return self.final_phase

    def is_removed(self, now: float) -> bool:
        """Return whether its data and its files have been removed by a time."""
        return self.spec.kept_seconds is not None and now >= self.done_at + self.spec.kept_seconds

    @property
    def final_phase(self) -> Phase:
        """Its phase once it is done."""
        if "failed" in self.faults:
            return Phase.FAILED
        return Phase.CANCELLED if "cancelled" in self.faults else Phase.COMPLETED

    @property
    def done_utc(self) -> datetime:
        """The date when it is done."""
        return self.utc + timedelta(seconds=self.done_at - self.at)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files, once it is completed."""
        if self.final_phase is not Phase.COMPLETED or "empty" in self.faults:
            return ()
        suffix = "png" if self.spec.kind == "image" else "mp4"
        return tuple(f"{self.id}-{number}.{suffix}" for number in range(1, self.spec.count + 1))
