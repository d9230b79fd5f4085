"""Groups of writes that share a commit.

Theory of operation. A thread commits one group at a time. Writes that arrive meanwhile form the next group, which is
committed as soon as the thread is free. The thread and callbacks of the event loop drive this, no task does: so no
cancellation can leave a group without a commit, or its writers without an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ..system.loops import SharedEvent, call_soon, shared_event
from ..system.threads import DaemonThread
from ..types.errors import JournalError
from .submission import Submission

__all__ = ["CommitQueue"]


class _Group:
    """Writes that share a commit. The first of them makes it: a callback cannot tell which event loop is running."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.done: SharedEvent = shared_event()
        self.error: JournalError | None = None


class CommitQueue:
    """Commits submissions in groups, in a thread.

    Args:
        thread: the thread; what is posted to it after a commit runs after that.
        commit: writes submissions durably, in that thread. Raises JournalError.
    """

    def __init__(self, thread: DaemonThread, commit: Callable[[Sequence[Submission]], None]) -> None:
        self._thread = thread
        self._commit = commit
        self._schedule = call_soon()
        self._next: _Group | None = None
        self._busy = False

    async def write(self, submissions: Sequence[Submission]) -> None:
        """Write submissions, at least one; return once they are durable. Those of a cancelled caller are written, too.

        Raises:
            JournalError: they could not be written.
        """
        group = self._next
        if group is None:
            group = self._next = _Group()
            # Writers that are ready now join this group: a turn of the event loop is cheaper than a flush.
            if not self._busy:
                self._schedule(self._start_if_idle)
        group.submissions.extend(submissions)
        await group.done.wait()
        if group.error is not None:
            raise JournalError(group.error.message) from group.error

    def flush(self) -> None:
        """Post the commit of what was given so far to the thread."""
        if self._next is not None:
            group, self._next, self._busy = self._next, None, True
            self._thread.post(partial(self._run, group))

    def _start_if_idle(self) -> None:
        if not self._busy:
            self.flush()

    def _run(self, group: _Group) -> None:
        try:
            self._commit(group.submissions)
        except JournalError as error:
            group.error = error
        except BaseException as error:  # noqa: BLE001 - its writers must not wait for ever
            group.error = JournalError("The journal was interrupted while writing")
            group.error.__cause__ = error
        with suppress(RuntimeError):  # the event loop is closed, and nothing awaits the result
            self._schedule(partial(self._end, group))

    def _end(self, group: _Group) -> None:
        self._busy = False
        self.flush()
        group.done.set()
