"""Runs whose jobs wait in a PostgreSQL database for workers: written, read and counted. Everything here blocks.

Theory of operation. A run is written in one transaction, so that it is there with all of its jobs or not at all. Jobs
are copied from an iterator and read page by page, so that no run is held in memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar

from ..types.errors import InputError, JournalError
from ..types.status import JobStatus
from .hidden_url import HiddenUrl
from .postgres_schema import prepare_schema
from .postgres_session import Session
from .postgres_url import DatabaseUrl
from .queue_schema import (
    CHANGES,
    CHUNK_STATES,
    COPY_CHUNKS,
    COPY_JOBS,
    COUNT,
    CREATE_RUN,
    ENDED_SINCE,
    FIND_RUN,
    JOB_WITH_KEY,
    JOBS_IN_ORDER,
    MACHINES,
    PROVIDERS_OF_RUN,
    PROVIDERS_THERE,
    RECALL_JOBS,
    REOPEN_CHUNKS,
    RUN_NAMES,
    RUN_TIMES,
    SET_SETTINGS,
    SUBMISSIONS_OF,
    SUBMISSIONS_WITH,
)
from .queue_values import ChunkCounts, Machine, QueueCounts, QueuedJob, StoredRun
from .serialization import load_submission
from .submission import Submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["ChunkedJob", "QueuedRuns"]

T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds for which a server that is gone is looked for; after a crash it is back in a few."""
_PAGE: Final = 200

ChunkedJob = tuple[QueuedJob, int, Sequence[str]]
"""A job, the number of its chunk, and the providers of that."""


class QueuedRuns:
    """The runs of a database. One thread at a time uses it.

    Args:
        url: the database.

    Raises:
        InputError: the URL is malformed, or the extra `postgres` is not installed.
    """

    def __init__(self, url: HiddenUrl) -> None:
        database = DatabaseUrl(url, setting="database")
        self.name = str(database)
        self._session = Session(database, name=self.name, patience=_PATIENCE)

    def open(self) -> None:
        """Connect, and create the schema if it is missing.

        Raises:
            JournalError: the database cannot be reached or used, or its schema is of a later version.
        """
        try:
            self._session.run(prepare_schema, patience=0.0)
        except ValueError as error:
            advice = "Nothing was sent. Install that version of kling-async, or name another database as database."
            raise JournalError(f"The database {self.name} cannot be used: {error}", advice=advice) from error

    def close(self) -> None:
        """Close the connection; closing twice has no effect."""
        self._session.disconnect()

    def in_transaction(self, work: Callable[[Connection[TupleRow]], T]) -> T:
        """Run functions of the connection in one transaction. Raises JournalError if it is not certainly committed."""
        return self._session.run(work)

    # Runs.

    def find(self, run: str) -> StoredRun | None:
        """Return a run; None if there is none of this name."""
        return self.in_transaction(lambda connection: _find(connection, run))

    def get(self, run: str) -> StoredRun:
        """Return a run. Raises InputError, which names the newest ones, if there is none of this name."""
        found = self.find(run)
        if found is not None:
            return found
        rows = self.in_transaction(lambda connection: connection.execute(RUN_NAMES).fetchall())
        names = ", ".join(name for name, _ in rows)
        advice = f"The newest runs there: {names}." if names else "It has no runs: see `kling-async enqueue --help`."
        raise InputError(f'No run "{run}" in the database {self.name}', advice=advice)

    def names(self) -> list[tuple[str, float]]:
        """Return the name of each run and when it was written, in Unix seconds; the newest first."""
        return [(name, float(at)) for name, at in self._rows(RUN_TIMES)]

    def create(self, run: StoredRun, jobs: Callable[[], Iterable[ChunkedJob]]) -> StoredRun | None:
        """Write a run with its jobs; if there is one of this name, change nothing and return it.

        Args:
            run: the run.
            jobs: returns its jobs, again if the connection breaks.
        """

        def writing(connection: Connection[TupleRow]) -> StoredRun | None:
            connection.execute("SET LOCAL statement_timeout = 0")  # a million rows take longer than any other statement
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            values = (run.name, run.source, run.jobs, run.digest, run.settings, run.max_cost)
            if connection.execute(CREATE_RUN, values).fetchone() is None:
                return _find(connection, run.name)
            _copy(connection, run.name, jobs())
            return None

        return self.in_transaction(writing)

    def change(self, run: str, *, settings: str, max_cost: Decimal | None) -> None:
        """Replace the settings of a run, and its limit in US dollars."""
        self.in_transaction(lambda connection: connection.execute(SET_SETTINGS, (settings, max_cost, run)))

    def resume(self, run: str, *, saves: bool) -> int:
        """Let workers take again what was held, or ended without a result; return the number of chunks.

        Args:
            run: the name of the run.
            saves: whether a job without files has no result.
        """

        def resuming(connection: Connection[TupleRow]) -> int:
            connection.execute(RECALL_JOBS, (run, run, run, saves))
            return connection.execute(REOPEN_CHUNKS, (run,)).rowcount

        return self.in_transaction(resuming)

    # Jobs.

    def ended_since(self, run: str, number: int) -> list[QueuedJob]:
        """Return the next jobs that ended, at most some hundred, after that of a number; at first 0."""
        return self._page(ENDED_SINCE, run, number)

    def jobs(self, run: str) -> Iterator[tuple[QueuedJob, list[Submission]]]:
        """Yield the jobs of a run in their order, each with its submissions, the oldest first."""
        position = -1
        while page := self._page(JOBS_IN_ORDER, run, position):
            attempts = self.submissions(run, [job.key for job in page])
            for job in page:
                yield job, attempts.get(job.key, [])
            position = page[-1].number

    def job(self, run: str, key: str) -> QueuedJob | None:
        """Return a job of a run; None if the run has no such job."""
        return next(iter(self._jobs(JOB_WITH_KEY, run, key)), None)

    def key_of(self, run: str, id: str) -> str | None:
        """Return the key of the job that has an id at its provider; None if none has."""
        rows = self._rows(SUBMISSIONS_WITH, run, json.dumps(id)[1:-1])
        every = map(load_submission, (body for [body] in rows))
        return next((one.key for one in every if one.prediction is not None and one.prediction.id == id), None)

    def submissions(self, run: str, keys: Sequence[str]) -> dict[str, list[Submission]]:
        """Return the submissions of some jobs by their keys, the oldest first."""
        found: dict[str, list[Submission]] = {}
        for [body] in self._rows(SUBMISSIONS_OF, run, list(keys)):
            one = load_submission(body)
            found.setdefault(one.key, []).append(one)
        return found

    def unconfirmed(self, run: str) -> list[Submission]:
        """Return the submissions with unknown outcome that nothing was decided about."""
        every = map(load_submission, (body for [body] in self._rows(_UNCONFIRMED, run)))
        return [one for one in every if one.status is JobStatus.UNCONFIRMED and one.decision is None]

    def chunks(self, run: str) -> ChunkCounts:
        """Count the chunks of a run by state."""
        rows = self._rows(CHUNK_STATES, run)
        held = next((reason for state, _, reason in rows if state == "held"), None)
        return ChunkCounts(states={state: count for state, count, _ in rows}, held=held)

    def providers_missing(self, run: str) -> tuple[list[str], set[str]]:
        """Return the providers that a run still needs, and those that any living worker has an API key for."""
        needed = self._rows(PROVIDERS_OF_RUN, run)
        there = self._rows(PROVIDERS_THERE)
        return [name for [name] in needed], {name for [name] in there}

    def machines(self) -> list[Machine]:
        """Return the workers, also those whose lease has ended."""
        return [
            Machine(name=name, providers=tuple(providers), facts=facts, seconds_left=float(left))
            for name, providers, facts, left in self._rows(MACHINES)
        ]

    def changes(self, run: str) -> object:
        """Return a value that is another one after each change of a run's jobs, submissions or chunks."""
        return self._rows(CHANGES, run, run, run)

    def counts(self, run: str) -> QueueCounts:
        """Count the jobs of a run by status, its cost, and its chunks by state."""
        statuses, spent, at_risk, unpriced = Counter[JobStatus](), Decimal(0), Decimal(0), 0
        for ended, state, abandoned, resubmitted, count, paid, free in self._rows(COUNT, run, run):
            status = _status(ended, state, abandoned=bool(abandoned), resubmitted=bool(resubmitted))
            statuses[status] += count
            if status in _AT_RISK:
                at_risk += paid
            else:
                spent += paid
            unpriced += free if status is JobStatus.SUCCEEDED else 0
        return QueueCounts(
            statuses={status: statuses[status] for status in JobStatus if status in statuses},
            spent=spent,
            at_risk=at_risk,
            unpriced=unpriced,
            chunks=self.chunks(run),
        )

    def _page(self, statement: LiteralString, run: str, after: int) -> list[QueuedJob]:
        return self._jobs(statement, run, after, _PAGE)

    def _jobs(self, statement: LiteralString, *values: object) -> list[QueuedJob]:
        rows = self._rows(statement, *values)
        return [QueuedJob(number=number, key=key, body=body, result=result) for number, key, body, result in rows]

    def _rows(self, statement: LiteralString, *values: object) -> list[TupleRow]:
        return self.in_transaction(lambda connection: connection.execute(statement, values).fetchall())


def _find(connection: Connection[TupleRow], run: str) -> StoredRun | None:
    row = connection.execute(FIND_RUN, (run,)).fetchone()
    if row is None:
        return None
    source, jobs, digest, settings, max_cost = row
    return StoredRun(name=run, source=source, jobs=jobs, digest=digest, settings=settings, max_cost=max_cost)


def _copy(connection: Connection[TupleRow], run: str, jobs: Iterable[ChunkedJob]) -> None:
    chunks: dict[int, Sequence[str]] = {}
    with closing(connection.cursor()) as cursor:
        with cursor.copy(COPY_JOBS) as copy:
            for job, chunk, providers in jobs:
                chunks.setdefault(chunk, providers)
                copy.write_row((run, job.number, job.key, chunk, job.body))
        with cursor.copy(COPY_CHUNKS) as copy:
            for chunk, providers in chunks.items():
                copy.write_row((run, chunk, list(providers), "waiting"))


def _status(ended: str | None, state: str | None, *, abandoned: bool, resubmitted: bool) -> JobStatus:
    """Return the status of a job by that at its end and by the state of its newest submission, which may be later."""
    if state == "unconfirmed":
        decided = JobStatus.ABANDONED if abandoned else JobStatus.PLANNED
        return decided if abandoned or resubmitted else JobStatus.UNCONFIRMED
    if ended is not None and state in (None, "ended", "failed", "planned"):
        return JobStatus(ended)
    return _IN_WORK.get(state or "", JobStatus.PLANNED)


_AT_RISK: Final = (JobStatus.SUBMITTING, JobStatus.RESOLVING, JobStatus.UNCONFIRMED, JobStatus.ABANDONED)
_IN_WORK: Final = {
    "sending": JobStatus.SUBMITTING,
    "resolving": JobStatus.RESOLVING,
    "accepted": JobStatus.ACCEPTED,
    "ended": JobStatus.ACCEPTED,  # it has ended, and its files are being saved
    "failed": JobStatus.FAILED,
}
_UNCONFIRMED: Final = (
    "SELECT body FROM kling_async.submissions WHERE run = %s AND state = 'unconfirmed' ORDER BY number"
)
