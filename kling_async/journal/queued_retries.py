"""Jobs of a run in a database that are run again. Everything here blocks.

Theory of operation. A job is changed in one transaction. The journal gets its next attempt, planned: one submission
uses that up, whatever workers do, and the end of the attempt before is not replayed. The job gets its input, is open
again, and moves into a new chunk, so that neither a worker of the old one, nor an end that is late with it, concerns
it. The number of the new chunk is taken in a transaction before, so that after a lost answer the jobs are found there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ..types.status import JobStatus
from .claims import StoredSubmission
from .postgres_rows import locked_submissions, put_submissions
from .queue_schema import CHUNK_OF, LOCK_RUN, MOVE_JOBS, NEW_CHUNK, OPEN_CHUNK
from .queue_values import RetriedJob
from .queued_runs import QueuedRuns

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["retry_jobs"]

_PAGE: Final = 100
"""Jobs of one transaction, and of one chunk, at most."""


def retry_jobs(runs: QueuedRuns, run: str, jobs: Sequence[RetriedJob]) -> list[str]:
    """Let workers run jobs again that have ended, and return the keys of those of which something has changed since.

    Args:
        runs: the runs of the database.
        run: the name of the run.
        jobs: any number of jobs; each page of them is one transaction.
    """
    by_providers: dict[tuple[str, ...], list[RetriedJob]] = {}
    for job in jobs:
        by_providers.setdefault(job.providers, []).append(job)
    changed = list[str]()
    for providers, same in by_providers.items():
        for start in range(0, len(same), _PAGE):
            page = same[start : start + _PAGE]
            chunk = runs.in_transaction(partial(_new_chunk, run=run, providers=providers))
            moved = runs.in_transaction(partial(_move, run=run, chunk=chunk, jobs=page))
            changed += [job.key for job in page if job.key not in moved]
    return changed


def _new_chunk(connection: Connection[TupleRow], *, run: str, providers: Sequence[str]) -> int:
    connection.execute(LOCK_RUN, (run,))
    [number] = connection.execute(NEW_CHUNK, {"run": run, "providers": list(providers)}).fetchone() or (0,)
    return int(number)


def _move(connection: Connection[TupleRow], *, run: str, chunk: int, jobs: Sequence[RetriedJob]) -> set[str]:
    """Move jobs into a chunk, and return the keys of those that are there: now, or since an earlier try."""
    keys = [job.key for job in jobs]
    stored = locked_submissions(connection, keys, run=run)
    rows = connection.execute(CHUNK_OF, (run, keys)).fetchall()
    there = {key for key, number, _ in rows if number == chunk}
    ended = {key for key, number, status in rows if status is not None and number != chunk}
    moved = [job for job in jobs if job.key in ended and _is_as_before(job, stored[job.key])]
    if moved:
        put_submissions(connection, [(job.planned, None) for job in moved if job.planned is not None], run=run)
        columns = {"run": run, "keys": [job.key for job in moved], "bodies": [job.body for job in moved]}
        connection.execute(MOVE_JOBS, columns | {"chunk": chunk})
        connection.execute(OPEN_CHUNK, (run, chunk))
    return there | {job.key for job in moved}


def _is_as_before(job: RetriedJob, stored: Mapping[int, StoredSubmission]) -> bool:
    """Return whether the newest submission is the one that was looked at, and nothing is under way for it."""
    if not stored or job.newest is None:
        return not stored and job.newest is None
    newest = stored[max(stored)].submission
    same = (newest.attempt, newest.status, newest.decision)
    return same == (job.newest.attempt, job.newest.status, job.newest.decision) and newest.status not in _UNDER_WAY


_UNDER_WAY: Final = (JobStatus.SUBMITTING, JobStatus.RESOLVING, JobStatus.ACCEPTED)
