"""Migration of journals from earlier versions, in one transaction, without a change of their contents."""

from __future__ import annotations

import sqlite3

from .schema import SCHEMA, VERSION, WRITE, check_index, check_rows, row_of, submissions_of_version_1
from .seal import SEAL_TABLE

__all__ = ["migrate"]


def migrate(connection: sqlite3.Connection, *, version: int) -> None:
    """Migrate a journal from an earlier version to the present version.

    The version mark changes in the same transaction as the tables: until the commit the file is of the earlier version,
    however the process ends.

    Raises:
        ValueError: it is damaged; it is unchanged.
        sqlite3.Error: it cannot be written; it is unchanged.
    """
    check_index(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 1:
            _add_columns(connection)
        else:
            check_rows(connection)
        connection.execute(SEAL_TABLE)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _add_columns(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE submissions RENAME TO version_1")
    connection.execute(SCHEMA)
    rows = (row_of(one, 0) for one in submissions_of_version_1(connection, table="version_1"))
    connection.executemany(WRITE, rows)
    connection.execute("DROP TABLE version_1")
