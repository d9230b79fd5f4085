"""A batch: many jobs, pulled as there is capacity, and their outcomes as they finish."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence, Sized
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Self

import anyio
from attrs import evolve

from ..scheduling.budget import Budget
from ..scheduling.priority import BATCH
from ..scheduling.progress import Progress, ProgressTracker
from ..system.background import Background, Tasks
from ..system.interrupts import defer_interrupts, is_interrupt
from ..types.errors import KlingError
from ..types.events import Event, Listener
from ..types.jobs import Outcome
from ..types.noncopyable import NonCopyable
from .admission import Admission, AdmissionRules
from .batch_downloads import BatchDownloads
from .batch_jobs import BatchJobs
from .batch_options import BatchOptions
from .batch_refusals import BatchRefusals
from .charges import Charges
from .dispatcher import Dispatcher
from .downloader import Downloader
from .event_listeners import EventListeners
from .feeder import Feeder
from .job_source import Jobs, check_keys
from .outcome_queue import OutcomeQueue
from .refusals import Replacer
from .signals import interrupted, receive_signals
from .tracebacks import shorten

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
        self._options, self._dispatcher, self._clock = options, dispatcher, dispatcher.accounts.clock
        self._budget = budget
        self._owns_journal = owns_journal
        self._listeners = EventListeners()
        self._outcomes = outcomes = OutcomeQueue(max_open=options.max_open, ordered=options.ordered)
        rules = evolve(rules, max_cost=budget.limit)
        self._feeder = Feeder(jobs, dispatcher=dispatcher, rules=rules, budget=budget, outcomes=outcomes)
        saving = partial(BatchDownloads, downloader, clock=self._clock, provenance=options.provenance)
        replacer = None if options.on_refused is None else Replacer(dispatcher, rules, options.on_refused)
        self._progress = ProgressTracker(now=self._clock.now(), total=len(jobs) if isinstance(jobs, Sized) else None)
        self._jobs = BatchJobs(
            dispatcher=dispatcher,
            outcomes=outcomes,
            charges=Charges(budget),
            replacements=BatchRefusals(replacer, budget=budget, outcomes=outcomes, now=self._clock.now),
            downloads=None if options.save_to is None else saving(options.save_to),
            listeners=self._listeners,
            progress=self._progress,
            options=options,
            on_fatal=self._stop,
        )
        self._feeding = anyio.CancelScope()
        self._fatal: Exception | None = None
        self._background = Background(self._running, cut_off=dispatcher.accounts.cut_off)
        self._entered = self._interrupted = self._exhausted = False

    def __repr__(self) -> str:
        if not hasattr(self, "_exhausted"):
            return "<kling_async.Batch, not made>"  # in a traceback that prints locals, after a wrong setting
        state = "ended" if self._background.has_left else "open" if self._entered else "not entered"
        return f"<kling_async.Batch, {state}: {self._progress.snapshot(now=self._clock.now())}>"

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
                self._budget.spent = await journal.spent_before()
            try:
                async with Tasks() as tasks:
                    self._jobs.tasks = tasks
                    tasks.start(self._feed)
                    if self._options.stop_on_signals:
                        tasks.start(receive_signals, self._on_signal)
                    try:
                        yield
                    finally:
                        self._jobs.detach_all()
            finally:
                self._outcomes.notify()
                self._end()

    def _end(self) -> None:
        self._progress.ended(now=self._clock.now())
        self._listeners.close()

    # The consumer.

    def __aiter__(self) -> Self:
        return self

    @defer_interrupts
    async def __anext__(self) -> Outcome:
        while True:
            if self._jobs.tasks is None:
                await self._background.aclose()  # raises what ended it, if something did
                raise RuntimeError(
                    "The batch is not open: iterate over it inside `async with client.batch(...) as batch:`"
                )
            if self._interrupted:
                raise interrupted(len(self._jobs), has_journal=self._dispatcher.journal is not None)
            outcome = self._outcomes.get()
            if outcome is not None:
                return outcome
            if self._exhausted and self._outcomes.is_empty:
                self._end()
                error, self._fatal = self._fatal, None
                raise error or StopAsyncIteration
            await self._outcomes.changed()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._jobs.stopped

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
        self._feeding.cancel()
        self._jobs.stop()

    def _on_signal(self) -> bool:
        if not self.stopped:
            self.stop()
            _log.warning("Stopping after %d open jobs. Press Ctrl-C again to quit now", len(self._jobs))
            return True
        self._interrupted = True
        self._dispatcher.accounts.hurried = True
        self._outcomes.notify()
        return False

    # The feeder's task.

    @defer_interrupts
    async def _feed(self) -> None:
        try:
            with self._feeding:
                async with aclosing(self._feeder.pull()) as pulled:
                    async for one in pulled:
                        if isinstance(one, Admission):
                            self._jobs.start(one)
                        else:
                            self._jobs.reject(one)
                self._progress.exhausted()
            if self._feeding.cancelled_caught and (outcome := self._feeder.stopped()) is not None:
                self._jobs.reject(outcome)
        except Exception as error:  # noqa: BLE001 - raised to the consumer, after the jobs that are paid for
            self._stop(error)
        try:
            if self._owns_journal:
                async with aclosing(self._feeder.unfinished(saving=self._options.save_to is not None)) as left:
                    async for admission in left:
                        self._jobs.start(admission)
        except (KlingError, RuntimeError) as error:
            self._stop(error)
        finally:
            self._exhausted = True
            self._outcomes.notify()

    def _stop(self, error: Exception) -> None:
        shorten(error)
        self._fatal = self._fatal or error
        self._jobs.failed = True
        self._feeding.cancel()
