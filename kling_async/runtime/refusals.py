"""Ask for another input after a refusal of content, at most once per job, and admit it.

Theory of operation. A call that learns of a refusal asks under the reservation of the job's key, so that of several
calls that have joined a job one asks, and the others find what came of it. The journal says whether it may be asked:
one attempt in the place of a refused one, or an answer that there is none, ends the matter, in later runs as well.
Without a journal a key names a job only while calls handle it, and these remember it for as long.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Final, TypeAlias

from attrs import evolve, frozen

from ..journal.refusals import may_replace
from ..journal.submission import Submission
from ..scheduling.ticket import Subscription
from ..system.clock import Clock, hold_clock
from ..system.interrupts import interruptible, resend_interrupt
from ..system.threads import DaemonThread
from ..types.errors import ContentRejected, InputError, InputFault, KlingError, PredictionFailed
from ..types.events import Event, EventKind
from ..types.inputs import ImageInput, Input, VideoInput
from ..types.jobs import Job, fingerprint
from ..types.refusals import OnRefused, content_refusal
from ..types.status import JobStatus
from .admission import Admission, AdmissionRules
from .completion import Completion
from .dispatcher import Dispatcher
from .open_refusals import OpenRefusals
from .replacement import replacing

__all__ = ["Answer", "Replacer", "Unreplaced", "caused_by", "ended_event", "replaced_event"]

_log = logging.getLogger(__name__)

_NEITHER: Final = "must be an ImageInput, a VideoInput or None"


@frozen(kw_only=True)
class Unreplaced:
    """No input takes the place of the refused one.

    Attributes:
        error: the error of the job in place of the refusal: what was given cannot be submitted.
        cause: what `on_refused` raised.
    """

    error: KlingError | None = None
    cause: Exception | None = None


Answer: TypeAlias = Admission | Unreplaced


@frozen
class Replacer:
    """Asks a function for other inputs, for one call or one batch.

    Attributes:
        dispatcher: knows the jobs.
        rules: by which inputs are admitted.
        on_refused: the function of the user.
    """

    dispatcher: Dispatcher
    rules: AdmissionRules
    on_refused: OnRefused

    @property
    def handled(self) -> OpenRefusals:
        """The refusals that calls handle at present."""
        return self.dispatcher.running.refusals

    def refusal_of(self, admission: Admission, event: Event) -> ContentRejected | None:
        """Return the refusal with which a job has ended, if another input may be asked for."""
        if event.kind is not EventKind.FINISHED or admission.replaces is not None:
            return None
        return content_refusal(event.prediction, event.error)

    async def run(self, job: Job, *, wait_for: float, priority: float) -> Event:
        """Do what is to be done about a job, ask for another input if it is refused, and return its last event."""
        dispatcher = self.dispatcher
        dispatcher.accounts.check_open()
        deadline = dispatcher.accounts.clock.now() + wait_for
        completion = _RefusalCompletion(job.key, self.handled)
        try:
            async with dispatcher.reserve_key(job.key):
                admission = await dispatcher.admit(job, self.rules)
                ticket = dispatcher.start(admission, Subscription(completion, deadline, priority))
            event = await dispatcher.finish(completion, ticket)
            refusal = self.refusal_of(admission, event)
            if refusal is None:
                return event
            again = Completion()
            async with self.replacing(admission, event, refusal, deadline=deadline) as answer:
                if isinstance(answer, Unreplaced):
                    return ended_event(event, answer)
                now = dispatcher.accounts.clock.now()
                dispatcher.accounts.listeners.notify(replaced_event(event, answer, refusal, at=now))
                ticket = dispatcher.start(answer, Subscription(again, deadline, priority))
            return await dispatcher.finish(again, ticket)
        finally:
            completion.release()

    @asynccontextmanager
    async def replacing(
        self, refused: Admission, event: Event, refusal: ContentRejected, *, deadline: float
    ) -> AsyncGenerator[Answer]:
        """Yield the admission of another input, to be started meanwhile, or why there is none.

        An answer that comes after the deadline of the job is none; a later run asks again.

        Raises:
            JournalError: the journal cannot be read.
        """
        job = refused.job_at(event.provider)
        async with self.dispatcher.reserve_key(job.key):
            answer = await self._answer(job, refusal, shared=refused.shared)
            is_late = isinstance(answer, Admission) and self.dispatcher.accounts.clock.now() >= deadline
            yield Unreplaced() if is_late else answer

    async def _answer(self, job: Job, refusal: ContentRejected, *, shared: bool) -> Answer:
        journal, handled = self.dispatcher.journal, self.handled
        known = None if journal is None else await journal.find(job.key)
        if shared and self._is_replaced(job, known):
            return await self._joined(job, refusal)
        if (journal is not None and known is None) or not may_replace(known, job.input):
            return Unreplaced()
        if shared and handled.is_asked(job.key):
            return Unreplaced()
        try:
            given = await _ask(self.on_refused, job.input, refusal, clock=self.dispatcher.accounts.clock)
        except KeyboardInterrupt:
            resend_interrupt()
            return Unreplaced()
        except Exception as error:  # noqa: BLE001 - it is the user's function, and told as the cause of the refusal
            _log.warning("on_refused failed for job %s, which stays refused", job.key, exc_info=error)
            given = Unreplaced(cause=error)
        if shared:
            handled.add_asked(job.key)
        if isinstance(given, Unreplaced):
            return given
        return await self._admitted(job, given, known, refusal, shared=shared)

    def _is_replaced(self, job: Job, known: Submission | None) -> bool:
        """Return whether another call has put an input in the place of this one, or submits the job again."""
        replaced = known is not None and known.replaces is not None and known.is_of(fingerprint(job.input))
        return replaced or self.dispatcher.running.find(job.key) is not None

    async def _joined(self, job: Job, refusal: ContentRejected) -> Answer:
        try:
            return await self.dispatcher.admit(job, evolve(self.rules, resubmit_failed=False))
        except InputError as error:
            return Unreplaced(error=caused_by(refusal, error))

    async def _admitted(
        self, job: Job, given: object, known: Submission | None, refusal: ContentRejected, *, shared: bool
    ) -> Answer:
        """Return the admission of what `on_refused` gave."""
        try:
            if not isinstance(given, (ImageInput, VideoInput)):
                if given is None:
                    return await self._declined(known)
                raise InputError.of("Wrong result", [InputFault("on_refused", given, _NEITHER)])
            other = await self.dispatcher.accounts.library.read(evolve(job, input=given))
            admission = replacing(other, self.rules, refused=job.input, known=known, shared=shared)
        except InputError as error:
            return Unreplaced(error=caused_by(refusal, error))
        if fingerprint(admission.job.input) == admission.replaces:
            return await self._declined(known)
        return admission

    async def _declined(self, known: Submission | None) -> Unreplaced:
        if known is not None and self.dispatcher.journal is not None:
            await self.dispatcher.journal.write_declined(known)
        return Unreplaced()


class _RefusalCompletion(Completion):
    """A completion that counts among the calls that handle the refusal of a job, from its last event on."""

    def __init__(self, key: str | None, refusals: OpenRefusals) -> None:
        super().__init__()
        self._key, self._refusals, self._counts = key, refusals, False

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if event.kind is EventKind.FINISHED and content_refusal(event.prediction, event.error) is not None:
            self._counts = True
            self._refusals.begin(self._key)

    def release(self) -> None:
        """Count no more."""
        if self._counts:
            self._counts = False
            self._refusals.end(self._key)


@interruptible
async def _ask(function: OnRefused, input: Input, refusal: ContentRejected, *, clock: Clock) -> object:
    if iscoroutinefunction(function):
        return await function(input, refusal)
    # It may block for long, as a call of a language model does, and there are other jobs.
    thread = DaemonThread(name="kling-async on_refused")
    try:
        with hold_clock(clock):
            given = await thread.run(partial(function, input, refusal))
    finally:
        thread.stop()
    return await given if isawaitable(given) else given


def caused_by(refusal: ContentRejected, error: KlingError) -> KlingError:
    """Return the error about another input with the facts of the refusal, its cause, which may have been billed."""
    error.provider, error.key, error.id = refusal.provider, refusal.key, refusal.id
    error.may_be_billed, error.__cause__ = refusal.may_be_billed, refusal
    return error


def ended_event(event: Event, answer: Unreplaced) -> Event:
    """Return the final event of a job whose refusal stays, or whose other input cannot be submitted."""
    if answer.error is not None:
        return evolve(event, error=answer.error)
    if answer.cause is None:
        return event
    error = event.error
    if error is None and event.prediction is not None:
        error = PredictionFailed(event.prediction)
    if error is not None:
        error.__cause__ = answer.cause
        error.add_note(f"on_refused raised {type(answer.cause).__name__}: {answer.cause}")
    return evolve(event, error=error)


def replaced_event(event: Event, admission: Admission, refusal: ContentRejected, *, at: float) -> Event:
    """Return the event that another input takes the place of a refused one, by the event of the refusal."""
    return evolve(
        event,
        kind=EventKind.REPLACED,
        at=at,
        status=JobStatus.PLANNED,
        error=refusal,
        prompt=admission.job.input.prompt,
        unseen_seconds=None,
    )
