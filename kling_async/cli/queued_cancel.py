"""`kling-async cancel` of a run in a database: its workers submit no more, and providers cancel what they can."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from attrs import field, frozen

from ..journal.hidden_url import HiddenUrl
from ..journal.postgres import PostgresJournal
from ..journal.queue_values import EndedJob
from ..journal.queued_cancels import end_jobs, hold_run, open_submissions
from ..journal.queued_runs import QueuedRuns
from ..journal.submission import Submission
from ..runs.queued_retry import EndedAttempts, attempts_of
from ..runs.queued_run import ended_job, job_of
from ..types.errors import InputError, InputFault, NotSent
from ..types.formatting import format_count
from ..types.jobs import Outcome
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .cancel_accepted import cancel_accepted
from .console import ExitCode, echo, escape
from .database import open_runs
from .not_retried import NOT_IN_RUN
from .start import check_api_keys

__all__ = ["cancel_queued"]

_PAUSE: Final = 0.5
_TRIES, _QUIET = 20, 3
"""So often submissions are looked for, and so often in a row there must be none in flight: workers look twice a second
whether a run was cancelled."""


async def cancel_queued(url: HiddenUrl, name: str, keys: Sequence[str], *, hint: str) -> ExitCode:
    """Stop a run, or cancel some of its jobs; `hint` is what further commands need beside its name."""
    with open_runs(url) as runs:
        runs.get(name)
        if keys:
            return await _cancel_jobs(runs, url, name, keys, hint=hint)
        check_api_keys({one.provider for one in open_submissions(runs, name)})
        hold_run(runs, name, reason="it was cancelled")
        accepted = await _settled(runs, name)
        echo("Stopped submitting.")
        planned = runs.counts(name).statuses.get(JobStatus.PLANNED, 0)
        if planned:
            resume = f"kling-async resume {escape(name)}{hint}"
            echo(f"{format_count(planned, 'job')} not submitted; {resume} would submit them.")
        return await _cancel_accepted(runs, url, name, accepted)


async def _settled(runs: QueuedRuns, name: str) -> list[Prediction]:
    """Return what providers have accepted, once no submission is in flight, or after some seconds."""
    quiet, found = 0, list[Submission]()
    for _ in range(_TRIES):
        found = open_submissions(runs, name)
        quiet = 0 if any(one.status is JobStatus.SUBMITTING for one in found) else quiet + 1
        if quiet == _QUIET:
            break
        await anyio.sleep(_PAUSE)
    return [one.prediction for one in found if one.prediction is not None]


async def _cancel_accepted(runs: QueuedRuns, url: HiddenUrl, name: str, accepted: Sequence[Prediction]) -> ExitCode:
    done = await cancel_accepted(accepted, journal=PostgresJournal(url, run=name) if accepted else None)
    ended = [one for one in done.seen if one.status.is_terminal and not one.succeeded]
    found = attempts_of(runs, name, [one.key or "" for one in ended])
    outcomes = [
        Outcome.from_job(job_of(known.job.body), prediction, None)
        for prediction, (_, known) in zip(ended, found, strict=True)
        if known is not None
    ]
    end_jobs(runs, name, _ends(outcomes), only_unsent=False)
    return ExitCode.FAILED if done.cannot else ExitCode.DONE


def _ends(outcomes: Sequence[Outcome]) -> list[EndedJob]:
    return [ended for one in outcomes if (ended := ended_job(one, chunk=0)) is not None]


@frozen
class _Named:
    """The named jobs of a run that have not ended.

    Attributes:
        planned: those that were not submitted.
        accepted: those that providers have accepted.
        faults: why others cannot be cancelled.
    """

    planned: list[EndedAttempts] = field(factory=list[EndedAttempts])
    accepted: list[Prediction] = field(factory=list[Prediction])
    faults: list[InputFault] = field(factory=list[InputFault])

    def add(self, key: str, found: EndedAttempts | None) -> None:
        """Add a job; one that has ended stays as it is."""
        if found is None:
            self.faults.append(InputFault("key", key, NOT_IN_RUN))
            return
        newest = found.newest
        if found.job.result is not None:
            return
        if newest is None or newest.status is JobStatus.PLANNED:
            self.planned.append(found)
        elif newest.status is JobStatus.ACCEPTED and newest.prediction is not None:
            self.accepted.append(newest.prediction)
        else:
            self.faults.append(InputFault("key", key, f"is {newest.status.value}: try again in some seconds"))


async def _cancel_jobs(runs: QueuedRuns, url: HiddenUrl, name: str, keys: Sequence[str], *, hint: str) -> ExitCode:
    named = _Named()
    for key, found in attempts_of(runs, name, dict.fromkeys(keys)):
        named.add(key, found)
    if named.faults:
        raise InputError.of("These jobs cannot be cancelled", named.faults, advice="Nothing was cancelled.")
    check_api_keys({one.provider for one in named.accepted})
    left = await anyio.to_thread.run_sync(partial(_end_unsent, runs, name, named.planned))
    if cancelled := len(named.planned) - len(left):
        retry = f"kling-async retry {escape(name)} KEY{hint}"
        echo(f"{format_count(cancelled, 'job')} cancelled before being submitted; {retry} would run one.")
    if left:
        stop = f"kling-async cancel {escape(name)}{hint}"
        count = format_count(len(left), "job")
        echo(f"[yellow]{count} not cancelled[/], since a worker has them: {escape(', '.join(left))}")
        echo(f"Stop the run first: {stop}")
    code = await _cancel_accepted(runs, url, name, named.accepted) if named.accepted or not named.planned else None
    return ExitCode.FAILED if left else code or ExitCode.DONE


def _end_unsent(runs: QueuedRuns, name: str, planned: Sequence[EndedAttempts]) -> list[str]:
    """End jobs as cancelled, and return the keys of those that a worker has."""
    outcomes = [
        Outcome(job=job_of(one.job.body), error=NotSent(_CANCELLED, reason="cancelled", key=one.job.key))
        for one in planned
    ]
    return end_jobs(runs, name, _ends(outcomes), only_unsent=True)


_CANCELLED: Final = "It was cancelled before it was submitted"
