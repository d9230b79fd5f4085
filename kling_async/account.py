"""An engine decides, workers do: one provider account at work, shared by every await and every batch of a client.

Theory of operation. The engine of an account knows what is to be done next. Workers are tasks of the client's own that
ask it, send one request under a shield, tell it what came, and ask again. Nobody else touches it, and all of them live
in one event loop, so nothing needs a lock. A worker who gets nothing parks, and is woken when there is something: by
other workers' news, by a new job, or by the one timer that sleeps until the engine's next moment. So a request costs no
task, no scope and no hop of its own. No request in flight is ever cancelled, and a caller who is only stops listening.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import anyio

from .effects.background import Tasks
from .effects.clock import Clock
from .effects.signals import defer_interrupts
from .errors import AnswerLost, KlingError
from .gateway import Gateway
from .inputs import Job
from .planning.engine import Engine
from .planning.events import Delivery
from .planning.moves import Event, EventKind, Listener, Subscription, Ticket
from .prediction import Prediction

__all__ = ["Account", "Hearing"]

_log = logging.getLogger(__name__)

_MOST_POLLING: Final = 64
"""Looks on their way at once: enough for 600 a second at a tenth of a second each."""


_WITHOUT_JOURNAL: Final = "Look for it in the provider's own history: it is written down nowhere here."
_WITH_JOURNAL: Final = "Its journal has it as unconfirmed: look for it in the provider's own history, then decide."


class Hearing:
    """Somebody who waits for one job to be over."""

    def __init__(self) -> None:
        self._over = anyio.Event()
        self.last: Event | None = None

    def __call__(self, event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            self.last = event
            self._over.set()

    async def ended(self) -> Event:
        """Wait until the job is over, and return how."""
        await self._over.wait()
        if self.last is None:
            raise RuntimeError("a job was over, and nobody said how")
        return self.last


class _Crew:
    """Workers of one kind: hired when there is work and nobody idle, parked when there is none."""

    def __init__(self, most: int, work: Callable[[], Awaitable[bool]], *, parked: Callable[[], None]) -> None:
        self._most = most
        self._work = work
        self._tell_parked = parked
        self._hired = 0
        self._parked: list[anyio.Event] = []

    @property
    def idle(self) -> bool:
        """Whether somebody could begin at once."""
        return bool(self._parked) or self._hired < self._most

    def call(self, tasks: Tasks) -> None:
        """Let one more worker look for work."""
        if self._parked:
            self._parked.pop().set()
        elif self._hired < self._most:
            self._hired += 1
            tasks.start(self._live)

    @defer_interrupts
    async def _live(self) -> None:
        while True:
            if not await self._work():
                called = anyio.Event()
                self._parked.append(called)
                self._tell_parked()
                await called.wait()


class Account:
    """One provider account at work.

    Args:
        engine: decides.
        gateway: reaches the provider.
        clock: tells the time.
        max_submitting: submissions on their way at once.
    """

    def __init__(self, *, engine: Engine, gateway: Gateway, clock: Clock, max_submitting: int) -> None:
        self.engine = engine
        self.gateway = gateway
        self._clock = clock
        self._submitters = _Crew(max_submitting, self._submit, parked=self._wake)
        self._lookers = _Crew(_MOST_POLLING, self._poll, parked=self._wake)
        self._duties = ((self._submitters, engine.submit_at), (self._lookers, engine.poll_at))
        self._tasks: Tasks | None = None
        self._in_flight: set[anyio.CancelScope] = set()
        self._nap = anyio.CancelScope()
        self._nap_until = math.inf

    def open(self, tasks: Tasks) -> None:
        """Begin to work, with tasks among these."""
        self._tasks = tasks
        tasks.start(self._keep_time)

    def close(self) -> None:
        """Take no more work, and begin no more requests."""
        self._tasks = None

    def cut_off(self) -> None:
        """End the requests in flight at once."""
        for scope in list(self._in_flight):
            scope.cancel()

    def dismiss(self) -> None:
        """Tell everybody who still waits that nothing more will come."""
        self._publish(self.engine.dismiss(self._clock.now()))

    def begin(self, ticket: Ticket) -> None:
        """Take a job to be submitted. Raises RuntimeError if the client is not open."""
        self._check_open()
        self.engine.add(ticket)
        self._publish(self.engine.refuse_planned(self._clock.now()))
        self._wake()

    def resume(self, ticket: Ticket, prediction: Prediction, *, age: float = 0.0) -> None:
        """Take up a prediction that was accepted `age` seconds ago. Raises RuntimeError if the client is not open."""
        self._check_open()
        self.engine.restore(ticket, prediction, now=self._clock.now(), age=age)
        self._wake()

    def join(self, ticket: Ticket, one: Subscription) -> None:
        """Listen to a job that is under way. Raises RuntimeError if the client is not open."""
        self._check_open()
        self._publish(self.engine.join(ticket, one, now=self._clock.now()))
        self._wake()

    def recall(self, ticket: Ticket, listener: Listener) -> None:
        """Let a listener leave a job that still stands in line, and say so."""
        self._publish(self.engine.recall(ticket, listener, now=self._clock.now()))

    def forget(self, ticket: Ticket, listener: Listener) -> None:
        """Let a listener leave."""
        self._publish(self.engine.forget(ticket, listener, now=self._clock.now()))

    async def outcome(self, ticket: Ticket, hearing: Hearing) -> Event:
        """Wait until a job is over. A caller who is cancelled meanwhile only stops listening."""
        try:
            return await hearing.ended()
        except BaseException:
            self.forget(ticket, hearing)
            if not ticket.subscriptions:
                self._note_unheard(ticket)
            raise

    async def _submit(self) -> bool:
        """Submit one job; return whether there was one."""
        ticket = None if self._tasks is None else self.engine.take_submit(self._clock.now())
        job = ticket.job if ticket is not None else None
        if ticket is None or job is None:
            return False
        self._wake()
        sent_at = self._clock.now()
        try:
            came = await self._answer(lambda: self._send(ticket, job))
        except BaseException:
            # Cancellation by asyncio itself, as at the end of `asyncio.run`, does not mind a shield.
            self._note_cut_off(ticket)
            raise
        if came is None:
            came = self._note_cut_off(ticket)
        self._publish(self.engine.submitted(ticket, came, sent_at=sent_at, now=self._clock.now()))
        self._wake()
        return True

    async def _send(self, ticket: Ticket, job: Job) -> Prediction:
        """Send a submission. With a journal, it is written down before, and what came of it before anybody hears."""
        page = ticket.page
        if page is None:
            return await self._post(ticket, job)
        async with page.sending():
            try:
                prediction = await self._post(ticket, job)
            except KlingError as error:
                await page.failed(error)
                raise
            await page.accepted(prediction)
            return prediction

    async def _post(self, ticket: Ticket, job: Job) -> Prediction:
        self._publish(self.engine.sending(ticket, self._clock.now()))
        return await self.gateway.submit(job)

    async def _poll(self) -> bool:
        """Look at one prediction; return whether there was one to look at."""
        ticket = None if self._tasks is None else self.engine.take_poll(self._clock.now())
        if ticket is None:
            return False
        self._wake()
        known, asked_at = ticket.prediction, self._clock.now()
        if known is not None:
            came = await self._answer(lambda: self._look(ticket, known))
            if came is not None:
                self._publish(self.engine.polled(ticket, came, asked_at=asked_at, now=self._clock.now()))
            if ticket.state.over:
                self._wake()  # a slot is free
        return True

    async def _answer(self, ask: Callable[[], Awaitable[Prediction]]) -> Prediction | KlingError | None:
        """Ask, behind a shield, and return what came; None if it was cut off."""
        scope = anyio.CancelScope(shield=True)
        self._in_flight.add(scope)
        try:
            with scope:
                return await ask()
        except KlingError as error:
            return error
        finally:
            self._in_flight.discard(scope)
        return None

    def _note_cut_off(self, ticket: Ticket) -> AnswerLost:
        way_on = _WITHOUT_JOURNAL if ticket.page is None else _WITH_JOURNAL
        error = AnswerLost(
            "It was cut off while it was being submitted", provider=self.engine.provider, key=ticket.key, advice=way_on
        )
        _log.critical("cut off: provider=%s key=%s: it may be billed. %s", error.provider, ticket.key, way_on)
        return error

    async def _look(self, ticket: Ticket, known: Prediction) -> Prediction:
        prediction = await self.gateway.poll(known)
        if prediction.status.finished and ticket.page is not None:
            await ticket.page.finished(prediction)
        return prediction

    def _publish(self, deliveries: Iterable[Delivery]) -> None:
        for event, listener in deliveries:
            if listener is not None:
                listener(event)
            elif event.kind is EventKind.ACCEPTED:
                self._note_unheard(event.ticket)

    def _note_unheard(self, ticket: Ticket) -> None:
        """Keep the id of what was accepted when its caller was cancelled; who only waited for it knows it already."""
        if ticket.prediction is not None and ticket.job is not None:
            message = "accepted, and its caller was cancelled: provider=%s id=%s key=%s"
            _log.warning(message, self.engine.provider, ticket.prediction.id, ticket.key)

    def _check_open(self) -> None:
        if self._tasks is None:
            raise RuntimeError("The client is not open: use it inside `async with Client() as client:`")

    def _wake(self) -> None:
        """Call one more worker of each kind that has work now, and see to the timer."""
        tasks, now = self._tasks, self._clock.now()
        if tasks is not None and self._call_due(tasks, now) < self._nap_until:
            self._nap.cancel()

    def _call_due(self, tasks: Tasks, now: float) -> float:
        """Call who has work now, and return the engine's next moment for which somebody is idle.

        Who is called calls the next, or parks and sees to the timer: so the timer is not for them.
        """
        at = self.engine.deadline_at()
        for crew, due_at in self._duties:
            if crew.idle:
                due = due_at(now)
                if due <= now:
                    crew.call(tasks)
                else:
                    at = min(at, due)
        return at

    @defer_interrupts
    async def _keep_time(self) -> None:
        while True:
            now = self._clock.now()
            self._nap_until = math.inf if self._tasks is None else self._call_due(self._tasks, now)
            with anyio.CancelScope() as self._nap:
                if self._nap_until == math.inf:
                    await anyio.sleep_forever()
                await self._clock.sleep(self._nap_until - now)
            self._nap_until = -math.inf  # it is up, and needs no waking
            self._publish(self.engine.overdue(self._clock.now()))
