"""Runs on many machines: their jobs wait in a PostgreSQL database, and any number of workers takes them.

await machines.enqueue(jobs, database="postgresql://...", run="spring", save_to="s3://bucket/spring")
async for outcome in machines.outcomes(database="postgresql://...", run="spring"):
    ...

`kling-async worker` is the worker. Each job is paid once, whatever happens to the workers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from .journal.hidden_url import HiddenUrl
from .journal.queued_runs import QueuedRuns
from .providers import provider_named
from .providers.selection import Prefer
from .runs.enqueue import EnqueuedRun, enqueue_run
from .runs.queued_run import RunSettings, outcome_of
from .runtime.api_keys import ApiKeys, default_provider
from .runtime.destinations import destination_at
from .runtime.job_source import Jobs
from .runtime.settings import parse_price, positive_float
from .runtime.sidecars import check_mode
from .transport.object_store import check_presign
from .transport.object_urls import is_store_url, is_url
from .types.errors import InputError, InputFault, KlingError
from .types.jobs import Outcome
from .types.provenance import ProvenanceMode

__all__ = ["EnqueuedRun", "enqueue", "outcomes"]

_PAUSE: Final = 0.5
"""Seconds between two looks for further outcomes."""


async def enqueue(
    jobs: Jobs,
    *,
    database: str,
    run: str,
    provider: str | Sequence[str] | None = None,
    max_cost: Decimal | float | None = None,
    save_to: str | Path | None = None,
    storage: str | None = None,
    prices: Mapping[str, Decimal | float] | None = None,
    prefer: Prefer = "least_loaded",
    failover: bool = False,
    provenance: ProvenanceMode | None = None,
    presign: float | None = None,
    wait_timeout: float = 3600.0,
    source: str = "",
) -> EnqueuedRun:
    """Check jobs, and write them into a database, where workers take them; nothing is sent to a provider.

    Nothing is written before every job is checked, and then all of them in one transaction. A run that is there with
    the same jobs goes on, with the settings and the `max_cost` that are given now. Jobs are not held in memory.

    Args:
        jobs: jobs or inputs, from anything that can be iterated over, also asynchronously.
        database: such as "postgresql://user:password@host/database". It needs the extra `postgres`.
        run: names the run in the database; keys are names within a run.
        provider: for jobs that name none; of several, the one that `prefer` says. By default the only one with an API
            key in the environment, as for `Client`. A worker takes only jobs of providers that it has a key for.
        max_cost: US dollars that are never exceeded, over all workers.
        save_to: where workers save the files: a directory, which is on each worker's machine, or a URL such as
            "s3://bucket/prefix". None saves none.
        storage: a bucket of yours, into which local media are put now, such as "s3://bucket/prefix".
        prices: prices of models in US dollars, for those without a published price.
        prefer: of several providers that take a job, the least loaded or the cheapest.
        failover: let a job move on to the next of several providers, as for `Client.batch`.
        provenance: where the provenance of the files goes, as for `Client.batch`.
        presign: seconds for which links of reports to objects are signed, at most 604,800. None signs none.
        wait_timeout: seconds that one job may take.
        source: what the jobs were read from, for messages and the report.

    Raises:
        InputError: a job is wrong or has local media and there is no `storage`, two jobs have one key, the database has
            other jobs under this name, or a setting is wrong; nothing was written.
        JournalError: the database cannot be used.
    """
    url = HiddenUrl(database)
    del database  # a traceback that prints locals must not print it
    settings = RunSettings(
        providers=_providers(provider),
        prefer=prefer,
        failover=failover,
        save_to=_destination(save_to),
        provenance=provenance,
        presign=presign,
        storage=storage,
        prices={model: parse_price(model, price) for model, price in (prices or {}).items()},
        wait_timeout=positive_float("wait_timeout", wait_timeout),
    )
    check_presign(presign, in_store=is_store_url(settings.save_to))
    check_mode(provenance, saves=save_to is not None)
    limit = None if max_cost is None else Decimal(str(positive_float("max_cost", max_cost)))
    return await enqueue_run(jobs, url=url, run=run, settings=settings, max_cost=limit, source=source)


async def outcomes(*, database: str, run: str) -> AsyncGenerator[Outcome]:
    """Yield the outcome of each job of a run as it ends, beginning with those that have; end with the last one.

    It may be called any number of times, also while no worker runs, and waits for as long as workers have something to
    do. Of an outcome, `files` has paths on the machine of the worker that saved them, or URLs.

    Args:
        database: as for `enqueue`.
        run: the name of the run.

    Raises:
        InputError: there is no such run.
        KlingError: workers have stopped the run before its end, such as for `max_cost`.
        JournalError: the database cannot be used.
    """
    runs = QueuedRuns(HiddenUrl(database))
    del database  # a traceback that prints locals must not print it
    try:
        await _blocking(runs.open)
        await _blocking(partial(runs.get, run))
        number = 0
        while True:
            counts = await _blocking(partial(runs.chunks, run))  # first, so that nothing may end between the two
            page = await _blocking(partial(runs.ended_since, run, number))
            attempts = await _blocking(partial(runs.submissions, run, [job.key for job in page]))
            for job in page:
                yield outcome_of(job, attempts.get(job.key, []))
                number = job.number
            if page:
                continue
            if not counts.is_open:
                if counts.held is not None:
                    advice = f"See `kling-async status {run}`; `kling-async resume {run}` goes on."
                    raise KlingError(f"The run {run} is stopped: {counts.held}", advice=advice)
                return
            await anyio.sleep(_PAUSE)
    finally:
        runs.close()


def _providers(given: str | Sequence[str] | None) -> tuple[str, ...]:
    names = (default_provider(ApiKeys()),) if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not names:
        raise InputError.of("Wrong setting", [InputFault("provider", given, "must name at least one")])
    return tuple(dict.fromkeys(provider_named(name).name for name in names))


def _destination(place: str | Path | None) -> str | None:
    """Return where files are saved, as any machine understands it. Raises InputError if the URL is wrong."""
    if place is None:
        return None
    destination_at(place, name="save_to")
    return str(place) if is_url(place) else str(Path(place).expanduser().absolute())


_blocking: Final = anyio.to_thread.run_sync
