"""`kling-async open`: show the report of a run in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from ..runs.directory import RunDirectory
from ..types.errors import InputError
from .console import ExitCode, echo, run, write_result
from .database import Database, database_of
from .queued_runs import report_queued

__all__ = ["open_report"]


def open_report(directory: Path, /, *, database: Database = None) -> int:
    """Open the report of a run in the browser, and print its path on stdout.

    Args:
        directory: Run directory, or the name of a run in the database, whose report is written into a directory of that
            name.
        database: URL of the database that has the run.
    """
    return run(lambda: _open(directory, database))


def _open(directory: Path, database: str | None) -> ExitCode:
    report = RunDirectory(directory).report
    if (url := database_of(directory, database)) is not None:
        report_queued(url, str(directory), None)  # prints the path
    else:
        RunDirectory(directory).read_metadata()
        if not report.is_file():
            advice = f"It is written at the end of the run, and by: kling-async report {directory}"
            raise InputError(f'"{directory}" has no report yet', advice=advice)
        write_result(str(report))
    if webbrowser.open(report.resolve().as_uri()):
        return ExitCode.DONE
    echo("No browser could be opened.")
    return ExitCode.FAILED
