"""The jobs of a batch: started, followed by their events, and ended with an outcome each."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from attrs import evolve, frozen

from ..scheduling.budget import max_spent
from ..scheduling.progress import ProgressTracker
from ..scheduling.ticket import Subscription
from ..system.background import Tasks
from ..system.interrupts import defer_interrupts
from ..types.errors import BudgetExceeded, ContentRejected, InputError, JournalError
from ..types.events import Event, EventKind, Listener
from ..types.jobs import Outcome
from .account import AccountTicket
from .account_refusals import AccountRefusals
from .admission import Admission
from .batch_downloads import BatchDownloads
from .batch_options import BatchOptions
from .batch_refusals import BatchRefusals
from .charges import Charges
from .dispatcher import Dispatcher
from .event_listeners import EventListeners
from .feeder import not_sent
from .outcome_facts import OutcomeFacts
from .outcome_queue import OutcomeQueue
from .refusals import replaced_event
from .replacement import submitted_input

__all__ = ["BatchJobs"]


@frozen(eq=False)
class _BatchJob:
    """A job of a batch: its place among the outcomes, and the time at which the batch stops waiting for it."""

    admission: Admission
    position: int
    deadline: float


@frozen(kw_only=True)
class _End:
    """The last event of a job, and how it was paid.

    Attributes:
        event: the event.
        free: whether another call has paid for it.
        pays: whether this batch has paid for it.
    """

    event: Event
    free: bool
    pays: bool


class BatchJobs:
    """Starts the jobs of one batch, and makes their outcomes.

    Args:
        dispatcher: does the jobs.
        outcomes: receives the outcomes.
        charges: know which jobs the batch pays for.
        replacements: ask for other inputs after refusals of content.
        downloads: save the files; None saves none.
        listeners: those of the batch.
        progress: counts the events.
        options: the settings of the batch.
        on_fatal: is called with an error that ends the batch.

    Attributes:
        tasks: of the batch; None before it is entered and after it is left.
        stopped: whether no more jobs are submitted.
        failed: whether an error has ended the batch.
    """

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        outcomes: OutcomeQueue,
        charges: Charges,
        replacements: BatchRefusals,
        downloads: BatchDownloads | None,
        listeners: EventListeners,
        progress: ProgressTracker,
        options: BatchOptions,
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = dispatcher.accounts.clock
        self._outcomes = outcomes
        self._charges = charges
        self._facts = OutcomeFacts(self._clock)
        self._refusals = AccountRefusals(options.stop_after)
        self._replacements = replacements
        self._downloads = downloads
        self._listeners = listeners
        self._progress = progress
        self._wait_timeout = options.wait_timeout
        self._on_fatal = on_fatal
        self._open: dict[int, tuple[AccountTicket, Listener]] = {}
        self.tasks: Tasks | None = None
        self.stopped = self.failed = False

    def __len__(self) -> int:
        return len(self._open)

    def detach_all(self) -> None:
        """Stop listening to all jobs: the batch is left."""
        self.tasks = None
        for ticket, listener in self._open.values():
            ticket.account.detach(ticket, listener)

    def stop(self) -> None:
        """Submit no more; what is queued is withdrawn, and no other input is asked for."""
        self.stopped = True
        self._replacements.stop()
        for ticket, listener in list(self._open.values()):
            ticket.account.withdraw(ticket, listener)

    def reject(self, outcome: Outcome) -> None:
        """Take the outcome of a job that was not admitted."""
        position = self._take_position()
        self._progress.refused(now=self._clock.now())
        self._outcomes.put(position, outcome)

    def start(self, admission: Admission) -> None:
        """Start a job.

        Raises:
            InputError, RuntimeError: there is no key for its provider, or the client was closed; it has an outcome.
        """
        if self.tasks is None:
            return  # it came while the batch was being left, and no listener would get its events
        position = self._take_position()
        self._refusals.add_job(admission.job.provider)
        self._start(_BatchJob(admission, position, self._clock.now() + self._wait_timeout))
        if admission.is_billable and admission.known is not None:
            self._progress.paid_before(admission.known.max_cost)

    def _take_position(self) -> int:
        self._progress.pulled()
        return self._outcomes.take_position()

    def _start(self, job: _BatchJob) -> None:
        admission, position, listener = job.admission, job.position, partial(self._on_event, job)
        pay = self._charges.begin(position, admission)
        try:
            ticket = self._dispatcher.start(admission, Subscription(listener, job.deadline, pay=pay))
        except (InputError, RuntimeError) as error:  # there is no key for it, or the client was closed meanwhile
            self._charges.settle(position, admission.price, spent=Decimal(0))
            self._progress.refused(now=self._clock.now())
            refusal = error if isinstance(error, InputError) else not_sent(admission.job, reason="closed")
            self._outcomes.put(position, Outcome(job=admission.job, error=refusal, refused=admission.refused))
            raise
        if ticket is None or ticket.closed:
            self._dispatcher.release(ticket)
            return
        self._open[position] = (ticket, listener)
        if self.stopped:
            ticket.account.withdraw(ticket, listener)  # it came while the batch was being stopped

    # Events.

    def _on_event(self, job: _BatchJob, event: Event) -> None:
        self._facts.record(job.position, event)
        free = self._charges.is_joined(job.position)
        if event.kind is EventKind.FINISHED:
            self._settle(job, event, free=free)
            return
        self._tell(job, event, free=free)
        if self.stopped and job.position in self._open:
            # A job that was turned away is queued again, and must not be sent.
            ticket, listener = self._open[job.position]
            ticket.account.withdraw(ticket, listener)

    def _tell(self, job: _BatchJob, event: Event, *, free: bool) -> None:
        self._progress.record(event, cost=job.admission.listed_price, free=free)
        self._listeners.notify(event)

    def _settle(self, job: _BatchJob, event: Event, *, free: bool) -> None:
        """Settle the cost of a job that has ended, and finish it, unless another input may take its place."""
        admission, position = job.admission, job.position
        spent = max_spent(event.prediction, event.error, admission.price_at(event.provider))
        pays = self._charges.settle(position, admission.price, spent=spent)
        opened = self._open.pop(position, None)
        if opened is not None:
            self._dispatcher.release(opened[0])
            input, refused = submitted_input(admission, opened[0].entry)
            if input is not admission.job.input:
                admission = evolve(admission, job=evolve(admission.job, input=input), refused=refused)
                job = evolve(job, admission=admission)
        self._outcomes.release_capacity()
        asks = self.tasks is not None and not self.stopped and not self.failed
        refusal = self._replacements.begin(admission, event) if asks else None
        end = _End(event=event, free=free, pays=pays)
        if refusal is not None and self.tasks is not None:
            self.tasks.start(self._replace, job, end, refusal)
        else:
            self._finish(job, end)

    @defer_interrupts
    async def _replace(self, job: _BatchJob, end: _End, refusal: ContentRejected) -> None:
        start = partial(self._start_other, job, end, refusal)
        event = await self._replacements.replace(job.admission, end.event, refusal, deadline=job.deadline, start=start)
        if event is not None:
            self._finish(job, evolve(end, event=event, pays=True))

    def _start_other(self, job: _BatchJob, end: _End, refusal: ContentRejected, admission: Admission) -> None:
        """Start the input that takes the place of the job's own."""
        told = replaced_event(end.event, admission, refusal, at=self._clock.now())
        self._tell(job, told, free=end.free)
        self._dispatcher.accounts.listeners.notify(told)
        try:
            self._start(evolve(job, admission=admission))
        except (InputError, RuntimeError) as error:
            self._on_fatal(error)

    def _finish(self, job: _BatchJob, end: _End) -> None:
        admission, event = job.admission, end.event
        self._tell(job, event, free=end.free)
        outcome = self._facts.outcome(admission, job.position, event)
        refused = self._refusals.add_result(admission.job.provider, outcome.error)
        ending = (BudgetExceeded, JournalError) if end.pays else (JournalError,)
        if outcome.error is not None and (refused or isinstance(outcome.error, ending)):
            self._on_fatal(outcome.error)
        if outcome.ok and self._downloads is not None and self.tasks is not None:
            self.tasks.start(self._save, job, event, outcome, self._downloads)
        else:
            self._outcomes.put(job.position, outcome)

    @defer_interrupts
    async def _save(self, job: _BatchJob, event: Event, outcome: Outcome, downloads: BatchDownloads) -> None:
        outcome = await downloads.save(outcome, overwrite=job.admission.replaces_files)
        kind = EventKind.SAVED if outcome.ok else EventKind.NOT_SAVED
        saved = evolve(event, kind=kind, at=self._clock.now(), error=outcome.error, files=outcome.files)
        self._progress.record(saved, cost=None)
        self._listeners.notify(saved)
        self._dispatcher.accounts.listeners.notify(saved)
        self._outcomes.put(job.position, outcome)
