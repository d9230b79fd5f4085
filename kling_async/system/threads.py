"""Daemon threads: a blocked one keeps neither the event loop nor the process from ending.

anyio's worker threads are no daemons under asyncio, and `asyncio.run` waits for those of asyncio itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import anyio

from .loops import CallSoon, call_soon

__all__ = ["DaemonThread", "ThreadPool"]

T = TypeVar("T")


class DaemonThread:
    """One thread that runs functions in sequence, in a copy of the context in which it was made.

    Args:
        name: the thread's name.
    """

    def __init__(self, *, name: str) -> None:
        self._schedule = call_soon()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=copy_context().run, args=(_serve, self._calls), name=name, daemon=True).start()

    async def run(self, function: Callable[[], T], *, shield: bool = False) -> T:
        """Run a function in the thread and return its result; a cancelled caller does not stop the function.

        Args:
            function: the function.
            shield: whether a cancelled caller waits for it, too.

        Raises:
            BaseException: the function's own.
        """
        call = _Call(function, self._schedule)
        self._calls.put(call)
        with anyio.CancelScope(shield=shield):
            await call.done.wait()
        return call.result()

    def post(self, function: Callable[[], None]) -> None:
        """Run a function in the thread after those that are queued, without waiting for it. It must raise nothing."""
        self._calls.put(function)

    def stop(self) -> None:
        """End the thread after the functions that are queued."""
        self._calls.put(None)


class ThreadPool:
    """Daemon threads of one event loop, kept for further work; they end when this is no longer used.

    Args:
        name: the name of the threads.
        keep: maximum number of idle ones.
    """

    def __init__(self, *, name: str, keep: int) -> None:
        self._name = name
        self._keep = keep
        self._idle: list[DaemonThread] = []

    @contextmanager
    def acquire(self) -> Generator[DaemonThread]:
        """Hold a thread, which may still be busy afterwards."""
        thread = self._idle.pop() if self._idle else DaemonThread(name=self._name)
        try:
            yield thread
        except BaseException:
            thread.stop()  # it may be blocked in what was cancelled
            raise
        if len(self._idle) < self._keep:
            self._idle.append(thread)
        else:
            thread.stop()

    def __del__(self) -> None:
        for thread in self._idle:
            thread.stop()


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T], schedule: CallSoon) -> None:
        self._function = function
        self._schedule = schedule
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self.done = anyio.Event()

    def __call__(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller
            self._raised = error
        del self._function  # the caller that goes on now must not find that the thread still refers to its objects
        with suppress(RuntimeError):  # the event loop is closed, and nothing awaits the result
            self._schedule(self.done.set)

    def result(self) -> T:
        error, self._raised = self._raised, None
        if error is not None:
            raise error
        return self._returned.pop()


def _serve(calls: SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # its result is not kept until the next call
