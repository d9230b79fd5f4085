"""What a journal does: submissions that outlive the process, and are kept before anything relies on them."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from ...planning.moves import State
from ...planning.submissions import Submission

__all__ = ["Journal"]


class Journal(Protocol):
    """Where submissions are kept. One client or batch uses it at a time."""

    async def open(self) -> None:
        """Make it ready. Raises JournalError if it cannot be used."""
        ...

    async def write(self, *submissions: Submission) -> None:
        """Keep submissions, each in place of an earlier form of itself; return once all of them are durable.

        Raises:
            JournalError: none of them may be relied on to be kept.
        """
        ...

    async def find(self, key: str) -> Submission | None:
        """Return the newest submission of a job."""
        ...

    async def submissions(self, *states: State) -> list[Submission]:
        """Return every submission, or those in some states, in the order in which they were first written."""
        ...

    async def unfinished(self, *, saving: bool) -> list[Submission]:
        """Return what is accepted and not finished and, if `saving`, what succeeded and whose files are not saved."""
        ...

    async def spent(self) -> Decimal:
        """Return what all submissions have cost at most, in US dollars: the sum of `Submission.paid`."""
        ...

    async def rescue(self, submission: Submission) -> str:
        """Save, elsewhere, what could not be written; the journal takes it up when it is next opened.

        Returns:
            where it is. Raises JournalError if it is nowhere.
        """
        ...

    async def aclose(self) -> None:
        """Let go of it."""
        ...
