"""Jobs of a run in a database that are run again: what is chosen, and what is stored of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from ..journal.queue_values import QueuedJob, RetriedJob
from ..journal.queued_runs import QueuedRuns
from ..journal.submission import Submission, new_submission
from ..providers.selection import resolved
from ..types.jobs import Job
from ..types.status import JobStatus, status_of
from .queued_run import RunSettings, body_of, outcome_of
from .run_rows import FAILED

__all__ = ["EndedAttempts", "attempts_of", "failed_jobs", "retried_job"]


@frozen(kw_only=True)
class EndedAttempts:
    """A job of a run, and its newest submission.

    Attributes:
        job: the job, as its row has it.
        newest: its newest submission; None without one.
    """

    job: QueuedJob
    newest: Submission | None


def attempts_of(runs: QueuedRuns, run: str, keys: Iterable[str]) -> Iterator[tuple[str, EndedAttempts | None]]:
    """Yield the jobs with these keys; None for a key that the run does not have."""
    for key in keys:
        job = runs.job(run, key)
        attempts = [] if job is None else runs.submissions(run, [key]).get(key, [])
        yield key, None if job is None else EndedAttempts(job=job, newest=_newest(attempts))


def failed_jobs(runs: QueuedRuns, run: str) -> Iterator[EndedAttempts]:
    """Yield the jobs that have ended as failed, cancelled at their provider, or expired."""
    for job, attempts in runs.jobs(run):
        if job.result is None:
            continue
        outcome, newest = outcome_of(job, attempts), _newest(attempts)
        was_sent = newest is None or newest.status is not JobStatus.PLANNED
        if was_sent and status_of(outcome.prediction, outcome.error) in FAILED:
            yield EndedAttempts(job=job, newest=newest)


def retried_job(job: Job, newest: Submission | None, settings: RunSettings, *, at: float) -> RetriedJob:
    """Return what is stored of a job that is run again.

    Args:
        job: the job, with its input from now on.
        newest: its newest submission; None without one.
        settings: those of the run.
        at: seconds since 1970.
    """
    providers = (job.provider,) if job.provider else tuple(sorted(settings.providers))
    planned = None
    if newest is not None and newest.status is not JobStatus.PLANNED:
        provider = newest.provider if newest.provider in providers else providers[0]
        input = resolved(job, provider)
        planned = new_submission(input, provider=provider, price=None, at=at, attempt=newest.attempt + 1)
    return RetriedJob(key=job.key or "", body=body_of(job), providers=providers, newest=newest, planned=planned)


def _newest(attempts: Sequence[Submission]) -> Submission | None:
    return attempts[-1] if attempts else None
