"""The auto-jumping clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from kling_async.testing import VirtualClock

pytestmark = pytest.mark.anyio


async def test_sleeping_takes_virtual_time_only():
    """An hour of sleep moves the clock by an hour, and the machine's hardly at all."""
    began = time.monotonic()
    async with VirtualClock() as clock:
        await clock.sleep(3600)
        assert clock.now() == 3600
        assert clock.utc() == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert time.monotonic() - began < 3600


async def test_sleepers_wake_in_the_order_of_their_times():
    """The shorter sleep ends first, and at the right time."""
    woken: list[tuple[float, str]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((clock.now(), name))

    async with VirtualClock() as clock, anyio.create_task_group() as tasks:
        for name, seconds in (("c", 3), ("a", 1), ("b", 2)):
            tasks.start_soon(sleep, name, seconds)
    assert woken == [(1, "a"), (2, "b"), (3, "c")]


async def test_it_does_not_leap_while_a_task_can_run():
    """The clock does not jump while a task runs for many turns of the loop."""
    async with VirtualClock() as clock, anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 50)
        for _ in range(300):
            await anyio.lowlevel.checkpoint()
            assert clock.now() == 0
        await clock.sleep(1)
        assert clock.now() == 1


async def test_hundreds_of_tasks_pass_minutes_in_a_moment():
    """Three hundred tasks sleep twenty times each, and minutes of virtual time pass, no more."""
    finished: list[float] = []

    async def work(number: int) -> None:
        for turn in range(20):
            await clock.sleep(1 + (number * 7 + turn) % 13)
        finished.append(clock.now())

    async with VirtualClock() as clock, anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(work, number)
    assert len(finished) == 300
    assert 100 < max(finished) < 260


async def test_a_cancelled_sleeper_is_forgotten():
    """The clock never jumps to the time of a cancelled sleeper."""
    async with VirtualClock() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, 500)
            await clock.sleep(1)
            assert clock.sleepers == 1
            tasks.cancel_scope.cancel()
        assert clock.sleepers == 0
        await clock.sleep(2)
        assert clock.now() == 3


async def test_the_error_of_the_body_comes_out_unwrapped():
    """An error raised under the clock is not hidden in a group."""
    with pytest.raises(ZeroDivisionError):
        async with VirtualClock() as clock:
            await clock.sleep(1)
            _ = 1 / 0


async def test_cancelling_the_body_is_no_error():
    """A scope around the clock can be cancelled as any other."""
    with anyio.CancelScope() as scope:
        async with VirtualClock() as clock:
            await clock.sleep(1)
            scope.cancel()
            await clock.sleep(1)
    assert scope.cancelled_caught


async def test_the_same_seed_throws_the_same_dice():
    """Random numbers depend on the seed alone, and are spread over 0 to 1."""
    first, second, other = VirtualClock(seed=1), VirtualClock(seed=1), VirtualClock(seed=2)
    thrown = [first.random() for _ in range(500)]
    assert [second.random() for _ in range(500)] == thrown
    assert [other.random() for _ in range(500)] != thrown
    assert all(0 <= number < 1 for number in thrown)
    assert 0.4 < sum(thrown) / 500 < 0.6


async def test_sleeping_without_a_driver_is_an_error():
    """Sleeping on a clock that is not entered is an error, and does not hang."""
    with pytest.raises(RuntimeError, match="enter it"):
        await VirtualClock().sleep(1)


async def test_sleeping_for_nothing_gives_way_once():
    """Zero and negative seconds move no time, but let others run."""
    ran: list[int] = []

    async def run() -> None:
        ran.append(1)

    async with VirtualClock() as clock, anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await clock.sleep(0)
        await clock.sleep(-5)
        assert clock.now() == 0
    assert ran == [1]


async def test_entering_twice_is_an_error():
    """One clock has one driver."""
    async with VirtualClock() as clock:
        with pytest.raises(RuntimeError, match="already"):
            await clock.__aenter__()


def test_the_start_is_aware():
    """A start without a time zone is refused, another zone is kept."""
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(start=datetime(2026, 1, 1))
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=3)
    assert VirtualClock(start=start).utc() == start


async def test_a_sleeper_that_others_outlive_is_skipped():
    """With another sleeper left, the time of the cancelled one is skipped."""
    async with VirtualClock() as clock, anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 10)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(clock.sleep, 5)
                await clock.sleep(1)
                scope.cancel()
        await clock.sleep(6)
        assert clock.now() == 7
