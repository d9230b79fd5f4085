"""Write-ahead ordering of journal entries around a submission.

Theory of operation. Each job has an entry. The account writes each step to it, and waits for that, under the shield of
the request: no submission leaves before its intent is durable, and no id is reported before it is durable. If the
journal fails after an acceptance, the id goes to the emergency file and into the error, and nothing more is submitted.
Submissions that a dead process left as submitting are unconfirmed from the next opening of the journal on; those with a
client id are looked up first.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

import anyio

from ..system.clock import Clock
from ..types.client_id import ClientId
from ..types.errors import InputError, JournalError, KlingError
from ..types.jobs import Job
from ..types.prediction import Prediction
from ..types.printable import one_line
from ..types.status import TO_RESUME, JobStatus
from .base import Journal
from .submission import Decision, Submission, new_submission

__all__ = ["JournalEntry", "JournalWriter"]

_log = logging.getLogger(__name__)

_MAX_RECENT: Final = 1000
"""Maximum number of terminal entries kept in memory, so that saving their files reads no journal."""


class JournalWriter:
    """The open journal of one client or one batch, and the order of its writes."""

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._failure: JournalError | None = None
        self._submitting = 0
        self._none_submitting = anyio.Event()
        self._closed = False
        self._recent: dict[tuple[str, str], JournalEntry] = {}

    @property
    def path(self) -> Path | None:
        """The journal's file; None for a journal that is kept elsewhere."""
        path = getattr(self._journal, "path", None)
        return path if isinstance(path, Path) else None

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
            if interrupted := await self._journal.submissions(JobStatus.SUBMITTING):
                await self._journal.write(*(one.interrupted() for one in interrupted))
            return await self._journal.submissions(*TO_RESUME)
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
        self, job: Job, *, provider: str, price: Decimal | None, known: Submission | None, repeats: bool
    ) -> JournalEntry:
        """Return a new entry for a job: its first, or that of its newest submission `known`, or one that repeats it."""
        if known is not None and known.prediction is not None:
            self._recent.pop((known.provider, known.prediction.id), None)
        attempt = 1 if known is None else known.attempt + repeats
        return JournalEntry(self, new_submission(job, provider=provider, price=price, at=self.now(), attempt=attempt))

    def remember(self, entry: JournalEntry) -> None:
        """Keep the entry of a terminal prediction for a while: its files are usually saved next."""
        prediction = entry.submission.prediction
        if prediction is not None:
            self._recent[prediction.provider, prediction.id] = entry
            while len(self._recent) > _MAX_RECENT:
                del self._recent[next(iter(self._recent))]

    async def spent(self) -> Decimal:
        """Return the maximum cost of all submissions, in US dollars."""
        return await self._journal.spent()

    def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        """Yield the accepted submissions and, if `saving`, those whose files are not saved."""
        return self._journal.unfinished(saving=saving)

    async def unconfirmed(self) -> list[Submission]:
        """Return submissions whose arrival at the provider is unknown."""
        return [one for one in await self._journal.submissions(JobStatus.UNCONFIRMED) if one.decision is None]

    async def resolve(self, key: str, decision: Decision, *, id: str = "") -> Submission:
        """Write a user's decision about an unconfirmed submission.

        Raises:
            InputError: the job is not unconfirmed.
            JournalError: the decision could not be written.
        """
        known = await self.find(key)
        if known is None or known.status is not JobStatus.UNCONFIRMED or known.decision is not None:
            raise InputError(f"{one_line(key)} is not unconfirmed ({_why_not(known)})")
        decided = known.attached(id, self.now()) if decision is Decision.ATTACHED else known.decided(decision)
        await self._journal.write(decided)
        return decided

    def now(self) -> float:
        """Return seconds since 1970."""
        return self._clock.utc().timestamp()

    # For entries.

    @asynccontextmanager
    async def submitting(self, submission: Submission) -> AsyncGenerator[None]:
        """Write the intent of a submission, and count it as in flight while this is entered. Raises JournalError."""
        if self._failure is not None or self._closed:
            raise self._refusal(submission)
        self._submitting += 1
        try:
            await self._write_intent(submission)
            yield
        finally:
            self._submitting -= 1
            self._none_submitting.set()

    async def _write_intent(self, submission: Submission) -> None:
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._failure = error
            raise self._refusal(submission) from error

    async def write(self, submission: Submission) -> None:
        """Write a step that can be recovered: if that fails, the error is logged, and nothing more is submitted."""
        if self._closed:
            return
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._failure = self._failure or error
            _log.error("%s: job %s is %s", error.message, submission.key, submission.status.value)

    async def write_saved(self, submission: Submission) -> None:
        """Write that files are saved, unless the journal is closed. Raises JournalError."""
        if not self._closed:
            await self._journal.write(submission)

    async def write_accepted(self, submission: Submission) -> None:
        """Write an acceptance. If that fails, write it to the emergency file.

        Raises:
            JournalError: the journal could not be written; the error holds the id.
        """
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._failure = self._failure or error
            raise await self._write_emergency(submission, error) from error
        except BaseException:
            message = "interrupted before its id was known to be durable: provider=%s id=%s key=%s"
            _log.critical(message, submission.provider, _id_of(submission), submission.key)
            raise

    async def _write_emergency(self, submission: Submission, failure: JournalError) -> JournalError:
        advice = _LOST
        with suppress(JournalError):
            advice = _IN_EMERGENCY_FILE.format(place=await self._journal.write_emergency(submission))
        error = JournalError(
            f"It was accepted, and then: {failure.message}",
            provider=submission.provider,
            key=submission.key,
            id=_id_of(submission),
            may_be_billed=True,
            advice=advice,
        )
        _log.critical("%s", error)
        return error

    def _refusal(self, submission: Submission) -> JournalError:
        reason = self._failure.message if self._failure is not None else "The journal is closed"
        return JournalError(
            f"It was not submitted: {reason}", provider=submission.provider, key=submission.key, advice=_NOTHING_SENT
        )


def _id_of(submission: Submission) -> str | None:
    return None if submission.prediction is None else submission.prediction.id


def _why_not(known: Submission | None) -> str:
    """Return why a job is not unconfirmed."""
    if known is None:
        return "it is not in the journal"
    if known.decision is not None:
        return f"it was {known.decision.value} before"
    return _NOT_UNCONFIRMED.get(known.status, f"it is {known.status.value}")


_NOT_UNCONFIRMED: Final = {
    JobStatus.PLANNED: "it was not submitted",
    JobStatus.RESOLVING: "it is being looked up at the provider",
    JobStatus.SUCCEEDED: "it has finished",
    JobStatus.FAILED: "it has failed",
}
_NOTHING_SENT: Final = "Nothing was sent for it. Free disk space or repair the journal's disk, then run again."
_IN_EMERGENCY_FILE: Final = (
    "Its id is in {place}, which the journal reads when it is next opened. Nothing more is submitted."
)
_LOST: Final = "Note its id: it could not be saved anywhere. Nothing more is submitted."


class JournalEntry:
    """The journal entry of one job: its newest submission, written at each step."""

    def __init__(self, writer: JournalWriter, submission: Submission) -> None:
        self._writer = writer
        self.submission = submission

    def moved(self, job: Job, *, provider: str, price: Decimal | None) -> JournalEntry:
        """Return the entry of a further attempt, at another provider; one that was never sent is replaced by it."""
        known = self.submission
        attempt = known.attempt if known.sent_at is None else known.attempt + 1
        new = new_submission(job, provider=provider, price=price, at=self._writer.now(), attempt=attempt)
        return JournalEntry(self._writer, new)

    @asynccontextmanager
    async def submitting(self, client_id: ClientId | None) -> AsyncGenerator[None]:
        self.submission = self.submission.sent(self._writer.now(), client_id)
        async with self._writer.submitting(self.submission):
            yield

    async def accepted(self, prediction: Prediction) -> None:
        self.submission = self.submission.accepted(prediction, self._writer.now())
        if prediction.status.is_terminal:
            self._writer.remember(self)
        await self._writer.write_accepted(self.submission)

    async def resolving(self, error: KlingError) -> None:
        self.submission = self.submission.resolving(error)
        await self._writer.write(self.submission)

    async def failed(self, error: KlingError) -> None:
        self.submission = self.submission.failed(error, at=self._writer.now())
        await self._writer.write(self.submission)

    async def finished(self, prediction: Prediction) -> None:
        if self.submission.succeeded and self.submission.files is not None and not prediction.succeeded:
            return  # its files are saved, so the job stays finished though the provider has removed its outputs since
        self.submission = self.submission.finished(prediction, self._writer.now())
        self._writer.remember(self)
        await self._writer.write(self.submission)

    async def saved(self, files: Sequence[str], *, checksums: Sequence[str] | None = None) -> None:
        """Write that the prediction's outputs are saved under these names. Raises JournalError."""
        sums = None if checksums is None else tuple(checksums)
        self.submission = self.submission.saved(tuple(files), self._writer.now(), checksums=sums)
        await self._writer.write_saved(self.submission)
