"""Turns at a host, and what they cost of one's patience: nothing."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from kling_async.effects.turns import Patience, Turns

pytestmark = pytest.mark.anyio


async def test_so_many_at_once_and_no_more() -> None:
    """Of twenty that want one name two hold it at once, in their order; another name has turns of its own."""
    # Which of two that are woken together runs first is trio's throw of dice.
    pairs = [{number, number + 1} for number in range(0, 20, 2)]
    turns, order, held = Turns(2), list[int](), 0
    go = anyio.Event()

    async def holder(number: int) -> None:
        nonlocal held
        async with turns.take("one"):
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
        async with turns.take("other"):
            go.set()
    assert pairs == [set(order[at : at + 2]) for at in range(0, 20, 2)]


async def test_names_are_forgotten() -> None:
    """A name that nobody holds or wants any more takes no memory, also after one who waited was cancelled."""
    turns = Turns(1)
    async with turns.take("one"):
        with anyio.move_on_after(0):
            async with turns.take("one"):
                raise AssertionError("there was but one place")
        assert turns._places
    assert not turns._places
    assert not turns._wanted


async def test_patience_ends() -> None:
    """What is spent adds up, and at the end there is a TimeoutError; what happens between does not count."""
    patience = Patience(0.5)
    with patience.spent():
        await checkpoint()
    left = patience.left
    assert 0 < left < 0.5
    await anyio.sleep(0.01)
    assert left == patience.left
    with pytest.raises(TimeoutError), patience.spent():
        await anyio.sleep(5)
    assert patience.left <= 0.0
    with pytest.raises(TimeoutError), patience.spent():
        await anyio.sleep(5)
