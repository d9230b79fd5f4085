"""Connections to the file of a journal, and the mark in its header."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .schema import OPEN, VERSION

__all__ = ["DURABILITY", "connection_to", "mark_open", "open_connection"]

DURABILITY: Final[Mapping[str, str]] = {"full": "FULL", "normal": "NORMAL"}
"""SQLite's words for how a commit is flushed."""


def connection_to(path: Path, options: str) -> sqlite3.Connection:
    """Return a connection to a journal's file, with SQLite's options for a URI. Raises ValueError if it is empty."""
    # SQLite would treat an empty file as a new database.
    if path.stat().st_size == 0:
        raise ValueError("it is empty, so it is no journal")
    uri = f"{path.as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)


def open_connection(path: Path, durability: str) -> sqlite3.Connection:
    """Return the connection of its owner, which writes a log that is flushed as its durability says."""
    connection = connection_to(path, "mode=rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {DURABILITY[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS a flush does not reach the disk without it
    except BaseException:
        connection.close()
        raise
    return connection


def mark_open(connection: sqlite3.Connection) -> None:
    """Write the log into the file, and mark in its header that newer entries may be in the log from now on.

    SQLite also opens a file that cannot be written; this detects it before money is spent.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # frees space for the mark on a full disk
    connection.execute(f"PRAGMA user_version = {VERSION | OPEN}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
