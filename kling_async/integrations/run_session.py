"""One run in a worker: a batch that is fed with the chunks that the worker takes, and writes down how each job ends.

Theory of operation. All chunks of a run go through one batch, which shares its connections, its limits and its budget.
A chunk waits until each of its jobs has ended, and that is durable. What the batch did not do, since it was stopped or
failed, is left to the chunk, which is given back or held.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from functools import partial
from typing import Final

import anyio
from attrs import define, field

from ..client import Client
from ..journal.hidden_url import HiddenUrl
from ..journal.postgres import PostgresJournal
from ..journal.queue_values import EndedJob, StoredRun
from ..journal.worker_lease import journal_name
from ..runs.queued_run import RunSettings, ended_job
from ..runtime.batch import Batch
from ..system.threads import DaemonThread
from ..types.errors import KlingError, NotSent
from ..types.events import Event, EventKind
from ..types.formatting import format_count
from ..types.hash_table import KeySet
from ..types.jobs import Job, Outcome

__all__ = ["RunSession", "Share"]

_log = logging.getLogger(__name__)

_QUIET: Final = frozenset({EventKind.STATUS, EventKind.POLL_ERROR, EventKind.UPLOADING})
"""Kinds of events that are no change of a job's own status."""


@define(eq=False)
class Share:
    """The jobs of one chunk in a session.

    Attributes:
        chunk: the number of the chunk.
        left: the keys of the jobs that have not ended.
        undone: why a job was not done, if that is a reason of its own; None if all were, or the session was stopped.
        done: is set when nothing more is to be waited for.
    """

    chunk: int
    left: set[str]
    undone: str | None = None
    done: anyio.Event = field(factory=anyio.Event)


class RunSession:
    """One run in a worker.

    Args:
        client: the worker's.
        run: the run.
        url: the database.
        worker: the worker's name.
        lease_seconds: for so long after its last sign of life the worker counts as living.
        mark_ended: writes down that jobs have ended; it blocks.
        thread: where it may block.
    """

    def __init__(
        self,
        client: Client,
        run: StoredRun,
        *,
        url: HiddenUrl,
        worker: str,
        lease_seconds: float,
        mark_ended: Callable[[str, Sequence[EndedJob]], None],
        thread: DaemonThread,
    ) -> None:
        self.run = run
        self.failure: KlingError | None = None
        self.over = anyio.Event()
        self._client = client
        self._settings = RunSettings.from_json(run.settings)
        self._journal = PostgresJournal(url, run=run.name, lease_seconds=lease_seconds, worker=journal_name(worker))
        self._mark_ended, self._thread = mark_ended, thread
        self._shares: dict[str, Share] = {}
        self._fed = KeySet()
        self._ended: list[EndedJob] = []
        self._changed = anyio.Event()
        self._sender, self._receiver = anyio.create_memory_object_stream[Job](0)
        self._batch: Batch | None = None
        self._is_stopped = self._is_drained = False

    @property
    def settings(self) -> RunSettings:
        """The settings of the run, as they were when the session began."""
        return self._settings

    @property
    def is_idle(self) -> bool:
        """Whether no chunk waits for it."""
        return not self._shares

    def takes(self, run: StoredRun, keys: Iterable[str]) -> bool:
        """Return whether jobs may be done here: the run's settings are the same, and no job was done here before."""
        return (
            not self.over.is_set()
            and not self._is_stopped
            and run == self.run
            and not any(key in self._fed for key in keys)
        )

    async def do(self, jobs: Sequence[Job], *, chunk: int) -> Share:
        """Do the jobs of a chunk with a number, and return what became of them."""
        share = Share(chunk, {job.key or "" for job in jobs})
        if self.over.is_set() or not jobs:
            return share
        for job in jobs:
            self._shares[job.key or ""] = share
        try:
            for job in jobs:
                self._fed.add(job.key or "")
                await self._sender.send(job)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the batch has ended, and with it every share
        await share.done.wait()
        return share

    def stop(self) -> None:
        """Submit no more, and end after the jobs that are paid for."""
        self._is_stopped = True
        if self._batch is not None:
            self._batch.stop()

    def close(self) -> None:
        """End after the jobs that are there."""
        self._is_stopped = True
        self._sender.close()

    # The session's own task.

    async def serve(self) -> None:
        """Run the batch until the session is closed or stopped, or fails."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._write)
                try:
                    await self._run_batch()
                except KlingError as error:
                    self.failure = self.failure or error
                except Exception as error:  # noqa: BLE001 - it must not end the worker, which has other runs
                    _log.exception("%s: its jobs are held for an error that should not be", self.run.name)
                    self.failure = self.failure or KlingError(f"{type(error).__name__}: {error}")
                finally:
                    self._is_drained = True
                    self._changed.set()
        finally:
            self._end()

    async def _run_batch(self) -> None:
        settings = self._settings
        async with self._client.batch(
            self._jobs(),
            provider=settings.providers,
            journal=self._journal,
            save_to=settings.save_to,
            provenance=settings.provenance,
            max_cost=self.run.max_cost,
            prices=settings.prices,
            prefer=settings.prefer,
            failover=settings.failover,
            wait_timeout=settings.wait_timeout,
        ) as batch:
            self._batch = batch
            if self._is_stopped:
                batch.stop()
            batch.add_listener(partial(_log_event, self.run.name))
            async for outcome in batch:
                self._take(outcome)

    async def _jobs(self) -> AsyncGenerator[Job]:
        async for job in self._receiver:
            yield job

    def _take(self, outcome: Outcome) -> None:
        error, key = outcome.error, outcome.job.key or ""
        share = self._shares.get(key)
        if share is None:
            return  # one that a lost worker has left: it ends with its chunk, by whichever worker has that next
        ended = ended_job(outcome, chunk=share.chunk)
        if ended is not None:
            self._ended.append(ended)
            self._changed.set()
            return
        is_own = error is not None and not (isinstance(error, NotSent) and error.reason in ("stopped", "closed"))
        if is_own:
            share.undone = share.undone or str(error)
        self._release(key, has_ended=False)

    async def _write(self) -> None:
        """Write down how jobs end: those that end during a transaction are one further transaction."""
        while self._ended or not self._is_drained:
            if not self._ended:
                await self._changed.wait()
                self._changed = anyio.Event()
                continue
            ended, self._ended = self._ended, []
            try:
                await self._thread.run(partial(self._mark_ended, self.run.name, ended))
            except KlingError as error:
                self.failure = self.failure or error
                self.stop()
                return
            for one in ended:
                self._release(one.key, has_ended=True)

    def _release(self, key: str, *, has_ended: bool) -> None:
        share = self._shares.pop(key, None)
        if share is None:
            return
        if has_ended:
            share.left.discard(key)
        if not any(self._shares.get(other) is share for other in share.left):
            share.done.set()

    def _end(self) -> None:
        self.over.set()
        self._sender.close()
        self._receiver.close()
        shares, self._shares = self._shares, {}
        for share in shares.values():
            share.done.set()


def _log_event(run: str, event: Event) -> None:
    if event.kind in _QUIET or event.key is None or event.replayed:
        return
    word = event.status.value if event.kind is EventKind.FINISHED else event.kind.value
    known = "" if event.prediction is None else f" at {event.provider} as {event.prediction.id}"
    files = f": {format_count(len(event.files), 'file')}" if event.files else ""
    error = f": {event.error}" if event.error is not None else ""
    _log.info("%s %s %s%s%s%s", run, event.key, word, known, files, error)
