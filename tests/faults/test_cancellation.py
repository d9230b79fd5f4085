"""Row 27: a job that is cancelled at every point at which it waits for the world."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import pytest
from attrs import define

from kling_async import Client, ImageInput, JobStatus, Journal, MemoryJournal, SqliteJournal, Submission
from kling_async.system.clock import Clock
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock

from ..conftest import NO_LIMITS, ORIGIN
from .conftest import PacedClock

pytestmark = pytest.mark.anyio

T = TypeVar("T")


@define
class Points:
    """Counts the points at which something waits for the world, and acts at one of them."""

    at: int
    act: Callable[[], None] = lambda: None
    count: int = 0

    async def around(self, ask: Callable[[], Awaitable[T]]) -> T:
        self.hit()
        try:
            return await ask()
        finally:
            self.hit()

    def hit(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()


class WatchedJournal(Journal):
    """A journal each use of which is a point before and a point after it."""

    def __init__(self, journal: Journal, points: Points) -> None:
        self._journal, self._points = journal, points

    async def open(self) -> None:
        await self._journal.open()

    async def write(self, *submissions: Submission) -> None:
        await self._points.around(lambda: self._journal.write(*submissions))

    async def find(self, key: str) -> Submission | None:
        return await self._points.around(lambda: self._journal.find(key))

    async def submissions(self, *states: JobStatus) -> list[Submission]:
        return await self._journal.submissions(*states)

    async def take_over(self) -> list[Submission]:
        return await self._journal.take_over()

    def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        return self._journal.unfinished(saving=saving)

    async def spent(self) -> Decimal:
        return await self._journal.spent()

    async def write_emergency(self, submission: Submission) -> str:
        return await self._journal.write_emergency(submission)

    async def aclose(self) -> None:
        await self._journal.aclose()


class WatchedTransport(httpx.AsyncBaseTransport):
    """A transport each use of which is a point before and a point after it."""

    def __init__(self, transport: httpx.AsyncBaseTransport, points: Points) -> None:
        self._transport, self._points = transport, points

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._points.around(lambda: self._transport.handle_async_request(request))


@pytest.mark.parametrize("whole", [True, False], ids=["the client with it", "the caller alone"])
async def test_row_27_cancelled_at_every_point(tmp_path: Path, *, whole: bool) -> None:
    """Wherever a call is cancelled, what was paid for is in the journal, and asked for again it is not paid again."""
    points = Points(0)
    for at in range(1, 1000):
        points = Points(at)
        await one_life(points, MemoryJournal(), whole=whole)
        if points.count < at:
            break
    assert 10 < points.count < 999


@pytest.mark.parametrize("whole", [True, False], ids=["the client with it", "the caller alone"])
async def test_row_27_cancelled_with_a_journal_on_disk(tmp_path: Path, *, whole: bool) -> None:
    """The same where the journal is a file, whose work is done in threads."""
    for at in range(1, 20):
        journal = SqliteJournal(tmp_path / f"{at}.db", durability="normal")
        await live(Points(at), journal, PacedClock(), whole=whole)


async def one_life(points: Points, journal: Journal, *, whole: bool) -> None:
    """Live on a clock that leaps."""
    async with VirtualClock() as clock:
        await live(points, journal, clock, whole=whole)


async def live(points: Points, journal: Journal, clock: Clock, *, whole: bool) -> None:
    """Ask for a job, be cancelled at a point, and ask again."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.0))
    input = ImageInput("a cat")

    def client(watched: Points) -> Client:
        transport = WatchedTransport(httpx.ASGITransport(SandboxApp(sandbox, clock)), watched)
        return Client(
            api_keys={"gptproto": sandbox.key},
            base_urls={"gptproto": ORIGIN},
            transport=transport,
            limits={"gptproto": NO_LIMITS},
            journal=WatchedJournal(journal, watched),
            clock=clock,
        )

    with anyio.CancelScope() as everything:
        async with client(points) as first:
            with anyio.CancelScope() as call:
                points.act = (everything if whole else call).cancel
                await first.generate(input, key="cat")
    points.act = lambda: None
    assert sandbox.billed() <= 1
    async with client(Points(0)) as second:
        kept = await journal.find("cat")
        known = kept is not None and kept.prediction is not None
        assert known == (sandbox.billed() == 1), f"at point {points.at}: charged, and its id is lost"
        prediction = await second.generate(input, key="cat")
    assert 1 == sandbox.billed() == sandbox.submits
    assert [prediction.id] == [entry.id for entry in sandbox.entries]
