"""How jobs stand, as one row each: made of outcomes, or of what a journal keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, TypedDict

from .errors import AnswerLost, InputError, KlingError
from .inputs import ImageInput, Job
from .outcome import Outcome
from .planning.moves import State
from .planning.submissions import Decision, Submission, is_put_off
from .prediction import Prediction
from .report import ReportRow

__all__ = ["flat", "row_of_job", "row_of_outcome", "rows"]


class _About(TypedDict):
    key: str
    position: int
    model: str
    kind: Literal["image", "video"]
    prompt: str
    labels: Mapping[str, str]


_DECIDED: Final = {Decision.ABANDONED: "abandoned", Decision.RESUBMITTED: "planned"}


def rows(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """Return one flat dict per outcome, all with the same keys, as `pandas.DataFrame` wants them.

    Each has `key`, `status`, `provider`, `model`, `kind`, `prompt`, `id`, `files`, `outputs`, `error`, `advice` and
    `cost` (US dollars), and `label.NAME` for each label of any of the jobs. What is not known is None.
    """
    made = [flat(row_of_outcome(outcome, position)) for position, outcome in enumerate(outcomes)]
    names = dict.fromkeys(name for row in made for name in row)
    return [{name: row.get(name) for name in names if name not in _OF_A_JOURNAL} for row in made]


def row_of_outcome(outcome: Outcome, position: int = 0) -> ReportRow:
    """Return an outcome as a row."""
    job, prediction, error = outcome.job, outcome.prediction, outcome.error
    return ReportRow(
        **_about(job, position),
        provider=(prediction.provider if prediction is not None else None) or job.provider or "",
        status=_status_of(prediction, error),
        cause=_told(error),
        advice=error.advice or None if error is not None else None,
        id=prediction.id if prediction is not None else None,
        outputs=_addresses(prediction),
        files=tuple(path.as_posix() for path in outcome.files),
        cost=prediction.cost if prediction is not None else None,
    )


def row_of_job(
    job: Job, attempts: Sequence[Submission], *, position: int, folder: str = "", error: KlingError | None = None
) -> ReportRow:
    """Return how a job stands after what a journal keeps of it, as a row.

    Args:
        job: with its key.
        attempts: its submissions, the first one first; none if it was never pulled.
        position: its place in the run.
        folder: where its files are, with a slash at its end, as seen from the report.
        error: what went wrong lately, where the journal does not know it.
    """
    if not attempts:
        status = "planned" if error is None or is_put_off(error) else "refused"
        return ReportRow(
            **_about(job, position), provider=job.provider or "", status=status, cause=_told(error), attempts=0
        )
    first, newest = attempts[0], attempts[-1]
    status = _status_in(newest)
    known = newest.error() or (newest.trouble.error() if newest.trouble is not None else None)
    costs = [cost for cost in map(_cost, attempts) if cost is not None]
    return ReportRow(
        **_about(job, position),
        provider=newest.provider,
        status=status,
        cause=_told(None if status == "planned" and newest.decision else error or known),
        advice=((error or known or KlingError("")).advice) or None,
        id=newest.prediction.id if newest.prediction is not None else None,
        outputs=_addresses(newest.prediction),
        files=tuple(f"{folder}{name}" for name in newest.files or ()),
        sent_at=first.sent_at,
        accepted_at=newest.accepted_at,
        finished_at=newest.finished_at if newest.state is not State.PLANNED else None,
        saved_at=newest.saved_at,
        cost=sum(costs, Decimal(0)) if costs else None,
        attempts=sum(one.sent_at is not None for one in attempts),
    )


def flat(row: ReportRow) -> dict[str, object]:
    """Return a row as a flat dict that JSON can say; labels become `label.NAME`."""
    return {
        "key": row.key,
        "status": row.status,
        "provider": row.provider or None,
        "model": row.model,
        "kind": row.kind,
        "prompt": row.prompt,
        "id": row.id,
        "files": list(row.files),
        "outputs": list(row.outputs),
        "error": row.cause,
        "advice": row.advice,
        "cost": None if row.cost is None else float(row.cost),
        "attempts": row.attempts,
        "sent_at": _moment(row.sent_at),
        "finished_at": _moment(row.finished_at),
        "took": None if row.took is None else round(row.took, 3),
        **{f"label.{name}": text for name, text in row.labels.items()},
    }


_OF_A_JOURNAL: Final = frozenset({"attempts", "sent_at", "finished_at", "took"})
"""What an outcome alone does not know."""


def _about(job: Job, position: int) -> _About:
    return {
        "key": job.key or "",
        "position": position,
        "model": job.input.model,
        "kind": "image" if isinstance(job.input, ImageInput) else "video",
        "prompt": job.input.prompt,
        "labels": job.labels,
    }


def _status_of(prediction: Prediction | None, error: KlingError | None) -> str:
    if isinstance(error, AnswerLost):
        return error.status or "unconfirmed"
    if prediction is not None:
        return prediction.status.value if prediction.status.finished else "running"
    return "planned" if error is None or is_put_off(error) else "refused"


def _status_in(newest: Submission) -> str:
    if newest.state is State.ENDED and newest.prediction is not None:
        return newest.prediction.status.value
    if newest.state is State.UNCONFIRMED:
        return "unconfirmed" if newest.decision is None else _DECIDED.get(newest.decision, "unconfirmed")
    return {State.PLANNED: "planned", State.FAILED: "refused"}.get(newest.state, "running")


def _cost(submission: Submission) -> Decimal | None:
    if submission.state in (State.PLANNED, State.FAILED):
        return None
    known = submission.prediction.cost if submission.prediction is not None else None
    return submission.price if known is None else known


def _told(error: KlingError | None) -> str | None:
    if error is None:
        return None
    faults = error.faults if isinstance(error, InputError) else ()
    return f"{error.message}: {'; '.join(map(str, faults))}" if faults else error.message


def _addresses(prediction: Prediction | None) -> tuple[str, ...]:
    # An output may be a data URI of megabytes, which no row is made for.
    outputs = () if prediction is None else prediction.outputs
    return tuple(output.url for output in outputs if not output.url.startswith("data:"))


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
