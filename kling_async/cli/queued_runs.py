"""`status`, `report`, `unconfirmed` and `resume` of a run that workers on many machines do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from attrs import evolve

from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import Machine, QueueCounts, StoredRun
from ..journal.submission import Submission
from ..providers import PROVIDERS
from ..runs.directory import RunDirectory
from ..runs.queued_rows import QueuedRows, files_from
from ..runs.queued_run import RunSettings, job_of
from ..runs.report import ReportRow
from ..runs.run_results import write_results
from ..runs.thumbnails import Thumbnails
from ..transport.object_urls import is_store_url
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count, format_money
from ..types.status import JobStatus
from .console import ExitCode, echo, escape, write_result
from .database import open_runs
from .json_fields import Choice, write_json
from .options import DEFAULTS, Options
from .runner import print_totals
from .storage import as_shown

__all__ = [
    "find_queued",
    "list_queued",
    "print_without_worker",
    "report_queued",
    "require_only_max_cost",
    "resume_queued",
    "show_queued",
    "shown_options",
]


def show_queued(url: HiddenUrl, name: str, *, hint: str, json: Choice) -> ExitCode:
    """Show the status of a run in a database; `hint` is what further commands need beside its name."""
    with open_runs(url) as runs:
        run, counts, machines = runs.get(name), runs.counts(name), runs.machines()
        needed, there = runs.providers_missing(name)
    missing = [provider for provider in needed if provider not in there]
    if json:
        write_json(_status_json(run, counts, machines, missing), json)
        return ExitCode.DONE
    for status, count in counts.statuses.items():
        write_result(f"{count:>7,}  {status.value}")
    limit = f" of at most {format_money(run.max_cost)}" if run.max_cost is not None else ""
    risk = f", possibly {format_money(counts.at_risk)} more" if counts.at_risk else ""
    unpriced = f", {format_count(counts.unpriced, 'job')} without a price" if counts.unpriced else ""
    write_result(f"{run.jobs:>7,}  jobs of {run.source}; {format_money(counts.spent)} spent{limit}{risk}{unpriced}")
    _print_state(run, counts, machines, missing, hint=hint)
    return ExitCode.DONE


def _print_state(
    run: StoredRun, counts: QueueCounts, machines: Sequence[Machine], missing: Sequence[str], *, hint: str
) -> None:
    if not counts.chunks.is_open:
        echo("Not running: nothing is left for a worker to do.")
    elif living := [one for one in machines if one.is_living]:
        echo(f"Living workers: {', '.join(escape(one.name) for one in living)}.")
    else:
        print_without_worker(machines, hint=hint)
    if counts.chunks.is_open and missing:
        variables = ", ".join(PROVIDERS[name].api_key_env for name in missing if name in PROVIDERS)
        echo(f"[yellow]No living worker has an API key for {', '.join(missing)}[/]: set {variables} for one of them.")
    if counts.chunks.held is not None:
        held = format_count(counts.chunks.states["held"], "chunk")
        echo(f"[yellow]{held} held[/]: {escape(counts.chunks.held)}")
        echo(f"Go on with: kling-async resume {escape(run.name)}{hint}")
    if counts.statuses.get(JobStatus.FAILED) and not counts.chunks.is_open:
        echo(f"Retry what failed (billed again) with: kling-async retry {escape(run.name)}{hint}")
    if counts.statuses.get(JobStatus.UNCONFIRMED):
        echo(f"Resolve the unconfirmed submissions with: kling-async unconfirmed {escape(run.name)}{hint}")


def _status_json(
    run: StoredRun, counts: QueueCounts, machines: Sequence[Machine], missing: Sequence[str]
) -> dict[str, object]:
    return {
        "run": run.name,
        "job_file": run.source,
        "jobs": run.jobs,
        "statuses": {status.value: count for status, count in counts.statuses.items()},
        "spent": float(counts.spent),
        "max_cost": None if run.max_cost is None else float(run.max_cost),
        "at_risk": float(counts.at_risk),
        "unpriced": counts.unpriced,
        "running": counts.chunks.is_open,
        "held": counts.chunks.held,
        "workers": [one.name for one in machines if one.is_living],
        "missing_keys": list(missing),
    }


def report_queued(url: HiddenUrl, name: str, output: Path | None) -> ExitCode:
    """Write the report and the results of a run in a database into a directory, and print the report's path."""
    directory = RunDirectory(output or Path(name))
    if directory.holds_run:
        fault = InputFault("output", str(directory.path), "has a run of its own: name another directory with -o")
        raise InputError.of("The report cannot be written there", [fault])
    with open_runs(url) as runs:
        run = runs.get(name)
        settings = RunSettings.from_json(run.settings)
        directory.path.mkdir(parents=True, exist_ok=True)
        directory.write_jobs(job_of(job.body) for job, _ in runs.jobs(name))
        summary = write_results(
            directory,
            QueuedRows(runs, name, settings, files_from(settings, directory.path)),
            title=f"Run {name} of {run.source}",
            settings=settings.for_report(),
            made_at=datetime.now().astimezone(),
            as_shown=partial(as_shown, shown_options(settings), Thumbnails(directory.path)),
        )
    print_totals(summary.totals.totals())
    write_result(str(directory.report))
    return ExitCode.DONE


def shown_options(settings: RunSettings) -> Options:
    """Return the options by which the rows of a run are shown."""
    store = settings.save_to if is_store_url(settings.save_to) else None
    return evolve(DEFAULTS, save_to=store, presign=settings.presign)


def find_queued(url: HiddenUrl, name: str, text: str) -> tuple[ReportRow, list[Submission]] | None:
    """Return the row of a job of a run in a database, by its key or its id, and its submissions; None without one."""
    with open_runs(url) as runs:
        settings = RunSettings.from_json(runs.get(name).settings)
        key = text if runs.job(name, text) is not None else runs.key_of(name, text)
        job = None if key is None else runs.job(name, key)
        if job is None:
            return None
        attempts = runs.submissions(name, [job.key]).get(job.key, [])
        return QueuedRows(runs, name, settings, files_from(settings, Path())).row(job, attempts), attempts


def list_queued(url: HiddenUrl, name: str) -> list[Submission]:
    """Return the submissions with unknown outcome of a run in a database."""
    with open_runs(url) as runs:
        runs.get(name)
        return runs.unconfirmed(name)


def resume_queued(url: HiddenUrl, name: str, given: Options, *, hint: str) -> ExitCode:
    """Let workers go on with a run in a database: with what is held, undecided before, or without its files."""
    require_only_max_cost(given)
    with open_runs(url) as runs:
        run = runs.get(name)
        if given.max_cost is not None:
            runs.change(name, settings=run.settings, max_cost=given.max_cost)
        chunks = runs.resume(name, saves=RunSettings.from_json(run.settings).save_to is not None)
        is_open, machines = runs.chunks(name).is_open, runs.machines()
    if chunks:
        echo(f"Workers go on with {format_count(chunks, 'chunk')} of the run {escape(name)}.")
    else:
        echo("All that is left waits for workers, or is with one, already." if is_open else "Nothing is left to do.")
    if is_open:
        print_without_worker(machines, hint=hint)
    return ExitCode.DONE


def require_only_max_cost(given: Options) -> None:
    """Raise InputError if an option is given that a run in a database does not take."""
    others = [option for option in given.to_settings() if option != "max_cost"]
    flags = [option for option in ("retry_failed", "accept_changed", "accept_lost_log") if getattr(given, option)]
    if others or flags:
        faults = [InputFault(option.replace("_", "-"), None, "is for a run directory") for option in others + flags]
        raise InputError.of(
            "The run is in a database", faults, advice="Settings of it are those of kling-async enqueue."
        )


def print_without_worker(machines: Sequence[Machine], *, hint: str) -> None:
    """Print how to start a worker, if none is living; `hint` is what commands need beside the name of a run."""
    if not any(one.is_living for one in machines):
        echo(f"No worker is living. Start one with: kling-async worker{hint} --name NAME")
