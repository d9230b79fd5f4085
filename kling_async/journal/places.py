"""The journal at a place: a file, or a database."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from .base import Journal
from .hidden_url import HiddenUrl

__all__ = ["JournalPlace", "hide_url", "journal_at"]

JournalPlace: TypeAlias = str | Path | Journal | HiddenUrl | None


def hide_url(journal: str | Path | Journal | None) -> JournalPlace:
    """Return a setting for a journal, hidden if it is the URL of a database."""
    if isinstance(journal, str) and (hidden := HiddenUrl(journal)).is_of_a_database:
        return hidden
    return journal


def journal_at(place: JournalPlace) -> Journal | None:
    """Return the journal at a place: of a database its run "default".

    Raises:
        InputError: the URL is malformed, or the extra `postgres` is not installed.
    """
    if isinstance(place, HiddenUrl):
        from .postgres import PostgresJournal  # noqa: PLC0415  an extra

        return PostgresJournal(place)
    if isinstance(place, (str, Path)):
        from .sqlite import SqliteJournal  # noqa: PLC0415  a client without a journal needs no SQLite

        return SqliteJournal(place)
    return place
