"""The accounts of one client, and the learned durations that they share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.lowlevel
from anyio.lowlevel import EventLoopToken

from ..providers import Provider, provider_named
from ..scheduling.engine import Engine
from ..scheduling.learning import AccountLimits
from ..scheduling.polling.durations import DurationModel
from ..scheduling.polling.policy import PollPolicy
from ..scheduling.polls import PollSharing
from ..scheduling.priority import INTERACTIVE
from ..scheduling.ticket import Subscription
from ..system.background import Tasks
from ..system.clock import Clock
from ..types.inputs import Input
from ..types.limits import SpeedLimit
from ..types.prediction import Prediction
from ..types.storage import MediaStorage
from .account import Account
from .chained_outputs import ChainedOutputs
from .completion import Completion, prediction_of
from .event_listeners import EventListeners
from .media_library import MediaLibrary
from .provider_api import ProviderAPI
from .settings import Settings
from .timings import account_name
from .transports import Transports
from .uploads import Uploads

__all__ = ["Accounts"]

_LONG_AGO: Final = 3600.0
"""Seconds after which a provider knows of what it has accepted."""


class Accounts:
    """Opens an account at each provider that is used, and runs them all.

    Args:
        settings: keys, origins and limits by provider.
        clock: time and randomness.
        learned: how long each kind of work takes, which is learned further, and the known limits of each account.
        transports: makes transports, and is closed here.
        storage: a bucket of the user's for local media, if there is one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        learned: tuple[DurationModel, Mapping[str, AccountLimits]],
        transports: Transports,
        storage: MediaStorage | None = None,
    ) -> None:
        self.clock = clock
        self.durations, self._known_limits = learned
        self.listeners = EventListeners()
        self.hurried = False
        """Whether Ctrl-C was pressed twice: closing then waits for requests in flight no longer than a moment."""
        self.transports = transports
        self._settings = settings
        self.storage = storage
        self.library = MediaLibrary(clock)
        self._outputs = ChainedOutputs(self._refresh, library=self.library, clock=clock)
        self._accounts: dict[str, Account] = {}
        self._callback_url = ""
        self._tasks: Tasks | None = None
        self._loop: EventLoopToken | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the accounts as long as this is entered.

        At the end no more work is taken, the requests in flight finish, each by its own deadline, and every connection
        is closed.
        """
        self._loop = anyio.lowlevel.current_token()
        try:
            # Requests are shielded: only a worker that is idle, or between two requests, is cancelled at the end.
            async with Tasks() as tasks:
                self._open(tasks)
                try:
                    yield
                finally:
                    self._close()
        finally:
            for account in self._accounts.values():
                account.fail_waiters()
            self.listeners.close()
            with anyio.CancelScope(shield=True):
                try:
                    for account in self._accounts.values():
                        await account.api.aclose()
                finally:
                    await self.transports.aclose()

    def _open(self, tasks: Tasks) -> None:
        self._tasks = tasks
        for account in self._accounts.values():
            account.open(tasks)

    def _close(self) -> None:
        self._tasks = None
        for account in self._accounts.values():
            account.close()

    def learned_limits(self) -> dict[str, AccountLimits]:
        """Return what is known of the limits of each account, by its provider and a hash of its key."""
        seen = {
            account_name(account.api.provider.name, account.api.account.key_hash): account.engine.learned
            for account in self._accounts.values()
        }
        return {**self._known_limits, **{name: one for name, one in seen.items() if one != AccountLimits()}}

    def speed_limits(self) -> tuple[SpeedLimit, ...]:
        """Return what holds jobs back at each provider now."""
        now = self.clock.now()
        return tuple(filter(None, (account.engine.speed_limit(now) for account in self._accounts.values())))

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
            account = self._accounts[provider.name] = self._connect(provider)
            self._expect_webhooks(account)
            if self._tasks is not None:
                account.open(self._tasks)
        return account

    def start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a function in a task of the accounts, while they are open."""
        if self._tasks is not None:
            self._tasks.start(function)

    def expect_webhooks(self, url: str) -> None:
        """Let submissions ask for webhooks at a URL, with the provider's name as the last part of its path.

        Raises:
            RuntimeError: they do already.
        """
        if self._callback_url:
            raise RuntimeError("The client receives webhooks already: it has one receiver")
        self._callback_url = url
        for account in self._accounts.values():
            self._expect_webhooks(account)

    def _expect_webhooks(self, account: Account) -> None:
        if self._callback_url:
            account.expect_webhooks(f"{self._callback_url}/{account.api.provider.name}")

    @property
    def is_open(self) -> bool:
        """Whether the accounts are at work, in this event loop."""
        return self._tasks is not None and self._loop == anyio.lowlevel.current_token()

    def _connect(self, provider: Provider) -> Account:
        limits = self._settings.limits(provider)
        transport = self.transports.api(provider, submit_connections=limits.max_submitting)
        polling = PollPolicy(self.durations, random=self.clock.random)
        api = ProviderAPI(provider=provider, transport=transport)
        known = self._known_limits.get(account_name(api.provider.name, api.account.key_hash), AccountLimits())
        engine = Engine(
            provider=provider.name,
            limits=limits,
            polling=polling,
            random=self.clock.random,
            known=known if self._settings.learns(provider) else None,
            limit_sources=provider.limit_sources,
            sharing=PollSharing(
                max_predictions=provider.capabilities.batch_poll.value or 1, admits=provider.may_share_poll
            ),
        )
        return Account(
            engine=engine,
            api=api,
            clock=self.clock,
            listeners=self.listeners,
            max_submitting=limits.max_submitting,
            uploads=self._uploads(provider, api),
            slot_seconds=self.durations.slot_seconds,
            set_limits=None if self._settings.learns(provider) else limits,
        )

    def _uploads(self, provider: Provider, api: ProviderAPI) -> Uploads:
        transport = self.transports.uploads(provider)
        return Uploads(
            provider=provider,
            account=f"{provider.name} {transport.origin} {api.account.key_hash}",
            transport=transport,
            library=self.library,
            outputs=self._outputs,
            storage=self.storage,
            clock=self.clock,
        )

    async def _refresh(self, prediction: Prediction) -> Prediction:
        """Poll a prediction once, whose output is to be used by another job."""
        completion = Completion()
        subscription = Subscription(completion, self.clock.now() + self._settings.request_timeout, INTERACTIVE)
        account = self.account(provider_named(prediction.provider))
        # It had outputs, so that a provider which does not know it has forgotten it.
        ticket = account.poll(prediction, subscription, once=True, age=_LONG_AGO)
        return prediction_of(await completion.wait(ticket))

    def check_key(self, provider: Provider, input: Input) -> None:
        """Check that a provider's key is of a kind that an input's model takes. Raises InputError if it is not."""
        self._settings.check_key(provider, input)

    def check_open(self) -> None:
        """Raise RuntimeError if the client is not open, or was opened in another event loop."""
        if self._tasks is None:
            raise RuntimeError("The client is not open: use it inside `async with Client() as client:`")
        self._check_loop()

    def _check_loop(self) -> None:
        if self._loop != anyio.lowlevel.current_token():
            raise RuntimeError("The client belongs to another event loop: make one in each")
