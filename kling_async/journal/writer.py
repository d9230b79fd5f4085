"""The open journal of one client or batch: what an earlier run has left, entries for jobs, and decisions of the user.

Theory of operation. `steps` writes what happens to a submission. Submissions that a dead process left as submitting are
unconfirmed from the next opening of the journal on; those with a client id are looked up first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import anyio
from attrs import evolve

from ..types.errors import InputError
from ..types.jobs import Job
from ..types.prediction import Prediction
from ..types.printable import one_line
from ..types.status import TO_RESUME, JobStatus
from .resume import why_not_unconfirmed
from .steps import JournalEntry, StepWriter
from .submission import Decision, Submission, new_submission

__all__ = ["JournalWriter"]


class JournalWriter(StepWriter):
    """The open journal of one client or one batch, and the order of its writes."""

    @property
    def path(self) -> Path | None:
        """The journal's file; None for a journal that is kept elsewhere."""
        path = getattr(self._journal, "path", None)
        return path if isinstance(path, Path) else None

    @property
    def is_shared(self) -> bool:
        """Whether several clients have the journal open, and claim the jobs that they submit."""
        return bool(getattr(self._journal, "is_shared", False))

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[list[Submission]]:
        """Hold the journal open; yields the submissions to resume, as `open` returns them. Raises JournalError."""
        accepted = await self.open()
        try:
            yield accepted
        finally:
            await self.aclose()

    async def open(self) -> list[Submission]:
        """Open the journal, and return the submissions to poll or to look up. Raises JournalError."""
        opened = False
        try:
            await self._journal.open()
            opened = True
            left = await self._journal.take_over()
            interrupted = {at: one.interrupted() for at, one in enumerate(left) if one.status is JobStatus.SUBMITTING}
            if interrupted:
                await self._journal.write(*interrupted.values())
            left = [interrupted.get(at, one) for at, one in enumerate(left)]
            return [one for one in left if one.status in TO_RESUME]
        except BaseException as error:
            # A thread that opens it continues after a cancellation. A journal that refused to open is left alone.
            if opened or not isinstance(error, Exception):
                with anyio.CancelScope(shield=True):
                    await self._journal.aclose()
            raise

    async def aclose(self) -> None:
        """Wait until submissions in flight are answered and written, then close the journal in any case."""
        with anyio.CancelScope(shield=True):
            try:
                while self._submitting:
                    self._none_submitting = anyio.Event()
                    await self._none_submitting.wait()
            finally:
                self._closed = True
                await self._journal.aclose()

    async def find(self, key: str | None) -> Submission | None:
        """Return a job's newest submission."""
        return None if key is None else await self._journal.find(key)

    async def entry_for(self, prediction: Prediction) -> JournalEntry | None:
        """Return the entry of a prediction; None if the journal has none."""
        recent = self._recent.get((prediction.provider, prediction.id))
        if recent is not None:
            return recent
        known = await self.find(prediction.key)
        if known is None or known.prediction is None or known.prediction.id != prediction.id:
            return None
        return JournalEntry(self, known)

    def new_entry(
        self,
        job: Job,
        *,
        provider: str,
        price: Decimal | None,
        known: Submission | None,
        repeats: bool,
        replaces: str | None = None,
    ) -> JournalEntry:
        """Return a new entry for a job: its first, or that of its newest submission `known`, or one that repeats it.

        `replaces` is the fingerprint of the refused input in whose place the job's input is submitted.
        """
        if known is not None and known.prediction is not None:
            self._recent.pop((known.provider, known.prediction.id), None)
        attempt = 1 if known is None else known.attempt + repeats
        new = new_submission(job, provider=provider, price=price, at=self.now(), attempt=attempt, replaces=replaces)
        return JournalEntry(self, new)

    async def write_declined(self, refused: Submission) -> None:
        """Write that another input was asked for in place of a refused one, and that there is none."""
        await self.write(evolve(refused, declined=True))

    async def spent_before(self) -> Decimal:
        """Return the maximum cost of all submissions so far in US dollars; 0 where a gate adds it to each claim."""
        return Decimal(0) if self.intents.is_gated else await self._journal.spent()

    def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        """Yield the accepted submissions and, if `saving`, those whose files are not saved."""
        return self._journal.unfinished(saving=saving)

    async def unconfirmed(self) -> list[Submission]:
        """Return submissions whose arrival at the provider is unknown."""
        return [one for one in await self._journal.submissions(JobStatus.UNCONFIRMED) if one.decision is None]

    async def resolve(self, key: str, decision: Decision, *, id: str = "") -> Submission:
        """Write a user's decision about an unconfirmed submission.

        Raises:
            InputError: the job is not unconfirmed, or it is submitted by a client whose lease lasts.
            JournalError: the decision could not be written.
        """
        if decision is Decision.RESUBMITTED:
            await self.intents.require_no_lease(key)
        known = await self.find(key)
        if known is None or known.status is not JobStatus.UNCONFIRMED or known.decision is not None:
            raise InputError(f"{one_line(key)} is not unconfirmed ({why_not_unconfirmed(known)})")
        decided = known.attached(id, self.now()) if decision is Decision.ATTACHED else known.decided(decision)
        await self._journal.write(decided)
        return decided
