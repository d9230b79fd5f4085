"""The worker of runs on many machines: it takes chunks of jobs from a database, and does them.

Theory of operation. The queue calls `_in_queue` in a thread for each chunk, which waits for the event loop to do it. A
chunk that was done, held or given back is that in the database before its thread returns. A thread that cannot say so
leaves its chunk to the next start of this worker, or to the others once the lease has ended.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from math import ceil
from typing import Final

import anyio
import anyio.from_thread
import anyio.to_thread
from attrs import evolve

from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import Chunk
from ..journal.queued_chunks import QueuedChunks
from ..journal.queued_runs import QueuedRuns
from ..journal.worker_lease import WorkerLease
from ..providers import PROVIDERS, Provider
from ..runtime.api_keys import ApiKeys, read_key
from ..runtime.settings import positive_float
from ..runtime.signals import receive_signals
from ..system.threads import DaemonThread
from ..types.errors import InputError, InputFault, JournalError, KlingError, MissingAPIKey
from ..types.limits import Limits
from .chunk_runner import ChunkRunner
from .dbos_queue import CHUNKS_AT_ONCE, DbosQueue
from .lease_keeper import LeaseKeeper

__all__ = ["Worker"]

_log = logging.getLogger(__name__)

_TICK: Final = 0.5
"""Seconds between two looks for waiting chunks."""
_INTERRUPTED: Final = 130
_DRAIN_SECONDS: Final = 24 * 3600
"""Seconds that jobs in flight may take at most; whatever starts the worker ends it sooner, if it likes."""


class _LeftPending(BaseException):
    """Tells the queue nothing about a chunk, so that it stays this worker's: any `Exception` would be its end."""


class Worker:
    """A worker. It is run once, in the main thread.

    Args:
        url: the database.
        name: its name, which no other living worker has; after a restart it goes on with what it had.
        rate: submissions per second with each API key, over all workers; None is the provider's own limit.
        lease_seconds: for so long after its last sign of life it counts as living, 3 to 3600.

    Raises:
        InputError: the URL or a number is wrong, an extra is not installed, or an API key is malformed.
        MissingAPIKey: no provider has an API key.
    """

    def __init__(self, url: HiddenUrl, *, name: str, rate: float | None = None, lease_seconds: float = 30.0) -> None:
        _check(name, lease_seconds)
        self._url, self._name, self._lease_seconds = url, name, lease_seconds
        self._runs = QueuedRuns(url)
        self._providers = _providers_with_keys()
        self._limits = _limited(self._providers, rate)
        names = [provider.name for provider in self._providers]
        self._chunks = QueuedChunks(self._runs, worker=name, providers=names)
        self._queue = DbosQueue(url, worker=name, providers=names, run_chunk=self._in_queue)
        facts = f"process {os.getpid()} on {socket.gethostname()}, kling-async {version('kling-async')}"
        self._lease = WorkerLease(url, name=name, providers=names, facts=facts, lease_seconds=lease_seconds)
        self._failure: KlingError | None = None
        self._chunks_here: set[anyio.CancelScope] = set()

    async def run(self) -> None:
        """Take and do chunks, until SIGTERM or Ctrl-C; then finish the jobs in flight, and give back the rest.

        A second signal ends the process at once, as a kill does.

        Raises:
            KlingError: it cannot work, or cannot any longer: no database, no API key for what is there, another worker
                of its name, a later schema, or an account that is refused.
        """
        self._thread, self._stopping = DaemonThread(name="kling-async worker"), anyio.Event()
        try:
            await self._thread.run(self._runs.open)
            await self._thread.run(self._check_providers)
            await self._thread.run(self._lease.acquire)
            async with anyio.from_thread.BlockingPortal() as self._portal, anyio.create_task_group() as self._group:
                self._group.start_soon(receive_signals, self._on_signal)
                async with self._keeping_lease(), self._pulling():
                    names = ", ".join(provider.name for provider in self._providers)
                    _log.info("worker %s started: keys for %s; lease %g s", self._name, names, self._lease_seconds)
                    await self._look_for_chunks()
                self._group.cancel_scope.cancel()  # what waits for signals
        finally:
            self._thread.stop()
            self._runs.close()
            self._lease.close()
        if self._failure is not None:
            raise _after_start(self._failure)
        _log.info("worker %s stopped", self._name)

    def _check_providers(self) -> None:
        """Raise MissingAPIKey if there are chunks, and none that this worker could take."""
        needed, own = self._chunks.providers_needed(), {provider.name for provider in self._providers}
        if needed and not any(own.issuperset(names) for names in needed):
            missing = sorted({name for names in needed for name in names} - own)
            variables = ", ".join(PROVIDERS[name].api_key_env for name in missing if name in PROVIDERS)
            message = f"No API key for any provider of the queue: it needs {', '.join(missing)}"
            advice = f"Set {variables} in the environment of this worker. Nothing was sent."
            raise MissingAPIKey(message, env=variables, advice=advice)

    @asynccontextmanager
    async def _keeping_lease(self) -> AsyncGenerator[None]:
        keeper = LeaseKeeper(
            self._lease,
            seconds=self._lease_seconds / 3,
            take_over=self._take_over,
            on_failure=lambda error: self._portal.start_task_soon(self._fail, error),
        )
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True), suppress(JournalError):
                await anyio.to_thread.run_sync(keeper.stop)
                await anyio.to_thread.run_sync(self._lease.release)

    def _take_over(self, workers: Sequence[str]) -> None:
        count = self._queue.take_over(workers)
        _log.info("worker %s is gone: chunks of it that are taken over: %d", ", ".join(workers), count)

    @asynccontextmanager
    async def _pulling(self) -> AsyncGenerator[None]:
        self._runner = ChunkRunner(
            url=self._url,
            worker=self._name,
            provider=self._providers[0].name,
            limits=self._limits,
            lease_seconds=self._lease_seconds,
            runs=self._runs,
            chunks=self._chunks,
            thread=self._thread,
            group=self._group,
        )
        try:
            await anyio.to_thread.run_sync(self._queue.start)
            yield
        finally:
            with anyio.CancelScope(shield=True):
                # Sessions end while the queue waits for their chunks; afterwards no thread asks for them any more.
                await anyio.to_thread.run_sync(partial(self._queue.stop, patience=_DRAIN_SECONDS))
                await self._runner.aclose()

    async def _look_for_chunks(self) -> None:
        """Give waiting chunks to the queue, until the worker is stopped."""
        while not self._stopping.is_set():
            try:
                await self._thread.run(self._fill_queue)
                await self._runner.leave_cancelled()
            except JournalError as error:
                await self._fail(error)
            self._runner.leave_idle()
            with anyio.move_on_after(_TICK):
                await self._stopping.wait()

    def _fill_queue(self) -> None:
        chunks = self._chunks.waiting(ahead=2 * CHUNKS_AT_ONCE)
        if chunks:
            self._queue.put(chunks)  # first: what is put there twice is there once, and what is not would be lost
            self._chunks.mark_queued(chunks)

    def _on_signal(self) -> bool:
        if self._stopping.is_set():
            os._exit(_INTERRUPTED)  # what is paid for is written down, and is gone on with
        _log.info("worker %s stops: it finishes the jobs in flight and gives back the rest", self._name)
        self._stop()
        return True

    def _stop(self) -> None:
        self._stopping.set()
        self._runner.stop()

    async def _fail(self, error: KlingError) -> None:
        """Stop for an error. Without the database nothing can be finished, and its chunks stay this worker's."""
        self._failure = self._failure or error
        self._stop()
        if isinstance(error, JournalError):
            self._group.cancel_scope.cancel()
            for chunk in list(self._chunks_here):
                chunk.cancel()

    def _in_queue(self, chunk: Chunk) -> None:
        """Do a chunk; called in a thread of the queue."""
        is_closed = False
        with suppress(BaseException):  # the event loop has ended
            is_closed = self._portal.call(self._do, chunk)
        if not is_closed:
            raise _LeftPending

    async def _do(self, chunk: Chunk) -> bool:
        """Do a chunk, and return whether what became of it is written down."""
        is_closed = False
        with anyio.CancelScope() as scope:
            self._chunks_here.add(scope)
            try:
                await self._runner.do(chunk)
                is_closed = True
            except KlingError as error:
                is_closed = not isinstance(error, JournalError)
                await self._fail(error)
            finally:
                self._chunks_here.discard(scope)
        return is_closed


def _after_start(error: KlingError) -> KlingError:
    """Return the error of a worker that has worked, whose advice must not say that nothing was sent."""
    if isinstance(error, JournalError):
        advice = error.advice.removeprefix("Nothing was sent. ")
        error.advice = f"{advice} Jobs in flight are gone on with when the worker is started again under its name."
    return error


def _check(name: str, lease_seconds: float) -> None:
    faults = list[InputFault]()
    if not 0 < len(name) <= 100 or not name.isprintable():
        faults.append(InputFault("name", name, "must be 1 to 100 printable characters"))
    if isinstance(lease_seconds, bool) or not 3.0 <= lease_seconds <= 3600.0:
        faults.append(InputFault("lease", lease_seconds, "must be 3 to 3600 seconds"))
    if faults:
        raise InputError.of("Wrong setting", faults)


def _providers_with_keys() -> list[Provider]:
    """Return the providers with an API key. Raises MissingAPIKey without any, InputError if one is malformed."""
    keys = ApiKeys()
    found = [provider for provider in PROVIDERS.values() if keys.get(provider)]
    for provider in found:
        read_key(provider, keys)
    if not found:
        variables = ", ".join(provider.api_key_env for provider in PROVIDERS.values())
        advice = f"Set one of {variables} in the environment of the worker. Nothing was sent."
        raise MissingAPIKey("A worker needs the API key of a provider", env=variables, advice=advice)
    return found


def _limited(providers: Sequence[Provider], rate: float | None) -> Mapping[str, Limits]:
    if rate is None:
        return {}
    burst = max(1, min(8, ceil(positive_float("rate", rate))))
    return {one.name: evolve(one.limits, submit_per_second=rate, submit_burst=burst) for one in providers}
