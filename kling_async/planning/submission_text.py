"""Submissions as text, and back: the lines of a journal."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from ..prediction import Fault, FaultKind, Json, Output, OutputKind, Prediction, Status, Timings
from ..providers.decode import strict_converter
from .moves import State
from .submissions import Decision, Submission, Trouble

__all__ = ["submission_from_text", "text_of_submission"]

T = TypeVar("T")


def _as_is(value: T, _: object = None) -> T:
    return value


def _converter() -> Converter:
    made = strict_converter()
    made.register_unstructure_hook(datetime, datetime.isoformat)
    made.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    made.register_unstructure_hook(Decimal, str)
    made.register_structure_hook(Decimal, lambda text, _: Decimal(_exact(text)))
    words: tuple[type[Enum], ...] = (Decision, FaultKind, OutputKind, State, Status)
    for word in words:
        made.register_structure_hook(word, lambda text, kind: kind(_exact(text)))
    as_is = override(struct_hook=_as_is, unstruct_hook=_as_is)
    fields: dict[type, dict[str, Any]] = {Submission: {"input": as_is}, Prediction: {"raw": override(omit=True)}}
    for kind in (Output, Fault, Timings, Trouble, Prediction, Submission):
        own = fields.get(kind, {})
        made.register_unstructure_hook(kind, make_dict_unstructure_fn(kind, made, _cattrs_omit_if_default=True, **own))
        made.register_structure_hook(kind, make_dict_structure_fn(kind, made, **own))
    return made


def _exact(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("expected text")
    return text


_CONVERTER: Final = _converter()
# ASCII only, so that a lone surrogate in a prompt is no obstacle to writing its id down.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def text_of_submission(submission: Submission) -> str:
    """Return a submission as one line."""
    return _ENCODER.encode(_CONVERTER.unstructure(submission, Submission))


def submission_from_text(text: str) -> Submission:
    """Return the submission that a line tells of. Raises ValueError if it tells of none."""
    try:
        fields: Json = json.loads(text)
        return _CONVERTER.structure(fields, Submission)
    except (BaseValidationError, ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no submission: {text[:80]!r}") from error
