"""`kling-async batch`, `plan` and `resume`: run the jobs of a job file in a directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..providers import provider_named
from ..providers.selection import accepting
from ..runs.directory import RunDirectory, in_use_error
from ..runs.jobfile import dump_job
from ..runtime.api_keys import ApiKeys, read_key
from ..types.formatting import exact_amount, format_count
from ..types.jobs import Job
from .console import ExitCode, echo, escape, print_request, run, write_result
from .default_directory import check_rows, check_second_run, directory_for
from .earlier_run import EarlierRun
from .options import DEFAULTS, Options
from .plan import RunPlan, open_jobfile, raise_for_faults
from .runner import RunMetadata, Runner

__all__ = ["batch", "plan", "resume"]

File = Annotated[str, Parameter(allow_leading_hyphen=True)]
Settings = Annotated[tuple[str, ...], Parameter(name=["--set", "-s"], negative="", show_default=False)]

_SHOWN: Final = 3
"""Number of requests that a plan shows."""


def batch(
    file: File,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], show_default=False)] = None,
    settings: Settings = (),
    limit: int | None = None,
    merge: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Options = DEFAULTS,
) -> int:
    """Run every job of a job file, and save files, results and a report in a directory.

    Args:
        file: Job file: JSONL or CSV with one job per line; `-` reads stdin.
        output: Run directory. By default it is named after the job file, `jobs` for jobs.csv, and `out` for stdin. A
            job file inside a run directory, such as failed.jsonl, belongs to that run.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
        limit: Run only the first N jobs.
        merge: Add rows with new keys to the run in the directory; without it such a job file is rejected.
        dry_run: Same as `kling-async plan`.
    """
    if dry_run:
        return plan(file, settings=settings, limit=limit, options=options)

    def command() -> ExitCode:
        directory = RunDirectory(directory_for(file) if output is None else output)
        with directory.owned():
            earlier = _earlier(directory, options)
            plan = RunPlan(options.merged_with(earlier.metadata.get("settings", {})), earlier=earlier, limit=limit)
            jobs = _read(plan, file, settings)
            if output is None:
                check_second_run(file, jobs, earlier, directory)
            if not merge:
                check_rows(file, jobs, earlier, directory)
            raise_for_faults(plan, file)
            _check_api_keys(plan.providers)
            metadata = _store_jobs(file, jobs, plan, directory, merge=merge)
            return Runner(directory, plan.options, plan, metadata, jobs).run()

    return run(command)


def plan(file: File, /, *, settings: Settings = (), limit: int | None = None, options: Options = DEFAULTS) -> int:
    """Check and price every job of a job file and show the first requests, without sending anything. Needs no API key.

    Args:
        file: Job file: JSONL or CSV with one job per line; `-` reads stdin.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
        limit: Plan only the first N jobs.
    """

    def command() -> ExitCode:
        plan = RunPlan(options, limit=limit)
        jobs = _read(plan, file, settings)
        raise_for_faults(plan, file)
        _print_plan(plan)
        if options.json:
            for job in jobs:
                write_result(dump_job(job))
            return ExitCode.DONE
        for job in jobs[:_SHOWN]:
            echo(f"[bold]{escape(job.key or '')}[/]")
            print_request(accepting(job, map(provider_named, options.providers))[0], job.input)
        if len(jobs) > _SHOWN:
            echo(f"[dim]and {len(jobs) - _SHOWN:,} more; --json prints all jobs on stdout[/]")
        echo("Nothing was sent.")
        return ExitCode.DONE

    return run(command)


def resume(directory: Path, /, *, options: Options = DEFAULTS) -> int:
    """Resume a run with the settings that it was started with; flags override them.

    Args:
        directory: Run directory.
    """

    def command() -> ExitCode:
        here = RunDirectory(directory)
        stored = here.read_metadata()
        with here.owned():
            earlier = _earlier(here, options)
            plan = RunPlan(options.merged_with(stored.get("settings")), earlier=earlier)
            for _ in plan.jobs(here.read_jobfile()):
                pass
            raise_for_faults(plan, str(directory))
            _check_api_keys(plan.providers)
            metadata = RunMetadata(job_file=str(stored.get("sheet")), jobs=plan.summary.jobs, left_out=earlier.left_out)
            return Runner(here, plan.options, plan, metadata, here.jobs()).run()

    return run(command)


def _earlier(directory: RunDirectory, options: Options) -> EarlierRun:
    """Read the earlier runs in a directory. Raises JournalError if its journal is in use."""
    earlier = EarlierRun.of(directory, accept_lost_log=options.accept_lost_log)
    if earlier.owner is not None:
        raise in_use_error(directory.path, earlier.owner)
    return earlier


def _read(plan: RunPlan, file: str, settings: Iterable[str]) -> list[Job]:
    with open_jobfile(file, settings) as rows:
        return list(plan.jobs(rows))


def _check_api_keys(providers: Iterable[str]) -> None:
    for name in sorted(providers):
        read_key(provider_named(name), ApiKeys())  # before anything is sent, also for providers that only rows name


def _store_jobs(file: str, jobs: Sequence[Job], plan: RunPlan, directory: RunDirectory, *, merge: bool) -> RunMetadata:
    """Store jobs in a run directory, in place of those with the same keys, and print the plan."""
    earlier = plan.earlier
    rows = {**earlier.jobs, **{job.key or "": job for job in jobs}}
    directory.write_jobs(rows.values())
    _print_plan(plan)
    # Only a limit on the run's own job file leaves out jobs of the run.
    left_out = [*earlier.left_out, *(plan.left_out if merge or not earlier.jobs else [])]
    metadata = RunMetadata(
        job_file=earlier.job_file or file, jobs=len(rows), left_out=[key for key in left_out if key not in rows]
    )
    if earlier.jobs:
        echo(f"They belong to the run of {escape(metadata.job_file)}, which has {format_count(len(rows), 'job')}.")
    return metadata


def _print_plan(plan: RunPlan) -> None:
    cost, limit = plan.summary.estimate, plan.options.max_cost
    echo(f"{format_count(plan.summary.jobs, 'job')}, expected cost: {escape(str(cost))}.")
    if plan.edited:
        edited = format_count(plan.edited, "row")
        echo(f"{edited} edited in the directory since: kept as edited; --accept-changed uses the job file's version.")
    if limit is not None and cost.high > limit:
        echo(f"[yellow]This may exceed --max-cost {exact_amount(limit):f}: some jobs may not be submitted.[/]")
