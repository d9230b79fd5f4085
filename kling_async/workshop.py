"""What stands behind a client: the settings, the accounts, and what reaches the world, put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import anyio

from .desk import Desk
from .effects.clock import Clock
from .effects.files import Files
from .effects.journal import Journal, SqliteJournal
from .effects.lanes import HttpTransport, TlsContext
from .effects.transport import Transport
from .gateway import Gateway
from .orders import Orders
from .planning.durations import Learner
from .prediction import Json, Prediction
from .providers import Limits, Provider, provider_named
from .recorder import Recorder
from .registry import Registry
from .saver import Saver
from .scheduler import Scheduler
from .settings import Settings, dollars

__all__ = ["Workshop"]


class Workshop:
    """The parts of one client.

    Args:
        settings: whose key goes where, and how fast.
        clock: time and dice.
        request_timeout: seconds that one exchange with an API may take in all.
        shared: a transport of the user's that carries everything, and is closed here.
        learned: what an earlier client has learned.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock, request_timeout: float, shared: HttpTransport | None, learned: Json
    ) -> None:
        self._settings = settings
        self._request_timeout = request_timeout
        self._shared = shared
        self._tls = TlsContext()
        self._registry = Registry()
        self._files = Files(clock=clock, tls=self._tls, shared=shared)
        self.clock = clock
        learner = Learner() if learned is None else Learner.load(learned)
        self.scheduler = Scheduler(clock=clock, learner=learner, connect=self._connect)

    def recorder(self, journal: str | Path | Journal | None) -> Recorder | None:
        """Return what writes into a journal, or into the one in a file."""
        if journal is None:
            return None
        return Recorder(SqliteJournal(journal) if isinstance(journal, (str, Path)) else journal, clock=self.clock)

    def desk(
        self,
        providers: Sequence[Provider],
        recorder: Recorder | None,
        *,
        registry: Registry | None = None,
        prices: Mapping[str, Decimal | float] | None = None,
        accept_changed: bool = False,
        retry_failed: bool = False,
    ) -> Desk:
        """Open a desk for these providers, with a journal or without.

        Args:
            registry: what is under way in the desk's own journal; by default what the client's calls share.
        """
        orders = Orders(
            providers=providers,
            clock=self.clock,
            load=lambda provider: self.scheduler.account(provider).engine.load,
            prices={model: dollars(model, price) for model, price in (prices or {}).items()},
        )
        return Desk(
            orders=orders,
            scheduler=self.scheduler,
            clock=self.clock,
            registry=registry or self._registry,
            recorder=recorder,
            accept_changed=accept_changed,
            retry_failed=retry_failed,
        )

    def saver(self, desk: Desk) -> Saver:
        """Return what saves the outputs of a desk's predictions."""

        async def refresh(prediction: Prediction) -> Prediction:
            return await desk.refresh(prediction, wait_for=self._request_timeout)

        return Saver(
            files=self._files,
            refresh=refresh,
            on_this_machine=lambda name: self._settings.on_this_machine(provider_named(name)),
            recorder=desk.recorder,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Have the accounts work as long as this is entered; then close every connection."""
        try:
            async with self.scheduler.running():
                yield
        finally:
            if self._shared is not None:
                with anyio.CancelScope(shield=True):
                    await self._shared.aclose()

    def _connect(self, provider: Provider) -> tuple[Gateway, Limits]:
        limits = self._settings.limits(provider)
        transport = Transport(
            provider=provider.name,
            credential=self._settings.credential(provider),
            timeout=self._request_timeout,
            tls=self._tls,
            submit_lanes=limits.max_submitting,
            shared=self._shared,
        )
        return Gateway(provider=provider, transport=transport), limits
