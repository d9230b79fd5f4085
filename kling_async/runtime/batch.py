"""A batch: many jobs, pulled as there is capacity, and their outcomes as they finish."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence, Sized
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Self

import anyio
from attrs import evolve

from ..scheduling.budget import Budget, max_spent
from ..scheduling.priority import BATCH
from ..scheduling.progress import Progress, ProgressTracker
from ..scheduling.ticket import Subscription
from ..system.background import Background, Tasks
from ..system.interrupts import defer_interrupts, is_interrupt
from ..types.errors import InputError, JournalError, KlingError, NotSent
from ..types.events import Event, EventKind, Listener
from ..types.jobs import Job, Outcome
from ..types.noncopyable import NonCopyable
from .account import AccountTicket
from .account_refusals import AccountRefusals
from .admission import Admission, AdmissionRules
from .batch_downloads import BatchDownloads
from .batch_options import BatchOptions
from .charges import Charges
from .dispatcher import Dispatcher
from .downloader import Downloader
from .event_listeners import EventListeners
from .feeder import Feeder
from .job_source import Jobs, check_keys
from .outcome_queue import OutcomeQueue
from .signals import receive_signals

__all__ = ["Batch"]

_log = logging.getLogger(__name__)


class Batch(NonCopyable):
    """Many jobs; made by `Client.batch`. Enter it, and iterate over it once."""

    def __init__(
        self,
        jobs: Jobs,
        options: BatchOptions,
        *,
        dispatcher: Dispatcher,
        rules: AdmissionRules,
        budget: Budget,
        downloader: Downloader,
        owns_journal: bool,
    ) -> None:
        if isinstance(jobs, Sequence):
            check_keys(jobs)
        self._options = options
        self._dispatcher = dispatcher
        self._clock = dispatcher.accounts.clock
        self._budget = budget
        self._owns_journal = owns_journal
        self._listeners = EventListeners()
        self._outcomes = OutcomeQueue(max_open=options.max_open, ordered=options.ordered)
        self._feeder = Feeder(jobs, dispatcher=dispatcher, rules=rules, budget=budget, outcomes=self._outcomes)
        saving = partial(BatchDownloads, downloader, clock=self._clock, provenance=options.provenance)
        self._downloads = None if options.save_to is None else saving(options.save_to)
        self._progress = ProgressTracker(now=self._clock.now(), total=len(jobs) if isinstance(jobs, Sized) else None)
        self._open: dict[int, tuple[AccountTicket, Listener]] = {}
        self._charges = Charges(budget)
        self._refusals = AccountRefusals(options.stop_after)
        self._feeding = anyio.CancelScope()
        self._fatal: Exception | None = None
        self._tasks: Tasks | None = None
        self._background = Background(self._running, cut_off=dispatcher.accounts.cut_off)
        self.stopped = self._entered = self._interrupted = self._exhausted = False

    # Opening and leaving.

    @defer_interrupts
    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("A batch is entered once: make a new one with client.batch(...)")
        self._dispatcher.accounts.check_open()
        self._entered = True
        await self._background.open()
        return self

    @defer_interrupts
    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        await self._background.aclose(interrupts=2 if self._interrupted else is_interrupt(error), ending=error)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        if self._options.save_to is not None:
            await self._options.save_to.check()
        async with AsyncExitStack() as stack:
            journal = self._dispatcher.journal
            if self._owns_journal and journal is not None:
                accepted = await stack.enter_async_context(self._dispatcher.open_journal(journal))
                self._dispatcher.resume(accepted, priority=BATCH)
                self._budget.spent = await journal.spent()
            try:
                async with Tasks() as tasks:
                    self._tasks = tasks
                    tasks.start(self._feed)
                    if self._options.stop_on_signals:
                        tasks.start(receive_signals, self._on_signal)
                    try:
                        yield
                    finally:
                        self._detach_all()
            finally:
                self._outcomes.notify()
                self._listeners.close()

    def _detach_all(self) -> None:
        self._tasks = None
        for ticket, listener in self._open.values():
            ticket.account.detach(ticket, listener)

    # The consumer.

    def __aiter__(self) -> Self:
        return self

    @defer_interrupts
    async def __anext__(self) -> Outcome:
        while True:
            if self._tasks is None:
                await self._background.aclose()  # raises what ended it, if something did
                raise RuntimeError(
                    "The batch is not open: iterate over it inside `async with client.batch(...) as batch:`"
                )
            if self._interrupted:
                raise KeyboardInterrupt(f"{len(self._open)} jobs go on at their providers; {self._resume_hint}")
            outcome = self._outcomes.get()
            if outcome is not None:
                return outcome
            if self._exhausted and self._outcomes.is_empty:
                self._listeners.close()
                error, self._fatal = self._fatal, None
                raise error or StopAsyncIteration
            await self._outcomes.changed()

    @property
    def progress(self) -> Progress:
        """The progress at this moment."""
        return self._progress.snapshot(now=self._clock.now(), limited_by=self._dispatcher.accounts.speed_limits())

    def add_listener(self, listener: Listener) -> None:
        """Call a function with each event, immediately and in the event loop; it must be quick."""
        self._listeners.add(listener)

    def events(self) -> AsyncIterator[Event]:
        """Iterate over each event from now on, until the last outcome is delivered or the batch is left."""
        return self._listeners.stream()

    @defer_interrupts
    def stop(self) -> None:
        """Submit no more; jobs that are paid for are finished and delivered, and then the loop ends."""
        self.stopped = True
        self._feeding.cancel()
        for ticket, listener in list(self._open.values()):
            ticket.account.withdraw(ticket, listener)

    def _on_signal(self) -> bool:
        if not self.stopped:
            _log.warning("Stopping after %d open jobs. Press Ctrl-C again to quit now", len(self._open))
            self.stop()
            return True
        self._interrupted = True
        self._dispatcher.accounts.hurried = True
        self._outcomes.notify()
        return False

    @property
    def _resume_hint(self) -> str:
        if self._dispatcher.journal is not None:
            return "run it again with the same journal to go on"
        return "without a journal they are lost sight of"

    # The feeder's task.

    @defer_interrupts
    async def _feed(self) -> None:
        try:
            with self._feeding:
                async with aclosing(self._feeder.pull()) as pulled:
                    async for one in pulled:
                        if isinstance(one, Admission):
                            self._start(one)
                        else:
                            self._reject(one)
                self._progress.exhausted()
        except Exception as error:  # noqa: BLE001 - raised to the consumer, after the jobs that are paid for
            self._stop(error)
        try:
            if self._owns_journal:
                async with aclosing(self._feeder.unfinished(saving=self._downloads is not None)) as left:
                    async for admission in left:
                        self._start(admission)
        except (KlingError, RuntimeError) as error:
            self._stop(error)
        finally:
            self._exhausted = True
            self._outcomes.notify()

    def _stop(self, error: Exception) -> None:
        self._fatal = self._fatal or error
        self._feeding.cancel()

    def _take_position(self) -> int:
        self._progress.pulled()
        return self._outcomes.take_position()

    def _reject(self, outcome: Outcome) -> None:
        position = self._take_position()
        self._progress.refused(now=self._clock.now())
        self._outcomes.put(position, outcome)

    def _start(self, admission: Admission) -> None:
        if self._tasks is None:
            return  # it came while the batch was being left, and no listener would get its events
        position = self._take_position()
        self._refusals.add_job(admission.job.provider)
        listener, pay = partial(self._on_event, admission, position), None
        if admission.is_billable:
            self._charges.bill(position)
        elif admission.ticket is not None:
            if self._charges.is_limited:
                pay = partial(self._charges.take_over, position, admission.price)
            if admission.ticket.subscriptions:
                self._charges.join(position)
        deadline = self._clock.now() + self._options.wait_timeout
        try:
            ticket = self._dispatcher.start(admission, Subscription(listener, deadline, pay=pay))
        except (InputError, RuntimeError) as error:  # there is no key for it, or the client was closed meanwhile
            self._charges.settle(position, admission.price, spent=Decimal(0))
            self._progress.refused(now=self._clock.now())
            refusal = error if isinstance(error, InputError) else _closed(admission.job)
            self._outcomes.put(position, Outcome(job=admission.job, error=refusal))
            raise
        if admission.is_billable and admission.known is not None:
            self._progress.paid_before(admission.known.max_cost)
        if ticket is None or ticket.closed:
            self._dispatcher.release(ticket)
            return
        self._open[position] = (ticket, listener)
        if self.stopped:
            ticket.account.withdraw(ticket, listener)  # it came while the batch was being stopped

    # Events.

    def _on_event(self, admission: Admission, position: int, event: Event) -> None:
        self._progress.record(event, cost=admission.listed_price, free=self._charges.is_joined(position))
        self._listeners.notify(event)
        if event.kind is EventKind.FINISHED:
            self._finish(admission, position, event)
        elif self.stopped and position in self._open:
            # A job that was turned away is queued again, and must not be sent.
            ticket, listener = self._open[position]
            ticket.account.withdraw(ticket, listener)

    def _finish(self, admission: Admission, position: int, event: Event) -> None:
        outcome = Outcome.from_job(admission.job_at(event.provider), event.prediction, event.error)
        spent = max_spent(event.prediction, event.error, admission.price_at(event.provider))
        self._charges.settle(position, admission.price, spent=spent)
        opened = self._open.pop(position, None)
        if opened is not None:
            self._dispatcher.release(opened[0])
        self._outcomes.release_capacity()
        refused = self._refusals.add_result(admission.job.provider, outcome.error)
        if outcome.error is not None and (refused or isinstance(outcome.error, JournalError)):
            self._stop(outcome.error)
        if outcome.ok and self._downloads is not None and self._tasks is not None:
            self._tasks.start(self._save, event, position, outcome, self._downloads, admission)
        else:
            self._outcomes.put(position, outcome)

    @defer_interrupts
    async def _save(
        self, event: Event, position: int, outcome: Outcome, downloads: BatchDownloads, admission: Admission
    ) -> None:
        outcome = await downloads.save(outcome, overwrite=admission.replaces_files)
        kind = EventKind.SAVED if outcome.ok else EventKind.NOT_SAVED
        saved = evolve(event, kind=kind, at=self._clock.now(), error=outcome.error, files=outcome.files)
        self._progress.record(saved, cost=None)
        self._listeners.notify(saved)
        self._dispatcher.accounts.listeners.notify(saved)
        self._outcomes.put(position, outcome)


def _closed(job: Job) -> NotSent:
    why = "The client was closed before it was submitted"
    return NotSent(why, reason="closed", provider=job.provider, key=job.key)
