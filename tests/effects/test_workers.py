"""A caller who goes away only stops listening."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from kling_async.effects.workers import Workers
from kling_async.errors import InputError

pytestmark = pytest.mark.anyio


async def test_results_and_errors_reach_the_caller() -> None:
    """What the work returns or raises is what its caller gets."""

    async def well() -> int:
        return 7

    async def ill() -> int:
        raise ValueError("ill")

    unheard: list[int] = []
    async with Workers() as workers:
        assert 7 == await workers.run(well, unheard=unheard.append)
        with pytest.raises(ValueError, match="ill"):
            await workers.run(ill, unheard=unheard.append)
    assert [] == unheard


async def test_work_outlives_a_cancelled_caller() -> None:
    """A caller who is cancelled leaves at once; the work goes on and its result is not lost."""
    done: list[str] = []
    unheard: list[int] = []

    async def work() -> int:
        await anyio.sleep(0.05)
        done.append("work")
        return 7

    async with Workers() as workers:
        with anyio.move_on_after(0.01):
            await workers.run(work, unheard=unheard.append)
        assert [] == done
    assert ["work"] == done
    assert [7] == unheard


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_cancellation_does_not_reach_the_work(anyio_backend: str) -> None:
    """A shield is not enough on asyncio: Task.cancel and wait_for pass through one, and must not reach a request."""
    unheard: list[int] = []

    async def work() -> int:
        await asyncio.sleep(0.05)
        return 7

    async with Workers() as workers:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(workers.run(work, unheard=unheard.append), 0.01)
    assert [7] == unheard


async def test_a_result_that_comes_with_the_cancellation_is_not_lost() -> None:
    """Where the work ends in the very turn in which its caller is cancelled, somebody still hears of it."""
    for turns in range(6):
        heard: list[int] = []

        async def work() -> int:
            return 7

        async def caller(workers: Workers, heard: list[int]) -> None:
            heard.append(await workers.run(work, unheard=heard.append))

        async with Workers() as workers, anyio.create_task_group() as group:
            group.start_soon(caller, workers, heard)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        # A caller that never ran has asked for nothing.
        assert heard in ([], [7])
        assert heard == [7] or turns == 0


async def test_closing_waits_for_the_work_and_keeps_errors_as_they_are() -> None:
    """An error of the body leaves unwrapped, after what is under way has ended."""
    done: list[str] = []

    async def work() -> int:
        await anyio.sleep(0.02)
        done.append("work")
        return 7

    with pytest.raises(KeyError):
        async with Workers() as workers:
            with anyio.move_on_after(0.001):
                await workers.run(work, unheard=lambda _: None)
            raise KeyError("mine")
    assert ["work"] == done


async def test_closed_workers_take_no_work() -> None:
    """Before `async with` and after it there is nobody to do the work."""
    workers = Workers()

    async def work() -> int:
        raise AssertionError("never")

    with pytest.raises(InputError, match="not open"):
        await workers.run(work, unheard=lambda _: None)
    async with workers:
        pass
    with pytest.raises(InputError, match="not open"):
        await workers.run(work, unheard=lambda _: None)
