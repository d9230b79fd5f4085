"""A run in a database that is cancelled, or some of its jobs. Everything here blocks.

Theory of operation. A run is cancelled by holding its chunks: no worker takes them any more, and one that has some
learns of it, submits no more and finishes what is paid for. A single job ends as cancelled while no worker has its
chunk: the row of the chunk is locked meanwhile, and a worker that takes it later reads the jobs that have not ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString

from attrs import evolve

from .postgres_schema import OPEN, READ
from .queue_schema import CHUNK_OF, CHUNKS_OF_WORKERS, HOLD_CHUNKS, LOCK_RUN, SETTLE_CHUNKS
from .queue_values import EndedJob
from .queued_chunks import mark_ended
from .queued_runs import QueuedRuns
from .serialization import load_submission
from .submission import Submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["end_jobs", "hold_run", "open_submissions"]


def hold_run(runs: QueuedRuns, run: str, *, reason: str) -> None:
    """Let no worker take jobs of a run any more, until it is resumed."""
    runs.in_transaction(lambda connection: connection.execute(HOLD_CHUNKS, (reason, run)))


def open_submissions(runs: QueuedRuns, run: str) -> list[Submission]:
    """Return the submissions that are being sent or looked up, or that their provider has accepted."""
    rows = runs.in_transaction(lambda connection: connection.execute(f"{READ} AND {OPEN}", (run,)).fetchall())
    return [load_submission(body) for [body] in rows]


def end_jobs(runs: QueuedRuns, run: str, jobs: Sequence[EndedJob], *, only_unsent: bool) -> list[str]:
    """Write down that jobs have ended, and return the keys of those that have not, or with another status.

    Args:
        runs: the runs of the database.
        run: the name of the run.
        jobs: at most some hundred; the chunk of each is found here.
        only_unsent: leave alone the jobs whose chunk a worker has, and what was submitted.
    """

    def ending(connection: Connection[TupleRow]) -> list[str]:
        keys = [one.key for one in jobs]
        connection.execute(LOCK_RUN, (run,))  # first, as the ends that workers write do
        found = {key: (chunk, status) for key, chunk, status in connection.execute(CHUNK_OF, (run, keys))}
        chunks = {key: chunk for key, (chunk, status) in found.items() if status is None}
        if only_unsent:
            rows = connection.execute(CHUNKS_OF_WORKERS, (run, sorted(set(chunks.values()))))
            with_worker = {chunk for chunk, has_worker in rows if has_worker}
            sent = {key for [key] in connection.execute(_SENT, (run, keys))}
            chunks = {key: chunk for key, chunk in chunks.items() if chunk not in with_worker and key not in sent}
        mark_ended(connection, run=run, jobs=[evolve(one, chunk=chunks[one.key]) for one in jobs if one.key in chunks])
        connection.execute(SETTLE_CHUNKS, (run,))
        # After a lost answer it was done by the first try.
        return [one.key for one in jobs if one.key not in chunks and found[one.key][1] != one.status]

    return runs.in_transaction(ending)


_SENT: Final[LiteralString] = f"SELECT key FROM kling_async.submissions WHERE run = %s AND key = ANY(%s) AND {OPEN}"  # noqa: S608 - of constants
