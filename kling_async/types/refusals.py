"""Refusals of content, and the function that may give another input in the place of a refused one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .base_error import context_of
from .errors import ContentRejected, KlingError, PredictionFailed
from .inputs import Input
from .prediction import FailureKind, Prediction

__all__ = ["OnRefused", "content_refusal"]

OnRefused: TypeAlias = Callable[[Input, ContentRejected], Input | Awaitable[Input | None] | None]
"""Returns another input in the place of a refused one, or None; it may be a coroutine function."""


def content_refusal(prediction: Prediction | None, error: KlingError | None) -> ContentRejected | None:
    """Return the refusal of content with which a job has ended; None if it has ended otherwise.

    A prediction that was refused makes a `ContentRejected` with its facts, whose cause is the `PredictionFailed`. A
    poll that is refused is no end: the prediction may be running.
    """
    if prediction is None:
        return error if isinstance(error, ContentRejected) else None
    failure = prediction.failure
    if failure is None or failure.kind is not FailureKind.CONTENT_REJECTED or not prediction.status.is_terminal:
        return None
    if error is not None and not isinstance(error, PredictionFailed):
        return None
    cause = PredictionFailed(prediction) if error is None else error
    refusal = ContentRejected(failure.message, **context_of(prediction))
    refusal.code, refusal.part, refusal.may_be_billed = failure.code, failure.part, cause.may_be_billed
    refusal.__cause__ = cause
    return refusal
