"""Rows of results: one per job, built from outcomes or from a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, TypedDict

from attrs import evolve, frozen

from ..journal.submission import Decision, Submission
from ..providers.selection import as_submitted
from ..types.errors import InputError, KlingError
from ..types.jobs import Job, Outcome, fingerprint
from ..types.prediction import Prediction
from ..types.status import JobStatus, status_of
from .report import ReportRow

__all__ = ["REFUSED", "JobError", "cost_of", "is_attempt_at", "row_from_job", "row_from_outcome", "rows", "to_dict"]


REFUSED: Final = "refused"
"""The failure kind of a job that no provider accepted."""


@frozen
class JobError:
    """What results tell of an error.

    Attributes:
        status: the status of a job that has this error and was never submitted.
        cause: what happened, with all faults of an input.
        advice: what to do about it, or None.
    """

    status: JobStatus
    cause: str
    advice: str | None

    @classmethod
    def of(cls, error: KlingError) -> JobError:
        """Return what results tell of an error."""
        faults = error.faults if isinstance(error, InputError) else ()
        cause = f"{error.message}: {'; '.join(map(str, faults))}" if faults else error.message
        return cls(status_of(None, error), cause, error.advice or None)


class _JobFacts(TypedDict):
    key: str
    position: int
    model: str
    kind: Literal["image", "video"]
    prompt: str
    labels: Mapping[str, str]


def rows(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """Return one flat dict per outcome, all with the same keys, as `pandas.DataFrame` takes them.

    The keys are `key`, `status`, `failure`, `provider`, `model`, `kind`, `prompt`, `id`, `files`, `outputs`, `error`,
    `advice`, `cost` (US dollars), `refused_prompt`, `sent_at` and `finished_at` (UTC, ISO 8601), `took` (seconds), and
    `label.NAME` for each label of any job: the columns of `results.jsonl` and `results.csv` in the directory of a run,
    which also have `attempts`. Unknown values are None.
    """
    records = [to_dict(row_from_outcome(outcome, position)) for position, outcome in enumerate(outcomes)]
    names = dict.fromkeys(name for record in records for name in record if name not in _ONLY_IN_JOURNAL)
    return [{name: record.get(name) for name in names} for record in records]


def row_from_outcome(outcome: Outcome, position: int = 0) -> ReportRow:
    """Return the row of an outcome."""
    job, prediction, error = outcome.job, outcome.prediction, outcome.error
    return ReportRow(
        **_job_facts(job, position, prediction),
        provider=(prediction.provider if prediction is not None else None) or job.provider or "",
        status=status_of(prediction, error),
        failure=_failure_of(status_of(prediction, error), prediction),
        cause=JobError.of(error).cause if error is not None else None,
        advice=error.advice or None if error is not None else None,
        id=prediction.id if prediction is not None else None,
        outputs=_urls(prediction),
        files=tuple(file.as_posix() for file in outcome.files if not isinstance(file, str)),
        objects=tuple(file for file in outcome.files if isinstance(file, str)),
        sent_at=_seconds(outcome.sent_at),
        finished_at=_seconds(outcome.finished_at),
        cost=prediction.cost if outcome.cost is None and prediction is not None else outcome.cost,
        refused_prompt=None if outcome.refused is None else outcome.refused.prompt,
    )


def row_from_job(
    job: Job,
    attempts: Sequence[Submission],
    *,
    position: int,
    folder: str = "",
    store: str | None = None,
    error: JobError | None = None,
) -> ReportRow:
    """Return the row of a job in a journal.

    Args:
        job: with its key.
        attempts: its submissions, the oldest first; empty if there are none.
        position: its index in the run.
        folder: the directory of its files relative to the report, with a slash at the end.
        store: the URL of the object store that has them instead, without a slash at the end.
        error: its latest error, where the journal does not have it.
    """
    if not attempts:
        return _row_without_attempts(job, position, error)
    first, newest = attempts[0], attempts[-1]
    status = _status_in(newest)
    known = error or _stored_error(newest)
    refused = _refused_prompt(job, attempts)
    shown = job if refused is None else evolve(job, input=newest.job().input)
    return ReportRow(
        **_job_facts(shown, position, newest.prediction, model=newest.model),
        provider=newest.provider,
        status=status,
        failure=_failure_of(status, newest.prediction),
        cause=None if known is None or (status is JobStatus.PLANNED and newest.decision) else known.cause,
        advice=None if known is None else known.advice,
        id=newest.prediction.id if newest.prediction is not None else None,
        outputs=_urls(newest.prediction),
        **_files_of(newest, folder, store),
        sent_at=first.sent_at,
        accepted_at=newest.accepted_at,
        finished_at=newest.finished_at if newest.status is not JobStatus.PLANNED else None,
        saved_at=newest.saved_at,
        cost=cost_of(attempts),
        attempts=sum(one.sent_at is not None for one in attempts),
        refused_prompt=refused,
    )


def is_attempt_at(known: Submission, job: Job) -> bool:
    """Return whether a submission is an attempt at a job with the input that it has."""
    return known.is_of(fingerprint(as_submitted(job, known.provider).input))


def _row_without_attempts(job: Job, position: int, error: JobError | None) -> ReportRow:
    status = JobStatus.PLANNED if error is None else error.status
    return ReportRow(
        **_job_facts(job, position),
        provider=job.provider or "",
        status=status,
        failure=_failure_of(status, None),
        cause=None if error is None else error.cause,
        attempts=0,
    )


def _refused_prompt(job: Job, attempts: Sequence[Submission]) -> str | None:
    """Return the prompt of the refused input in whose place the newest one was submitted; None without one."""
    newest = attempts[-1]
    digest = fingerprint(as_submitted(job, newest.provider).input)
    if newest.replaces is None or not newest.is_of(digest):
        return None  # the job was edited since
    if newest.replaces == digest:
        return job.input.prompt
    prompts = (one.input.get("prompt", "") for one in attempts if one.fingerprint == newest.replaces)
    return next((prompt for prompt in prompts if isinstance(prompt, str)), "")


class _Files(TypedDict):
    files: tuple[str, ...]
    objects: tuple[str, ...]


def _files_of(submission: Submission, folder: str, store: str | None) -> _Files:
    names = submission.files or ()
    if store is None:
        return {"files": tuple(f"{folder}{name}" for name in names), "objects": ()}
    return {"files": (), "objects": tuple(f"{store}/{name}" for name in names)}


def to_dict(row: ReportRow) -> dict[str, object]:
    """Return a row as a flat, JSON-serializable dict; labels become `label.NAME`."""
    return {
        "key": row.key,
        "status": row.status.value,
        "failure": row.failure,
        "provider": row.provider or None,
        "model": row.model,
        "kind": row.kind,
        "prompt": row.prompt,
        "id": row.id,
        "files": [*row.files, *row.objects],
        "outputs": list(row.outputs),
        "error": row.cause,
        "advice": row.advice,
        "cost": None if row.cost is None else float(row.cost),
        "attempts": row.attempts,
        "sent_at": _moment(row.sent_at),
        "finished_at": _moment(row.finished_at),
        "took": None if row.took is None else round(row.took, 3),
        "refused_prompt": row.refused_prompt,
        **{f"label.{name}": text for name, text in row.labels.items()},
    }


_ONLY_IN_JOURNAL: Final = frozenset({"attempts"})
"""Columns that an outcome has no values for."""


def _job_facts(job: Job, position: int, prediction: Prediction | None = None, *, model: str | None = None) -> _JobFacts:
    """Return the facts of a job, with the model that was submitted, since the input may name none."""
    submitted = prediction.model if prediction is not None else model
    return {
        "key": job.key or "",
        "position": position,
        "model": submitted or job.input.model or "",
        "kind": job.input.kind,
        "prompt": job.input.prompt,
        "labels": job.labels,
    }


def _status_in(newest: Submission) -> JobStatus:
    resubmitted = newest.status is JobStatus.UNCONFIRMED and newest.decision is Decision.RESUBMITTED
    return JobStatus.PLANNED if resubmitted else newest.status


def _failure_of(status: JobStatus, prediction: Prediction | None) -> str | None:
    if prediction is None:
        return REFUSED if status is JobStatus.FAILED else None
    return None if prediction.failure is None else prediction.failure.kind.value


def cost_of(attempts: Iterable[Submission]) -> Decimal | None:
    """Return what submissions of a job have cost together, in US dollars; None where no cost is known."""
    costs = [cost for cost in map(_cost, attempts) if cost is not None]
    return sum(costs, Decimal(0)) if costs else None


def _cost(submission: Submission) -> Decimal | None:
    if submission.is_unpaid:
        return None
    known = submission.prediction.cost if submission.prediction is not None else None
    return submission.price if known is None else known


def _stored_error(newest: Submission) -> JobError | None:
    error = newest.error() or (newest.stored_error.to_error() if newest.stored_error is not None else None)
    return None if error is None else JobError.of(error)


def _urls(prediction: Prediction | None) -> tuple[str, ...]:
    # An output may be a data URI of megabytes, which is too long for a row.
    outputs = () if prediction is None else prediction.outputs
    return tuple(output.url for output in outputs if not output.url.startswith("data:"))


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
