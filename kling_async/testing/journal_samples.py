"""What the conformance suites for journals write, and how they open a journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

from ..journal.base import Journal
from ..journal.submission import Submission, new_submission
from ..types.inputs import ImageInput
from ..types.jobs import Job
from ..types.prediction import Prediction, Status

__all__ = ["MakeJournal", "accepted_sample", "done_prediction", "listed", "opened_journal", "sample"]

MakeJournal: TypeAlias = Callable[[], Journal]


@asynccontextmanager
async def opened_journal(make: MakeJournal) -> AsyncGenerator[Journal]:
    """Hold a journal open."""
    journal = make()
    await journal.open()
    try:
        yield journal
    finally:
        await journal.aclose()


async def listed(submissions: AsyncIterator[Submission]) -> list[Submission]:
    """Return all submissions of an iterator."""
    return [one async for one in submissions]


def sample(key: str = "cat", *, attempt: int = 1) -> Submission:
    """Return a planned submission."""
    job = Job(ImageInput("a cat"), key=key)
    return new_submission(job, provider="example", price=Decimal("0.03"), at=1.0, attempt=attempt)


def accepted_sample(key: str = "cat", *, id: str = "id-1") -> Submission:
    """Return an accepted submission."""
    prediction = Prediction(provider="example", model="kling-image-o1", id=id, key=key, status=Status.RUNNING)
    return sample(key).sent(2.0).accepted(prediction, 3.0)


def done_prediction(key: str) -> Prediction:
    """Return a prediction that succeeded."""
    return Prediction(provider="example", model="kling-image-o1", id="id-1", key=key, status=Status.SUCCEEDED)
