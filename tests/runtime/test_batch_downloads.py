"""The order in which a batch saves files: what its provider removes first goes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async.runtime.batch_downloads import BatchDownloads
from kling_async.runtime.destinations import DirectoryDestination
from kling_async.testing import VirtualClock
from kling_async.types.inputs import ImageInput
from kling_async.types.jobs import Job, Outcome
from kling_async.types.prediction import Prediction, Status

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT_ONCE = 4


class SlowDownloader:
    """Saves nothing, notes in which order it was asked, and ends once for each time that it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = anyio.Semaphore(0)

    async def save(
        self, prediction: Prediction, place: DirectoryDestination, *, overwrite: bool, provenance: object
    ) -> list[Path | str]:
        self.asked.append(prediction.id)
        await self.go_on.acquire()
        return [place.path / prediction.id]


def outcome(provider: str, id: str, *, minutes: int | None = 0) -> Outcome:
    """Return an outcome whose prediction was created some minutes after noon, or at no known time."""
    created_at = None if minutes is None else NOON + timedelta(minutes=minutes)
    made = Prediction(provider=provider, model="kling-o1-std", id=id, status=Status.SUCCEEDED, created_at=created_at)
    return Outcome(job=Job(ImageInput("a cat")), prediction=made)


async def order_of(waiting: list[Outcome], *, leaves: str = "") -> list[str]:
    """Return the order in which outcomes are saved that had to wait; one of them may be cancelled meanwhile."""
    slow: Any = SlowDownloader()
    async with VirtualClock() as clock:
        downloads = BatchDownloads(slow, DirectoryDestination(Path("out")), clock=clock)

        async def save(one: Outcome, scope: anyio.CancelScope) -> None:
            with scope:
                assert (await downloads.save(one, overwrite=False)).ok

        async with anyio.create_task_group() as group:
            for one in [*(outcome("kling", f"first-{number}") for number in range(AT_ONCE)), *waiting]:
                scope = anyio.CancelScope()
                group.start_soon(save, one, scope)
                await anyio.wait_all_tasks_blocked()
                assert one.prediction is not None
                if one.prediction.id == leaves:
                    scope.cancel()
            for _ in range(AT_ONCE + len(waiting)):
                slow.go_on.release()
                await anyio.wait_all_tasks_blocked()
    return slow.asked[AT_ONCE:]


async def test_what_is_removed_first_is_saved_first() -> None:
    """An hour comes before the day that an unknown time counts as, and that before a month; then the older one."""
    waiting = [
        outcome("kling", "month"),
        outcome("openrouter", "unknown"),
        outcome("replicate", "hour, later", minutes=5),
        outcome("replicate", "hour", minutes=1),
    ]
    assert ["hour", "hour, later", "unknown", "month"] == await order_of(waiting)


async def test_equals_go_in_the_order_in_which_they_came() -> None:
    """Of predictions that are kept equally long the first to finish is the first to be saved."""
    waiting = [outcome("replicate", str(number)) for number in range(6)]
    assert [str(number) for number in range(6)] == await order_of(waiting)


async def test_a_prediction_without_a_date_was_created_now() -> None:
    """A provider without dates is no exception: its outputs count as kept from now on."""
    waiting = [outcome("kling", "month", minutes=None), outcome("fal", "unknown", minutes=None)]
    assert ["unknown", "month"] == await order_of(waiting)


async def test_who_leaves_the_queue_holds_up_nobody() -> None:
    """A download that is cancelled while it waits takes no slot with it."""
    waiting = [outcome("replicate", "left"), outcome("replicate", "next"), outcome("replicate", "last")]
    assert ["next", "last"] == await order_of(waiting, leaves="left")
