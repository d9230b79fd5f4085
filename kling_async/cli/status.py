"""`kling-async status`, `report` and `unconfirmed`: read a run directory, and resolve unconfirmed submissions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter

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
from .dataset import save_dataset
from .learned import describe_learned, learned_json, read_learned
from .options import DEFAULTS
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


def status(directory: Path, /, *, json: AsJson = False) -> int:
    """Show the status of a run, also while it is running in another process.

    Args:
        directory: Run directory.
        json: Print one JSON object.
    """
    return run(lambda: _status(directory, as_json=json))


def _status(directory: Path, *, as_json: bool) -> ExitCode:
    here = RunDirectory(directory)
    metadata, counter, compared = here.read_metadata(), TotalsCounter(), TargetCounter()
    with here.read() as journal:
        owner = journal.owner
        for row in RunRows(here).of(journal):
            counter.add(row)
            compared.add(row)
    totals, (_, limits) = counter.totals(), read_learned(here)
    if as_json:
        facts = {"job_file": metadata.get("sheet"), "running": owner, "learned": learned_json(limits)}
        write_result(json_line({**facts, **totals_json(totals)}))
        return ExitCode.DONE
    for name, count in totals.statuses.items():
        write_result(f"{count:>7,}  {name}")
    write_result(f"{totals.jobs:>7,}  jobs of {metadata.get('sheet')}; {format_spending(totals)}")
    print_comparison(compared.targets())
    for line in describe_learned(limits):
        write_result(line)
    echo(f"Running ({escape(owner)})." if owner else "Not running.")
    if totals.statuses.get(JobStatus.UNCONFIRMED):
        echo(f"Resolve the unconfirmed submissions with: kling-async unconfirmed {escape(str(directory))}")
    return ExitCode.DONE


def report(directory: Path, /) -> int:
    """Regenerate the report and the results of a run, and print the report's path on stdout.

    Args:
        directory: Run directory.
    """
    return run(lambda: _report(directory))


def _report(directory: Path) -> ExitCode:
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
    json: AsJson = False,
) -> int:
    """List submissions with unknown outcome, or resolve one of them.

    Args:
        directory: Run directory.
        decision: How to resolve it.
        key: Key of the job.
        id: The provider's id, for attach.
        json: Print one JSON object per submission.
    """
    if decision is None:
        return run(lambda: _list(directory, as_json=json))
    return run(lambda: _resolve(directory, decision, key, id))


def _list(directory: Path, *, as_json: bool) -> ExitCode:
    here = RunDirectory(directory)
    here.read_metadata()
    with here.read() as journal:
        every = journal.submissions()
        found = [one for one in every if one.status is JobStatus.UNCONFIRMED and one.decision is None]
    if as_json:
        for one in found:
            write_result(json_line(_to_json(one)))
    elif found:
        _print_unconfirmed(found, escape(str(directory)))
    if not found:
        echo("Nothing is unconfirmed.")
    return ExitCode.DONE


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


async def _resolve(directory: Path, verb: Verb, key: str | None, id: str | None) -> ExitCode:
    faults = [] if key is not None else [InputFault("KEY", None, "must be the key of a job")]
    if verb == "attach" and parse_id(id) is None:
        faults.append(InputFault("ID", id, "must be the provider's id"))
    if verb != "attach" and id is not None:
        faults.append(InputFault("ID", id, "is for attach only"))
    if faults or key is None:
        raise InputError.of("Nothing was resolved", faults)
    here = RunDirectory(directory)
    here.read_metadata()
    # The journal alone is enough: a decision is an entry in it and needs neither an API key nor a connection.
    writer, decision = JournalWriter(SqliteJournal(here.journal), clock=SystemClock()), _DECISIONS[verb]
    await writer.open()
    try:
        await writer.resolve(key, decision, id=id or "")
    finally:
        await writer.aclose()
    echo(f"{escape(key)} is {decision.value}.")
    if decision is not Decision.ABANDONED:
        echo(f"Apply with: [bold]kling-async resume {escape(str(directory))}[/]")
    return ExitCode.DONE
