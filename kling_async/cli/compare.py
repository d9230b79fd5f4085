"""`kling-async compare`: run every row of a job file at several providers or models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..runs.directory import RunDirectory
from ..runs.jobfile.comparison import ROW
from ..runs.targets import parse_targets
from ..types.hash_table import KeySet
from ..types.jobs import Job
from .batch import File, Settings
from .console import ExitCode, run
from .default_directory import RowCheck
from .options import DEFAULTS, Options
from .plan import RunPlan
from .start import JobCheck, JobFile, plan_file, run_file
from .storage import Output, RunDirectoryOption, split_output
from .table_options import NO_TABLE_OPTIONS, TableOptions

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
    table: TableOptions = NO_TABLE_OPTIONS,
    options: Options = DEFAULTS,
) -> int:
    """Run every row of a job file at several providers or models, and compare price, time and failures.

    Args:
        file: Job file: JSONL, CSV, .xlsx or .ods with one job per row; `-` reads stdin.
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
        source = JobFile(file, settings, targets, table)
        if dry_run:
            return plan_file(source, options, limit=jobs)
        chosen, given = split_output(output, run_directory, options)
        directory = RunDirectory(_directory_for(file) if chosen is None else chosen)

        def check(plan: RunPlan) -> Iterable[JobCheck]:
            if not merge and plan.earlier.stored:
                yield _OtherRows(RowCheck(file, directory, plan.earlier))

        return run_file(source, directory, given, limit=jobs, merge=merge, check=check)

    return run(command)


def _directory_for(file: str) -> Path:
    return Path("compare" if file == "-" else f"{Path(file).stem}-compare")


class _OtherRows:
    """Checks the jobs of rows that the run does not have at any target: another target belongs to the run."""

    def __init__(self, check: RowCheck) -> None:
        self._check = check
        self._rows = KeySet()
        for job in check.earlier.stored:
            self._rows.add(job.labels.get(ROW, ""))
        self._row: str | None = None
        self._jobs: list[Job] = []

    def add(self, job: Job) -> None:
        """Check a job; those of a row follow each other."""
        if job.labels[ROW] != self._row:
            self._end_row()
            self._row = job.labels[ROW]
        self._jobs.append(job)

    def finish(self) -> None:
        """Raise InputError if a row is not in the run."""
        self._end_row()
        self._check.finish()

    def _end_row(self) -> None:
        jobs, self._jobs = self._jobs, []
        if self._row in self._rows or any(self._check.earlier.has_key(job.key or "") for job in jobs):
            return
        for job in jobs:
            self._check.add(job)
