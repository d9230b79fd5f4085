"""The interface of a journal: submissions that outlive the process, durable before anything relies on them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Protocol

from ..types.status import JobStatus
from .submission import Submission

__all__ = ["Journal"]


class Journal(Protocol):
    """A store of submissions, used by one client or batch at a time."""

    async def open(self) -> None:
        """Open it. Raises JournalError if it cannot be used."""
        ...

    async def write(self, *submissions: Submission) -> None:
        """Write submissions, each in place of its earlier form; return once all of them are durable.

        Raises:
            JournalError: none of them is certain to be durable.
        """
        ...

    async def find(self, key: str) -> Submission | None:
        """Return the newest submission of a job."""
        ...

    async def submissions(self, *statuses: JobStatus) -> list[Submission]:
        """Return all submissions, or those with one of these statuses, in the order of their first writing."""
        ...

    async def take_over(self) -> list[Submission]:
        """Return the submissions that are being sent, accepted or looked up, and that no living owner has.

        They are this owner's from now on. Of a journal with one owner at a time, they are all of these.
        """
        ...

    def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        """Yield the submissions that are accepted or looked up and, if `saving`, those whose files are missing.

        They are those of the moment when the iteration begins, in the order of their first writing, each in its newest
        form.
        """
        ...

    async def spent(self) -> Decimal:
        """Return the maximum cost of all submissions in US dollars: the sum of `Submission.max_cost`."""
        ...

    async def write_emergency(self, submission: Submission) -> str:
        """Save a submission that could not be written outside the journal, which reads it when it is next opened.

        Returns:
            the place, for messages.

        Raises:
            JournalError: it could be saved nowhere.
        """
        ...

    async def aclose(self) -> None:
        """Close it, so that another owner may open it."""
        ...
