"""`kling-async retry`: run jobs of a run again, as they are or edited."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from attrs import evolve, field, frozen
from cyclopts import Parameter

from ..runs.directory import RunDirectory
from ..runs.job_lines import temporary_lines
from ..runs.jobfile import Row, dump_job, read_jobfile
from ..runs.local_files import LocalFiles
from ..runs.results import is_attempt_at
from ..runs.run_rows import FAILED, RunRows
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from ..types.hash_table import KeySet
from ..types.jobs import Job
from .batch import Settings
from .console import ExitCode, echo, escape, run
from .database import Database, database_of, hint_of
from .earlier_run import EarlierRun
from .not_retried import NOT_IN_RUN, SUCCEEDED, raise_for_not_retried, why_not_retried
from .options import DEFAULTS, Options
from .plan import RunPlan, raise_for_faults
from .queued_retry import retry_queued
from .runner import RunMetadata, Runner
from .start import check_api_keys, read_earlier
from .storage import check_store

__all__ = ["retry"]


def retry(
    directory: Path,
    /,
    *keys: Annotated[str, Parameter(negative="", show_default=False)],
    database: Database = None,
    settings: Settings = (),
    options: Options = DEFAULTS,
) -> int:
    """Run jobs of a run again, as they are or edited (billed again).

    Args:
        directory: Run directory, or the name of a run in the database, whose workers run the jobs.
        keys: Keys of the jobs. [default: all that failed]
        database: URL of the database that has the run.
        settings: A field to change in these jobs as NAME=VALUE, such as prompt="a fox". May be repeated.
    """

    def command() -> Awaitable[ExitCode] | ExitCode:
        found = database_of(directory, database)
        if found is not None:
            return retry_queued(found, str(directory), keys, settings, options, hint=hint_of(database))
        return _retry(RunDirectory(directory), keys, settings, options)

    return run(command)


def _retry(here: RunDirectory, keys: Iterable[str], settings: tuple[str, ...], options: Options) -> ExitCode:
    stored = here.read_metadata()
    with here.owned(), temporary_lines(here.path) as given:
        with read_earlier(here, options) as earlier:
            chosen = _Chosen(here, earlier, KeySet())
            chosen.add_all(keys)
            merged = evolve(options, retry_failed=True, accept_changed=True).merged_with(stored.get("settings"))
            plan = RunPlan(merged, earlier=earlier)
            given.extend(chosen.checked(plan.jobs(chosen.rows(settings))))
            raise_for_faults(plan, str(here.path))
            check_store(plan.options)
            check_api_keys(plan.providers)
            left_out = earlier.left_out
        # From here on the journal is no longer open for reading, and jobs.jsonl can be replaced.
        count, left_out = here.merge_jobs(given, left_out)
        echo(f"{format_count(plan.summary.jobs, 'job')} to retry, expected cost: {escape(str(plan.summary.estimate))}.")
        metadata = RunMetadata(job_file=str(stored.get("sheet")), jobs=count, left_out=left_out)
        return Runner(here, plan.options, plan, metadata, given, retries=True).run()


@frozen
class _Chosen:
    """The jobs of a run that are retried.

    Attributes:
        directory: that of the run.
        earlier: the run.
        keys: the keys of the jobs.
        faults: why some cannot be retried.
    """

    directory: RunDirectory
    earlier: EarlierRun
    keys: KeySet
    faults: list[InputFault] = field(factory=list[InputFault])

    def add_all(self, keys: Iterable[str]) -> None:
        """Choose jobs by their keys; without keys all that failed. Raises InputError if one cannot be retried."""
        for key in keys:
            self.keys.add(key)
            is_there = self.earlier.stored.number_of(key) is not None
            newest, place = self.earlier.newest(key), str(self.directory.path)
            problem = why_not_retried(newest, run=place) if is_there else NOT_IN_RUN
            self.faults.extend([] if problem is None else [InputFault("key", key, problem)])
        raise_for_not_retried(self.faults)
        if self.keys:
            return
        for row in RunRows(self.directory).of(self.earlier.journal):
            if row.status in FAILED and self.earlier.stored.number_of(row.key) is not None:
                self.keys.add(row.key)
        if not self.keys:
            raise InputError(f'No job of "{self.directory.path}" failed', advice="Nothing was sent.")

    def rows(self, settings: tuple[str, ...]) -> Iterable[Row]:
        """Read the stored jobs with these keys, with settings in place of their own fields."""
        read = LocalFiles(self.earlier.stored).read
        lines, folder = self._lines(), self.directory.path
        return read_jobfile(lines, name="jobs.jsonl", settings=settings, one_prompt=True, folder=folder, read=read)

    def checked(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield jobs. Raises InputError at the end if one has succeeded with the input that it has."""
        for job in jobs:
            newest = self.earlier.newest(job.key)
            if newest is not None and newest.succeeded and is_attempt_at(newest, job):
                self.faults.append(InputFault("key", job.key, SUCCEEDED))
            yield job
        raise_for_not_retried(self.faults)

    def _lines(self) -> Iterator[str]:
        # A blank line in place of each other job keeps the numbers of the lines in faults.
        for job in self.directory.jobs():
            yield f"{dump_job(job)}\n" if job.key in self.keys else "\n"
