"""Many jobs: pulled in as there is room, handed out as they finish, and none of them able to stop the others.

Theory of operation. A feeder pulls a job only while fewer than `max_open` are pulled and not yet handed out: so a slow
consumer slows submitting, never polling, and an iterator of a million rows is not read ahead. What is pulled goes to
the accounts of the client, which every other call shares. Finished jobs are downloaded, if asked, and handed out. When
the iterator fails, the budget is spent, or the account is refused again and again, the feeder stops. What is paid for
is finished and handed out first, and only then is that error raised.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence, Sized
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, Self

import anyio
import anyio.to_thread
from attrs import evolve

from .desk import Case, Desk
from .effects.background import Background, Tasks
from .effects.clock import Clock
from .effects.credentials import NonCopyable
from .effects.parts import check_directory
from .effects.signals import call_interruptible, defer_interrupts, hear_signals, is_interrupt
from .errors import InputError, InputFault, JournalError, KlingError, NotSent
from .inputs import ImageInput, Job, VideoInput
from .outcome import Outcome
from .planning.money import Budget, spent_on
from .planning.moves import Event, EventKind, Listener, Ticket
from .planning.progress import Progress, Tally
from .planning.retry import is_for_all_jobs
from .pulling import Jobs, check_keys, pulled
from .recorder import Recorder
from .saver import Saver

__all__ = ["Batch"]

_log = logging.getLogger(__name__)

_SAVING: Final = 4
"""Downloads at once: they cost neither money nor API budget, only the user's line."""


class Batch(NonCopyable):
    """Many jobs under way; made by `Client.batch`. Enter it, and iterate over it once."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        desk: Desk,
        clock: Clock,
        max_open: int,
        budget: Budget,
        ordered: bool,
        stop_after: int,
        wait_for: float,
        saver: Saver,
        recorder: Recorder | None = None,
        save_to: Path | None = None,
        stop_on_signals: bool = False,
    ) -> None:
        if isinstance(jobs, Sequence):
            check_keys(jobs)
        self._jobs = jobs
        self._desk = desk
        self._clock = clock
        self._max_open = max_open
        self._budget = budget
        self._ordered = ordered
        self._stop_after = stop_after
        self._wait_for = wait_for
        self._recorder = recorder
        self._saver = saver
        self._save_to = save_to
        self._stop_on_signals = stop_on_signals
        self.stopped = self._entered = self._interrupted = self._fed = False
        self._ready: dict[int, Outcome] = {}
        self._open: dict[int, tuple[Ticket, Listener]] = {}
        self._paying, self._joined = set[int](), set[int]()  # positions: what is paid for here, and by another call
        self._keys: set[str] = set()
        self._pulled = self._handed_out = self._refused_in_a_row = 0
        self._feeding = anyio.CancelScope()
        self._stopped_by: Exception | None = None
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._savers = anyio.Semaphore(_SAVING)
        self._listeners: list[Callable[[Event], None]] = []
        self._tasks: Tasks | None = None
        self._background = Background(self._running, cut_off=desk.cut_off)
        self._tally = Tally(now=clock.now(), total=len(jobs) if isinstance(jobs, Sized) else None)

    @defer_interrupts
    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("A batch is entered once: make a new one with client.batch(...)")
        self._desk.check_open()
        self._entered = True
        await self._background.open()
        return self

    @defer_interrupts
    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        await self._background.aclose(interrupts=2 if self._interrupted else is_interrupt(error), ending=error)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        if self._save_to is not None:
            await anyio.to_thread.run_sync(check_directory, self._save_to)
        async with AsyncExitStack() as stack:
            if self._recorder is not None:
                accepted = await stack.enter_async_context(self._recorder.opened())
                self._desk.resume(accepted, worth=1.0)
                self._budget.spent = await self._recorder.spent()
            try:
                async with Tasks() as tasks:
                    self._tasks = tasks
                    tasks.start(self._feed)
                    if self._stop_on_signals:
                        tasks.start(hear_signals, self._signalled)
                    try:
                        yield
                    finally:
                        self._leave()
            finally:
                self._news.set()

    def _leave(self) -> None:
        self._tasks = None
        for ticket, listener in self._open.values():
            if ticket.job is not None:
                self._desk.forget(ticket, ticket.job.provider or "", listener)

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
                raise KeyboardInterrupt(f"{len(self._open)} jobs go on at their providers; {self._way_back}")
            position = self._handed_out if self._ordered else next(iter(self._ready), -1)
            outcome = self._ready.pop(position, None)
            if outcome is not None:
                self._handed_out += 1
                self._room.set()
                return outcome
            if self._fed and self._handed_out == self._pulled:
                error, self._stopped_by = self._stopped_by, None
                raise error or StopAsyncIteration
            self._news = anyio.Event()
            await self._news.wait()

    @property
    def progress(self) -> Progress:
        """How it is getting on at this moment."""
        return self._tally.snapshot(now=self._clock.now())

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have a function called with each event, at once and in the event loop; it must be quick."""
        self._listeners.append(listener)

    @defer_interrupts
    def stop(self) -> None:
        """Submit no more; what is paid for is finished and handed out, and then the loop ends."""
        self.stopped = True
        self._feeding.cancel()
        for ticket, listener in list(self._open.values()):
            self._recall(ticket, listener)

    def _recall(self, ticket: Ticket, listener: Listener) -> None:
        if ticket.job is not None:
            self._desk.recall(ticket, ticket.job.provider or "", listener)

    def _signalled(self) -> bool:
        if not self.stopped:
            _log.warning("stopping: what is paid for is finished first; once more to leave at once")
            self.stop()
            return True
        self._interrupted = True
        self._desk.hurry()
        self._news.set()
        return False

    @property
    def _way_back(self) -> str:
        journalled = self._desk.recorder is not None
        return (
            "run it again with the same journal to go on" if journalled else "without a journal they are lost sight of"
        )

    @defer_interrupts
    async def _feed(self) -> None:
        try:
            with self._feeding:
                await self._pull()
                self._tally.ended()
        except Exception as error:  # noqa: BLE001 - raised to the consumer, after what is paid for
            self._stop(error)
        try:
            await self._finish_what_is_paid_for()
        except (KlingError, RuntimeError) as error:
            self._stop(error)
        finally:
            self._fed = True
            self._news.set()

    async def _pull(self) -> None:
        async with aclosing(pulled(self._jobs, clock=self._clock)) as jobs:
            await self._wait_for_place()
            async for job in jobs:
                await self._take(job)
                await self._wait_for_place()

    async def _finish_what_is_paid_for(self) -> None:
        """Take up what an earlier run left in this batch's journal and this run was not asked for."""
        if self._recorder is not None:
            for case in await self._desk.left_over(self._keys, saving=self._save_to is not None):
                await self._wait_for_place()
                self._begin(case, self._next_position())

    async def _wait_for_place(self) -> None:
        while self._pulled - self._handed_out >= self._max_open:
            await self._wait_for_room()

    def _next_position(self) -> int:
        self._pulled += 1
        self._tally.pulled()
        return self._pulled - 1

    async def _wait_for_room(self) -> None:
        self._room = anyio.Event()
        await self._room.wait()

    def _stop(self, error: Exception) -> None:
        self._stopped_by = self._stopped_by or error
        self._feeding.cancel()

    async def _take(self, item: object) -> None:
        if not isinstance(item, (Job, ImageInput, VideoInput)):
            fault = InputFault("jobs", item, "must be Job, ImageInput or VideoInput")
            raise InputError.of(f"What was pulled at position {self._pulled} is no job", [fault])
        job = self._desk.orders.named(item)
        if job.key in self._keys:
            raise InputError("A second job has the same key; it was not sent", key=job.key)
        self._keys.add(job.key or "")
        # A key that was made up means something to a journal only.
        shared = self._desk.recorder is not None or (isinstance(item, Job) and item.key is not None)
        while (too_dear := await self._begin_or_refuse(job, shared=shared)) is not None:
            if not self._open:
                raise self._budget.exceeded(job.key, too_dear.price)
            await self._wait_for_room()

    async def _begin_or_refuse(self, job: Job, *, shared: bool) -> Case | None:
        """Begin a job, or refuse it; return its case, and do nothing, if the budget has no room for it now."""
        async with self._desk.claimed(job.key):
            try:
                case = await self._desk.case(job, shared=shared)
            except InputError as error:
                self._refuse(job, error)
                return None
            if case.costs and not self._budget.reserve(case.price):
                return case
            self._begin(case, self._next_position())
            return None

    def _refuse(self, job: Job, error: InputError) -> None:
        position = self._next_position()
        self._tally.refused(now=self._clock.now())
        self._hand_out(position, Outcome(job=job, error=error))

    def _begin(self, case: Case, position: int) -> None:
        if self._tasks is None:
            return  # it came while the batch was being left, and nobody would hear of it
        heard, pay = partial(self._heard, case, position), None
        if case.costs:
            self._paying.add(position)
        elif case.ticket is not None:
            pay = None if self._budget.limit is None else partial(self._pay, case, position)
            if case.ticket.subscriptions:
                self._joined.add(position)
        try:
            ticket = self._desk.begin(case, listener=heard, wait_for=self._wait_for, pay=pay)
        except (InputError, RuntimeError) as error:  # there is no key for it, or the client was closed meanwhile
            self._settle(case, position, spent=Decimal(0))
            self._tally.refused(now=self._clock.now())
            told = error if isinstance(error, InputError) else _closed(case.job)
            self._hand_out(position, Outcome(job=case.job, error=told))
            raise
        if case.costs and case.known is not None:
            self._tally.paid_before(case.known.paid)
        if not ticket.state.over:
            self._open[position] = (ticket, heard)
            if self.stopped:
                self._recall(ticket, heard)  # it came while the batch was being stopped

    def _pay(self, case: Case, position: int) -> bool:
        """Take a job that was joined on this batch's budget, since the call that was to pay for it has left."""
        if case.price is None or not self._budget.reserve(case.price):
            return False
        self._joined.discard(position)
        self._paying.add(position)
        return True

    def _settle(self, case: Case, position: int, *, spent: Decimal | None) -> None:
        if position in self._paying:
            self._paying.discard(position)
            self._budget.settle(case.price, spent=spent)

    def _heard(self, case: Case, position: int, event: Event) -> None:
        self._tally.heard(event, cost=case.listed_price, free=position in self._joined)
        self._tell(event)
        if event.kind is not EventKind.FINISHED:
            if self.stopped and position in self._open:
                self._recall(*self._open[position])  # what was turned away is planned again, and must not be sent
            return
        outcome = Outcome.of(case.job, event.prediction, event.error)
        self._settle(case, position, spent=spent_on(event.prediction, event.error, case.price))
        self._joined.discard(position)
        self._open.pop(position, None)
        self._desk.let_go(event.ticket)
        self._room.set()
        self._refused_in_a_row = self._refused_in_a_row + 1 if is_for_all_jobs(outcome.error) else 0
        broken = isinstance(outcome.error, JournalError)
        if outcome.error is not None and (broken or self._refused_in_a_row >= self._stop_after):
            self._stop(outcome.error)
        if outcome.ok and self._save_to is not None and self._tasks is not None:
            self._tasks.start(self._save, event, position, outcome, self._save_to, case)
        else:
            self._hand_out(position, outcome)

    @defer_interrupts
    async def _save(self, event: Event, position: int, outcome: Outcome, directory: Path, case: Case) -> None:
        prediction = outcome.prediction
        async with self._savers:
            try:
                files = (
                    []
                    if prediction is None
                    else await self._saver.save(prediction, directory, overwrite=case.replaces_files)
                )
                outcome = evolve(outcome, files=tuple(files))
            except KlingError as error:
                outcome = evolve(outcome, error=error)
        kind = EventKind.SAVED if outcome.ok else EventKind.NOT_SAVED
        told = evolve(event, kind=kind, at=self._clock.now(), error=outcome.error, files=outcome.files)
        self._tally.heard(told, cost=None)
        self._tell(told)
        self._hand_out(position, outcome)

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                call_interruptible(listener, event)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # noqa: BLE001
                # It runs inside the scheduler, where its mistake would stop all work. That holds for a cancellation,
                # too: nothing can cancel a plain call, so it is that of something else, such as a cancelled future's.
                _log.exception("a listener of a batch failed")

    def _hand_out(self, position: int, outcome: Outcome) -> None:
        self._ready[position] = outcome
        self._news.set()


def _closed(job: Job) -> NotSent:
    why = "The client was closed before its turn came"
    return NotSent(why, reason="closed", provider=job.provider, key=job.key)
