"""A journal that lasts as long as the object."""

from __future__ import annotations

from decimal import Decimal

import anyio.lowlevel

from ...errors import JournalError
from ...planning.moves import State
from ...planning.submissions import Submission

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A journal that lasts as long as the object: for tests, and to hold `generate` to one submission per key."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Submission] = {}
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
            self._kept[key, attempt] = submission
            self._newest[key] = max(attempt, self._newest.get(key, 0))

    async def find(self, key: str) -> Submission | None:
        return self._kept.get((key, self._newest.get(key, 0)))

    async def submissions(self, *states: State) -> list[Submission]:
        return [kept for kept in self._kept.values() if not states or kept.state in states]

    async def unfinished(self, *, saving: bool) -> list[Submission]:
        return [one for one in self._kept.values() if one.state is State.ACCEPTED or (saving and one.unsaved)]

    async def spent(self) -> Decimal:
        return sum((one.paid for one in self._kept.values()), Decimal(0))

    async def rescue(self, submission: Submission) -> str:
        await self.write(submission)
        return "memory"

    async def aclose(self) -> None:
        self._opened = False
