"""How one job of many ended."""

from __future__ import annotations

from html import escape
from pathlib import PurePath
from typing import Self

from attrs import frozen

from .errors import KlingError, PredictionFailed
from .inputs import Job
from .prediction import Prediction, Status

__all__ = ["Outcome"]


@frozen(kw_only=True)
class Outcome:
    """How one job of many ended.

    Attributes:
        job: what was asked for.
        prediction: its last record; None only when nothing was accepted.
        files: what was downloaded.
        error: what went wrong, or None.
    """

    job: Job
    prediction: Prediction | None = None
    files: tuple[PurePath, ...] = ()
    error: KlingError | None = None

    @classmethod
    def of(cls, job: Job, prediction: Prediction | None, error: KlingError | None) -> Self:
        """Return how a job ended: a prediction that did not succeed is an error, too."""
        if error is None and prediction is not None and prediction.status is not Status.SUCCEEDED:
            error = PredictionFailed(prediction)
        return cls(job=job, prediction=prediction, error=error)

    @property
    def ok(self) -> bool:
        """Whether the prediction succeeded and nothing went wrong since."""
        return self.error is None and self.prediction is not None and self.prediction.status is Status.SUCCEEDED

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the prediction, or the job's key, and what went wrong."""
        known = self.prediction
        shown = known._repr_html_() if known else ""  # pyright: ignore[reportPrivateUsage] - notebooks name it so
        words = "" if self.error is None else f"{self.job.key or self.job.input.prompt}: {self.error}"
        return f"{shown}<p>{escape(words)}</p>" if words else shown
