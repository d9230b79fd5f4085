"""`kling-async status`, `report` and `unconfirmed`: read a run directory, and resolve unconfirmed submissions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter

from ..journal.base import Journal
from ..journal.hidden_url import HiddenUrl
from ..journal.postgres import PostgresJournal
from ..journal.sqlite import SqliteJournal
from ..journal.submission import Decision, Submission
from ..journal.writer import JournalWriter
from ..providers.codec.fields import parse_id
from ..runs.directory import RunDirectory
from ..runs.jobfile import json_line
from ..runs.report.comparison import TargetCounter
from ..runs.report.totals import TotalsCounter
from ..runs.run_results import write_results
from ..runs.run_rows import RunRows
from ..runs.thumbnails import Thumbnails
from ..system.clock import SystemClock
from ..types.errors import InputError, InputFault
from ..types.formatting import format_money
from ..types.status import JobStatus
from .console import ExitCode, echo, escape, run, stdout, table_of, write_result
from .database import Database, database_of, hint_of, open_runs
from .dataset import save_dataset
from .json_fields import Choice, JsonFields, write_json
from .learned import describe_learned, learned_json, read_learned
from .options import DEFAULTS
from .queued_runs import list_queued, report_queued, show_queued
from .runner import format_spending, print_totals, totals_json
from .storage import as_shown
from .target_table import print_comparison

__all__ = ["report", "status", "unconfirmed"]

AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
Verb: TypeAlias = Literal["attach", "resubmit", "abandon"]

_DECISIONS: Final[dict[Verb, Decision]] = {
    "attach": Decision.ATTACHED,
    "resubmit": Decision.RESUBMITTED,
    "abandon": Decision.ABANDONED,
}


def status(directory: Path | None = None, /, *, database: Database = None, json: JsonFields = False) -> int:
    """Show the status of a run, also while it is running in another process.

    Args:
        directory: Run directory, or the name of a run in the database. It is needed.
        database: URL of the database that has the run.
        json: Print one JSON object, or these FIELDS of it, as in statuses,spent.
    """
    return run(lambda: _status_of(directory, database, json))


def _status_of(given: Path | None, database: str | None, json: Choice) -> ExitCode:
    if given is None and isinstance(json, str):
        given, json = Path(json), True  # as in `status --json RUN`
    if given is None:
        raise InputError.of("No run is named", [InputFault("directory", None, "must be a run directory")])
    if (url := database_of(given, database)) is not None:
        return show_queued(url, str(given), hint=hint_of(database), json=json)
    return _status(given, json)


def _status(directory: Path, json: Choice) -> ExitCode:
    here = RunDirectory(directory)
    metadata, counter, compared = here.read_metadata(), TotalsCounter(), TargetCounter()
    with here.read() as journal:
        owner = journal.owner
        for row in RunRows(here).of(journal):
            counter.add(row)
            compared.add(row)
    totals, (_, limits) = counter.totals(), read_learned(here)
    if json:
        facts = {"job_file": metadata.get("sheet"), "running": owner, "learned": learned_json(limits)}
        write_json({**facts, **totals_json(totals)}, json)
        return ExitCode.DONE
    for name, count in totals.statuses.items():
        write_result(f"{count:>7,}  {name}")
    write_result(f"{totals.jobs:>7,}  jobs of {metadata.get('sheet')}; {format_spending(totals)}")
    if totals.replaced:
        write_result(f"{totals.replaced:>7,}  of these with another input in the place of a refused one")
    print_comparison(compared.targets())
    for line in describe_learned(limits):
        write_result(line)
    echo(f"Running ({escape(owner)})." if owner else "Not running.")
    if totals.statuses.get(JobStatus.UNCONFIRMED):
        echo(f"Resolve the unconfirmed submissions with: kling-async unconfirmed {escape(str(directory))}")
    return ExitCode.DONE


def report(
    directory: Path,
    /,
    *,
    database: Database = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], show_default=False)] = None,
) -> int:
    """Regenerate the report and the results of a run, and print the report's path on stdout.

    Args:
        directory: Run directory, or the name of a run in the database.
        database: URL of the database that has the run.
        output: Directory for the report of a run in the database. [default: the name of the run]
    """
    if (url := database_of(directory, database)) is not None:
        return run(lambda: report_queued(url, str(directory), output))
    return run(lambda: _report(directory, output))


def _report(directory: Path, output: Path | None) -> ExitCode:
    if output is not None:
        fault = InputFault("output", str(output), "is for a run in a database; a run directory has its own report")
        raise InputError.of("Wrong setting", [fault])
    here = RunDirectory(directory)
    metadata = here.read_metadata()
    settings = DEFAULTS.merged_with(metadata.get("settings"))
    rows = RunRows(here)
    summary = write_results(
        here,
        rows,
        title=f"Run of {metadata.get('sheet')}",
        settings=settings.for_report(),
        made_at=datetime.now().astimezone(),
        as_shown=partial(as_shown, settings, Thumbnails(directory)),
    )
    save_dataset(here, settings, rows)
    print_totals(summary.totals.totals())
    print_comparison(summary.targets.targets())
    write_result(str(here.report))
    return ExitCode.DONE


def unconfirmed(
    directory: Path,
    decision: Verb | None = None,
    key: str | None = None,
    id: str | None = None,
    /,
    *,
    database: Database = None,
    json: AsJson = False,
) -> int:
    """List submissions with unknown outcome, or resolve one of them.

    Args:
        directory: Run directory, or the name of a run in the database.
        decision: How to resolve it.
        key: Key of the job.
        id: The provider's id, for attach.
        database: URL of the database that has the run.
        json: Print one JSON object per submission.
    """
    url = database_of(directory, database)
    if decision is None:
        return run(lambda: _list(directory, url, hint=hint_of(database), as_json=json))
    return run(lambda: _resolve(directory, url, decision, key, id, hint=hint_of(database)))


def _list(directory: Path, url: HiddenUrl | None, *, hint: str, as_json: bool) -> ExitCode:
    found = _unconfirmed_in(directory) if url is None else list_queued(url, str(directory))
    if as_json:
        for one in found:
            write_result(json_line(_to_json(one)))
    elif found:
        _print_unconfirmed(found, f"{escape(str(directory))}{hint}")
    if not found:
        echo("Nothing is unconfirmed.")
    return ExitCode.DONE


def _unconfirmed_in(directory: Path) -> list[Submission]:
    here = RunDirectory(directory)
    here.read_metadata()
    with here.read() as journal:
        every = journal.submissions()
        return [one for one in every if one.status is JobStatus.UNCONFIRMED and one.decision is None]


def _print_unconfirmed(found: Sequence[Submission], directory: str) -> None:
    table = table_of("key", "provider", "model", "sent (UTC)", "possible cost")
    for one in found:
        sent_at = "" if one.sent_at is None else f"{datetime.fromtimestamp(one.sent_at, UTC):%Y-%m-%d %H:%M:%S}"
        price = "unknown" if one.price is None else format_money(one.price)
        table.add_row(escape(one.key), one.provider, one.model, sent_at, price)
    stdout.print(table)
    echo("Look for each in the provider's own history, then resolve it:")
    echo(f"  kling-async unconfirmed {directory} attach KEY ID    the provider has it under this id")
    echo(f"  kling-async unconfirmed {directory} resubmit KEY     the provider does not have it; may be billed twice")
    echo(f"  kling-async unconfirmed {directory} abandon KEY      give it up")


def _to_json(submission: Submission) -> dict[str, object]:
    sent_at = submission.sent_at
    return {
        "key": submission.key,
        "provider": submission.provider,
        "model": submission.model,
        "sent_at": None if sent_at is None else datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds"),
        "price": None if submission.price is None else float(submission.price),
        "why": submission.stored_error.message if submission.stored_error is not None else None,
    }


async def _resolve(
    directory: Path, url: HiddenUrl | None, verb: Verb, key: str | None, id: str | None, *, hint: str
) -> ExitCode:
    faults = [] if key is not None else [InputFault("KEY", None, "must be the key of a job")]
    if verb == "attach" and parse_id(id) is None:
        faults.append(InputFault("ID", id, "must be the provider's id"))
    if verb != "attach" and id is not None:
        faults.append(InputFault("ID", id, "is for attach only"))
    if faults or key is None:
        raise InputError.of("Nothing was resolved", faults)
    # The journal alone is enough: a decision is an entry in it and needs neither an API key nor a connection.
    writer, decision = JournalWriter(_journal(directory, url), clock=SystemClock()), _DECISIONS[verb]
    await writer.open()
    try:
        await writer.resolve(key, decision, id=id or "")
    finally:
        await writer.aclose()
    echo(f"{escape(key)} is {decision.value}.")
    if decision is not Decision.ABANDONED:
        echo(f"Apply with: [bold]kling-async resume {escape(str(directory))}{hint}[/]")
    return ExitCode.DONE


def _journal(directory: Path, url: HiddenUrl | None) -> Journal:
    if url is None:
        here = RunDirectory(directory)
        here.read_metadata()
        return SqliteJournal(here.journal)
    with open_runs(url) as runs:
        runs.get(str(directory))
    return PostgresJournal(url, run=str(directory))
