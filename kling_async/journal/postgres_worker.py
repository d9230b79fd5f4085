"""A worker in a PostgreSQL database: its lease, the accounts that it takes part in, and those that are gone.

Theory of operation. A worker is a row with a lease, which each of its transactions renews on the database's clock. A
worker whose lease has ended is removed by another one, in the transaction that releases its submissions; those that it
was sending are interrupted. Both lock its row: it renews its lease, or it is removed, never both. Everything here
blocks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from ..system.clock import elapsed_seconds
from ..types.errors import JournalError
from ..types.gate import SharedAccount
from ..types.limits import Limits
from .gate import Lease
from .permits import Permits
from .postgres_accounts import WorkerAccounts
from .postgres_gate import shorten_slots
from .postgres_rows import put_submissions
from .postgres_schema import DUE, JOIN, LEASE, LEAVE, LEFT, READ, RELEASE, REMOVE_GONE, RENEW, RESUMED
from .postgres_session import Session
from .postgres_url import DatabaseUrl
from .serialization import load_submission

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["PostgresWorker"]

T = TypeVar("T")

_PATIENCE_SHARE: Final = 1 / 3
"""A worker that hears nothing of the database for longer may soon count as gone."""


class PostgresWorker:
    """A worker of one run.

    Args:
        url: the database.
        run: the name of the run.
        lease_seconds: for so long after its last transaction a worker counts as living.
        worker: the name of this one among the others; None is that of its process.

    Attributes:
        name: what messages call the journal.
        permits: the claims that may be used, by this worker's own clock.
        on_left: is called in the journal's thread when submissions of others have no owner any more.
    """

    def __init__(self, url: DatabaseUrl, *, run: str, lease_seconds: float, worker: str | None = None) -> None:
        self.name = f"{url} (run {run})"
        self._run = run
        self._lease_seconds = lease_seconds
        self._session = Session(url, name=self.name, patience=lease_seconds * _PATIENCE_SHARE)
        self._worker = 0
        self._worker_name = worker
        self._is_open = False
        self._accounts = WorkerAccounts()
        self.on_left: Callable[[], None] | None = None
        self.permits = Permits(name=self.name, lease_seconds=lease_seconds)

    def use_account(self, account: SharedAccount, *, limits: Limits | None, on_workers: Callable[[int], None]) -> bool:
        """Take part in an account from now on, in any thread; return whether that is new."""
        return self._accounts.use(account, limits=limits, on_workers=on_workers)

    def _in_work(self, work: Callable[[Connection[TupleRow]], T], *, patience: float | None = None) -> T:
        """Run a transaction that renews the lease first."""
        began = elapsed_seconds()

        def renewed(connection: Connection[TupleRow]) -> T:
            nonlocal began
            began = elapsed_seconds()
            self._renew(connection)
            return work(connection)

        result = self._session.run(renewed, patience=patience)
        self.permits.renewed(began)
        return result

    def _renew(self, connection: Connection[TupleRow]) -> None:
        """Renew the lease; a worker that was removed joins as a new one, which owns nothing of the old one's."""
        if connection.execute(RENEW, (self._lease_seconds, self._worker)).fetchone() is None:
            name = self._own_name()
            [self._worker] = connection.execute(JOIN, (self._run, name, self._lease_seconds)).fetchone() or (0,)
            self.permits.worker = self._worker

    def _own_name(self) -> str:
        return self._worker_name or f"process {os.getpid()} on {socket.gethostname()}"

    def beat(self) -> None:
        """Renew the lease, and remove workers whose lease has ended; a failure is left to the next write."""
        if self._is_open:
            with suppress(JournalError):
                self._join_accounts(patience=0.0)
                is_left = self._in_work(self._look_around, patience=0.0)
                if is_left and self.on_left is not None:
                    self.on_left()

    def _look_around(self, connection: Connection[TupleRow]) -> bool:
        """Remove what is gone, count the clients of each account, and return whether submissions have no owner."""
        self._remove_gone(connection)
        self._accounts.count_workers(connection)
        return connection.execute(f"{LEFT} AND {DUE} AND {RESUMED} LIMIT 1", (self._run,)).fetchone() is not None

    def _join_accounts(self, *, patience: float | None = None) -> None:
        """Take part in the accounts that are new, or all of them as a new worker: in a transaction of its own.

        It locks accounts, which claims lock only after the keys.
        """
        while not self._accounts.is_complete(self._worker):

            def joining(connection: Connection[TupleRow]) -> int:
                self._accounts.join(connection, worker=self._worker, name=self._own_name())
                return self._worker

            self._accounts.joined(self._in_work(joining, patience=patience))

    def cut_off(self) -> None:
        """Give up a server that leaves a transaction without an answer for a whole lease; called in any thread."""
        self._session.cut_off(after=self._lease_seconds)

    def _remove_gone(self, connection: Connection[TupleRow]) -> bool:
        """Remove workers whose lease has ended, and return whether there are any."""
        gone = connection.execute(REMOVE_GONE, (self._run, self._worker)).fetchall()
        self._release(connection, [worker for [worker] in gone])
        return bool(gone)

    def _release(self, connection: Connection[TupleRow], workers: list[int]) -> None:
        """Leave the submissions of workers without an owner; what was being sent was interrupted."""
        if not workers:
            return
        chosen = f"{READ} AND {DUE} AND owner = ANY(%s) AND state = 'sending' FOR UPDATE"
        sending = connection.execute(chosen, (self._run, workers)).fetchall()
        shorten_slots(connection, workers, run=self._run)
        interrupted = [(load_submission(body).interrupted(), None) for [body] in sending]
        put_submissions(connection, interrupted, run=self._run)
        connection.execute(f"{RELEASE} AND {DUE}", (self._run, workers))

    def lease_of(self, key: str) -> Lease | None:
        """Return the lease of the worker that is submitting a job, after those that have ended; None if none is."""

        def reading(connection: Connection[TupleRow]) -> TupleRow | None:
            self._remove_gone(connection)
            return connection.execute(LEASE, (self._run, key)).fetchone()

        found = self._in_work(reading)
        return None if found is None else Lease(owner=found[0], until=found[1])

    def _leave(self, connection: Connection[TupleRow]) -> None:
        connection.execute(LEAVE, (self._worker,))
        self._release(connection, [self._worker])
