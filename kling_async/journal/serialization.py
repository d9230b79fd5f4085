"""Submissions as lines of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from attrs import evolve
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from ..types.client_id import ClientId
from ..types.converter import strict_converter
from ..types.prediction import Failure, FailureKind, Json, Output, OutputKind, Prediction, Status, Timings
from ..types.status import JobStatus
from .encoding import encode_submission
from .stored_error import StoredError
from .submission import Decision, Submission

__all__ = ["dump_submission", "load_submission", "state_of", "states_of"]

T = TypeVar("T")


def _as_is(value: T, _: object = None) -> T:
    return value


def _converter() -> Converter:
    converter = strict_converter()
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook(Decimal, lambda text, _: Decimal(_require_str(text)))
    enums: tuple[type[Enum], ...] = (Decision, FailureKind, JobStatus, OutputKind, Status)
    for enum in enums:
        converter.register_structure_hook(enum, lambda text, kind: kind(_require_str(text)))
    as_is = override(struct_hook=_as_is)
    # Names on disk are those of 0.1, so that journals of every version can be read.
    fields: dict[type, dict[str, Any]] = {
        Submission: {
            "input": as_is,
            "status": override(rename="state"),
            "input_complete": override(rename="whole"),
            "urls_complete": override(rename="fetchable"),
            "stored_error": override(rename="trouble"),
        },
        # What an output knows of its prediction is written with that one.
        Output: {"source": override(omit=True), "is_fetchable": override(omit=True)},
        Prediction: {
            "prompt": override(omit=True),
            "raw": override(omit=True),
            "failure": override(rename="fault"),
            "nsfw": override(rename="flagged"),
        },
        Timings: {
            "execution_seconds": override(rename="execution_for"),
            "inference_seconds": override(rename="inference_for"),
        },
    }
    for kind in (Output, Failure, Timings, StoredError, ClientId, Prediction, Submission):
        own = fields.get(kind, {})
        converter.register_structure_hook(kind, make_dict_structure_fn(kind, converter, **own))
    return converter


def _require_str(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("expected text")
    return text


_CONVERTER: Final = _converter()


_STATES: Final = {
    JobStatus.PLANNED: "planned",
    JobStatus.SUBMITTING: "sending",
    JobStatus.RESOLVING: "resolving",
    JobStatus.ACCEPTED: "accepted",
    JobStatus.SUCCEEDED: "ended",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "ended",
    JobStatus.EXPIRED: "ended",
    JobStatus.UNCONFIRMED: "unconfirmed",
    JobStatus.ABANDONED: "unconfirmed",
}
"""The words on disk: those of 0.1, and "resolving".

A terminal status is that of the prediction, and `abandoned` that of the decision."""


def state_of(submission: Submission) -> str:
    """Return the word for a submission's status on disk."""
    failed_there = submission.status is JobStatus.FAILED and submission.prediction is not None
    return "ended" if failed_there else _STATES[submission.status]


def states_of(statuses: Iterable[JobStatus]) -> set[str]:
    """Return the words on disk that may mean any of these statuses."""
    chosen = set(statuses)
    return {_STATES[status] for status in chosen} | ({"ended"} if JobStatus.FAILED in chosen else set())


def _status_on_disk(fields: Mapping[str, Json]) -> Json:
    """Return the status of a submission by its fields on disk."""
    state, prediction = fields.get("state", "planned"), fields.get("prediction")
    if state == "ended":
        return prediction.get("status") if isinstance(prediction, Mapping) else None
    if state == "unconfirmed" and fields.get("decision") == "abandoned":
        return "abandoned"
    return {"sending": "submitting"}.get(state, state) if isinstance(state, str) else None


def _require_object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise TypeError("expected an object")
    return value


def dump_submission(submission: Submission) -> str:
    """Return a submission as one line of JSON."""
    return encode_submission(submission, state_of(submission))


def _marked(submission: Submission) -> Submission:
    """Return a submission whose outputs know whether their URLs are whole."""
    if submission.prediction is None or submission.urls_complete:
        return submission
    outputs = tuple(evolve(output, is_fetchable=False) for output in submission.prediction.outputs)
    return evolve(submission, prediction=evolve(submission.prediction, outputs=outputs))


def load_submission(text: str) -> Submission:
    """Return the submission of a line. Raises ValueError if it is malformed."""
    try:
        fields = _require_object(json.loads(text))
        return _marked(_CONVERTER.structure({**fields, "state": _status_on_disk(fields)}, Submission))
    except (BaseValidationError, ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no submission: {text[:80]!r}") from error
