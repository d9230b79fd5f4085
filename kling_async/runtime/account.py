"""One provider account, shared by every call and every batch of a client: an engine decides, workers send.

Theory of operation. The engine of an account knows what to do next. Workers are tasks that ask it, send one request
under a shield, give it the result, and ask again. All of them live in one event loop, so nothing needs a lock. A worker
without work is idle until another worker's result, a new job, or the one timer, which sleeps until the engine's next
moment, wakes it. So a request costs no task, no scope and no hop of its own. No request in flight is ever cancelled;
a cancelled caller only stops listening.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import anyio
from attrs import define, field

from ..journal.intents import Intents
from ..scheduling.engine import Engine
from ..scheduling.polling.durations import WorkKind
from ..scheduling.ticket import Entry, Subscription, Ticket
from ..system.background import Tasks
from ..system.clock import Clock
from ..system.interrupts import defer_interrupts
from ..types.client_id import ClientId
from ..types.errors import AnswerLost
from ..types.events import Listener
from ..types.jobs import Job
from ..types.limits import Limits
from ..types.prediction import Prediction
from ..types.webhooks import WebhookAction, WebhookEvent
from .event_listeners import EventListeners
from .event_publisher import EventPublisher
from .preparation import Preparation
from .provider_api import ProviderAPI
from .requests import Requests
from .uploads import Uploads
from .work_kind import kind_of_input, kind_of_model
from .worker_pool import WorkerPool

__all__ = ["Account", "AccountTicket"]

_MAX_POLLS: Final = 64  # in flight at once: enough for 600 a second at a tenth of a second each


class Account:
    """One provider account at work.

    Args:
        engine: decides what to do next.
        api: reaches the provider.
        clock: tells the time.
        listeners: the client's, which get each event of each job.
        max_submitting: submissions in flight at once.
        uploads: bring the media of jobs to the provider.
        slot_seconds: returns for how long a lost submission of a kind may be running.
        set_limits: the limits that the user has set, for all clients that share a journal; None where they are learned.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        api: ProviderAPI,
        clock: Clock,
        listeners: EventListeners,
        max_submitting: int,
        uploads: Uploads,
        slot_seconds: Callable[[WorkKind], float],
        set_limits: Limits | None = None,
    ) -> None:
        self.engine = engine
        self.api = api
        self._clock = clock
        self._shared, self._set_limits = api.account, set_limits
        self._publisher = EventPublisher(engine, listeners=listeners, now=clock.now, move=_move)
        self._publish = self._publisher.publish
        self._work_kinds: dict[WorkKind, WorkKind] = {}
        """Each kind once: a hundred thousand jobs of one kind share it."""
        self._requests = Requests(
            engine=engine, api=api, clock=clock, publish=self._publish, uploads=uploads, slot_seconds=slot_seconds
        )
        self._preparation = Preparation(uploads, engine=engine, publish=self._publish, now=clock.now)
        submitters = WorkerPool(max_submitting, self._submit_next, on_idle=self._wake)
        pollers = WorkerPool(_MAX_POLLS, self._poll_next, on_idle=self._wake)
        self._pools = ((submitters, engine.submit_at), (pollers, engine.poll_at))
        self._tasks: Tasks | None = None
        self._timer = anyio.CancelScope()
        self._timer_at = math.inf

    def open(self, tasks: Tasks) -> None:
        """Begin to work, with tasks among these."""
        self._tasks = tasks
        tasks.start(self._run_timer)

    def close(self) -> None:
        """Take no more work, and begin no more requests."""
        self._tasks = None

    def cut_off(self) -> None:
        """End the requests in flight at once."""
        self._requests.cut_off()

    def now(self) -> float:
        """Return the time of the account's clock."""
        return self._clock.now()

    def fail_waiters(self) -> None:
        """End every wait: the client is closed."""
        self._publish(self.engine.close(self._clock.now()))

    # Jobs that come and go.

    def submit(self, ticket: AccountTicket, subscription: Subscription) -> None:
        """Queue a job for submission, with its first listener. Raises RuntimeError if the client is not open."""
        self._check_open()
        ticket.subscribe(subscription)
        self.queue(ticket)

    def queue(self, ticket: AccountTicket) -> None:
        """Queue a job, with its listeners, that is new here; first its media are brought to the provider."""
        if self._tasks is not None and self._preparation.is_needed(ticket):
            self._tasks.start(self._prepare, ticket)
        else:
            self._add(ticket)

    def _add(self, ticket: AccountTicket) -> None:
        self.engine.add(ticket)
        self._publish(self.engine.reject_queued(self._clock.now()))
        self._wake()

    @defer_interrupts
    async def _prepare(self, ticket: AccountTicket) -> None:
        if await self._preparation.run(ticket):
            self._add(ticket)
        self._wake()

    def resume(self, job: Job, prediction: Prediction, *, entry: Entry, priority: float, age: float) -> AccountTicket:
        """Poll a job that was accepted `age` seconds ago, perhaps by another process; it has no listener yet."""
        ticket = self.ticket(job, entry)
        ticket.priority = priority
        self._restore(ticket, prediction, age=max(0.0, age))
        return ticket

    def look_up(
        self, job: Job, error: AnswerLost, client_id: ClientId, *, entry: Entry, priority: float, age: float
    ) -> AccountTicket:
        """Look up a job whose answer was lost in an earlier run, and poll it from then on; it has no listener yet."""
        ticket = self.ticket(job, entry)
        ticket.priority = priority
        self._requests.add_lookup(ticket, client_id, age=age)
        self._check_open()
        self.engine.restore_lost(ticket, error, now=self._clock.now())
        self._wake()
        return ticket

    def poll(
        self,
        prediction: Prediction,
        subscription: Subscription,
        *,
        entry: Entry | None = None,
        once: bool = False,
        age: float = 0.0,
    ) -> AccountTicket:
        """Poll a prediction, which was accepted `age` seconds ago at least, until it is finished, or once."""
        work_kind = kind_of_model(prediction.model, self.api.provider)
        ticket = AccountTicket(prediction.key, None, work_kind, account=self, slots=0 if once else 1, entry=entry)
        ticket.single_poll = once
        ticket.subscribe(subscription)
        self._restore(ticket, prediction, age=age)
        return ticket

    def share(self, intents: Intents) -> None:
        """Share the account with the other clients of a journal, if it has a gate."""
        intents.use_account(self._shared, limits=self._set_limits, on_workers=self.share_polls)

    def share_polls(self, workers: int) -> None:
        """Divide the rate of polls by the number of clients that poll with this account."""
        self.engine.share_polls(workers, self._clock.now())
        self._wake()

    def expect_webhooks(self, callback_url: str) -> None:
        """Let submissions ask for webhooks from now on."""
        self.api.callback_url = callback_url
        self.engine.webhooks.expect(self._clock.now())

    async def take_webhook(self, event: WebhookEvent) -> WebhookAction:
        """Do what follows from a webhook, and return what that is."""
        action = await self._requests.take_webhook(event)
        self._wake()
        return action

    def join(self, ticket: Ticket, subscription: Subscription) -> None:
        """Listen to a job that is running. Raises RuntimeError if the client is not open."""
        self._check_open()
        self._publish(self.engine.join(ticket, subscription, now=self._clock.now()))
        self._wake()

    def withdraw(self, ticket: Ticket, listener: Listener) -> None:
        """Detach a listener from a job that is still queued, and notify it, after the events in progress."""
        self._publisher.withdraw(ticket, listener)

    def detach(self, ticket: Ticket, listener: Listener) -> None:
        """Detach a listener; it gets no more events. A queued job without listeners is never submitted."""
        self._publish(self.engine.detach(ticket, listener, now=self._clock.now()))

    def ticket(self, job: Job, entry: Entry | None) -> AccountTicket:
        """Make a ticket for a job at this provider."""
        kind, now = self.work_kind(job), self._clock.now()
        return AccountTicket(job.key, job, kind, account=self, slots=job.input.slots, entry=entry, accepted_at=now)

    def work_kind(self, job: Job) -> WorkKind:
        """Return the kind of work of a job at this provider."""
        work_kind = kind_of_input(job.input, self.api.provider)
        return self._work_kinds.setdefault(work_kind, work_kind)

    def _restore(self, ticket: Ticket, prediction: Prediction, *, age: float = 0.0) -> None:
        self._check_open()
        self.engine.restore(ticket, prediction, now=self._clock.now(), age=age)
        self._wake()

    def _check_open(self) -> None:
        if self._tasks is None:
            raise RuntimeError("The client is not open: use it inside `async with Client() as client:`")

    # Workers.

    async def _submit_next(self) -> bool:
        """Submit one job; return False if there was none."""
        ticket = None if self._tasks is None else self.engine.take_submit(self._clock.now())
        job = ticket.job if ticket is not None else None
        if ticket is None or job is None:
            return False
        self._wake()
        await self._requests.submit(ticket, job)
        self._wake()
        return True

    async def _poll_next(self) -> bool:
        """Poll one prediction; return False if none was due."""
        ticket = None if self._tasks is None else self.engine.take_poll(self._clock.now())
        if ticket is None:
            return False
        self._wake()
        if await self._requests.poll(ticket):
            self._wake()  # a slot is free
        return True

    # Waking.

    def _wake(self) -> None:
        """Wake one more worker of each kind that has work now, and set the timer."""
        tasks, now = self._tasks, self._clock.now()
        if tasks is not None and self._wake_due(tasks, now) < self._timer_at:
            self._timer.cancel()

    def _wake_due(self, tasks: Tasks, now: float) -> float:
        """Wake a worker where there is work now, and return the engine's next moment for which a worker is free.

        A worker that is woken wakes the next one, or becomes idle and sets the timer: so the timer is not for it.
        """
        at = self.engine.deadline_at()
        for pool, due_at in self._pools:
            if pool.free:
                due = due_at(now)
                if due <= now:
                    pool.wake_one(tasks)
                else:
                    at = min(at, due)
        return at

    @defer_interrupts
    async def _run_timer(self) -> None:
        while True:
            now = self._clock.now()
            self._timer_at = math.inf if self._tasks is None else self._wake_due(self._tasks, now)
            with anyio.CancelScope() as self._timer:
                if self._timer_at == math.inf:
                    await anyio.sleep_forever()
                await self._clock.sleep(self._timer_at - now)
            self._timer_at = -math.inf  # it has run out, and needs no waking
            self._publish(self.engine.expire(self._clock.now()))


def _move(ticket: Ticket) -> None:
    if isinstance(ticket, AccountTicket):
        ticket.move()


@define(eq=False, weakref_slot=False)
class AccountTicket(Ticket):
    """A ticket that knows its account."""

    account: Account = field(kw_only=True)

    def move(self) -> None:
        """Queue the job at another account, after `can_move` said that there is one."""
        raise RuntimeError("There is no other account for this job")
