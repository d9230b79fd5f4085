"""Ctrl-C is received, deferred or sent again, and never swallowed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import cast

import anyio
import anyio.lowlevel
import pytest

from kling_async.runtime.signals import receive_signals
from kling_async.system.background import Tasks
from kling_async.system.interrupts import apply_protection, call_interruptible, defer_interrupts, interrupts_received

BACKENDS = ["asyncio", "trio"]


def interrupted(program: Callable[[], object], backend: str) -> None:
    """Run a program, which Ctrl-C must end."""
    with pytest.raises(KeyboardInterrupt):
        anyio.run(program, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_signals_mean_afterwards_what_they_meant_before(backend: str) -> None:
    """After the context, Ctrl-C ends the program: `asyncio.run` gets its handler back."""
    heard: list[str] = []

    async def program() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with anyio.create_task_group() as group:
            group.start_soon(receive_signals, lambda: heard.append("once") is not None)
            await anyio.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGTERM)
        assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        signal.raise_signal(signal.SIGINT)
        await anyio.lowlevel.checkpoint()

    interrupted(program, backend)
    assert ["once"] == heard


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signal_that_comes_too_late_is_not_lost(backend: str) -> None:
    """An interrupt received within the context is sent again at its end, and ends the program."""

    async def program() -> None:
        async with Tasks() as tasks:  # out of a task group of its own, it would come in a group
            tasks.start(receive_signals, lambda: True)
            await anyio.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(1)

    interrupted(program, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_code_of_the_users_can_be_interrupted(backend: str) -> None:
    """Ctrl-C ends a listener that does not return, and the package's function around it runs to its end."""
    notes: list[str] = []

    def endless() -> None:
        signal.raise_signal(signal.SIGINT)
        for _ in range(10**9 if backend == "trio" else 10):
            pass
        notes.append("returned")

    @defer_interrupts
    async def ours() -> None:
        call_interruptible(endless)
        notes.append("went on")

    async def program() -> None:
        await ours()
        await anyio.sleep(1)

    apply_protection()
    interrupted(program, backend)
    assert ["went on"] == notes[-1:]
    assert (backend == "asyncio") == ("returned" in notes)


def test_trio_keeps_ctrl_c_out_of_our_functions() -> None:
    """A function that defers interrupts runs to its end; the interrupt comes at the program's next await."""
    notes: list[str] = []

    @defer_interrupts
    def ours() -> None:
        signal.raise_signal(signal.SIGINT)
        notes.append("whole")

    async def program() -> None:
        ours()
        notes.append("back")
        await anyio.lowlevel.checkpoint()
        notes.append("never")

    apply_protection()
    interrupted(program, "trio")
    assert ["whole", "back"] == notes


def test_asyncio_raises_nothing_while_we_close() -> None:
    """A second Ctrl-C is not raised in whatever line runs, but received, and sent again at the end."""
    notes: list[object] = []

    async def program() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(1)
        finally:
            with interrupts_received(partial(notes.append, "heard")) as before:
                notes.append(before)
                signal.raise_signal(signal.SIGINT)
                await anyio.lowlevel.checkpoint()
                notes.append("whole")

    interrupted(program, "asyncio")
    assert [1, "heard", "whole"] == notes


def test_a_handler_of_the_programs_own_stays() -> None:
    """A SIGINT handler of the program's own stays in place."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))

    async def program() -> None:
        with interrupts_received(lambda: heard.append(-1)):
            signal.raise_signal(signal.SIGINT)
            await anyio.lowlevel.checkpoint()

    try:
        for backend in BACKENDS:
            anyio.run(program, backend=backend)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [signal.SIGINT, signal.SIGINT] == heard


def test_a_receiver_that_is_put_back_late_hands_on() -> None:
    """Another handler may be set while we close, and put ours back later: Ctrl-C still reaches `asyncio.run`."""

    async def program() -> None:
        with interrupts_received(lambda: None):
            ours = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGINT, ours)
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(1)

    before = signal.getsignal(signal.SIGINT)
    try:
        interrupted(program, "asyncio")
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_a_run_that_is_over_is_not_taken_for_this_ones() -> None:
    """An interrupt in its last lines makes `asyncio.run` leave its handler behind: its count is not ours."""
    left: list[object] = []

    async def first() -> None:
        left.append(signal.getsignal(signal.SIGINT))

    async def second() -> None:
        with interrupts_received(lambda: None) as before:
            assert 0 == before
            assert left == [signal.getsignal(signal.SIGINT)]

    asyncio.run(first())
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, cast("signal.Handlers", left[0]))
    try:
        asyncio.run(second())
    finally:
        signal.signal(signal.SIGINT, before)
