"""What was asked for, and the work that became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from attrs import field, frozen

__all__ = ["Order", "Phase", "Task"]


class Phase(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class Order:
    """One valid submission, whichever wire it came by.

    Attributes:
        count: how many outputs.
        price: what it costs, in US dollars.
        id_form: format of the ids that this wire gives, around a hexadecimal number.
        refunds: whether work that fails is paid back.
        sync: whether the answer waits for the work.
        base64: whether outputs come as base64 and not as addresses.
    """

    provider: str
    model: str
    scene: str
    kind: Literal["image", "video"]
    prompt: str
    count: int = 1
    width: int = 320
    height: int = 180
    price: Decimal
    id_form: str = "{}"
    refunds: bool = False
    sync: bool = False
    base64: bool = False


@frozen(kw_only=True)
class Task:
    """One accepted submission, and when it will be done.

    Attributes:
        at: when it was accepted, in the clock's seconds; so are `started_at` and `done_at`.
        utc: when it was accepted, by the calendar.
        faults: what will go wrong with it: arguments by name.
    """

    id: str
    order: Order
    at: float
    utc: datetime
    started_at: float
    done_at: float
    faults: Mapping[str, str | None] = field(factory=dict[str, str | None])

    def phase(self, now: float) -> Phase:
        """Tell where it stands."""
        if now < self.started_at:
            return Phase.QUEUED
        if now < self.done_at:
            return Phase.RUNNING
        return self.end

    @property
    def end(self) -> Phase:
        """Where it will stand when it is done."""
        if "failed" in self.faults:
            return Phase.FAILED
        return Phase.CANCELLED if "cancelled" in self.faults else Phase.COMPLETED

    @property
    def done_utc(self) -> datetime:
        """When it is done, by the calendar."""
        return self.utc + timedelta(seconds=self.done_at - self.at)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files, once it has completed."""
        if self.end is not Phase.COMPLETED or "empty" in self.faults:
            return ()
        suffix = "png" if self.order.kind == "image" else "mp4"
        return tuple(f"{self.id}-{number}.{suffix}" for number in range(1, self.order.count + 1))
