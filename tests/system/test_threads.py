"""Threads that run functions for tasks."""

from __future__ import annotations

import weakref

import pytest

from kling_async.system.threads import DaemonThread

pytestmark = pytest.mark.anyio


class Thing:
    """Has something to do."""

    def work(self) -> int:
        """Return a number."""
        return 1


async def test_a_thread_keeps_nothing_of_a_call_that_has_returned() -> None:
    """The caller that goes on holds the last reference to what it passed, however the threads take turns."""
    thread, kept = DaemonThread(name="test"), 0
    try:
        for _ in range(2000):
            thing = Thing()
            passed = weakref.ref(thing)
            assert await thread.run(thing.work) == 1
            del thing
            kept += passed() is not None
    finally:
        thread.stop()
    assert kept == 0
