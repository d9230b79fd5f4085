"""Plan the jobs of a job file, and run them in a directory, which may have a run already."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final, Protocol

from attrs import evolve, frozen

from ..providers import provider_named
from ..providers.selection import accepting
from ..runs.directory import RunDirectory, in_use_error
from ..runs.job_lines import temporary_lines
from ..runs.jobfile import dump_job
from ..runs.local_files import LocalFiles
from ..runs.targets import Target
from ..runtime.api_keys import ApiKeys, read_key
from ..types.errors import InputError, InputFault, MissingAPIKey
from ..types.formatting import format_count
from ..types.jobs import Job
from .console import ExitCode, echo, escape, print_request, write_result
from .earlier_run import EarlierRun
from .options import Options
from .page_beside import PageBeside
from .plan import RunPlan, open_jobfile, print_over_budget, raise_for_faults
from .plan_table import PlanTable
from .runner import RunMetadata, Runner
from .storage import check_store
from .table_options import NO_TABLE_OPTIONS, TableOptions
from .target_table import TargetCosts

__all__ = ["JobCheck", "JobFile", "check_api_keys", "plan_file", "read_earlier", "run_file"]

_SHOWN: Final = 3
"""Number of requests that a plan shows."""


class JobCheck(Protocol):
    """Finds out whether the jobs of a job file may be run in a directory."""

    def add(self, job: Job, /) -> None:
        """Take a job."""

    def finish(self) -> None:
        """Raise KlingError if the jobs may not be run there."""


@frozen
class JobFile:
    """A job file, as a command was given it.

    Attributes:
        path: its path; `-` is stdin.
        settings: fields of all rows as NAME=VALUE.
        targets: where each row runs; empty if the rows and the options say it.
        table: how a table is to be read, where that cannot be told from it.
    """

    path: str
    settings: Sequence[str] = ()
    targets: Sequence[Target] = ()
    table: TableOptions = NO_TABLE_OPTIONS

    def read(self, plan: RunPlan) -> list[Job]:
        """Return the jobs of a plan; none after a fault."""
        return list(self.stream(plan))

    def stream(self, plan: RunPlan) -> Iterator[Job]:
        """Yield the jobs of a plan one by one; none after a fault."""
        files = LocalFiles(plan.earlier.stored)
        with open_jobfile(self.path, self.settings, targets=self.targets, read=files.read, table=self.table) as rows:
            yield from plan.jobs(rows)

    def options(self, given: Options, stored: object = None) -> Options:
        """Return the options of a run: those given, those stored, and the providers of the targets if all name one.

        They name a provider always, so that a run keeps it whatever keys the environment has later.

        Raises:
            InputError: the stored ones are damaged; no provider is named and several have a key; or two targets are the
                same at the only provider.
        """
        merged = given if stored is None else given.merged_with(stored)
        named = [target.provider for target in self.targets if target.provider]
        if given.provider is not None or len(named) < len(self.targets) or not named:
            _check_targets(self.targets, merged)
            return evolve(merged, provider=merged.providers)
        return evolve(merged, provider=tuple(dict.fromkeys([*(merged.provider or ()), *named])))


def _check_targets(targets: Sequence[Target], options: Options) -> None:
    """Raise InputError if a target without a provider is, at the only provider of the run, the same as another."""
    only, *others = options.providers
    if others:
        return
    placed = [evolve(target, provider=target.provider or only) for target in targets]
    faults = [
        InputFault("on", str(target), f"is the same as {place} in this run")
        for target, place in zip(targets, placed, strict=True)
        if target.provider is None and placed.count(place) > 1
    ]
    if faults:
        raise InputError.of("Invalid targets", faults)


def run_file(
    file: JobFile,
    directory: RunDirectory,
    options: Options,
    *,
    limit: int | None,
    merge: bool,
    check: Callable[[RunPlan], Iterable[JobCheck]],
) -> ExitCode:
    """Run the jobs of a job file in a directory. Each is written down as it is read, and none is kept.

    Args:
        file: the job file.
        directory: stores the results.
        options: those given, which override the stored ones.
        limit: maximum number of jobs.
        merge: whether new rows belong to the run in the directory.
        check: returns what finds out whether the jobs belong to the earlier run.
    """
    with PageBeside(options.serve) as page, directory.owned(), temporary_lines(directory.path) as given:
        with read_earlier(directory, options) as earlier:
            stored = earlier.metadata.get("settings", {}) if earlier.metadata else None
            plan = RunPlan(file.options(options, stored), earlier=earlier, limit=limit)
            costs, is_first, goes_on = TargetCosts(file.targets, plan.options), not earlier, bool(earlier.stored)
            jobs = _checked_jobs(file, plan, costs, list(check(plan)))
            if is_first:
                directory.write_jobs(jobs)
            else:
                given.extend(jobs)
            # Only a limit on the run's own job file leaves out jobs of the run.
            left_out = [*earlier.left_out, *(plan.left_out if merge or not goes_on else [])]
            job_file = earlier.job_file or file.path
        # From here on the journal is no longer open for reading, and jobs.jsonl can be replaced.
        count = plan.summary.jobs
        if not is_first:
            count, left_out = directory.merge_jobs(given, left_out)
        _print_plan(plan, costs)
        if goes_on:
            echo(f"The jobs belong to the run of {escape(job_file)}, which has {format_count(count, 'job')}.")
        metadata = RunMetadata(job_file=job_file, jobs=count, left_out=left_out)
        runner = Runner(directory, plan.options, plan, metadata, directory.jobs() if is_first else given, page=page)
        return runner.run()


def _checked_jobs(file: JobFile, plan: RunPlan, costs: TargetCosts, checks: Sequence[JobCheck]) -> Iterator[Job]:
    """Yield the jobs of a plan. Raises KlingError at the end if they cannot be run, so that they are not stored."""
    for job in file.stream(plan):
        costs.add(job)
        for check in checks:
            check.add(job)
        yield job
    for check in checks:
        check.finish()
    raise_for_faults(plan, file.path)
    check_store(plan.options)
    check_api_keys(plan.providers)


def plan_file(file: JobFile, options: Options, *, limit: int | None) -> ExitCode:
    """Check and price the jobs of a job file, and show the first requests; nothing is sent.

    No job is kept but those that are shown. With `--json` all wait in a temporary file until the last one is found to
    be without a fault.
    """
    plan, kept = RunPlan(file.options(options), limit=limit), list[Job]()
    costs, table = TargetCosts(file.targets, plan.options), PlanTable(plan.options)
    with TemporaryFile("w+", encoding="utf-8", errors="surrogatepass", newline="\n") as lines:
        for job in file.stream(plan):
            if options.json:
                lines.write(f"{dump_job(job)}\n")
            costs.add(job)
            table.add(job)
            if len(kept) < _SHOWN:
                kept.append(job)
        raise_for_faults(plan, file.path, as_json=options.json)
        if options.json:
            _print_plan(plan, costs)
            lines.seek(0)
            for line in lines:
                write_result(line.rstrip("\n"))
            return ExitCode.DONE
    _print_requests(plan, kept)
    table.print()
    _print_plan(plan, costs)
    echo("Nothing was sent.")
    return ExitCode.DONE


def _print_requests(plan: RunPlan, jobs: Sequence[Job]) -> None:
    storage = plan.options.storage is not None
    for job in jobs:
        echo(f"[bold]{escape(job.key or '')}[/]")
        print_request(accepting(job, map(provider_named, plan.options.providers), storage=storage)[0], job.input)
    if plan.summary.jobs > _SHOWN:
        echo(f"[dim]and {plan.summary.jobs - _SHOWN:,} more; --json prints all jobs on stdout[/]")


@contextmanager
def read_earlier(directory: RunDirectory, options: Options) -> Generator[EarlierRun]:
    """Open the earlier runs in a directory for reading. Raises JournalError if its journal is in use."""
    with EarlierRun.open(directory, accept_lost_log=options.accept_lost_log) as earlier:
        if earlier.journal.owner is not None:
            raise in_use_error(directory.path, earlier.journal.owner)
        yield earlier


def check_api_keys(providers: Iterable[str]) -> None:
    """Raise MissingAPIKey or InputError before anything is sent, also for providers that only rows name."""
    missing: list[MissingAPIKey] = []
    for name in sorted(providers):
        try:
            read_key(provider_named(name), ApiKeys())
        except MissingAPIKey as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        faults = [InputFault(error.env, None, f"must be the API key of {error.provider}") for error in missing]
        raise InputError.of(f"No API keys for {len(missing)} providers", faults)


def _print_plan(plan: RunPlan, costs: TargetCosts) -> None:
    costs.print()
    echo(f"{format_count(plan.summary.jobs, 'job')}, expected cost: {escape(str(plan.summary.estimate))}.")
    if plan.edited:
        edited = format_count(plan.edited, "row")
        echo(f"{edited} edited in the directory since: kept as edited; --accept-changed uses the job file's version.")
    print_over_budget(plan)
