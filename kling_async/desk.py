"""Where it is found out whether a job was here before, and what is done about it.

A client has a desk for what is awaited, and each batch one of its own. A job that is under way is joined: it is
submitted once, and each caller waits as long as it likes. With a journal, a job that it knows goes on where it stands:
what is accepted is looked at by the provider that has it, what is over is told, and only what was never sent is
submitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

from attrs import evolve, frozen

from .account import Hearing
from .effects.clock import Clock
from .errors import InputError, InputFault
from .inputs import Input, Job
from .naming import fingerprint
from .orders import Orders
from .planning.moves import Event, EventKind, Listener, State, Ticket
from .planning.resume import Step, step_for
from .planning.submissions import Decision, Submission
from .prediction import Prediction
from .providers import provider_named
from .recorder import JournalPage, Recorder
from .registry import Registry
from .scheduler import AWAITED, Scheduler

__all__ = ["Case", "Desk", "accepted_in"]


@frozen
class Case:
    """A job, and what is to be done about it.

    Attributes:
        job: with its key and its provider.
        step: what to do.
        known: what the journal knows of it.
        price: the most that doing it can cost in US dollars; None where no price is known.
        ticket: the ticket of its submission, if that is under way.
        shared: whether others know the job by its key, and may join it.
    """

    job: Job
    step: Step = Step.SUBMIT
    known: Submission | None = None
    price: Decimal | None = None
    ticket: Ticket | None = None
    shared: bool = True

    @property
    def listed_price(self) -> Decimal | None:
        """The most that the job can cost, or could when an earlier run submitted it."""
        return self.price if self.costs or self.known is None else self.known.price

    @property
    def replaces_files(self) -> bool:
        """Whether the job's files take the place of those of an earlier attempt, which was to be repeated."""
        known = self.known
        return self.step is Step.RESUBMIT or (known is not None and known.attempt > 1 and known.files is None)

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
        registry: knows what is under way.
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
        registry: Registry,
        recorder: Recorder | None = None,
        accept_changed: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.orders = orders
        self._scheduler = scheduler
        self._clock = clock
        self._registry = registry
        self._accept_changed = accept_changed
        self._retry_failed = retry_failed
        self.recorder = recorder

    def check_open(self) -> None:
        """Raise RuntimeError if the client is not open."""
        self._scheduler.check_open()

    def claimed(self, key: str | None) -> AbstractAsyncContextManager[None]:
        """Keep others from beginning the same job, from asking the journal for it until it has begun."""
        return self._registry.claimed(key or "")

    async def case(self, job: Job, *, shared: bool = True) -> Case:
        """Find out what is to be done about a job.

        Args:
            shared: whether its key says which job it is, also to others; one that was made up, without a journal to
                keep it, does not.

        Raises:
            InputError: no provider takes it, or the journal or a call under way knows another input under its key.
            JournalError: the journal cannot be read.
        """
        # What is under way is found before the journal is asked: while that answers, it may be over.
        case = self._joined(job) if shared else None
        if case is not None:
            return case
        known, step = None, Step.SUBMIT
        if self.recorder is not None:
            known = await self.recorder.find(job.key)
            step = step_for(known, job, accept_changed=self._accept_changed, retry_failed=self._retry_failed)
        if known is not None and step in (Step.FOLLOW, Step.DONE):
            return Case(evolve(job, provider=known.provider), step, known)
        job = evolve(job, provider=self.orders.choose(job).name)
        return Case(job, step, known, self.orders.price(job), shared=shared)

    def _joined(self, job: Job) -> Case | None:
        """Return the case of a job that is under way; None if it is not."""
        ticket = self._registry.find(job.key)
        if ticket is None or ticket.job is None:
            return None
        known = ticket.page.submission if isinstance(ticket.page, JournalPage) else None
        if fingerprint(job.input) != (known.fingerprint if known else fingerprint(ticket.job.input)):
            if known is not None and ticket.state is State.ACCEPTED and not ticket.subscriptions:
                return None  # whether a changed input may be submitted is for the journal to say
            fault = InputFault("input", job.input.prompt, "is not what is under way under this key")
            raise InputError.of("Another input is under way", [fault], key=job.key, advice=_UNDER_WAY)
        job = evolve(job, provider=ticket.job.provider)
        return Case(job, Step.FOLLOW, known, self.orders.price(job), ticket)

    def begin(
        self,
        case: Case,
        *,
        listener: Listener,
        wait_for: float,
        worth: float = 1.0,
        only_submit: bool = False,
        pay: Callable[[], bool] | None = None,
    ) -> Ticket:
        """Do what is to be done about a job, at once after its case; the listener hears what happens to it.

        Args:
            pay: as in `Subscription`, if the job is joined.
        """
        known, recorder, ticket = case.known, self.recorder, case.ticket
        if ticket is None and case.costs:
            return self._submit(case, listener=listener, wait_for=wait_for, worth=worth, only_submit=only_submit)
        follows = ticket is None and case.step is Step.FOLLOW and not only_submit
        if follows and known is not None and recorder is not None:
            ticket = self._registry.find(known.key) or self._follow(case.job, known, recorder, worth=worth)
        if ticket is None:
            return self._tell(case, listener)
        self._scheduler.join(
            ticket,
            provider_named(case.job.provider or ""),
            listener=listener,
            wait_for=wait_for,
            worth=worth,
            only_submit=only_submit,
            pay=pay,
        )
        return ticket

    def _submit(self, case: Case, *, listener: Listener, wait_for: float, worth: float, only_submit: bool) -> Ticket:
        job, page = case.job, None
        provider = provider_named(job.provider or "")
        if self.recorder is not None:
            after = case.known if case.step is Step.RESUBMIT else None
            page = self.recorder.page(job, provider=provider.name, price=case.price, after=after)
        ticket = self._scheduler.begin(
            job, provider, listener=listener, wait_for=wait_for, page=page, worth=worth, only_submit=only_submit
        )
        if case.shared and job.key is not None:
            self._registry.note(job.key, ticket)
        return ticket

    def _follow(self, job: Job, known: Submission, recorder: Recorder, *, worth: float) -> Ticket:
        """Look at what was accepted before; it has no listener yet."""
        if known.prediction is None:
            raise RuntimeError("what is accepted has a prediction")
        ticket = self._scheduler.follow(
            job,
            known.prediction,
            provider_named(known.provider),
            page=JournalPage(recorder, known),
            worth=worth,
            age=recorder.now() - (known.accepted_at or recorder.now()),
        )
        self._registry.note(known.key, ticket)
        return ticket

    def _tell(self, case: Case, listener: Listener) -> Ticket:
        """Tell how a job stands, of which nothing is to be done."""
        known = case.known
        if known is None:
            raise RuntimeError("what is over is in the journal")
        error = None if known.state is State.ENDED else known.error()
        ticket = Ticket(key=known.key, job=case.job, path=(), state=known.state, prediction=known.prediction)
        provider = case.job.provider or ""
        event = Event(EventKind.FINISHED, self._clock.now(), provider, ticket, ticket.prediction, error)
        listener(evolve(event, replayed=True))
        return ticket

    async def run(self, job: Job, *, wait_for: float, worth: float = 1.0, only_submit: bool = False) -> Event:
        """Do what is to be done about a job, and return once it is over."""
        self.check_open()
        hearing = Hearing()
        async with self.claimed(job.key):
            case = await self.case(job)
            ticket = self.begin(case, listener=hearing, wait_for=wait_for, worth=worth, only_submit=only_submit)
        return await self._outcome(ticket, case.job.provider or "", hearing)

    async def _outcome(self, ticket: Ticket, provider: str, hearing: Hearing) -> Event:
        try:
            return hearing.last or await self._scheduler.outcome(ticket, provider_named(provider), hearing)
        finally:
            self.let_go(ticket)

    async def look(self, prediction: Prediction, *, wait_for: float, once: bool = False) -> Event:
        """Look at a prediction until it is finished, beside those who do so already, or once."""
        self.check_open()
        hearing, provider = Hearing(), provider_named(prediction.provider)
        page = None if self.recorder is None else await self.recorder.page_for(prediction)
        ticket = None if once else self._registry.looked_at(prediction) or self._taken_up(page)
        if ticket is not None:
            self._scheduler.join(ticket, provider, listener=hearing, wait_for=wait_for, worth=AWAITED)
            return await self._outcome(ticket, provider.name, hearing)
        ticket = self._scheduler.look(prediction, provider, listener=hearing, wait_for=wait_for, once=once, page=page)
        if not once:
            self._registry.note((provider.name, prediction.id), ticket)
        return await self._outcome(ticket, provider.name, hearing)

    def _taken_up(self, page: JournalPage | None) -> Ticket | None:
        """Look at what is accepted for the journal as well."""
        if self.recorder is None or page is None or page.submission.state is not State.ACCEPTED:
            return None
        return self._follow(page.submission.job(), page.submission, self.recorder, worth=AWAITED)

    async def refresh(self, prediction: Prediction, *, wait_for: float) -> Prediction:
        """Look at a prediction once, and return it as it is now."""
        seen = accepted_in(await self.look(prediction, wait_for=wait_for, once=True))
        return prediction if prediction.status.finished and not seen.status.finished else seen

    async def resubmit(self, recorder: Recorder, key: str, input: Input | None, *, wait_for: float) -> Event:
        """Submit a job anew of which nobody knows whether it arrived, and return once it is accepted."""
        async with self.claimed(key):
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
        return await self._outcome(ticket, job.provider or "", hearing)

    def resume(self, accepted: Sequence[Submission], *, worth: float) -> None:
        """Look at what was accepted in an earlier run, whether or not anybody asks for it."""
        for known in accepted:
            if self.recorder is not None:
                self._follow(known.job(), known, self.recorder, worth=worth)

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

    def let_go(self, ticket: Ticket) -> None:
        """Keep no job that is over."""
        self._registry.drop(ticket)

    def recall(self, ticket: Ticket, provider: str, listener: Listener) -> None:
        """Leave a job that still stands in line; it is over then, for this listener."""
        self._scheduler.recall(ticket, provider_named(provider), listener)

    def forget(self, ticket: Ticket, provider: str, listener: Listener) -> None:
        """Stop listening to a job; what no other listener wants, and is not submitted yet, never is."""
        self._scheduler.forget(ticket, provider_named(provider), listener)

    def hurry(self) -> None:
        """Let the client's closing wait for requests in flight no longer than a moment."""
        self._scheduler.hurried = True

    def cut_off(self) -> None:
        """End the client's requests in flight at once."""
        self._scheduler.cut_off()


_UNDER_WAY = "Nothing was sent for it. Wait until that one is finished, or give this one another key."


def accepted_in(event: Event) -> Prediction:
    """Return the prediction of a job that is over. Raises KlingError if it has none, or went wrong."""
    if event.error is not None:
        raise event.error
    if event.prediction is None:
        raise RuntimeError("a job is over without a prediction and without an error")
    return event.prediction
