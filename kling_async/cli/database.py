"""`--database`: the database that has the runs of many machines, and a run in it in place of a run directory."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..journal.hidden_url import HiddenUrl
from ..journal.queued_runs import QueuedRuns
from ..runs.directory import RunDirectory
from ..types.errors import InputError, InputFault

__all__ = ["VARIABLE", "Database", "database_given", "database_of", "hint_of", "open_runs", "required_database"]

VARIABLE: Final = "KLING_DATABASE"
_HELP: Final = f"URL of the database that has the run, such as postgresql://user:password@host/name. [env: {VARIABLE}]"
Database = Annotated[str | None, Parameter(show_default=False, help=_HELP)]


def database_given(database: str | None) -> HiddenUrl | None:
    """Return the database of the option or the environment; None without one."""
    url = database or os.environ.get(VARIABLE)
    return HiddenUrl(url) if url else None


def hint_of(database: str | None) -> str:
    """Return what further commands need beside the name of a run, to find the same database."""
    return " --database URL" if database is not None else ""


def required_database(database: str | None) -> HiddenUrl:
    """Return the database of the option or the environment. Raises InputError without one."""
    found = database_given(database)
    if found is None:
        fault = InputFault("database", None, f"must be given as --database URL, or as {VARIABLE} in the environment")
        raise InputError.of("No database is named", [fault])
    return found


def database_of(run: Path, database: str | None) -> HiddenUrl | None:
    """Return the database that has a run; None if a directory has it.

    With the option, it is a run in the database; with the environment alone, only if there is no such run directory.
    """
    if database is None and RunDirectory(run).holds_run:
        return None
    return database_given(database)


@contextmanager
def open_runs(url: HiddenUrl) -> Generator[QueuedRuns]:
    """Open the runs of a database. Raises JournalError if it cannot be used."""
    runs = QueuedRuns(url)
    try:
        runs.open()
        yield runs
    finally:
        runs.close()
