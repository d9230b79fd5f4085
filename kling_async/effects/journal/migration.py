"""Journals of earlier versions become journals of this one, in one transaction, and nothing in them changes."""

from __future__ import annotations

import sqlite3

from .layout import SCHEMA, VERSION, WRITE, check_index, row_of, submissions_of_version_1

__all__ = ["migrate"]


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a journal from version 1 to this one.

    The mark of the version changes in the same transaction as the rows: until it is committed the file is of the
    earlier version, whatever ends the process.

    Raises:
        ValueError: it is damaged; it is left as it was.
        sqlite3.Error: it cannot be written; it is left as it was.
    """
    check_index(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("ALTER TABLE submissions RENAME TO version_1")
        connection.execute(SCHEMA)
        rows = (row_of(one, 0) for one in submissions_of_version_1(connection, "version_1"))
        connection.executemany(WRITE, rows)
        connection.execute("DROP TABLE version_1")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
