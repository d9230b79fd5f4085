"""`kling-async retry` of a run in a database: its workers run the jobs again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from functools import partial

import anyio.to_thread
from attrs import define, evolve, field

from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import RetriedJob, StoredRun
from ..journal.queued_retries import retry_jobs
from ..journal.queued_runs import QueuedRuns
from ..runs.jobfile import Row, read_jobfile
from ..runs.local_files import LocalFiles
from ..runs.queued_retry import EndedAttempts, attempts_of, failed_jobs, retried_job
from ..runs.queued_run import RunSettings, job_of
from ..runs.results import is_attempt_at
from ..runtime.bucketed_media import BucketedMedia
from ..system.clock import SystemClock
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from .console import ExitCode, echo, escape
from .database import open_runs
from .not_retried import NOT_IN_RUN, SUCCEEDED, raise_for_not_retried, why_not_retried
from .options import DEFAULTS, Options
from .plan import RunPlan, print_over_budget, raise_for_faults
from .queued_runs import print_without_worker, require_only_max_cost

__all__ = ["retry_queued"]


async def retry_queued(
    url: HiddenUrl, name: str, keys: Sequence[str], changes: tuple[str, ...], given: Options, *, hint: str
) -> ExitCode:
    """Let workers run jobs of a run again: those with these keys, or all that failed.

    Args:
        url: the database.
        name: the name of the run.
        keys: the keys of the jobs.
        changes: fields to change in these jobs, as `NAME=VALUE`.
        given: the options of the command.
        hint: what further commands need beside the name of the run.
    """
    require_only_max_cost(given)
    with open_runs(url) as runs:
        run = runs.get(name)
        max_cost = run.max_cost if given.max_cost is None else given.max_cost
        chosen = _Chosen(RunSettings.from_json(run.settings), shown=f"{name}{hint}")
        await anyio.to_thread.run_sync(partial(chosen.add_all, runs, name, keys))
        options = _options_of(chosen.settings)
        plan = RunPlan(evolve(options, max_cost=max_cost, retry_failed=True, accept_changed=True))
        jobs = [job async for job in chosen.jobs(plan, changes)]
        raise_for_faults(plan, name)
        counts = runs.counts(name)
        echo(f"{format_count(plan.summary.jobs, 'job')} to retry, expected cost: {escape(str(plan.summary.estimate))}.")
        print_over_budget(plan, spent=counts.spent + counts.at_risk)
        changed = await anyio.to_thread.run_sync(partial(_write, runs, evolve(run, max_cost=max_cost), jobs))
        machines = runs.machines()
    for key in changed:
        echo(f"[yellow]Not retried[/]: something has changed about {escape(key)} meanwhile.")
    echo(f"Workers run {format_count(len(jobs) - len(changed), 'job')} of the run {escape(name)} again.")
    print_without_worker(machines, hint=hint)
    return ExitCode.FAILED if changed else ExitCode.DONE


def _write(runs: QueuedRuns, run: StoredRun, jobs: Sequence[RetriedJob]) -> list[str]:
    runs.change(run.name, settings=run.settings, max_cost=run.max_cost)
    return retry_jobs(runs, run.name, jobs)


def _options_of(settings: RunSettings) -> Options:
    prices = tuple(f"{model}={price}" for model, price in settings.prices.items())
    return evolve(DEFAULTS, provider=settings.providers, price=prices or None, storage=settings.storage)


@define
class _Chosen:
    """The jobs of a run that are retried.

    Attributes:
        settings: those of the run.
        shown: the run, as commands name it.
        by_key: the jobs.
    """

    settings: RunSettings
    shown: str
    by_key: dict[str, EndedAttempts] = field(factory=dict[str, EndedAttempts])

    def add_all(self, runs: QueuedRuns, run: str, keys: Iterable[str]) -> None:
        """Choose jobs by their keys; without keys all that failed. Raises InputError if one cannot be retried."""
        faults = list[InputFault]()
        for key, found in attempts_of(runs, run, keys):
            problem = NOT_IN_RUN if found is None else self._why_not(found)
            faults.extend([] if problem is None else [InputFault("key", key, problem)])
            if found is not None:
                self.by_key[key] = found
        raise_for_not_retried(faults)
        if self.by_key:
            return
        self.by_key = {found.job.key: found for found in failed_jobs(runs, run)}
        if not self.by_key:
            raise InputError(f'No job of "{run}" failed', advice="Nothing was sent.")

    def _why_not(self, found: EndedAttempts) -> str | None:
        problem = why_not_retried(found.newest, run=self.shown)
        open_now = "has not ended: workers have it, or will take it"
        return problem or (open_now if found.job.result is None else None)

    async def jobs(self, plan: RunPlan, changes: tuple[str, ...]) -> AsyncGenerator[RetriedJob]:
        """Yield the jobs with changed fields. Raises InputError if one has succeeded with the input that it has."""
        media, at = BucketedMedia(self.settings.storage), SystemClock().utc().timestamp()
        faults = list[InputFault]()
        for job in plan.jobs(self._rows(changes)):
            found = self.by_key[job.key or ""]
            media.expect(job_of(found.job.body))
            stored, newest = await media.store(job), found.newest
            if newest is not None and newest.succeeded and is_attempt_at(newest, stored):
                faults.append(InputFault("key", job.key, SUCCEEDED))
            yield retried_job(stored, newest, self.settings, at=at)
        raise_for_not_retried(faults)

    def _rows(self, changes: tuple[str, ...]) -> Iterator[Row]:
        bodies, read = [found.job.body for found in self.by_key.values()], LocalFiles().read
        return read_jobfile(bodies, name="jobs", settings=changes, one_prompt=True, read=read)
