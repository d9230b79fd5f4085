"""`kling-async batch`, `plan` and `resume`: run the jobs of a job file in a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..runs.directory import RunDirectory
from .console import ExitCode, run
from .database import Database, database_of, hint_of
from .default_directory import RowCheck, SecondRunCheck, directory_for
from .options import DEFAULTS, Options
from .page_beside import PageBeside
from .plan import RunPlan, raise_for_faults
from .plan_options import PLAN_DEFAULTS, PlanOptions
from .queued_runs import resume_queued
from .quote import quote_file
from .runner import RunMetadata, Runner
from .start import JobCheck, JobFile, check_api_keys, plan_file, read_earlier, run_file
from .storage import Output, RunDirectoryOption, check_store, split_output
from .table_options import NO_TABLE_OPTIONS, TableOptions

__all__ = ["File", "Settings", "batch", "plan", "resume"]

File = Annotated[str, Parameter(allow_leading_hyphen=True)]
Settings = Annotated[tuple[str, ...], Parameter(name=["--set", "-s"], negative="", show_default=False)]


def batch(
    file: File,
    /,
    *,
    output: Output = None,
    run_directory: RunDirectoryOption = None,
    settings: Settings = (),
    limit: int | None = None,
    merge: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    table: TableOptions = NO_TABLE_OPTIONS,
    options: Options = DEFAULTS,
) -> int:
    """Run every job of a job file, and save files, results and a report in a directory.

    Args:
        file: Job file: JSONL, CSV, .xlsx or .ods with one job per row; `-` reads stdin.
        output: Run directory. By default it is named after the job file, `jobs` for jobs.csv, and `out` for stdin. A
            job file inside a run directory, such as failed.jsonl, belongs to that run. Or the URL of an object store
            for the files, such as s3://bucket/prefix.
        run_directory: Run directory where -o is a URL: journal, results and report stay on this machine. By default as
            without -o.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
        limit: Run only the first N jobs.
        merge: Add rows with new keys to the run in the directory; without it such a job file is rejected.
        dry_run: Same as `kling-async plan`.
    """
    if dry_run:
        return run(lambda: plan_file(JobFile(file, settings, table=table), options, limit=limit))

    def command() -> ExitCode:
        chosen, given = split_output(output, run_directory, options)
        directory = RunDirectory(directory_for(file) if chosen is None else chosen)

        def check(plan: RunPlan) -> Iterator[JobCheck]:
            if chosen is None:
                yield SecondRunCheck(file, directory, plan)
            if not merge:
                yield RowCheck(file, directory, plan.earlier)

        return run_file(JobFile(file, settings, table=table), directory, given, limit=limit, merge=merge, check=check)

    return run(command)


def plan(
    file: File,
    /,
    *,
    settings: Settings = (),
    limit: int | None = None,
    quote: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    table: TableOptions = NO_TABLE_OPTIONS,
    options: PlanOptions = PLAN_DEFAULTS,
) -> int:
    """Check and price every job of a job file and show the first requests, without sending anything. Needs no API key.

    Args:
        file: Job file: JSONL, CSV, .xlsx or .ods with one job per row; `-` reads stdin.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
        limit: Plan only the first N jobs.
        quote: Ask the providers for their live prices, where they tell them, and show which prices are live and which
            are from the table. It sends a request for each different job, charges nothing, and needs the API keys.
    """
    if quote:
        return run(lambda: quote_file(JobFile(file, settings, table=table), options.full, limit=limit))
    return run(lambda: plan_file(JobFile(file, settings, table=table), options.full, limit=limit))


def resume(directory: Path, /, *, database: Database = None, options: Options = DEFAULTS) -> int:
    """Resume a run with the settings that it was started with; flags override them.

    Args:
        directory: Run directory, or the name of a run in the database.
        database: URL of the database that has the run, which workers go on with. Of the options only --max-cost is for
            it.
    """
    if (url := database_of(directory, database)) is not None:
        return run(lambda: resume_queued(url, str(directory), options.explicit, hint=hint_of(database)))

    def command() -> ExitCode:
        here = RunDirectory(directory)
        stored = here.read_metadata()
        with PageBeside(options.serve) as page, here.owned():
            with read_earlier(here, options) as earlier:
                plan = RunPlan(options.merged_with(stored.get("settings")), earlier=earlier)
                for _ in plan.jobs(here.read_jobfile()):
                    pass
                left_out = earlier.left_out
            raise_for_faults(plan, str(directory))
            check_store(plan.options)
            check_api_keys(plan.providers)
            metadata = RunMetadata(job_file=str(stored.get("sheet")), jobs=plan.summary.jobs, left_out=left_out)
            return Runner(here, plan.options, plan, metadata, here.jobs(), page=page).run()

    return run(command)
