"""The chunks of the runs in a database, as a worker takes, ends and gives them back. Everything here blocks.

Theory of operation. A chunk is waiting until it is given to the queue, then queued, and done when all of its jobs have
ended. What is not done for a reason that lasts is held; anything else is given back, under the number of a further
round, so that whatever is late with an earlier round leaves it alone. A chunk may be taken twice: its jobs are claimed
one by one in the journal. A chunk of a run that was cancelled is held at once, and its worker learns of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from .queue_schema import (
    CANCELLED_RUNS,
    CLOSE,
    JOBS_OF_CHUNK,
    MARK_ENDED,
    MARK_QUEUED,
    NUMBERS_ENDED,
    OPEN_CHUNKS,
    PROVIDERS_NEEDED,
    START,
    WAITING,
)
from .queue_values import Chunk, EndedJob
from .queued_runs import QueuedRuns

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["QueuedChunks", "mark_ended"]

_AT_ONCE: Final = 50
"""Chunks that are given to the queue at once."""


class QueuedChunks:
    """The chunks of all runs of a database. One thread at a time uses it.

    Args:
        runs: the runs.
        worker: the name of the worker.
        providers: those that it has an API key for.
    """

    def __init__(self, runs: QueuedRuns, *, worker: str, providers: Sequence[str]) -> None:
        self._runs = runs
        self._worker = worker
        self._providers = list(providers)

    def waiting(self, *, ahead: int) -> list[Chunk]:
        """Return the next waiting chunks that this worker could take; none while so many are queued already."""

        def reading(connection: Connection[TupleRow]) -> list[Chunk]:
            [queued] = connection.execute(OPEN_CHUNKS, (self._providers,)).fetchone() or (0,)
            room = min(_AT_ONCE, ahead - queued)
            rows = connection.execute(WAITING, (self._providers, room)).fetchall() if room > 0 else []
            return [Chunk(run, number, round, tuple(names), run_id) for run, number, round, names, run_id in rows]

        return self._runs.in_transaction(reading)

    def mark_queued(self, chunks: Sequence[Chunk]) -> None:
        """Write down that chunks are in the queue."""

        def marking(connection: Connection[TupleRow]) -> None:
            for one in chunks:
                connection.execute(MARK_QUEUED, (one.run, one.number, one.round))

        self._runs.in_transaction(marking)

    def take(self, chunk: Chunk) -> list[str] | None:
        """Return the jobs of a chunk that have not ended, as lines of a job file; None if it is not to be done here.

        A later round has it then, or this worker lacks an API key for it and has given it back.
        """

        def taking(connection: Connection[TupleRow]) -> list[str] | None:
            place = (self._worker, chunk.run, chunk.number, chunk.round)
            row = connection.execute(START, place).fetchone()
            if row is None:
                return None
            if not set(row[0]).issubset(self._providers):
                connection.execute(CLOSE, _closing(chunk, None))
                return None
            rows = connection.execute(JOBS_OF_CHUNK, (chunk.run, chunk.number)).fetchall()
            return [body for [body] in rows]

        return self._runs.in_transaction(taking)

    def close(self, chunk: Chunk, *, reason: str | None = None) -> None:
        """Write down that a chunk is done; if jobs of it have not ended, hold it for a reason, or give it back."""
        self._runs.in_transaction(lambda connection: connection.execute(CLOSE, _closing(chunk, reason)))

    def mark_ended(self, run: str, jobs: Sequence[EndedJob]) -> None:
        """Write down that jobs have ended; what is known to have ended stays as it is."""
        self._runs.in_transaction(partial(mark_ended, run=run, jobs=jobs))

    def cancelled(self, chunks: Sequence[Chunk]) -> list[str]:
        """Return the names of the runs that were cancelled while a worker has these chunks of them."""
        places = [one.run for one in chunks], [one.number for one in chunks], [one.round for one in chunks]
        rows = self._runs.in_transaction(lambda connection: connection.execute(CANCELLED_RUNS, places).fetchall())
        return [run for [run] in rows]

    def providers_needed(self) -> dict[tuple[str, ...], int]:
        """Return the number of waiting and queued chunks by the providers of which their worker needs a key."""
        rows = self._runs.in_transaction(lambda connection: connection.execute(PROVIDERS_NEEDED).fetchall())
        return dict(Counter({tuple(providers): count for providers, count in rows}))


def mark_ended(connection: Connection[TupleRow], *, run: str, jobs: Sequence[EndedJob]) -> None:
    """Write down in a transaction that jobs have ended, with the next numbers; what has ended stays as it is."""
    [before] = connection.execute(NUMBERS_ENDED, (len(jobs), run, len(jobs))).fetchone() or (0,)
    values = {
        "before": before,
        "run": run,
        "keys": [one.key for one in jobs],
        "chunks": [one.chunk for one in jobs],
        "statuses": [one.status.value for one in jobs],
        "results": [one.result for one in jobs],
    }
    connection.execute(MARK_ENDED, values)


def _closing(chunk: Chunk, reason: str | None) -> dict[str, object]:
    return {"run": chunk.run, "chunk": chunk.number, "round": chunk.round, "reason": reason}
