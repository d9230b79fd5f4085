"""Run the jobs of a directory, from the first submission to the report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from ..client import Client
from ..journal.sqlite import SqliteJournal
from ..providers import provider_named
from ..runs.directory import RunDirectory
from ..runs.display import show_progress
from ..runs.job_errors import JobErrors
from ..runs.report.totals import Totals
from ..runs.run_results import write_results
from ..runs.run_rows import RunRows
from ..runs.thumbnails import Thumbnails
from ..runtime.batch import Batch
from ..types.errors import BudgetExceeded, KlingError, NotSent
from ..types.formatting import format_count, format_money
from ..types.hash_table import KeySet
from ..types.jobs import Job, Outcome
from ..types.status import JobStatus
from .budget import needed
from .console import ExitCode, echo, escape, exit_code_of, run, stderr
from .dataset import save_dataset
from .learned import LearnedKeeper, read_learned
from .log import logged
from .options import Options
from .outcome_lines import OutcomeLines
from .page_beside import PageBeside
from .plan import RunPlan
from .retry_rest import print_rest
from .storage import as_shown, copy_run
from .target_table import print_comparison

__all__ = ["RunMetadata", "Runner", "format_spending", "print_totals", "totals_json"]

_CAUSES: Final = 5
"""Number of causes of failure that are printed; the report has all."""
_EXIT_PRIORITY: Final = (ExitCode.KEY_OR_BALANCE, ExitCode.LIMITED, ExitCode.FAILED)
"""If several apply, the first of these is the exit code: the one that keeps most jobs from running."""


@frozen(kw_only=True)
class RunMetadata:
    """The facts about a run in run.json, beside its settings and totals.

    Attributes:
        job_file: the job file that the run was started with.
        jobs: number of jobs.
        left_out: keys of the jobs that --limit has left out.
    """

    job_file: str
    jobs: int
    left_out: Sequence[str] = ()


@define
class Runner:
    """Runs jobs of a directory.

    Attributes:
        directory: stores the results.
        options: the options of the run.
        plan: the checked jobs.
        metadata: the run that they belong to.
        jobs: the jobs to run, with their keys.
        retries: whether these are jobs of the run that are run again, and can be read twice.
        page: shows the run, if that is wanted.
    """

    directory: RunDirectory
    options: Options
    plan: RunPlan
    metadata: RunMetadata
    jobs: Iterable[Job]
    retries: bool = False
    page: PageBeside = field(factory=PageBeside)
    began_at: datetime = field(factory=lambda: datetime.now(UTC))
    lines: OutcomeLines = field(init=False)
    errors: JobErrors = field(init=False)
    codes: set[ExitCode] = field(factory=set[ExitCode])
    first_failure: str = ""
    done: KeySet = field(factory=KeySet)
    failed_again: int = 0
    over_budget: bool = False
    started: bool = False
    code: ExitCode = ExitCode.DONE
    thumbnails: Thumbnails = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.thumbnails = Thumbnails(self.directory.path)
        self.errors = JobErrors(self.directory.path)
        self.lines = OutcomeLines(options=self.options, plan=self.plan, began_at=self.began_at)

    def run(self) -> ExitCode:
        """Run the jobs, write the results, and return the exit code."""
        with closing(self.errors):
            self._write_metadata(None)
            self.page.start(self.directory)
            with logged(verbose=self.options.verbose):
                self.code = run(self._run_batch)
            if not self.started:
                return self.code
            self.page.is_kept = self.code is not ExitCode.INTERRUPTED
            written = run(self._write_results)
            return self.code or written or copy_run(self.directory, self.options)

    async def _run_batch(self) -> ExitCode:
        options, summary = self.options, self.plan.summary
        async with (
            self._client() as client,
            client.batch(
                self.jobs,
                provider=options.providers,
                prefer=options.prefer or "least_loaded",
                failover=bool(options.failover),
                journal=SqliteJournal(self.directory.journal, accept_lost_log=options.accept_lost_log),
                save_to=None if options.download is False else options.save_to or self.directory.media,
                provenance=options.provenance,
                max_open=options.max_open,
                max_cost=options.max_cost,
                prices=options.prices,
                wait_timeout=3600.0 if options.timeout is None else options.timeout,
                resubmit_failed=options.retry_failed,
                resubmit_changed=options.accept_changed,
                stop_on_signals=sys.platform != "win32",
            ) as batch,
            show_progress(batch, mode=options.progress, total=summary.jobs, estimate=summary.estimate, console=stderr),
        ):
            self.started, learned = True, LearnedKeeper(self.directory, client)
            try:
                code = await self._collect(batch, learned)
                await self.thumbnails.finish()
                return code
            finally:
                learned.write()

    def _client(self) -> Client:
        options = self.options
        limits = options.limits_of(map(provider_named, sorted(self.plan.providers)))
        timings = read_learned(self.directory)[0]
        return Client(options.providers[0], limits=limits, timings=timings, storage=options.storage)

    def _write_results(self) -> ExitCode:
        rows = RunRows(self.directory, self.errors)
        try:
            summary = write_results(
                self.directory,
                rows,
                title=f"Run of {self.metadata.job_file}",
                settings=self.options.for_report(),
                made_at=datetime.now().astimezone(),
                as_shown=partial(as_shown, self.options, self.thumbnails),
            )
            totals = summary.totals.totals()
            self._write_metadata(totals)
            save_dataset(self.directory, self.options, rows)
        except OSError as error:
            echo(f"[bold red]Cannot write the results[/]: {escape(str(error))}.")
            echo(f"Nothing is lost. Free some space, then: kling-async report {escape(str(self.directory.path))}")
            return ExitCode.FAILED
        print_totals(totals)
        print_comparison(summary.targets.targets())
        for cause in summary.causes.causes()[:_CAUSES]:
            echo(f"  [red]{cause.jobs} x[/] {escape(cause.cause)}")
        self._print_next_steps(totals)
        return ExitCode.DONE

    async def _collect(self, batch: Batch, learned: LearnedKeeper) -> ExitCode:
        try:
            async for outcome in batch:
                self._on_outcome(outcome)
                await learned.write_if_due()
                if self.first_failure and not batch.stopped:
                    echo(f"[yellow]{escape(self.first_failure)} failed; no more jobs are submitted.[/]")
                    batch.stop()
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except KlingError as error:
            echo(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}")
            self._count(error)
            self.over_budget = isinstance(error, BudgetExceeded)
        if batch.stopped and not self.first_failure:
            return ExitCode.INTERRUPTED
        return next((code for code in _EXIT_PRIORITY if code in self.codes), ExitCode.DONE)

    def _on_outcome(self, outcome: Outcome) -> None:
        self.lines.print_outcome(outcome)
        for file in outcome.files:
            if isinstance(file, Path):
                self.thumbnails.start(file)
        error, key = outcome.error, outcome.job.key or ""
        if isinstance(error, NotSent) and error.reason == "stopped":
            return
        self.done.add(key)
        if error is None:
            return
        self.errors.add(key, error)
        self.failed_again += key in self.plan.already_failed
        self._count(error)
        if self.options.fail_fast and key not in self.plan.already_failed:
            self.first_failure = self.first_failure or key
        if not self.lines.is_live:
            echo(f"[red]{escape(key)}[/]: {escape(error.message)}")

    def _count(self, error: KlingError) -> None:
        code = exit_code_of(error)
        # BAD_INPUT means that nothing was sent, which is no longer true.
        self.codes.add(ExitCode.FAILED if code is ExitCode.BAD_INPUT else code)

    def _write_metadata(self, totals: Totals | None) -> None:
        # These names are a contract with the run directories of earlier versions.
        self.directory.write_metadata(
            {
                "sheet": self.metadata.job_file,
                "jobs": self.metadata.jobs,
                "left_out": list(self.metadata.left_out),
                "settings": self.options.to_settings(),
                "estimate": str(self.plan.summary.estimate),
                "began_at": self.began_at.isoformat(timespec="seconds"),
                "ended_at": None if totals is None else datetime.now(UTC).isoformat(timespec="seconds"),
                "exit_code": None if totals is None else int(self.code),
                "totals": None if totals is None else totals_json(totals),
            }
        )

    def _print_next_steps(self, totals: Totals) -> None:
        directory, statuses, flags = escape(str(self.directory.path)), totals.statuses, ""
        echo(f"Report: [bold]{escape(str(self.directory.report))}[/]")
        if unconfirmed := statuses.get(JobStatus.UNCONFIRMED):
            have = "has" if unconfirmed == 1 else "have"
            what = f"{format_count(unconfirmed, 'submission')} {have} an unknown outcome"
            echo(f"{what}. Resolve with: [bold]kling-async unconfirmed {directory}[/]")
        if self.retries:
            print_rest(self.directory, self.options, self.jobs, done=self.done, over_budget=self.over_budget)
        elif self.over_budget:
            budget = needed(self.directory, self.options, done=self.done)
            echo(f"--max-cost stopped the run. {budget}")
            flags = f" {budget.flags}"
        if flags or statuses.get(JobStatus.PLANNED) or statuses.get(JobStatus.ACCEPTED):
            echo(f"Resume with: [bold]kling-async resume {directory}{flags}[/]")
        if self.failed_again:
            jobs = format_count(self.failed_again, "job")
            echo(f"{jobs} failed in an earlier run and stayed failed; --retry-failed retries them (billed again).")


def totals_json(totals: Totals) -> dict[str, object]:
    """Return totals as JSON-serializable values."""
    return {
        "jobs": totals.jobs,
        "statuses": {status.value: count for status, count in totals.statuses.items()},
        "spent": float(totals.spent),
        "at_risk": float(totals.at_risk),
        "unpriced": totals.unpriced,
        "replaced": totals.replaced,
    }


def print_totals(totals: Totals) -> None:
    """Print the totals of a run."""
    counts = ", ".join(f"{count:,} {status}" for status, count in totals.statuses.items())
    echo(f"[bold]{format_count(totals.jobs, 'job')}[/]: {counts}; {format_spending(totals)}.")


def format_spending(totals: Totals) -> str:
    """Write the known cost of a run, its possible cost, and the number of jobs without a price."""
    risk = f", possibly {format_money(totals.at_risk)} more" if totals.at_risk else ""
    unpriced = f", {format_count(totals.unpriced, 'job')} without a price" if totals.unpriced else ""
    return f"{format_money(totals.spent)} spent{risk}{unpriced}"
