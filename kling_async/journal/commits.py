"""Groups of writes that share a commit.

Theory of operation. A thread commits one group at a time. Writes that arrive meanwhile form the next group, which is
committed as soon as the thread is free. The thread and callbacks of the event loop drive this, no task does: so no
cancellation can leave a group without a commit, or its writers without an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from ..system.loops import SharedEvent, call_soon, shared_event
from ..system.threads import DaemonThread
from ..types.errors import JournalError, KlingError

__all__ = ["NO_REFUSALS", "CommitQueue", "Refusals", "Write"]

Refusals: TypeAlias = Mapping[tuple[str, int], KlingError]
"""The errors of those writes of a group that may not be, by key and attempt: another owner or a limit is in the way."""
NO_REFUSALS: Final[Refusals] = {}


class Write(Protocol):
    """What is written: a submission, or a claim of one."""

    @property
    def key(self) -> str:
        """The job's key."""
        ...

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        ...


W = TypeVar("W", bound=Write)


class _Group(Generic[W]):
    """Writes that share a commit. The first of them makes it: a callback cannot tell which event loop is running."""

    def __init__(self) -> None:
        self.writes: list[W] = []
        self.done: SharedEvent = shared_event()
        self.error: JournalError | None = None
        self.refusals: Refusals = NO_REFUSALS


class CommitQueue(Generic[W]):
    """Commits writes in groups, in a thread.

    Args:
        thread: the thread; what is posted to it after a commit runs after that.
        commit: writes durably, in that thread, and returns the errors of what it may not write. Raises JournalError.
    """

    def __init__(self, thread: DaemonThread, commit: Callable[[Sequence[W]], Refusals]) -> None:
        self._thread = thread
        self._commit = commit
        self._schedule = call_soon()
        self._next: _Group[W] | None = None
        self._busy = False

    async def write(self, writes: Sequence[W]) -> None:
        """Write, at least one; return once all are durable. Those of a cancelled caller are written, too.

        Raises:
            JournalError: they could not be written.
            KlingError: the refusal of one of them.
        """
        group = self._next
        if group is None:
            group = self._next = _Group[W]()
            # Writers that are ready now join this group: a turn of the event loop is cheaper than a flush.
            if not self._busy:
                self._schedule(self._start_if_idle)
        group.writes.extend(writes)
        await group.done.wait()
        if group.error is not None:
            raise JournalError(group.error.message, advice=group.error.advice) from group.error
        if group.refusals:
            for one in writes:
                if (one.key, one.attempt) in group.refusals:
                    raise group.refusals[one.key, one.attempt]

    def flush(self) -> None:
        """Post the commit of what was given so far to the thread."""
        if self._next is not None:
            group, self._next, self._busy = self._next, None, True
            self._thread.post(partial(self._run, group))

    def _start_if_idle(self) -> None:
        if not self._busy:
            self.flush()

    def _run(self, group: _Group[W]) -> None:
        try:
            group.refusals = self._commit(group.writes)
        except JournalError as error:
            group.error = error
        except BaseException as error:  # noqa: BLE001 - its writers must not wait for ever
            group.error = JournalError("The journal was interrupted while writing")
            group.error.__cause__ = error
        with suppress(RuntimeError):  # the event loop is closed, and nothing awaits the result
            self._schedule(partial(self._end, group))

    def _end(self, group: _Group[W]) -> None:
        self._busy = False
        self.flush()
        group.done.set()
