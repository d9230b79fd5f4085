"""Where it is found out whether a job was here before, and what is done about it.

A client has a desk for what is awaited, and each batch one of its own. With a journal, a job that it knows goes on
where it stands: what is accepted is looked at by the provider that has it, what is over is told, and only what was
never sent is submitted.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from .account import Hearing
from .effects.clock import Clock
from .errors import InputError, InputFault, KlingError
from .inputs import Input, Job
from .orders import Orders
from .planning.moves import Event, EventKind, Listener, State, Ticket
from .planning.resume import Step, step_for
from .planning.submissions import Decision, Submission
from .prediction import Prediction
from .providers import provider_named
from .recorder import JournalPage, Recorder
from .scheduler import AWAITED, Scheduler

__all__ = ["Case", "Desk", "accepted_in"]

_UNHEARD_FOR: Final = 3600.0
"""Seconds for which a prediction of an earlier run is looked at before anybody asks for it."""


@frozen
class Case:
    """A job, and what is to be done about it.

    Attributes:
        job: with its key and its provider.
        step: what to do.
        known: what the journal knows of it.
        price: the most that doing it can cost in US dollars; None where no price is known.
        ticket: the ticket of its submission, which is on its way though nobody listens to it any more.
    """

    job: Job
    step: Step = Step.SUBMIT
    known: Submission | None = None
    price: Decimal | None = None
    ticket: Ticket | None = None

    @property
    def costs(self) -> bool:
        """Whether doing it costs anything."""
        return self.step in (Step.SUBMIT, Step.RESUBMIT)


class Desk:
    """What is begun at the accounts of a client.

    Args:
        orders: knows who takes a job, and for how much.
        scheduler: has the accounts.
        clock: the time for what is told without an account.
        recorder: has the journal; None without one.
        accept_changed: submit, and pay, another input under a known key.
        retry_failed: submit again, and pay again, what has failed in an earlier run.
    """

    def __init__(
        self,
        *,
        orders: Orders,
        scheduler: Scheduler,
        clock: Clock,
        recorder: Recorder | None = None,
        accept_changed: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.orders = orders
        self._scheduler = scheduler
        self._clock = clock
        self._accept_changed = accept_changed
        self._retry_failed = retry_failed
        self.recorder = recorder

    @contextmanager
    def claimed(self, key: str | None) -> Generator[None]:
        """Keep others from beginning the same job. Raises InputError if somebody is just doing so."""
        if self.recorder is None or key is None:
            yield
            return
        beginning = self.recorder.beginning
        if key in beginning:
            raise _under_way(key)
        beginning.add(key)
        try:
            yield
        finally:
            beginning.discard(key)

    async def case(self, job: Job) -> Case:
        """Find out what is to be done about a job.

        Raises:
            InputError: no provider takes it, the journal knows another input under its key, or somebody is just
                submitting it.
            JournalError: the journal cannot be read.
        """
        known, step = None, Step.SUBMIT
        if self.recorder is not None:
            known = await self.recorder.find(job.key)
            sending = self.recorder.submitting(job.key)
            if sending is not None and sending.listener is not None:
                raise _under_way(job.key)
            if sending is not None and sending.job is not None:
                return Case(sending.job, Step.FOLLOW, known, ticket=sending)
            step = step_for(known, job, accept_changed=self._accept_changed, retry_failed=self._retry_failed)
        if known is not None and step in (Step.FOLLOW, Step.DONE):
            return Case(evolve(job, provider=known.provider), step, known)
        job = evolve(job, provider=self.orders.choose(job).name)
        return Case(job, step, known, self.orders.price(job))

    def begin(
        self, case: Case, *, listener: Listener, wait_for: float, worth: float = 1.0, only_submit: bool = False
    ) -> Ticket:
        """Do what is to be done about a job; the listener hears what happens to it."""
        job, known, recorder = case.job, case.known, self.recorder
        provider = provider_named(job.provider or "")
        if case.ticket is not None:
            self._scheduler.hear(case.ticket, provider, listener=listener, wait_for=wait_for, worth=worth)
            return case.ticket
        if known is not None and recorder is not None and case.step is Step.FOLLOW and not only_submit:
            return self._follow(job, known, recorder, listener=listener, wait_for=wait_for, worth=worth)
        if known is not None and not case.costs:
            return self._tell(case, known, listener)
        page = None
        if recorder is not None:
            after = known if case.step is Step.RESUBMIT else None
            page = recorder.page(job, provider=provider.name, price=case.price, after=after)
        ticket = self._scheduler.begin(
            job, provider, listener=listener, wait_for=wait_for, page=page, worth=worth, only_submit=only_submit
        )
        if recorder is not None:
            recorder.note(ticket)
        return ticket

    def _follow(
        self,
        job: Job,
        known: Submission,
        recorder: Recorder,
        *,
        listener: Listener | None,
        wait_for: float,
        worth: float,
    ) -> Ticket:
        provider, prediction = provider_named(known.provider), known.prediction
        if prediction is None:
            raise RuntimeError("what is accepted has a prediction")
        ticket = recorder.unheard(known.key)
        if ticket is not None and listener is not None:
            self._scheduler.hear(ticket, provider, listener=listener, wait_for=wait_for, worth=worth)
        else:
            ticket = self._scheduler.follow(
                job,
                prediction,
                provider,
                listener=listener,
                wait_for=wait_for,
                page=JournalPage(recorder, known),
                worth=worth,
                age=recorder.now() - (known.accepted_at or recorder.now()),
            )
            recorder.note(ticket)
        if listener is not None:
            listener(self._event(EventKind.RESUMED, ticket))
        return ticket

    def _tell(self, case: Case, known: Submission, listener: Listener) -> Ticket:
        """Tell how a job stands, of which nothing is to be done."""
        error = None if known.state is State.ENDED else known.error()
        ticket = Ticket(key=known.key, job=case.job, path=(), state=known.state, prediction=known.prediction)
        listener(self._event(EventKind.FINISHED, ticket, error=error))
        return ticket

    def _event(self, kind: EventKind, ticket: Ticket, *, error: KlingError | None = None) -> Event:
        provider = (ticket.job.provider if ticket.job is not None else None) or ""
        return Event(kind, self._clock.now(), provider, ticket, ticket.prediction, error)

    async def run(self, job: Job, *, wait_for: float, worth: float = 1.0, only_submit: bool = False) -> Event:
        """Do what is to be done about a job, and return once it is over."""
        hearing = Hearing()
        with self.claimed(job.key):
            case = await self.case(job)
            ticket = self.begin(case, listener=hearing, wait_for=wait_for, worth=worth, only_submit=only_submit)
        if hearing.last is not None:
            return hearing.last
        return await self._scheduler.outcome(ticket, provider_named(case.job.provider or ""), hearing)

    async def look(self, prediction: Prediction, *, wait_for: float, once: bool = False) -> Event:
        """Look at a prediction until it is finished, or once."""
        provider = provider_named(prediction.provider)
        page = None if self.recorder is None else await self.recorder.page_for(prediction)
        ticket = None if self.recorder is None or page is None or once else self.recorder.unheard(page.submission.key)
        if ticket is None:
            return await self._scheduler.look(prediction, provider, wait_for=wait_for, once=once, page=page)
        hearing = Hearing()
        self._scheduler.hear(ticket, provider, listener=hearing, wait_for=wait_for, worth=AWAITED)
        return await self._scheduler.outcome(ticket, provider, hearing)

    async def refresh(self, prediction: Prediction, *, wait_for: float) -> Prediction:
        """Look at a prediction once, and return it as it is now."""
        seen = accepted_in(await self.look(prediction, wait_for=wait_for, once=True))
        return prediction if prediction.status.finished and not seen.status.finished else seen

    async def resubmit(self, recorder: Recorder, key: str, input: Input | None, *, wait_for: float) -> Event:
        """Submit a job anew of which nobody knows whether it arrived, and return once it is accepted."""
        with self.claimed(key):
            known = await recorder.find(key)
            if known is not None and input is None and not known.whole:
                fault = InputFault("input", None, "is needed, since a journal keeps no data URIs and signed addresses")
                raise InputError.of("The journal does not hold all of the input", [fault], key=key)
            known = await recorder.decide(key, Decision.RESUBMITTED)
            job = known.job() if input is None else evolve(known.job(), input=input)
            job = evolve(job, provider=self.orders.choose(job).name)
            hearing = Hearing()
            case = Case(job, Step.RESUBMIT, known, self.orders.price(job))
            ticket = self.begin(case, listener=hearing, wait_for=wait_for, only_submit=True)
        return await self._scheduler.outcome(ticket, provider_named(known.provider), hearing)

    def resume(self, accepted: Sequence[Submission], *, worth: float) -> None:
        """Look at what was accepted in an earlier run, whether or not anybody asks for it."""
        for known in accepted:
            if self.recorder is not None:
                self._follow(known.job(), known, self.recorder, listener=None, wait_for=_UNHEARD_FOR, worth=worth)

    async def left_over(self, keys: set[str], *, saving: bool) -> list[Case]:
        """Return what an earlier run has paid for and not finished, or not saved, beside the jobs of these keys."""
        if self.recorder is None:
            return []
        left = await self.recorder.unfinished(saving=saving)
        return [
            Case(known.job(), Step.FOLLOW if known.state is State.ACCEPTED else Step.DONE, known)
            for known in left
            if known.key not in keys
        ]

    def recall(self, ticket: Ticket, provider: str) -> None:
        """Take a job out of the line, if it still stands there; it is over then."""
        self._scheduler.recall(ticket, provider_named(provider))

    def hurry(self) -> None:
        """Let the client's closing wait for requests in flight no longer than a moment."""
        self._scheduler.hurried = True

    def cut_off(self) -> None:
        """End the client's requests in flight at once."""
        self._scheduler.cut_off()

    def forget(self, ticket: Ticket, provider: str) -> None:
        """Stop listening to a job; what is not submitted yet never is."""
        self._scheduler.forget(ticket, provider_named(provider))


def accepted_in(event: Event) -> Prediction:
    """Return the prediction of a job that is over. Raises KlingError if it has none, or went wrong."""
    if event.error is not None:
        raise event.error
    if event.prediction is None:
        raise RuntimeError("a job is over without a prediction and without an error")
    return event.prediction


def _under_way(key: str | None) -> InputError:
    return InputError("A job with this key is just being submitted", key=key, advice="Wait for it, or use another key.")
