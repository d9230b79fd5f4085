"""The rows of one run in a PostgreSQL database, written by one of its workers. Everything here blocks.

Theory of operation. A submission with something to do has a worker as its owner. Each write locks the keys that it is
about, reads what is stored, asks `claims` what may be written, and the gate whether a claim is granted, and writes
that, in one transaction: so of several workers one claims a job.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Final, LiteralString

from ..types.errors import JournalError, KlingError
from ..types.status import JobStatus
from .claims import NotOwner, StoredSubmission, is_owned, may_write
from .commits import NO_REFUSALS, Refusals
from .failures import id_of
from .gate import Claim
from .postgres_gate import Admissions, begin_costs, extend_slots, record_changes
from .postgres_rows import locked_submissions, not_owner, put_submissions
from .postgres_schema import DUE, NUMBERS, OPEN, READ, RESUMED, TAKE, TAKEN, TOTAL, prepare_schema
from .postgres_url import DatabaseUrl
from .postgres_worker import PostgresWorker
from .serialization import dump_submission, load_submission, states_of
from .shared_emergency import SharedEmergencyFile
from .submission import Submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["PostgresStore"]

_log = logging.getLogger(__name__)

_CLOSING: Final = 2.0
"""Seconds for which a server that is gone is asked to release a worker; its lease ends by itself."""

_LOOKED_UP: Final = states_of((JobStatus.RESOLVING,))


class PostgresStore(PostgresWorker):
    """The rows of one run.

    Args:
        url: the database.
        run: the name of the run.
        lease_seconds: for so long after its last transaction a worker counts as living.
        worker: the name of this one among the others; None is that of its process.
    """

    def __init__(self, url: DatabaseUrl, *, run: str, lease_seconds: float, worker: str | None = None) -> None:
        super().__init__(url, run=run, lease_seconds=lease_seconds, worker=worker)
        self.errors: tuple[type[Exception], ...] = ()
        self._emergency = SharedEmergencyFile(self.name)

    def open(self) -> None:
        """Prepare the schema, and join the run as a worker.

        Raises:
            JournalError: it is open already, or the database cannot be used.
            ValueError: the schema is of a later version, or the database cannot hold it.
        """
        if self._is_open:
            raise JournalError(f"The journal {self.name} is open already in this process")
        try:
            self._session.run(prepare_schema, patience=0.0)
            self._is_open = True
            self._in_work(self._begin, patience=0.0)
            self._read_emergency()
        except BaseException:
            self.close()
            raise

    def _begin(self, connection: Connection[TupleRow]) -> None:
        begin_costs(connection, run=self._run)
        self._remove_gone(connection)

    def _read_emergency(self) -> None:
        left: list[Submission] = []
        for line in self._emergency.read():
            with suppress(ValueError):  # it was being written when the machine stopped, so nothing relied on it
                left.append(load_submission(line))
        refused = self.write(left)
        unknown = [one for one in left if (one.key, one.attempt) in refused and not self._knows_id(one)]
        for one in unknown:
            message = "the journal has another id than the emergency file, which is kept: provider=%s id=%s key=%s"
            _log.warning(message, one.provider, id_of(one), one.key)
        if not unknown:
            self._emergency.remove()

    def _knows_id(self, submission: Submission) -> bool:
        known = self._read("AND key = %s AND attempt = %s", submission.key, submission.attempt)
        return [id_of(submission)] == [id_of(one) for one in known]

    # Writing.

    def write(self, writes: Sequence[Submission | Claim]) -> Refusals:
        """Write in one transaction, and return the errors of what another worker has, or a limit holds back."""
        if not writes:
            return NO_REFUSALS
        self._join_accounts()

        def writing(connection: Connection[TupleRow]) -> Refusals:
            return self._write(connection, writes)

        refused = self._in_work(writing)
        if not any(isinstance(error, NotOwner) for error in refused.values()):
            return refused
        was_left = self._in_work(self._remove_gone)
        return self._in_work(writing) if was_left else refused

    def _write(self, connection: Connection[TupleRow], writes: Sequence[Submission | Claim]) -> Refusals:
        stored = locked_submissions(connection, {one.key for one in writes}, run=self._run)
        before = {key: dict(attempts) for key, attempts in stored.items()}
        admissions = self._admissions(connection, writes)
        rows: dict[tuple[str, int], tuple[Submission, int | None]] = {}
        refused: dict[tuple[str, int], KlingError] = {}
        for write in writes:
            attempts, at = stored[write.key], (write.key, write.attempt)
            one = write.submission if isinstance(write, Claim) else write
            if not may_write(one, attempts.values(), owner=self._worker):
                refused[at] = not_owner(attempts, worker=self._worker, run=self._run)
            elif (error := self._held(write, attempts, admissions)) is not None:
                refused[at] = error
            else:
                owner = self._worker if is_owned(one) else None
                rows[at], attempts[one.attempt] = (one, owner), StoredSubmission(one, owner)
                if one.status is JobStatus.RESOLVING:
                    self.permits.own(*at)
        if admissions is not None:
            admissions.save()
        put_submissions(connection, rows.values(), run=self._run)
        old = {at: found.submission for at in rows if (found := before[at[0]].get(at[1])) is not None}
        record_changes(connection, [(one, old.get(at)) for at, (one, _) in rows.items()], run=self._run)
        return refused

    def _admissions(self, connection: Connection[TupleRow], writes: Sequence[Submission | Claim]) -> Admissions | None:
        claims = [one for one in writes if isinstance(one, Claim)]
        if not claims:
            return None
        return Admissions(connection, claims, accounts=self._accounts.numbers(), run=self._run)

    def _held(
        self, write: Submission | Claim, attempts: Mapping[int, StoredSubmission], admissions: Admissions | None
    ) -> KlingError | None:
        """Return why a claim is not granted now; None if it is, or was before the answer to its commit was lost."""
        if not isinstance(write, Claim) or admissions is None or _is_sent(attempts.get(write.attempt)):
            return None
        error = admissions.answer(write)
        if error is None:
            self.permits.grant(write, at=admissions.read_at)
        return error

    def write_emergency(self, submission: Submission) -> str:
        """Write a submission to the emergency file, and return its path. Raises JournalError if that fails."""
        return self._emergency.append(dump_submission(submission))

    # Reading.

    def may_have(self, key: str) -> bool:
        """Return True: other workers write as well."""
        return True

    def find(self, key: str) -> Submission | None:
        """Return the newest submission of a job."""
        return next(iter(self._read("AND key = %s ORDER BY attempt DESC LIMIT 1", key)), None)

    def with_states(self, states: Collection[str]) -> list[Submission]:
        """Return the submissions with these states, or all, in the order of their first writing."""
        chosen = "AND state = ANY(%s)" if states else ""
        return self._read(f"{chosen} ORDER BY number", *([list(states)] if states else []))

    def numbered(self, numbers: Sequence[int]) -> list[Submission]:
        """Return the submissions with these numbers, at most some hundred, in their order."""
        return self._read("AND number = ANY(%s) ORDER BY number", list(numbers))

    def take_over(self) -> list[Submission]:
        """Own the accepted and looked up submissions that no living worker has, and return them."""
        return self.numbered(self._taken(OPEN))

    def unfinished(self, *, saving: bool) -> array[int]:
        """Return the numbers of this worker's unfinished submissions, after it took those that no other has."""
        return self._taken(f"({RESUMED} OR unsaved)" if saving else RESUMED)

    def _taken(self, chosen: LiteralString) -> array[int]:
        def taking(connection: Connection[TupleRow]) -> array[int]:
            self._remove_gone(connection)
            self._take(connection, chosen)
            found = connection.execute(f"{NUMBERS} AND {DUE} AND {chosen} ORDER BY number", (self._run, self._worker))
            return array("q", (number for [number] in found))

        return self._in_work(taking)

    def take_left(self) -> list[Submission]:
        """Own the accepted and looked up submissions that no worker has any more, and return these alone."""
        numbers = self._in_work(lambda connection: self._take(connection, RESUMED))
        return self.numbered(numbers)

    def _take(self, connection: Connection[TupleRow], chosen: LiteralString) -> list[int]:
        """Own the submissions that have no owner, and return their numbers."""
        taken = connection.execute(f"{TAKE} AND {DUE} AND {chosen} {TAKEN}", (self._worker, self._run)).fetchall()
        extend_slots(connection, [(key, attempt) for _, key, attempt, _ in taken], run=self._run)
        for _, key, attempt, state in taken:
            if state in _LOOKED_UP:
                self.permits.own(key, attempt)
        return [number for number, _, _, _ in taken]

    def spent(self) -> Decimal:
        """Return the maximum cost of all submissions, in US dollars."""
        [amount] = self._session.run(lambda connection: connection.execute(TOTAL, (self._run,)).fetchone()) or (None,)
        return amount if isinstance(amount, Decimal) else Decimal(0)

    def _read(self, rest: LiteralString, *values: object) -> list[Submission]:
        def reading(connection: Connection[TupleRow]) -> list[TupleRow]:
            return connection.execute(f"{READ} {rest}", (self._run, *values)).fetchall()

        return [load_submission(body) for [body] in self._session.run(reading)]

    def close(self) -> None:
        """Leave the run; closing twice has no effect. What cannot be released is when the lease has ended."""
        is_open, self._is_open = self._is_open, False
        if is_open and self._worker:
            with suppress(JournalError):
                self._session.run(self._leave, patience=_CLOSING)
        self._worker = self.permits.worker = 0
        self._session.disconnect()


def _is_sent(stored: StoredSubmission | None) -> bool:
    return stored is not None and stored.submission.status is JobStatus.SUBMITTING
