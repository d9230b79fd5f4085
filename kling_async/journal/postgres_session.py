"""Transactions in a PostgreSQL database, begun anew where the connection or the server fails.

Each transaction here may run twice without harm, so that one whose answer was lost is begun anew like one that failed.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from attrs import frozen

from ..types.errors import JournalError
from .postgres_url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

__all__ = ["Session"]

T = TypeVar("T")

_FIRST_DELAY, _MAX_DELAY = 0.05, 1.0


@frozen
class _Failure:
    error: JournalError
    is_transient: bool


class _Result(Generic[T]):
    """What a transaction has returned: nothing, until it is committed."""

    def __init__(self, value: T) -> None:
        self.value = value


class Session:
    """One connection at a time to a database.

    Args:
        url: the database.
        name: what messages call the journal.
        patience: seconds for which a lost server is looked for by default; after a crash it is back in a few.
    """

    def __init__(self, url: DatabaseUrl, *, name: str, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._name = name
        self._connection: Connection[TupleRow] | None = None
        self._closing = threading.Lock()
        self._began: float | None = None

    def run(self, work: Callable[[Connection[TupleRow]], T], *, patience: float | None = None) -> T:
        """Run functions of the connection in one transaction, and return its result once it is committed.

        Args:
            work: it may run several times; all but the last time nothing of it remains.
            patience: seconds for which it is tried, if not the default.

        Raises:
            JournalError: it is not certain to be committed.
        """
        patience = self._patience if patience is None else patience
        until, delay, is_last = time.monotonic() + patience, _FIRST_DELAY, patience == 0.0
        while True:
            result = self._try(work)
            if isinstance(result, _Result):
                return result.value
            if not result.is_transient or is_last:
                raise result.error
            # The time may be over since this process stood still: that says nothing about the server.
            is_last = time.monotonic() + delay > until
            time.sleep(delay)
            delay = min(2 * delay, _MAX_DELAY)

    def _try(self, work: Callable[[Connection[TupleRow]], T]) -> _Result[T] | _Failure:
        import psycopg  # noqa: PLC0415 - an extra

        try:
            if self._connection is None:
                self._connection = _durable(self._url.connect())
            self._began = time.monotonic()
            with self._connection.transaction():
                value = work(self._connection)
        except JournalError as error:
            return _Failure(error, is_transient=True)
        except psycopg.Error as error:
            is_transient = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            if is_transient:
                self.disconnect()
            # An error of the library is left behind: its frames hold the connection, which knows the password.
            return _Failure(self._told(error), is_transient)
        finally:
            self._began = None
        return _Result(value)

    def _told(self, error: Exception) -> JournalError:
        import psycopg.errors  # noqa: PLC0415 - an extra

        setting = self._url.setting
        advice = _RIGHTS if isinstance(error, psycopg.errors.InsufficientPrivilege) else _ADVICE
        message = f"The {setting} {self._name} cannot be used: {self._url.masked(str(error))}"
        return JournalError(message, advice=advice.format(setting=setting))

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        with self._closing:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(Exception):
                    connection.close()

    def cut_off(self, *, after: float) -> None:
        """Break the connection, in any thread, if its server has left a transaction without an answer for so long.

        The library waits without a limit, and a server that stands still keeps its connections.
        """
        with self._closing:  # or the number of its socket may be that of another one
            connection, began = self._connection, self._began
            if connection is not None and began is not None and time.monotonic() - began > after:
                with suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as peer:
                    peer.shutdown(socket.SHUT_RDWR)


def _durable(connection: Connection[TupleRow]) -> Connection[TupleRow]:
    """Return a connection whose commits survive a power loss, whatever the server's default is."""
    [setting] = connection.execute("SHOW synchronous_commit").fetchone() or ("off",)
    if setting == "off":
        connection.execute("SET synchronous_commit = on")
    return connection


_ADVICE: Final = "Nothing more is submitted. Repair the database of the URL that is given as {setting}, then run again."
_RIGHTS: Final = (
    "Nothing was sent. The user of the URL that is given as {setting} needs the right to create a schema in the "
    "database (GRANT CREATE ON DATABASE ... TO ...) or, where its schema kling_async exists, to use that and its "
    "tables."
)
