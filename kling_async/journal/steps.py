"""Write-ahead ordering of the steps of a submission, and the journal entry of a job, which has them written.

Theory of operation. Each job has an entry. The account writes each step to it, and waits for that, under the shield of
the request: no submission leaves before its intent is durable, and no id is reported before it is durable. If the
journal fails after an acceptance, the id goes to the emergency file and into the error, and nothing more is submitted.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Final

import anyio

from ..system.clock import Clock
from ..types.client_id import ClientId
from ..types.errors import BudgetExceeded, JournalError, KlingError
from ..types.gate import SendCheck
from ..types.jobs import Job
from ..types.prediction import Prediction
from .base import Journal
from .claims import NotOwner
from .failures import id_of, not_recorded, not_submitted
from .gate import Held
from .intents import Intents, Needs
from .joining import await_answer, joined_prediction
from .submission import Submission, new_submission

__all__ = ["JournalEntry", "StepWriter"]

_log = logging.getLogger(__name__)

_MAX_RECENT: Final = 1000
"""Maximum number of terminal entries kept in memory, so that saving their files reads no journal."""


class StepWriter:
    """Writes the steps of submissions in the open journal of one client or one batch.

    Attributes:
        intents: the first steps, which a gate may hold back.
    """

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self.intents = Intents(journal)
        self._clock = clock
        self._failure: JournalError | None = None
        self._submitting = 0
        self._none_submitting = anyio.Event()
        self._closed = False
        self._recent: dict[tuple[str, str], JournalEntry] = {}

    def now(self) -> float:
        """Return seconds since 1970."""
        return self._clock.utc().timestamp()

    async def submitted_elsewhere(self, known: Submission) -> Submission:
        """Wait until the client that is submitting a job has an answer, and return its newest submission."""
        return await await_answer(known, find=self._journal.find, clock=self._clock)

    def remember(self, entry: JournalEntry) -> None:
        """Keep the entry of a terminal prediction for a while: its files are usually saved next."""
        prediction = entry.submission.prediction
        if prediction is not None:
            self._recent[prediction.provider, prediction.id] = entry
            while len(self._recent) > _MAX_RECENT:
                del self._recent[next(iter(self._recent))]

    @asynccontextmanager
    async def submitting(self, submission: Submission, needs: Needs) -> AsyncGenerator[SendCheck | None]:
        """Write the intent of a submission, and count it as in flight while this is entered. Raises JournalError."""
        if self._failure is not None or self._closed:
            raise self._refusal(submission)
        self._submitting += 1
        try:
            check = await self._write_intent(submission, needs)
            yield check
        finally:
            self._submitting -= 1
            self._none_submitting.set()

    async def _write_intent(self, submission: Submission, needs: Needs) -> SendCheck | None:
        try:
            return await self.intents.write(submission, needs)
        except (NotOwner, Held):
            raise  # the journal itself works
        except JournalError as error:
            self._failure = error
            raise self._refusal(submission) from error

    async def write(self, submission: Submission) -> None:
        """Write a step that can be recovered: if that fails, the error is logged, and nothing more is submitted."""
        if self._closed:
            return
        try:
            await self._journal.write(submission)
        except NotOwner as error:
            _log.info("%s: job %s is %s here", error.message, submission.key, submission.status.value)
        except JournalError as error:
            self._failure = self._failure or error
            _log.error("%s: job %s is %s", error.message, submission.key, submission.status.value)

    async def write_saved(self, submission: Submission) -> None:
        """Write that files are saved, unless the journal is closed. Raises JournalError."""
        with suppress(NotOwner):  # the one that has the job saves it, too
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
            self._failure = self._failure or (None if isinstance(error, NotOwner) else error)
            raise await self._write_emergency(submission, error) from error
        except BaseException:
            message = "interrupted before its id was known to be durable: provider=%s id=%s key=%s"
            _log.critical(message, submission.provider, id_of(submission), submission.key)
            raise

    async def _write_emergency(self, submission: Submission, failure: JournalError) -> JournalError:
        place = None
        with suppress(JournalError):
            place = await self._journal.write_emergency(submission)
        error = not_recorded(submission, failure, place=place)
        _log.critical("%s", error)
        return error

    def _refusal(self, submission: Submission) -> JournalError:
        return not_submitted(submission, self._failure)


class JournalEntry:
    """The journal entry of one job: its newest submission, written at each step.

    Attributes:
        submission: the newest form.
        max_cost: US dollars that all submissions of a shared journal may cost together; None is no limit.
    """

    def __init__(self, writer: StepWriter, submission: Submission) -> None:
        self._writer = writer
        self.submission = submission
        self.max_cost: Decimal | None = None

    def moved(self, job: Job, *, provider: str, price: Decimal | None) -> JournalEntry:
        """Return the entry of a further attempt, at another provider; one that was never sent is replaced by it."""
        known = self.submission
        attempt = known.attempt if known.sent_at is None else known.attempt + 1
        new = new_submission(job, provider=provider, price=price, at=self._writer.now(), attempt=attempt)
        entry = JournalEntry(self._writer, new)
        entry.max_cost = self.max_cost
        return entry

    @asynccontextmanager
    async def submitting(
        self, client_id: ClientId | None, *, slots: int, slot_seconds: Callable[[], float]
    ) -> AsyncGenerator[SendCheck | None]:
        planned = self.submission
        self.submission = planned.sent(self._writer.now(), client_id)
        needs = Needs(slots=slots, slot_seconds=slot_seconds, max_cost=self.max_cost)
        try:
            async with self._writer.submitting(self.submission, needs) as check:
                yield check
        except (Held, BudgetExceeded):
            self.submission = planned
            raise

    def lookup_check(self) -> SendCheck | None:
        return self._writer.intents.lookup_check(self.submission)

    async def join(self, error: NotOwner) -> Prediction | None:
        """Wait for the answer to a submission by another client; None if it certainly did not start.

        Raises:
            KlingError: the submission failed, or its answer was lost.
            InputError: another input is submitted under the key.
        """
        known = error.known if error.is_own else await self._writer.submitted_elsewhere(error.known)
        prediction = joined_prediction(known, self.submission)
        self.submission = known
        return prediction

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
