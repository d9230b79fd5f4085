"""A journal in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal

import anyio.lowlevel

from ..types.errors import JournalError
from ..types.status import TO_RESUME, JobStatus
from .submission import Submission

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A journal that lives as long as the object: for tests, and to limit `generate` to one submission per key."""

    def __init__(self) -> None:
        self._submissions: dict[tuple[str, int], Submission] = {}
        self._newest: dict[str, int] = {}
        self._opened = False

    async def open(self) -> None:
        if self._opened:
            raise JournalError("The journal is in use by another client or batch of this process")
        self._opened = True

    async def write(self, *submissions: Submission) -> None:
        await anyio.lowlevel.checkpoint()
        for submission in submissions:
            key, attempt = submission.key, submission.attempt
            self._submissions[key, attempt] = submission
            self._newest[key] = max(attempt, self._newest.get(key, 0))

    async def find(self, key: str) -> Submission | None:
        return self._submissions.get((key, self._newest.get(key, 0)))

    async def submissions(self, *statuses: JobStatus) -> list[Submission]:
        return [one for one in self._submissions.values() if not statuses or one.status in statuses]

    async def take_over(self) -> list[Submission]:
        return await self.submissions(JobStatus.SUBMITTING, *TO_RESUME)

    async def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        await anyio.lowlevel.checkpoint()
        stored = self._submissions
        chosen = [at for at, one in stored.items() if one.status in TO_RESUME or (saving and one.is_unsaved)]
        for at in chosen:
            yield stored[at]

    async def spent(self) -> Decimal:
        return sum((one.max_cost for one in self._submissions.values()), Decimal(0))

    async def write_emergency(self, submission: Submission) -> str:
        await self.write(submission)
        return "memory"

    async def aclose(self) -> None:
        self._opened = False
