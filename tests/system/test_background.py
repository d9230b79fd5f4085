"""What runs beside its user is left by the task that entered it, whichever asks, and however it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from kling_async.system.background import Background, Tasks
from kling_async.system.interrupts import is_interrupt

pytestmark = pytest.mark.anyio


class Held:
    """A context manager that notes what happens to it, and takes its time to be left."""

    def __init__(self, *, leaving: float = 0.0) -> None:
        self.notes: list[str] = []
        self.leaving = leaving
        self.cut = anyio.Event()

    def cut_off(self) -> None:
        self.cut.set()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            self.notes.append("entered")
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                with anyio.move_on_after(self.leaving, shield=True):
                    await self.cut.wait()
                self.notes.append("left")


async def test_any_task_may_close_it() -> None:
    """It is left by the task that entered it, though another one asks for that; once more changes nothing."""
    held = Held()
    background = Background(held.hold)
    await background.open()
    async with anyio.create_task_group() as group:
        group.start_soon(background.aclose)
    await background.aclose()
    assert ["entered", "left"] == held.notes


async def test_one_that_was_never_opened_stays_closed() -> None:
    """Closing what was not opened is nothing."""
    held = Held()
    await Background(held.hold).aclose()
    assert [] == held.notes


async def test_cancelling_who_closes_does_not_cut_it_short() -> None:
    """It is left to its end, and the cancellation takes effect after that."""
    held = Held(leaving=0.05)
    background = Background(held.hold)
    await background.open()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await background.aclose()
        await anyio.lowlevel.checkpoint()
        held.notes.append("went on")
    assert ["entered", "left"] == held.notes


async def test_a_scope_around_it_does_not_reach_it() -> None:
    """A cancelled scope of the opener ends the opener's wait, and nothing that is held."""
    held = Held()
    background = Background(held.hold)
    with anyio.CancelScope() as scope:
        await background.open()
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    assert ["entered"] == held.notes
    await background.aclose()


async def test_what_entering_raises_is_raised_by_open() -> None:
    """An error of the context manager reaches who opens it, once."""

    @asynccontextmanager
    async def hold() -> AsyncIterator[None]:
        raise ValueError("no")
        yield

    background = Background(hold)
    with pytest.raises(ValueError, match="no"):
        await background.open()
    await background.aclose()


async def test_what_leaving_raises_is_raised_by_aclose() -> None:
    """An error of the end reaches who closes it, once."""

    @asynccontextmanager
    async def hold() -> AsyncIterator[None]:
        yield
        raise ValueError("no")

    background = Background(hold)
    await background.open()
    with pytest.raises(ValueError, match="no"):
        await background.aclose()
    await background.aclose()


async def test_an_error_does_not_hide_a_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """Where the caller is being cancelled or interrupted, an error of the end is logged, not raised in its place."""

    @asynccontextmanager
    async def hold() -> AsyncIterator[None]:
        yield
        raise ValueError("no")

    background = Background(hold)
    await background.open()
    await background.aclose(ending=KeyboardInterrupt())
    assert "while the program was ending" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_native_cancellation_is_raised_once_it_is_left() -> None:
    """`task.cancel()` of asyncio does not mind a shield: it is kept until all is left, however often it comes."""
    held = Held(leaving=0.05)
    background = Background(held.hold)
    await background.open()
    closing = asyncio.ensure_future(background.aclose())
    for _ in range(3):
        await asyncio.sleep(0.005)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert ["entered", "left"] == held.notes


async def test_a_second_interrupt_cuts_off_what_it_waits_for() -> None:
    """After two interrupts, what is in flight gets a moment, and is then cut off: it does not take its whole time."""
    held = Held(leaving=60.0)
    background = Background(held.hold, cut_off=held.cut_off)
    await background.open()
    with anyio.fail_after(30):
        await background.aclose(interrupts=2)
    assert ["entered", "left"] == held.notes


def test_the_end_of_the_loop_leaves_it() -> None:
    """What was never closed is left when the event loop ends."""
    for backend in ("asyncio", "trio"):
        held = Held()

        async def forget(held: Held = held) -> None:
            await Background(held.hold).open()

        anyio.run(forget, backend=backend)
        assert ["entered", "left"] == held.notes


async def test_tasks_end_with_the_block() -> None:
    """Tasks that are started there are cancelled when it is left, and have ended then."""
    notes: list[str] = []

    async def work(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            notes.append(name)

    async with Tasks() as tasks:
        tasks.start(work, "one")
        tasks.start(work, "two")
        await anyio.wait_all_tasks_blocked()
    assert ["one", "two"] == sorted(notes)


async def test_an_error_of_a_task_ends_the_block() -> None:
    """What a task raises cancels the block and comes out of it as it is, in no group."""

    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        async with Tasks() as tasks:
            tasks.start(fail)
            await anyio.sleep_forever()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_never_began_has_ended_too() -> None:
    """Where asyncio cancels a task before its first line, it is not waited for without end."""

    async def work() -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(30):
        async with Tasks() as tasks:
            before = asyncio.all_tasks()
            tasks.start(work)
            [task] = asyncio.all_tasks() - before
            task.cancel()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, False),
        (ValueError(), False),
        (KeyboardInterrupt(), True),
        (BaseExceptionGroup("", [ValueError(), BaseExceptionGroup("", [KeyboardInterrupt()])]), True),
        (ExceptionGroup("", [ValueError()]), False),
    ],
)
async def test_an_interrupt_is_known_in_any_wrapping(error: Any, *, expected: bool) -> None:
    """Ctrl-C is Ctrl-C, also inside the groups of the program's own task groups."""
    assert expected == is_interrupt(error)
