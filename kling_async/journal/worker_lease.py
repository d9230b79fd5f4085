"""The lease of a worker, which has its name alone, and the workers whose lease has ended. Everything here blocks.

Theory of operation. A worker has a row with a lease, which it renews on the database's clock, and holds a lock of its
connection on its name. A process that is killed loses the lock with its connection at once, so that it can start again
under its name without waiting for its lease; a machine that is gone keeps it, until its lease has ended and the next
worker of the name, or the server, ends the connection. A worker that starts ends the leases that its predecessor has in
the journal: what that was submitting is unconfirmed, and the rest is resumed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, LiteralString

from ..types.errors import JournalError
from .hidden_url import HiddenUrl
from .postgres_session import Session
from .postgres_url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["WorkerLease", "journal_name"]

_CLASS: Final = 0x4B4C5752
"""The class of these locks: "KLWR"."""
_KEEPALIVES: Final[tuple[LiteralString, ...]] = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
"""The server itself finds out within 20 s that a machine is gone; without them it takes two hours."""
_HOLDS: Final[LiteralString] = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = %s AND objid::bigint = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = pg_backend_pid()
"""
_END_STALE: Final[LiteralString] = """
    SELECT pg_terminate_backend(locks.pid) FROM pg_locks AS locks, kling_async.machines AS machines
    WHERE locktype = 'advisory' AND classid::bigint = %s AND objid::bigint = %s AND machines.name = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND machines.expires_at <= clock_timestamp() AND pid <> pg_backend_pid()
"""
_ENTER: Final[LiteralString] = """
    INSERT INTO kling_async.machines (name, expires_at, providers, facts)
    VALUES (%s, clock_timestamp() + make_interval(secs => %s), %s, %s)
    ON CONFLICT (name) DO UPDATE SET id = DEFAULT, expires_at = excluded.expires_at, providers = excluded.providers,
    facts = excluded.facts RETURNING id
"""
_END_PREDECESSOR: Final = "UPDATE kling_async.workers SET expires_at = 'epoch' WHERE name = %s"
_RENEW: Final[LiteralString] = """
    UPDATE kling_async.machines SET expires_at = clock_timestamp() + make_interval(secs => %s)
    WHERE name = %s AND id = %s RETURNING id
"""
_GONE: Final = "SELECT name FROM kling_async.machines WHERE expires_at <= clock_timestamp()"
_FORGET: Final = "DELETE FROM kling_async.machines WHERE name = ANY(%s) AND expires_at <= clock_timestamp()"
_LEAVE: Final = "DELETE FROM kling_async.machines WHERE name = %s AND id = %s"
_FACTS: Final = "SELECT facts FROM kling_async.machines WHERE name = %s"


def journal_name(worker: str) -> str:
    """Return the name under which a worker is known in the journals of its runs."""
    return f"worker {worker}"


class _Entry(Enum):
    NAME_IN_USE = 0
    LOST = 1


class WorkerLease:
    """The lease of one worker. One thread at a time uses it.

    Args:
        url: the database.
        name: the name of the worker.
        providers: those that it has an API key for.
        facts: its process, its machine and its version, for messages.
        lease_seconds: for so long after its last renewal it counts as living.
    """

    def __init__(
        self, url: HiddenUrl, *, name: str, providers: Sequence[str], facts: str, lease_seconds: float
    ) -> None:
        database = DatabaseUrl(url, setting="database")
        self._session = Session(database, name=str(database), patience=lease_seconds / 3)
        self._name = name
        self._providers = list(providers)
        self._facts = facts
        self._lease_seconds = lease_seconds
        self._number = int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big", signed=True)
        self._id = 0

    @property
    def _lock(self) -> tuple[int, int]:
        return _CLASS, self._number

    def acquire(self) -> None:
        """Take the name, and end the leases of a predecessor.

        Raises:
            JournalError: a living worker has the name, or the database cannot be used.
        """
        entered = self._session.run(self._enter, patience=0.0)
        if isinstance(entered, _Entry):
            rows = self._session.run(lambda connection: connection.execute(_FACTS, (self._name,)).fetchall())
            known = "".join(f": {facts}" for [facts] in rows)
            self.close()
            advice = (
                "Nothing was sent. Give each worker a name of its own with --name. If that machine is gone, its name "
                f"is free once its lease has ended, within {self._lease_seconds:g} s."
            )
            raise JournalError(f'A living worker has the name "{self._name}"{known}', advice=advice)
        self._id = entered

    def _enter(self, connection: Connection[TupleRow]) -> int | _Entry:
        for statement in _KEEPALIVES:
            connection.execute(statement)
        if not self._holds(connection):
            connection.execute(_END_STALE, (_CLASS, self._number & 0xFFFFFFFF, self._name))
            if not self._try_lock(connection):
                return _Entry.NAME_IN_USE
        values = (self._name, self._lease_seconds, self._providers, self._facts)
        [id] = connection.execute(_ENTER, values).fetchone() or (0,)
        connection.execute(_END_PREDECESSOR, (journal_name(self._name),))
        return int(id)

    def _holds(self, connection: Connection[TupleRow]) -> bool:
        [count] = connection.execute(_HOLDS, (_CLASS, self._number & 0xFFFFFFFF)).fetchone() or (0,)
        return bool(count)

    def _try_lock(self, connection: Connection[TupleRow]) -> bool:
        # A connection that was just ended needs a moment to release what it holds.
        for _ in range(20):
            [is_held] = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", self._lock).fetchone() or (False,)
            if is_held:
                return True
            connection.execute("SELECT pg_sleep(0.05)")
        return False

    def renew(self) -> list[str]:
        """Renew the lease, and return the names of the workers whose lease has ended.

        Raises:
            JournalError: another worker has the name by now, or the database cannot be used.
        """
        found = self._session.run(self._renewed)
        if isinstance(found, _Entry):
            message = f'The worker "{self._name}" has lost its name: it gave no sign of life, or another one took it'
            raise JournalError(message, advice="Its jobs go on elsewhere. Start it again to take part.")
        return found

    def _renewed(self, connection: Connection[TupleRow]) -> list[str] | _Entry:
        is_held = self._holds(connection) or self._try_lock(connection)
        if not is_held or connection.execute(_RENEW, (self._lease_seconds, self._name, self._id)).fetchone() is None:
            return _Entry.LOST
        return [name for [name] in connection.execute(_GONE).fetchall()]

    def forget(self, names: Sequence[str]) -> None:
        """Remove workers that are gone, whose jobs others have taken over."""
        self._session.run(lambda connection: connection.execute(_FORGET, (list(names),)))

    def cut_off(self) -> None:
        """Give up a server that leaves a transaction without an answer for a whole lease; called in any thread."""
        self._session.cut_off(after=self._lease_seconds)

    def release(self) -> None:
        """Give up the name. Raises JournalError if the database cannot be used; then the lease ends by itself."""
        try:
            self._session.run(lambda connection: connection.execute(_LEAVE, (self._name, self._id)), patience=1.0)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.disconnect()
