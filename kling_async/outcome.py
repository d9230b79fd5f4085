"""How one job of many ended."""

from __future__ import annotations

from pathlib import PurePath

from attrs import frozen

from .errors import KlingError
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

    @property
    def ok(self) -> bool:
        """Whether the prediction succeeded and nothing went wrong since."""
        return self.error is None and self.prediction is not None and self.prediction.status is Status.SUCCEEDED
