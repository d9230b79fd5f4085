"""What a provider's record says, in our shapes, and the `Prediction` that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from ..prediction import Fault, FaultKind, Json, Output, OutputKind, Prediction, Status, Timings
from ..printable import printable
from .fields import Problem, as_list, as_object, code_text, message_text, output, read_problem, snake_names, valid_id
from .refusal import ErrorRules

__all__ = ["WORDS", "Envelope", "Record", "advanced", "envelope_of"]

WORDS: Final[Mapping[str, Status]] = {
    "pending": Status.QUEUED,
    "queued": Status.QUEUED,
    "in_progress": Status.RUNNING,
    "processing": Status.RUNNING,
    "running": Status.RUNNING,
    "completed": Status.SUCCEEDED,
    "success": Status.SUCCEEDED,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "error": Status.FAILED,
    "timeout": Status.FAILED,
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "expired": Status.EXPIRED,
}
"""Status words in lower case that mean the same wherever they are used. Each provider says which it documents."""

_WELL: Final = frozenset({"200", "0", "ok", "success"})


@frozen(kw_only=True)
class Envelope:
    """What a reply says before its record is read: an id, or that and why it refuses."""

    id: str | None = None
    refused: bool = False
    code: str | None = None
    message: str | None = None
    record: Mapping[str, Json]

    @property
    def problem(self) -> Problem:
        """What the envelope says went wrong; for a record that does not say it itself."""
        return Problem(code=self.code, message=self.message) if self.refused else Problem()


@frozen(kw_only=True)
class Record:
    """A provider's record with its own words, in our shapes."""

    status: str
    outputs: tuple[str, ...] = ()
    problem: Problem = Problem()
    flagged: bool | None = None
    created_at: datetime | None = None
    timings: Timings = Timings()


def envelope_of(document: Json, *, id_name: str) -> Envelope:
    """Open a body: `{code, message, data}`, a flat record, or `{error}`; codes are numbers or texts."""
    body = as_object(document)
    data = body.get("data", body)
    listed = as_list(data)
    record = snake_names(as_object(listed[0] if listed else data))
    problem = read_problem(body.get("error")) or Problem()
    # In a flat body an error beside a status is the prediction's own, and refuses nothing by itself.
    own = data is body and "status" in record
    code = code_text(body.get("code"))
    return Envelope(
        id=valid_id(record.get(id_name, record.get("id"))),
        refused=(problem != Problem() and not own) or (code or "200").lower() not in _WELL,
        code=problem.code or code,
        message=problem.message or message_text(body.get("message")),
        record=record,
    )


def advanced(
    prediction: Prediction,
    record: Record,
    *,
    words: Mapping[str, Status],
    rules: ErrorRules,
    kind: OutputKind,
    most: int,
    free: bool,
    raw: Json,
) -> Prediction:
    """Return a prediction as its provider's record tells it now.

    Args:
        prediction: what was known; its id, key and model stay.
        record: what the provider says.
        words: the provider's status words in lower case. One that is missing means "still running".
        rules: what the provider's error codes mean.
        kind: what the model makes.
        most: outputs that are taken at most; `raw` has any others.
        free: whether the provider does not bill what fails.
        raw: the whole reply.
    """
    word = printable(record.status)
    status = words.get(word.strip().lower(), Status.RUNNING)
    outputs: tuple[Output, ...] = ()
    fault = None
    if status is Status.SUCCEEDED:
        made = (one for text in record.outputs if (one := output(text, kind=kind)) is not None)
        outputs = tuple(islice(made, most))
        if not outputs:
            message = f"the provider says {word!r}, but its reply holds no output that can be read"
            status, fault = Status.FAILED, Fault(kind=FaultKind.NO_OUTPUT, code=record.problem.code, message=message)
    elif status.finished:
        fault = _fault(status, word, record.problem, rules)
    # "Completed" without outputs is a fault to us, yet a success to the provider, who may bill it.
    unbilled = free and fault is not None and fault.kind is not FaultKind.NO_OUTPUT
    return evolve(
        prediction,
        status=status,
        native_status=word,
        outputs=outputs,
        fault=fault,
        flagged=record.flagged,
        created_at=record.created_at or prediction.created_at,
        timings=record.timings,
        cost=Decimal(0) if unbilled else prediction.cost,
        raw=raw,
    )


_FAULTS: Final = {Status.CANCELLED: FaultKind.CANCELLED, Status.EXPIRED: FaultKind.EXPIRED}


def _fault(status: Status, word: str, problem: Problem, rules: ErrorRules) -> Fault:
    refused = rules.is_about_content(problem.code, problem.message, status=200)
    return Fault(
        kind=FaultKind.CONTENT_REJECTED if refused else _FAULTS.get(status, FaultKind.FAILED),
        code=problem.code,
        message=problem.message or f"the provider says {word!r} and no more",
    )
