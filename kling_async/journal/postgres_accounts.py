"""The accounts that a worker takes part in: their limits, and the number of clients that poll at each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from attrs import define

from ..types.admission import after_rate_change, burst_tolerance
from ..types.formatting import format_rate
from ..types.gate import SharedAccount
from ..types.limits import Limits

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["WorkerAccounts"]

_log = logging.getLogger(__name__)

_PROCESS: Final = uuid4().hex
_ADD: Final = """
    INSERT INTO kling_async.accounts (provider, origin, key_hash) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_FIND: Final = """
    SELECT id, per_second, burst, max_open, set_by, arrival, extract(epoch FROM clock_timestamp())::double precision
    FROM kling_async.accounts WHERE provider = %s AND origin = %s AND key_hash = %s FOR UPDATE
"""
_SET: Final = """
    UPDATE kling_async.accounts SET per_second = %s, burst = %s, max_open = %s, set_by = %s, arrival = %s WHERE id = %s
"""
_JOIN: Final = """
    INSERT INTO kling_async.worker_accounts (worker, account, process) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_WORKERS: Final = """
    SELECT account, count(DISTINCT process) FROM kling_async.worker_accounts JOIN kling_async.workers ON id = worker
    WHERE account = ANY(%s) AND expires_at > clock_timestamp() GROUP BY account
"""


@define
class _Use:
    """How one account is used here.

    Attributes:
        limits: those that are to be set; None leaves them.
        on_workers: is called with each new number of clients.
        number: of the account in the database; None before it is known.
        worker: the worker that has joined it.
        workers: the number of its clients.
    """

    limits: Limits | None
    on_workers: Callable[[int], None]
    number: int | None = None
    worker: int = 0
    workers: int = 1


class WorkerAccounts:
    """The accounts that a client uses. Its methods but `use` are called in the journal's thread."""

    def __init__(self) -> None:
        self._uses: dict[SharedAccount, _Use] = {}

    def use(self, account: SharedAccount, *, limits: Limits | None, on_workers: Callable[[int], None]) -> bool:
        """Use an account from now on, in any thread; return whether that is new."""
        if account in self._uses:
            return False
        self._uses[account] = _Use(limits=limits, on_workers=on_workers)
        return True

    def is_complete(self, worker: int) -> bool:
        """Return whether a worker has joined all of them."""
        return all(use.worker == worker for use in list(self._uses.values()))

    def numbers(self) -> dict[SharedAccount, int]:
        """Return the numbers of those that are joined."""
        return {account: use.number for account, use in list(self._uses.items()) if use.number is not None}

    def join(self, connection: Connection[TupleRow], *, worker: int, name: str) -> None:
        """Let a worker take part in all of them, and set their limits once.

        Args:
            connection: in a transaction.
            worker: the number of the worker.
            name: names its process.
        """
        for account, use in list(self._uses.items()):
            if use.worker != worker:
                place = (account.provider, account.origin, account.key_hash)
                connection.execute(_ADD, place)
                found = connection.execute(_FIND, place).fetchone()
                if found is None:
                    continue
                number, *stored = found
                if use.limits is not None:
                    _set_limits(connection, account, use.limits, stored, number=number, name=name)
                # Clients of one process share its polls; a forked one has its own.
                connection.execute(_JOIN, (worker, number, f"{_PROCESS} {os.getpid()}"))
                use.number = number

    def joined(self, worker: int) -> None:
        """Note that the transaction in which a worker joined is committed: later ones of its client set no limits."""
        for use in list(self._uses.values()):
            if use.number is not None:
                use.worker, use.limits = worker, None

    def count_workers(self, connection: Connection[TupleRow]) -> None:
        """Read how many clients take part in each, and tell what has changed."""
        numbers = [use.number for use in list(self._uses.values()) if use.number is not None]
        if not numbers:
            return
        found: dict[int, int] = dict(connection.execute(_WORKERS, (numbers,)).fetchall())
        for use in list(self._uses.values()):
            workers = max(1, found.get(use.number or 0, 1))
            if workers != use.workers:
                use.workers = workers
                use.on_workers(workers)


def _set_limits(
    connection: Connection[TupleRow],
    account: SharedAccount,
    limits: Limits,
    stored: list[object],
    *,
    number: int,
    name: str,
) -> None:
    """Set the limits of an account, and log where they replace others: the last ones hold for all clients."""
    rate, burst, slots, set_by, arrival, now = stored
    new = (limits.submit_per_second, limits.submit_burst, limits.max_open)
    is_same = (rate, slots) == (new[0], new[2]) and (burst == new[1] or rate is None)
    if set_by is not None and is_same:
        return
    if set_by is not None:
        message = "the limits of %s are now %s for all clients; %s had set %s"
        _log.warning(message, account, _told(*new), set_by, _told(rate, burst, slots))
    interval = 0.0 if limits.submit_per_second is None else 1.0 / limits.submit_per_second
    tolerance = burst_tolerance(interval, burst=limits.submit_burst)
    if isinstance(arrival, float) and isinstance(now, float):
        arrival = after_rate_change(arrival, now=now, interval=interval, tolerance=tolerance)
    connection.execute(_SET, (*new, name, arrival, number))


def _told(rate: object, burst: object, slots: object) -> str:
    speed = format_rate(rate) if isinstance(rate, float | int) else "no rate"
    return f"{speed}, {burst} at once, {'any number of' if slots is None else slots} slots"
