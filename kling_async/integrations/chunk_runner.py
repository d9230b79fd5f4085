"""Do the chunks that a worker takes: one session for each run, and one client for all runs with the same bucket."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ..client import Client
from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import Chunk
from ..journal.queued_chunks import QueuedChunks
from ..journal.queued_runs import QueuedRuns
from ..runs.queued_run import RunSettings, job_of
from ..runtime.bucketed_media import fetch_media
from ..system.threads import DaemonThread
from ..types.errors import JournalError, KlingError
from ..types.jobs import Job
from ..types.limits import Limits
from ..types.status import ACCOUNT_ERRORS
from .run_session import RunSession

__all__ = ["ChunkRunner"]

_log = logging.getLogger(__name__)

_IDLE_TICKS: Final = 10
"""Calls of `leave_idle` after which a run without a chunk is left."""


class ChunkRunner:
    """Does chunks.

    Args:
        url: the database.
        worker: the worker's name.
        provider: one that it has an API key for.
        limits: the limits that it sets, by provider.
        lease_seconds: for so long after its last sign of life it counts as living.
        runs: the runs of the database.
        chunks: their chunks.
        thread: where these two may block.
        group: runs the sessions.
    """

    def __init__(
        self,
        *,
        url: HiddenUrl,
        worker: str,
        provider: str,
        limits: Mapping[str, Limits],
        lease_seconds: float,
        runs: QueuedRuns,
        chunks: QueuedChunks,
        thread: DaemonThread,
        group: TaskGroup,
    ) -> None:
        self._runs, self._chunks, self._thread, self._group = runs, chunks, thread, group
        self._url, self._worker, self._lease_seconds = url, worker, lease_seconds
        self._provider, self._limits = provider, limits
        self._sessions: dict[str, RunSession] = {}
        self._all = list[RunSession]()
        self._clients: dict[str | None, Client] = {}
        self._idle: dict[str, int] = {}
        self._doing = set[Chunk]()
        self._one_at_a_time = anyio.Lock()
        self._is_stopped = False

    async def do(self, chunk: Chunk) -> None:
        """Do a chunk, and write down that it is done, held or given back.

        Raises:
            JournalError: the database cannot be used, and nothing is written down.
            KlingError: an account was refused; the chunk is given back.
        """
        refused: KlingError | None = None
        self._doing.add(chunk)
        try:
            reason = await self._do_jobs(chunk)
        except ACCOUNT_ERRORS as error:
            reason, refused = None, error
        finally:
            self._doing.discard(chunk)
        await self._thread.run(partial(self._chunks.close, chunk, reason=reason))
        if refused is not None:
            raise refused

    async def _do_jobs(self, chunk: Chunk) -> str | None:
        """Do the jobs of a chunk, and return why it is to be held; None if it is done, or is to be given back."""
        bodies = None if self._is_stopped else await self._thread.run(partial(self._chunks.take, chunk))
        if bodies is None:
            return None
        try:
            with tempfile.TemporaryDirectory(prefix="kling-async-media-") as folder:
                return await self._in_session(chunk, [job_of(body) for body in bodies], Path(folder))
        except (JournalError, *ACCOUNT_ERRORS):
            raise
        except (KlingError, OSError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - else the chunk would wait for the next start, and fail again
            _log.exception("%s chunk %d: it is held for an error that should not be", chunk.run, chunk.number)
            return f"{type(error).__name__}: {error}"

    async def _in_session(self, chunk: Chunk, given: Sequence[Job], folder: Path) -> str | None:
        session = await self._session(chunk.run, [job.key or "" for job in given])
        storage = session.settings.storage
        fetched = [await anyio.to_thread.run_sync(partial(fetch_media, job, storage, folder)) for job in given]
        share = await session.do(fetched, chunk=chunk.number)
        done, failure = len(given) - len(share.left), session.failure
        if len(given) > 1 or not done:
            _log.info("%s chunk %d: %d of %d jobs have ended", chunk.run, chunk.number, done, len(given))
        if isinstance(failure, (JournalError, *ACCOUNT_ERRORS)):
            raise failure
        return share.undone or (None if failure is None else str(failure))

    async def _session(self, name: str, keys: Sequence[str]) -> RunSession:
        """Return the session of a run, or a new one where its settings have changed or it has had these jobs."""
        async with self._one_at_a_time:
            run = await self._thread.run(partial(self._runs.get, name))
            known = self._sessions.get(name)
            if known is not None and known.takes(run, keys):
                return known
            if known is not None:
                known.close()
            session = self._sessions[name] = RunSession(
                await self._client(RunSettings.from_json(run.settings).storage),
                run,
                url=self._url,
                worker=self._worker,
                lease_seconds=self._lease_seconds,
                mark_ended=self._chunks.mark_ended,
                thread=self._thread,
            )
            self._all.append(session)
            self._group.start_soon(session.serve)
            return session

    async def _client(self, storage: str | None) -> Client:
        if storage not in self._clients:
            made = Client(self._provider, limits=self._limits, storage=storage)
            self._clients[storage] = await made.open()
        return self._clients[storage]

    async def leave_cancelled(self) -> None:
        """Submit no more of runs that were cancelled since, and finish the jobs of them that are paid for.

        Raises:
            JournalError: the database cannot be used.
        """
        doing = list(self._doing)
        for name in await self._thread.run(partial(self._chunks.cancelled, doing)) if doing else ():
            session = self._sessions.pop(name, None)
            if session is not None:
                _log.info("%s: it is cancelled; jobs in flight are finished", name)
                session.stop()
                session.close()

    def leave_idle(self) -> None:
        """Leave the runs that have had no chunk here for a while; called again and again."""
        self._all = [session for session in self._all if not session.over.is_set()]
        for name, session in list(self._sessions.items()):
            self._idle[name] = self._idle.get(name, 0) + 1 if session.is_idle else 0
            if self._idle[name] > _IDLE_TICKS:
                session.close()
                del self._sessions[name], self._idle[name]

    def stop(self) -> None:
        """Submit no more; the jobs that are paid for are finished, and the rest is given back."""
        self._is_stopped = True
        for session in self._all:
            session.stop()

    async def aclose(self) -> None:
        """Close the sessions and the clients."""
        self._is_stopped = True
        for session in self._all:
            session.close()
        for session in self._all:
            await session.over.wait()
        for client in self._clients.values():
            await client.aclose()
