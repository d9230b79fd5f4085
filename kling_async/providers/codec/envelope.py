"""Envelopes and records of responses, and the `Prediction` that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from ...types.prediction import Failure, FailureKind, Json, Output, OutputKind, Prediction, RefusedPart, Status, Timings
from ...types.printable import printable
from .errors import ErrorRules
from .fields import (
    ErrorDetail,
    as_list,
    as_object,
    parse_code,
    parse_error,
    parse_id,
    parse_message,
    parse_output,
    snake_case_keys,
)

__all__ = ["Envelope", "Record", "parse_envelope", "update_prediction"]

_OK_CODES: Final = frozenset({"200", "0", "ok", "success"})


@frozen(kw_only=True)
class Envelope:
    """The outer fields of a response.

    Attributes:
        id: the id of the prediction, if it can be used in a path.
        refused: whether the response is an error.
        code: the error's code.
        message: the error's message.
        part: what was refused, if the error says it.
        record: the fields of the prediction, in snake_case.
    """

    id: str | None = None
    refused: bool = False
    code: str | None = None
    message: str | None = None
    part: RefusedPart | None = None
    record: Mapping[str, Json]

    @property
    def error(self) -> ErrorDetail:
        """The error of the envelope, for a record without one."""
        return ErrorDetail(self.code, self.message, self.part) if self.refused else ErrorDetail()


@frozen(kw_only=True)
class Record:
    """The fields of a prediction, parsed, with the provider's own status word.

    Attributes:
        status: the provider's status word.
        outputs: URLs, data URIs or bare base64.
        outputs_removed: whether the provider says that it has deleted them.
        error: the provider's code and message.
        nsfw: whether any output is marked as unsafe; None if unknown.
        created_at: the time at which the prediction was created.
        timings: the provider's own durations.
        cost: the price in US dollars that the provider reports; None if it reports none.
    """

    status: str
    outputs: tuple[str, ...] = ()
    outputs_removed: bool = False
    error: ErrorDetail = ErrorDetail()
    nsfw: bool | None = None
    created_at: datetime | None = None
    timings: Timings = Timings()
    cost: Decimal | None = None


def parse_envelope(document: Json, *, id_name: str) -> Envelope:
    """Parse a body: `{code, message, data}`, a flat record, or `{error}`; codes are numbers or strings."""
    body = as_object(document)
    data = body.get("data", body)
    items = as_list(data)
    record = snake_case_keys(as_object(items[0] if items else data))
    error = parse_error(body.get("error")) or ErrorDetail()
    # In a flat body an error beside a status belongs to the prediction, and is no refusal by itself.
    is_own_error = data is body and "status" in record
    code = parse_code(body.get("code"))
    return Envelope(
        id=parse_id(record.get(id_name, record.get("id"))),
        refused=(error != ErrorDetail() and not is_own_error) or (code or "200").lower() not in _OK_CODES,
        code=error.code or code,
        message=error.message or parse_message(body.get("message")),
        record=record,
    )


def update_prediction(
    prediction: Prediction,
    record: Record,
    *,
    statuses: Mapping[str, Status],
    rules: ErrorRules,
    kind: OutputKind,
    max_outputs: int,
    failures_are_free: bool,
    raw: Json,
) -> Prediction:
    """Return a prediction updated from its provider's record.

    Args:
        prediction: the prediction so far; its id, key and model stay.
        record: the provider's record.
        statuses: the provider's status words in lower case. A word that is missing means "still running".
        rules: the meaning of the provider's error codes.
        kind: the kind of outputs that the model makes.
        max_outputs: the maximum number of outputs kept; `raw` has any others.
        failures_are_free: whether the provider does not bill failed predictions.
        raw: the whole response.
    """
    native_status = printable(record.status)
    status = statuses.get(native_status.strip().lower(), Status.RUNNING)
    is_success = status is Status.SUCCEEDED
    outputs: tuple[Output, ...] = ()
    failure = None
    if is_success:
        readable = (one for text in record.outputs if (one := parse_output(text, kind=kind)) is not None)
        outputs = tuple(islice(readable, max_outputs))
        if not outputs:
            status, failure = _without_outputs(native_status, record)
    elif status.is_terminal:
        failure = _failure(status, native_status, record.error, rules)
    # "Completed" without outputs is a failure to us, yet a success to the provider, which may bill it.
    is_free = failures_are_free and failure is not None and not is_success
    return evolve(
        prediction,
        status=status,
        native_status=native_status,
        outputs=outputs,
        failure=failure,
        nsfw=record.nsfw,
        created_at=record.created_at or prediction.created_at,
        timings=record.timings,
        cost=Decimal(0) if is_free else prediction.cost if record.cost is None else record.cost,
        raw=raw,
    )


def _without_outputs(native_status: str, record: Record) -> tuple[Status, Failure]:
    """Return the status and the failure of a success whose outputs are missing."""
    if record.outputs_removed:
        message = f"the provider says {native_status!r}, and that it has removed the outputs since"
        return Status.EXPIRED, Failure(kind=FailureKind.EXPIRED, code=record.error.code, message=message)
    message = f"the provider says {native_status!r}, but its reply holds no output that can be read"
    return Status.FAILED, Failure(kind=FailureKind.NO_OUTPUT, code=record.error.code, message=message)


_FAILURES: Final = {Status.CANCELLED: FailureKind.CANCELLED, Status.EXPIRED: FailureKind.EXPIRED}


def _failure(status: Status, native_status: str, error: ErrorDetail, rules: ErrorRules) -> Failure:
    refused = rules.is_about_content(error.code, error.message, status=200)
    return Failure(
        kind=FailureKind.CONTENT_REJECTED if refused else _FAILURES.get(status, FailureKind.FAILED),
        code=error.code,
        message=error.message or f"the provider says {native_status!r} and no more",
        part=error.part if refused else None,
    )
