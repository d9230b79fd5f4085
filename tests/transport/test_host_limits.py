"""Per-host limits, whose waits cost no time budget."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from kling_async.transport.host_limits import HostLimiter, TimeBudget

pytestmark = pytest.mark.anyio


async def test_so_many_at_once_and_no_more() -> None:
    """Of twenty that want one name two hold it at once, in their order; another name has turns of its own."""
    # Which of two that are woken together runs first is random on trio.
    pairs = [{number, number + 1} for number in range(0, 20, 2)]
    turns, order, held = HostLimiter(2), list[int](), 0
    go = anyio.Event()

    async def holder(number: int) -> None:
        nonlocal held
        async with turns.acquire("one"):
            held += 1
            order.append(number)
            assert held <= 2
            await go.wait()
            await checkpoint()
            held -= 1

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(holder, number)
            await checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert [0, 1] == order
        async with turns.acquire("other"):
            go.set()
    assert pairs == [set(order[at : at + 2]) for at in range(0, 20, 2)]


async def test_names_are_forgotten() -> None:
    """A name without holders and waiters takes no memory, also after a waiter was cancelled."""
    turns = HostLimiter(1)
    async with turns.acquire("one"):
        with anyio.move_on_after(0):
            async with turns.acquire("one"):
                raise AssertionError("there was but one place")
        assert turns._slots
    assert not turns._slots
    assert not turns._users


async def test_budget_ends() -> None:
    """What is spent adds up, and at the end there is a TimeoutError; what happens between does not count."""
    budget = TimeBudget(0.5)
    with budget.running():
        await checkpoint()
    left = budget.left
    assert 0 < left < 0.5
    await anyio.sleep(0.01)
    assert left == budget.left
    with pytest.raises(TimeoutError), budget.running():
        await anyio.sleep(5)
    assert budget.left <= 0.0
    with pytest.raises(TimeoutError), budget.running():
        await anyio.sleep(5)
