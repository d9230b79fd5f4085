"""A journal at work: what is durable before what.

Theory of operation. Each job of a journal has a page, which the account tells of each step, and waits for, under the
shield of the request: no submission leaves before its page says so, and nobody hears of an id before the page holds it.
When the journal fails after a submission was accepted, its id goes to the lifeboat and into the error, and nothing more
is submitted. What the process leaves as "sending" when it dies is found by the next one to open the journal, and is
unconfirmed from then on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

import anyio

from .effects.clock import Clock
from .effects.journal import Journal
from .errors import InputError, InputFault, JournalError, KlingError
from .inputs import Job
from .planning.moves import State
from .planning.retry import Action, judge_submission
from .planning.submissions import Decision, Submission, planned
from .prediction import Prediction

__all__ = ["JournalPage", "Recorder"]

_log = logging.getLogger(__name__)


class Recorder:
    """The journal of one client or one batch."""

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._broken: JournalError | None = None
        self._sending = 0
        self._none_sending = anyio.Event()
        self._closed = False

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[list[Submission]]:
        """Hold the journal open, and give what is accepted and not finished. Raises JournalError."""
        accepted = await self.open()
        try:
            yield accepted
        finally:
            await self.aclose()

    async def open(self) -> list[Submission]:
        """Open the journal, and return what is accepted and not finished. Raises JournalError."""
        opened = False
        try:
            await self._journal.open()
            opened = True
            left = await self._journal.submissions(State.SENDING)
            if left:
                await self._journal.write(*(one.interrupted() for one in left))
            return await self._journal.submissions(State.ACCEPTED)
        except BaseException as error:
            # A thread that opens it goes on when it is cancelled here. What refused to open is not ours to close.
            if opened or not isinstance(error, Exception):
                with anyio.CancelScope(shield=True):
                    await self._journal.aclose()
            raise

    async def aclose(self) -> None:
        """Wait until what is on its way is known and written down, and let go of the journal in any case."""
        with anyio.CancelScope(shield=True):
            try:
                while self._sending:
                    self._none_sending = anyio.Event()
                    await self._none_sending.wait()
            finally:
                self._closed = True
                await self._journal.aclose()

    async def find(self, key: str | None) -> Submission | None:
        """Return a job's newest submission."""
        return None if key is None else await self._journal.find(key)

    async def page_for(self, prediction: Prediction) -> JournalPage | None:
        """Return the page of a prediction; None if the journal does not know it."""
        known = await self.find(prediction.key)
        mine = known is not None and known.prediction is not None and known.prediction.id == prediction.id
        return JournalPage(self, known) if known is not None and mine else None

    def page(self, job: Job, *, provider: str, price: Decimal | None, after: Submission | None) -> JournalPage:
        """Return a new page for a job; `after` is the submission that it repeats, if it repeats one."""
        attempt = 1 if after is None else after.attempt + 1
        return JournalPage(self, planned(job, provider=provider, price=price, at=self.now(), attempt=attempt))

    async def spent(self) -> Decimal:
        """Return what all submissions have cost at most, in US dollars."""
        return await self._journal.spent()

    async def unfinished(self, *, saving: bool) -> list[Submission]:
        """Return what is paid for and not finished or, if files are wanted, not saved."""
        return await self._journal.unfinished(saving=saving)

    async def unconfirmed(self) -> list[Submission]:
        """Return the submissions of which nobody knows whether they arrived."""
        return [one for one in await self._journal.submissions(State.UNCONFIRMED) if one.decision is None]

    async def saved(self, prediction: Prediction, files: Sequence[Path]) -> None:
        """Write down that a prediction's outputs are files."""
        page = None if self._closed else await self.page_for(prediction)
        if page is not None:
            await self._journal.write(page.submission.saved(tuple(path.name for path in files), self.now()))

    async def decide(self, key: str, decision: Decision, *, id: str = "") -> Submission:
        """Write down what somebody decided about an unconfirmed submission.

        Raises:
            InputError: nothing under this key is unconfirmed.
            JournalError: it could not be written.
        """
        known = await self.find(key)
        if known is None or known.state is not State.UNCONFIRMED or known.decision is not None:
            stands = "is not in the journal" if known is None else f"is {known.state.value}"
            if known is not None and known.decision is not None:
                stands = f"was {known.decision.value} before"
            raise InputError.of("There is nothing to decide", [InputFault("key", key, f"the job {stands}")])
        decided = known.attached(id, self.now()) if decision is Decision.ATTACHED else known.decided(decision)
        await self._journal.write(decided)
        return decided

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self._clock.utc().timestamp()

    # For pages.

    @asynccontextmanager
    async def sending(self, submission: Submission) -> AsyncGenerator[None]:
        """Write down that a submission is about to leave, and know that it is under way as long as this is open."""
        if self._broken is not None or self._closed:
            raise self._refusal(submission)
        self._sending += 1
        try:
            await self._write_intent(submission)
            yield
        finally:
            self._sending -= 1
            self._none_sending.set()

    async def _write_intent(self, submission: Submission) -> None:
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._broken = error
            raise self._refusal(submission) from error

    async def write(self, submission: Submission) -> None:
        """Write down what is not lost if it cannot be."""
        if self._closed:
            return
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._broken = self._broken or error
            _log.error("%s: job %s is %s", error.message, submission.key, submission.state.value)

    async def write_accepted(self, submission: Submission) -> None:
        """Write down what must not be lost. Raises JournalError, with the id, if it is saved elsewhere or nowhere."""
        try:
            await self._journal.write(submission)
        except JournalError as error:
            self._broken = self._broken or error
            raise await self._rescued(submission, error) from error
        except BaseException:
            message = "cut off before its id was known to be kept: provider=%s id=%s key=%s"
            _log.critical(message, submission.provider, _id_of(submission), submission.key)
            raise

    async def _rescued(self, submission: Submission, failure: JournalError) -> JournalError:
        advice = _LOST
        with suppress(JournalError):
            advice = _RESCUED.format(place=await self._journal.rescue(submission))
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
        why = self._broken.message if self._broken is not None else "The journal is closed"
        return JournalError(
            f"It was not submitted: {why}", provider=submission.provider, key=submission.key, advice=_NOTHING_SENT
        )


def _id_of(submission: Submission) -> str | None:
    return None if submission.prediction is None else submission.prediction.id


_NOTHING_SENT: Final = "Nothing was sent for it. Make room or mend the journal's disk, then run again."
_RESCUED: Final = "Its id is in {place}, which the journal takes up when it is next opened. Nothing more is submitted."
_LOST: Final = "Write its id down: it could be saved nowhere. Nothing more is submitted."


class JournalPage:
    """Where a journal keeps one job."""

    def __init__(self, recorder: Recorder, submission: Submission) -> None:
        self._recorder = recorder
        self.submission = submission

    @asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        self.submission = self.submission.sent(self._recorder.now())
        async with self._recorder.sending(self.submission):
            yield

    async def accepted(self, prediction: Prediction) -> None:
        self.submission = self.submission.accepted(prediction, self._recorder.now())
        await self._recorder.write_accepted(self.submission)

    async def failed(self, error: KlingError) -> None:
        lost = judge_submission(error).action is Action.UNCONFIRMED
        self.submission = self.submission.failed(error, lost=lost, at=self._recorder.now())
        await self._recorder.write(self.submission)

    async def finished(self, prediction: Prediction) -> None:
        self.submission = self.submission.finished(prediction, self._recorder.now())
        await self._recorder.write(self.submission)
