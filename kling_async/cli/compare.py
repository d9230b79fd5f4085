"""`kling-async compare`: run every row of a job file at several providers or models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..runs.directory import RunDirectory
from ..runs.jobfile.comparison import ROW
from ..runs.targets import parse_targets
from ..types.jobs import Job
from .batch import File, Settings
from .console import ExitCode, run
from .default_directory import check_rows
from .earlier_run import EarlierRun
from .options import DEFAULTS, Options
from .plan import RunPlan
from .start import JobFile, plan_file, run_file
from .storage import Output, RunDirectoryOption, split_output

__all__ = ["compare"]


def compare(
    file: File,
    /,
    *,
    on: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    output: Output = None,
    run_directory: RunDirectoryOption = None,
    settings: Settings = (),
    limit: int | None = None,
    merge: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Options = DEFAULTS,
) -> int:
    """Run every row of a job file at several providers or models, and compare price, time and failures.

    Args:
        file: Job file: JSONL or CSV with one job per line; `-` reads stdin.
        on: Where to run: PROVIDER:MODEL, PROVIDER with the row's or its default model, or :MODEL at the row's or the
            run's provider. Repeat for each column of the comparison.
        output: Run directory. By default it is named after the job file, `jobs-compare` for jobs.csv, and `compare` for
            stdin. Or the URL of an object store for the files, such as s3://bucket/prefix.
        run_directory: Run directory where -o is a URL: journal, results and report stay on this machine. By default as
            without -o.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
        limit: Run only the first N rows, each at every target.
        merge: Add new rows to the comparison in the directory; new targets need no flag.
        dry_run: Check and price every job and show the first requests, without sending anything.
    """

    def command() -> ExitCode:
        targets = parse_targets(on)
        jobs = None if limit is None else limit * len(targets)
        source = JobFile(file, settings, targets)
        if dry_run:
            return plan_file(source, options, limit=jobs)
        chosen, given = split_output(output, run_directory, options)
        directory = RunDirectory(_directory_for(file) if chosen is None else chosen)

        def check(found: Sequence[Job], plan: RunPlan) -> None:
            if not merge:
                check_rows(file, _in_other_rows(found, plan.earlier), plan.earlier, directory)

        return run_file(source, directory, given, limit=jobs, merge=merge, check=check)

    return run(command)


def _directory_for(file: str) -> Path:
    return Path("compare" if file == "-" else f"{Path(file).stem}-compare")


def _in_other_rows(jobs: Sequence[Job], earlier: EarlierRun) -> list[Job]:
    """Return the jobs of rows that the run does not have at any target: another target belongs to the run."""
    keys = earlier.keys()
    rows = {job.labels.get(ROW) for job in (*earlier.jobs.values(), *jobs) if job.key in keys}
    return [job for job in jobs if job.labels[ROW] not in rows]
