"""`kling-async runs`: the runs below a folder, or in a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from ..journal.hidden_url import HiddenUrl
from ..runs.directory import RunDirectory
from ..runs.queued_run import totals_of
from ..runs.report.totals import Totals, TotalsCounter
from ..runs.run_rows import RunRows
from ..runs.run_search import find_runs
from ..types.errors import KlingError
from ..types.formatting import format_money
from .console import ExitCode, echo, escape, run, stdout, table_of
from .database import Database, database_given, open_runs
from .json_fields import Choice, JsonFields, check_fields, write_json
from .runner import totals_json

__all__ = ["runs"]

_FIELDS: Final = (
    "run",
    "job_file",
    "running",
    "jobs",
    "statuses",
    "spent",
    "at_risk",
    "unpriced",
    "began_at",
    "ended_at",
    "error",
)
"""The fields of a record; `began_at` and `ended_at` are of the first submission and the last change."""


@frozen(kw_only=True)
class RunFacts:
    """A run in a list.

    Attributes:
        name: its directory, or its name in the database.
        job_file: the job file that it was started with; None if unknown.
        running: what is doing it; None if nothing is.
        totals: the totals of its jobs; None if it cannot be read.
        error: why it cannot be read, or None.
    """

    name: str
    job_file: str | None = None
    running: str | None = None
    totals: Totals | None = None
    error: str | None = None

    @property
    def at(self) -> float:
        """The time of its last change, in Unix seconds; 0 if unknown."""
        return 0.0 if self.totals is None else self.totals.ended_at or self.totals.began_at or 0.0

    def to_json(self) -> dict[str, object]:
        """Return the record of the run."""
        totals, record = self.totals, dict[str, object](dict.fromkeys(_FIELDS))
        record |= {"run": self.name, "job_file": self.job_file, "running": self.running, "error": self.error}
        if totals is not None:
            record |= totals_json(totals)
            record |= {"began_at": _moment(totals.began_at), "ended_at": _moment(totals.ended_at)}
        return record


def runs(folder: Path | None = None, /, *, database: Database = None, json: JsonFields = False) -> int:
    """List all runs below a folder, or in a database: jobs by status, cost and time.

    Args:
        folder: Folder to search. [default: the working directory]
        database: URL of the database whose runs are listed. That of the environment is used if no folder is given and
            the working directory has no run.
        json: Print one JSON object per run, or these FIELDS of it, as in run,spent.
    """
    return run(lambda: _runs(folder, database, json))


def _runs(folder: Path | None, database: str | None, json: Choice) -> ExitCode:
    check_fields(json, _FIELDS)
    below = Path() if folder is None else folder
    found = [] if database else [_in_directory(one) for one in find_runs([below])]
    url = database_given(database) if database or (folder is None and not found) else None
    if url is not None:
        found = list(_in_database(url))
    found.sort(key=lambda one: one.at, reverse=True)
    for one in found if json else ():
        write_json(one.to_json(), json)
    if found and not json:
        _print(found)
    if not found:
        echo("The database has no runs." if url is not None else f'No run below "{escape(str(below))}".')
    return ExitCode.DONE


def _in_directory(directory: RunDirectory) -> RunFacts:
    facts, counter = RunFacts(name=str(directory.path)), TotalsCounter()
    try:
        facts = evolve(facts, job_file=str(directory.read_metadata().get("sheet")))
        with directory.read() as journal:
            for row in RunRows(directory).of(journal):
                counter.add(row)
            return evolve(facts, running=journal.owner, totals=counter.totals())
    except KlingError as error:  # the other runs are listed in any case
        return evolve(facts, error=str(error))


def _in_database(url: HiddenUrl) -> Iterator[RunFacts]:
    with open_runs(url) as stored:
        for name, created_at in stored.names():
            one, counts = stored.get(name), stored.counts(name)
            totals = totals_of(counts, began_at=created_at)
            running = "workers" if counts.chunks.is_open else None
            yield RunFacts(name=name, job_file=one.source, running=running, totals=totals)


def _print(found: Sequence[RunFacts]) -> None:
    table = table_of("run", "jobs", "status", "spent", "changed (UTC)")
    for one in found:
        totals = one.totals
        if totals is None:
            table.add_row(escape(one.name), "", "cannot be read")
            continue
        statuses = ", ".join(f"{count:,} {status}" for status, count in totals.statuses.items())
        spent = f"{format_money(totals.spent)}{'' if not totals.at_risk else f' + {format_money(totals.at_risk)}?'}"
        changed = "running" if one.running else _shown(one.at)
        table.add_row(escape(one.name), f"{totals.jobs:,}", statuses, spent, changed)
    stdout.print(table)
    for one in found:
        if one.error is not None:
            echo(f"[red]{escape(one.name)}[/]: {escape(one.error)}")


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _shown(at: float) -> str:
    return "" if not at else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
