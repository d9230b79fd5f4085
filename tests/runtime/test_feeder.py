"""Jobs are pulled on demand; an iterator that may block has a thread of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from contextvars import ContextVar

import anyio
import pytest

from kling_async.runtime.feeder import iterate_jobs
from kling_async.system.clock import SystemClock
from kling_async.testing import VirtualClock

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()


class Seen:
    """Iterates over numbers, and notes in which thread it is asked, and how often."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pulled = 0
        self.threads: set[threading.Thread] = set()

    def __iter__(self) -> Iterator[int]:
        self.threads.add(threading.current_thread())
        return self

    def __next__(self) -> int:
        self.threads.add(threading.current_thread())
        if self.pulled == self.count:
            raise StopIteration
        self.pulled += 1
        return self.pulled


async def test_an_iterator_is_pulled_in_one_daemon_thread() -> None:
    """It is begun, pulled and ended in the same thread, for which neither loop nor process waits."""
    seen = Seen(20)
    assert list(range(1, 21)) == [one async for one in iterate_jobs(seen, clock=CLOCK)]
    [thread] = seen.threads
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_nothing_is_read_ahead() -> None:
    """A job is pulled when it is asked for, and not before."""
    seen = Seen(20)
    async with aclosing(iterate_jobs(seen, clock=CLOCK)) as jobs:
        for asked in range(1, 5):
            await anext(jobs)
            await anyio.sleep(0.01)
            assert asked == seen.pulled


async def test_a_generator_lives_and_is_closed_in_its_thread() -> None:
    """All of a generator runs in the one thread, also what it does when it is closed: a cursor may be opened in it."""
    closed_in: list[threading.Thread] = []

    def rows() -> Iterator[int]:
        connection = sqlite3.connect(":memory:")  # of this thread, and no other
        try:
            for row in connection.execute("VALUES (1), (2), (3)"):
                yield row[0]
        finally:
            connection.close()
            closed_in.append(threading.current_thread())

    async with aclosing(iterate_jobs(rows(), clock=CLOCK)) as jobs:
        assert 1 == await anext(jobs)
    assert [closed_in[0]] == closed_in
    assert closed_in[0] is not threading.current_thread()


async def test_a_generator_that_fails_to_close_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What it raises when it is closed is logged: the batch is over."""

    def rows() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("no")

    async with aclosing(iterate_jobs(rows(), clock=CLOCK)) as jobs:
        await anext(jobs)
    assert "failed when it was closed" in caplog.text


async def test_what_an_iterator_raises_is_raised() -> None:
    """An error crosses from the thread as it is."""

    def rows() -> Iterator[int]:
        yield 1
        raise ValueError("line 2")

    with pytest.raises(ValueError, match="line 2"):
        _ = [one async for one in iterate_jobs(rows(), clock=CLOCK)]


async def test_a_file_is_not_closed() -> None:
    """An iterator that is not a generator belongs to the user, who may read on."""

    class Lines(Seen):
        closed = False

        def close(self) -> None:
            self.closed = True

    lines = Lines(3)
    async with aclosing(iterate_jobs(lines, clock=CLOCK)) as jobs:
        await anext(jobs)
    assert not lines.closed


async def test_lists_stay_in_the_loop() -> None:
    """A list or a tuple cannot block, so no thread is made for it."""
    before = set(threading.enumerate())  # among them perhaps one of an earlier batch, which ends when it can
    for jobs in ([1, 2], (1, 2)):
        async with aclosing(iterate_jobs(jobs, clock=CLOCK)) as found:
            assert 1 == await anext(found)
            assert "kling-async jobs" not in {thread.name for thread in set(threading.enumerate()) - before}


async def test_an_asynchronous_iterator_stays_in_the_loop() -> None:
    """One that waits is asked in the event loop, in this thread."""
    threads: list[threading.Thread] = []

    async def rows() -> AsyncIterator[int]:
        for number in range(3):
            threads.append(threading.current_thread())
            yield number

    assert [0, 1, 2] == [one async for one in iterate_jobs(rows(), clock=CLOCK)]
    assert {threading.current_thread()} == set(threads)


class RaisesAtOnce:
    """An asynchronous iterator whose `__anext__` is no coroutine function, and raises before it can be awaited."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    def __anext__(self) -> Awaitable[int]:
        raise self.error


async def test_what_an_asynchronous_iterator_raises_at_once_is_raised() -> None:
    """An error before the first await comes out like any other; the built-in `anext` with a default crashes there."""
    with pytest.raises(ValueError, match="mistake"):
        await anext(iterate_jobs(RaisesAtOnce(ValueError("mistake")), clock=CLOCK))
    assert [] == [one async for one in iterate_jobs(RaisesAtOnce(StopAsyncIteration()), clock=CLOCK)]


async def test_the_thread_has_the_context() -> None:
    """Context variables of who pulls are seen by the iterator, and what it sets stays there."""
    name: ContextVar[str] = ContextVar("name", default="nothing")
    name.set("batch")

    def rows() -> Iterator[str]:
        yield name.get()
        name.set("thread")
        yield name.get()

    assert ["batch", "thread"] == [one async for one in iterate_jobs(rows(), clock=CLOCK)]
    assert "batch" == name.get()


async def test_a_pull_that_is_given_up_waits_for_nothing() -> None:
    """While `next` blocks a cancelled batch ends at once; the generator is closed when it returns."""
    go_on, closed = threading.Event(), threading.Event()

    def rows() -> Iterator[int]:
        try:
            go_on.wait()
            yield 1
        finally:
            closed.set()

    with anyio.move_on_after(0.05):
        async with aclosing(iterate_jobs(rows(), clock=CLOCK)) as jobs:
            await anext(jobs)
    assert not closed.is_set()
    go_on.set()
    assert closed.wait(5)


async def test_a_clock_that_leaps_stands_still_meanwhile() -> None:
    """A test clock does not leap over the time in which the thread is at work."""
    go_on = threading.Event()

    def rows() -> Iterator[int]:
        go_on.wait(5)
        yield 1

    async with VirtualClock() as clock, anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 3600.0)
        async with aclosing(iterate_jobs(rows(), clock=clock)) as jobs:

            async def release() -> None:
                await anyio.sleep(0.05)
                go_on.set()

            group.start_soon(release)
            assert 1 == await anext(jobs)
            assert 0.0 == clock.now()


def test_a_loop_that_is_gone_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """A thread whose `next` returns after the loop has ended finds nothing there, and says nothing."""
    go_on, closed = threading.Event(), threading.Event()

    def rows() -> Iterator[int]:
        try:
            go_on.wait()
            yield 1
        finally:
            closed.set()

    async def pull() -> None:
        with anyio.move_on_after(0.02):
            async with aclosing(iterate_jobs(rows(), clock=CLOCK)) as jobs:
                await anext(jobs)

    for backend in ("asyncio", "trio"):
        go_on.clear()
        closed.clear()
        anyio.run(pull, backend=backend)
        go_on.set()
        assert closed.wait(5)
    assert ("", "") == tuple(capfd.readouterr())
