"""One per client: the accounts that every await and every batch share, and what was learned of how long work takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from anyio.lowlevel import EventLoopToken

from .account import Account, Hearing
from .effects.background import Tasks
from .effects.clock import Clock
from .gateway import Gateway
from .inputs import ImageInput, Input, Job
from .planning.durations import Learner, Path
from .planning.engine import Engine
from .planning.lookout import Lookout
from .planning.moves import Event, Listener, Page, Subscription, Ticket
from .prediction import Prediction
from .providers import Limits, Provider
from .providers.check import scene_of

__all__ = ["AWAITED", "Scheduler"]

AWAITED = 2.0
"""How much more a second counts for somebody who waits for one prediction than for a row of a bulk run."""


class Scheduler:
    """The accounts of one client.

    Args:
        clock: time and dice.
        learner: knows how long each kind of work takes, and learns more.
        connect: opens the gateway to a provider, and says how fast it may be used; raises InputError without a key.
    """

    def __init__(
        self, *, clock: Clock, learner: Learner, connect: Callable[[Provider], tuple[Gateway, Limits]]
    ) -> None:
        self.learner = learner
        self._clock = clock
        self._connect = connect
        self._accounts: dict[str, Account] = {}
        self._paths: dict[Path, Path] = {}
        """Each path once: a hundred thousand jobs of one kind share it."""
        self._tasks: Tasks | None = None
        self._loop: EventLoopToken | None = None
        self.hurried = False
        """Whether Ctrl-C was pressed twice: closing then waits for requests in flight no longer than a moment."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Work as long as this is entered.

        When it is left, no more work is taken, the requests in flight finish, each by its own deadline, and every
        connection is closed.
        """
        self._loop = anyio.lowlevel.current_token()
        try:
            # Requests are shielded: only a worker that is parked, or between two requests, is cancelled at the end.
            async with Tasks() as tasks:
                self._open(tasks)
                try:
                    yield
                finally:
                    self._close()
        finally:
            for account in self._accounts.values():
                account.dismiss()
            with anyio.CancelScope(shield=True):
                for account in self._accounts.values():
                    await account.gateway.aclose()

    def _open(self, tasks: Tasks) -> None:
        self._tasks = tasks
        for account in self._accounts.values():
            account.open(tasks)

    def _close(self) -> None:
        self._tasks = None
        for account in self._accounts.values():
            account.close()

    def cut_off(self) -> None:
        """End the requests in flight at once, though what they pay for may be lost: a second Ctrl-C asks for that."""
        for account in self._accounts.values():
            account.cut_off()

    def account(self, provider: Provider) -> Account:
        """Return the account at a provider.

        Raises:
            InputError: there is no key for it.
            RuntimeError: the client was opened in another event loop.
        """
        if self._tasks is not None:
            self._check_loop()
        account = self._accounts.get(provider.name)
        if account is None:
            gateway, limits = self._connect(provider)
            lookout = Lookout(self.learner, dice=self._clock.dice)
            engine = Engine(provider=provider.name, limits=limits, lookout=lookout, dice=self._clock.dice)
            account = Account(engine=engine, gateway=gateway, clock=self._clock, max_submitting=limits.max_submitting)
            self._accounts[provider.name] = account
            if self._tasks is not None:
                account.open(self._tasks)
        return account

    def begin(
        self,
        job: Job,
        provider: Provider,
        *,
        listener: Listener,
        wait_for: float,
        page: Page | None = None,
        worth: float = 1.0,
        only_submit: bool = False,
    ) -> Ticket:
        """Hand a job to its account, which submits it and tells the listener what happens to it."""
        ticket = self._ticket(job, provider)
        ticket.until = self._clock.now() + wait_for
        ticket.listener, ticket.page, ticket.worth, ticket.only_submit = listener, page, worth, only_submit
        self.account(provider).begin(ticket)
        return ticket

    def follow(
        self, job: Job, prediction: Prediction, provider: Provider, *, page: Page, worth: float, age: float
    ) -> Ticket:
        """Look at what was accepted `age` seconds ago, perhaps by another process; it has no listener yet."""
        ticket = self._ticket(job, provider)
        ticket.page, ticket.worth = page, worth
        self.account(provider).resume(ticket, prediction, age=max(0.0, age))
        return ticket

    def join(
        self,
        ticket: Ticket,
        provider: Provider,
        *,
        listener: Listener,
        wait_for: float,
        worth: float = 1.0,
        only_submit: bool = False,
        pay: Callable[[], bool] | None = None,
    ) -> None:
        """Listen to a job that is under way, beside those who do so already; `pay` as in `Subscription`."""
        one = Subscription(listener, self._clock.now() + wait_for, worth, only_submit, pay)
        self.account(provider).join(ticket, one)

    def look(
        self,
        prediction: Prediction,
        provider: Provider,
        *,
        listener: Listener,
        wait_for: float,
        once: bool,
        page: Page | None = None,
    ) -> Ticket:
        """Look at a prediction until it is finished, or once, and tell the listener."""
        ticket = Ticket(
            key=prediction.key,
            job=None,
            path=_path(prediction.model, provider),
            weight=0 if once else 1,
            worth=AWAITED,
            until=self._clock.now() + wait_for,
            listener=listener,
            page=page,
            once=once,
        )
        self.account(provider).resume(ticket, prediction)
        return ticket

    async def outcome(self, ticket: Ticket, provider: Provider, hearing: Hearing) -> Event:
        """Wait until a job is over. A caller who is cancelled meanwhile only stops listening."""
        return await self.account(provider).outcome(ticket, hearing)

    def forget(self, ticket: Ticket, provider: Provider, listener: Listener) -> None:
        """Stop listening to a job; what no other listener wants, and is not submitted yet, never is."""
        self.account(provider).forget(ticket, listener)

    def recall(self, ticket: Ticket, provider: Provider, listener: Listener) -> None:
        """Leave a job that still stands in line, and hear so."""
        self.account(provider).recall(ticket, listener)

    def check_open(self) -> None:
        """Raise RuntimeError if the client is not open, or was opened in another event loop."""
        if self._tasks is None:
            raise RuntimeError("The client is not open: use it inside `async with Client() as client:`")
        self._check_loop()

    def _check_loop(self) -> None:
        if self._loop != anyio.lowlevel.current_token():
            raise RuntimeError("The client belongs to another event loop: make one in each")

    def _ticket(self, job: Job, provider: Provider) -> Ticket:
        input = job.input
        size = f"{input.resolution} x {input.n}" if isinstance(input, ImageInput) else f"{input.duration} s"
        path = (*_path(input.model, provider), _scene(input, provider), size)
        return Ticket(
            key=job.key,
            job=job,
            path=self._paths.setdefault(path, path),
            weight=input.n if isinstance(input, ImageInput) else 1,
        )


def _scene(input: Input, provider: Provider) -> str:
    spec = provider.models.get(input.model)
    # What was accepted before may be of a model that is not known any more.
    return "" if spec is None else (scene_of(spec, input) or spec.scenes[0]).value


def _path(model: str, provider: Provider) -> Path:
    spec = provider.models.get(model)
    return (spec.kind.value if spec else "image", provider.name, model)
