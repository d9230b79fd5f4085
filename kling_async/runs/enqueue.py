"""Write a run into a database, from where workers take its jobs: checked first, and without holding it in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import IO, Final

import anyio.to_thread
from attrs import frozen

from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import QueuedJob, StoredRun
from ..journal.queued_runs import ChunkedJob, QueuedRuns
from ..providers import provider_named
from ..providers.selection import accepting
from ..runtime.bucketed_media import BucketedMedia
from ..runtime.job_source import Jobs, iterate_jobs
from ..system.clock import SystemClock
from ..types.errors import InputError, InputFault
from ..types.hash_table import KeySet
from ..types.jobs import Job, JobKeyGenerator, as_job
from .queued_run import RunSettings, body_of

__all__ = ["EnqueuedRun", "check_run_name", "enqueue_run"]

_MAX_CHUNK: Final = 100
"""Jobs of a chunk at most: what a worker takes at once, and gives up at once when it is lost."""
_CHUNKS: Final = 64
"""A smaller run has about so many chunks, so that several workers share it."""


@frozen(kw_only=True)
class EnqueuedRun:
    """A run that waits for workers.

    Attributes:
        run: its name.
        jobs: number of its jobs.
        is_new: whether it was not there before; else it had the same jobs, and goes on.
        missing_keys: the providers that no living worker has an API key for.
    """

    run: str
    jobs: int
    is_new: bool
    missing_keys: tuple[str, ...] = ()


async def enqueue_run(
    jobs: Jobs, *, url: HiddenUrl, run: str, settings: RunSettings, max_cost: Decimal | None, source: str
) -> EnqueuedRun:
    """Check jobs and write them into a database, as `enqueue` does, with settings that were checked."""
    check_run_name(run)
    runs = QueuedRuns(url)
    with TemporaryFile() as file:
        spool = _Spool(file, settings, BucketedMedia(settings.storage), is_limited=max_cost is not None)
        try:
            await _blocking(runs.open)  # before any file is read, and any medium is put into a bucket
            async with aclosing(iterate_jobs(jobs, clock=SystemClock())) as items:
                async for item in items:
                    await spool.add(item)
            made = StoredRun(
                name=run,
                source=source or "jobs",
                jobs=spool.count,
                digest=spool.digest,
                settings=settings.to_json(),
                max_cost=max_cost,
            )
            return await _blocking(partial(_write, runs, made, spool))
        finally:
            await _blocking(runs.close)


def _write(runs: QueuedRuns, made: StoredRun, spool: _Spool) -> EnqueuedRun:
    if not made.jobs:
        raise InputError(f"The run {made.name} has no jobs")
    known = runs.create(made, spool.rows)
    if known is not None:
        if known.digest != made.digest:
            advice = "Nothing was written, and nothing is paid. Give these jobs another name with run, or --run."
            what = f'The database has a run "{made.name}" already, with other jobs: {known.jobs:,} of {known.source}'
            raise InputError.of(
                what, [InputFault("run", made.name, "must be new, or have the same jobs")], advice=advice
            )
        runs.change(made.name, settings=made.settings, max_cost=made.max_cost)
    needed, there = runs.providers_missing(made.name)
    missing = tuple(name for name in needed if name not in there)
    return EnqueuedRun(run=made.name, jobs=made.jobs, is_new=known is None, missing_keys=missing)


class _Spool:
    """Checked jobs in a temporary file, which can be read again if the connection breaks while they are written."""

    def __init__(self, file: IO[bytes], settings: RunSettings, media: BucketedMedia, *, is_limited: bool) -> None:
        self.count = 0
        self._file = file
        self._settings = settings
        self._providers = [provider_named(name) for name in settings.providers]
        self._media = media
        self._is_limited = is_limited
        self._names, self._keys = JobKeyGenerator(), KeySet()
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """A hash of the jobs, in their order, with the providers of those that name none."""
        return self._digest.hexdigest()

    async def add(self, item: object) -> None:
        """Check a job and write it down. Raises InputError, which names its position."""
        given = as_job(item, position=self.count)
        try:
            job = self._names.with_key(await self._media.store(given))
            self._check(job)
        except InputError as error:
            error.message = f"Job {self.count}: {error.message}"
            raise
        providers = [job.provider] if job.provider else sorted(self._settings.providers)
        line = json.dumps([job.key, providers, body_of(job)]).encode() + b"\n"
        self._digest.update(line)
        self._file.write(line)
        self.count += 1

    def _check(self, job: Job) -> None:
        if not self._keys.add(job.key or ""):
            raise InputError.of("Two jobs have one key", [InputFault("key", job.key, "must be unique")], key=job.key)
        able = accepting(job, self._providers, storage=self._settings.storage is not None)
        for provider in able if self._is_limited else ():
            spec = provider.spec(job.input)
            if spec.price(job.input) is None and spec.name not in self._settings.prices:
                fault = InputFault("prices", spec.name, "has no published price, which max_cost needs")
                raise InputError.of("A price is unknown", [fault], key=job.key)

    def rows(self) -> Iterator[ChunkedJob]:
        """Yield the jobs with the numbers of their chunks, from the beginning."""
        self._file.seek(0)
        size = max(1, min(_MAX_CHUNK, self.count // _CHUNKS))
        numbers, chunks = count(1), dict[tuple[str, ...], tuple[int, int]]()
        for position, line in enumerate(self._file):
            key, names, body = json.loads(line)
            providers = tuple(names)
            chunk, jobs = chunks.get(providers, (0, size))
            chunk, jobs = (next(numbers), 1) if jobs == size else (chunk, jobs + 1)
            chunks[providers] = chunk, jobs
            yield QueuedJob(number=position, key=key, body=body), chunk, providers


def check_run_name(run: str) -> None:
    """Check the name of a run. Raises InputError."""
    if not 0 < len(run) <= 200 or not run.isprintable() or str(PurePath(run)) != run:
        fault = InputFault(
            "run", run, "must be 1 to 200 printable characters, and no path with a dot or a slash at an end"
        )
        raise InputError.of("Wrong setting", [fault])


_blocking: Final = anyio.to_thread.run_sync
