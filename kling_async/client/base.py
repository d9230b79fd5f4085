"""What every call of a client needs: its parts, and their opening and closing."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ..journal.base import Journal
from ..journal.places import JournalPlace, hide_url, journal_at
from ..journal.writer import JournalWriter
from ..providers import DEFAULT_PROVIDER, Provider
from ..providers.selection import Prefer
from ..runtime.accounts import Accounts
from ..runtime.admission import AdmissionRules
from ..runtime.api_keys import ApiKeys, default_provider
from ..runtime.destinations import Destination, destination_at
from ..runtime.dispatcher import Dispatcher
from ..runtime.downloader import Downloader
from ..runtime.event_log import start_log
from ..runtime.fresh_outputs import FreshOutputs
from ..runtime.job_source import Jobs, iterate_jobs
from ..runtime.routing import Router
from ..runtime.settings import Settings, parse_price
from ..runtime.timings import load_timings, save_timings
from ..runtime.tracebacks import short_tracebacks
from ..runtime.transports import Transports
from ..runtime.webhook_secrets import WebhookSecrets
from ..runtime.webhooks import WebhookReceiver
from ..scheduling.priority import RESUMED
from ..system.background import Background
from ..system.clock import Clock, SystemClock
from ..system.interrupts import apply_protection, defer_interrupts, is_interrupt
from ..transport.media_bucket import open_media_bucket
from ..types.errors import InputError
from ..types.events import Listener
from ..types.inputs import Input
from ..types.jobs import Job, as_job, unique_key
from ..types.limits import Limits
from ..types.noncopyable import NonCopyable
from ..types.prediction import Json
from ..types.storage import MediaStorage

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.connections import HttpTransport

__all__ = ["WAIT_TIMEOUT", "BaseClient"]

WAIT_TIMEOUT: Final = 600.0
"""Seconds that a call waits by default."""


class BaseClient(NonCopyable):
    """Opens and closes the parts of a client; `Client` describes the arguments."""

    _background: Background | None = None

    def __init__(
        self,
        provider: str | None = None,
        *,
        api_key: str | None = None,
        api_keys: Mapping[str, str] | None = None,
        base_url: str | None = None,
        base_urls: Mapping[str, str] | None = None,
        limits: Limits | Mapping[str, Limits] | None = None,
        request_timeout: float = 30.0,
        transport: HttpTransport | None = None,
        journal: str | Path | Journal | None = None,
        timings: Json = None,
        auth_schemes: Mapping[str, str] | None = None,
        allow_http: bool = False,
        storage: str | MediaStorage | None = None,
        clock: Clock | None = None,
    ) -> None:
        hidden, place = ApiKeys(api_keys, provider=provider or DEFAULT_PROVIDER, key=api_key), hide_url(journal)
        api_key = api_keys = journal = None  # a traceback that prints locals must not print them
        self._settings = Settings(
            _default(hidden, base_url) if provider is None else provider,
            api_keys=hidden,
            base_url=base_url,
            base_urls=base_urls,
            auth_schemes=auth_schemes,
            limits=limits,
            request_timeout=request_timeout,
            allow_http=allow_http,
        )
        self._clock = clock or SystemClock()
        transports = Transports(self._settings, clock=self._clock, shared=transport)
        bucket, learned = open_media_bucket(storage) if isinstance(storage, str) else storage, load_timings(timings)
        self._accounts = Accounts(
            self._settings, clock=self._clock, learned=learned, transports=transports, storage=bucket
        )
        self._dispatcher = Dispatcher(accounts=self._accounts, journal=self._writer(place))
        self._outputs, self._destinations = self._outputs_for(self._dispatcher), dict[str | Path, Destination]()
        self._rules = AdmissionRules(router=self._router([self._settings.provider(None)]))
        apply_protection()

    def _writer(self, journal: JournalPlace) -> JournalWriter | None:
        opened = journal_at(journal)
        return None if opened is None else JournalWriter(opened, clock=self._clock)

    def _journaled(self, journal: JournalPlace) -> tuple[Dispatcher, bool]:
        """Return the dispatcher of a journal, and whether it is its own; without a journal that of the client."""
        own = self._writer(journal)
        return (self._dispatcher if own is None else Dispatcher(accounts=self._accounts, journal=own)), own is not None

    @short_tracebacks
    def _router(
        self,
        providers: Sequence[Provider],
        prices: Mapping[str, Decimal | float] | None = None,
        prefer: Prefer = "least_loaded",
        *,
        failover: bool = False,
    ) -> Router:
        parsed = {model: parse_price(model, price) for model, price in (prices or {}).items()}
        return Router(providers=providers, accounts=self._accounts, prices=parsed, prefer=prefer, failover=failover)

    def _checked(self, item: object, router: Router, *, position: int) -> tuple[Job, Provider]:
        """Return a job, and the first provider that takes it. Raises InputError, which names its position."""
        job = as_job(item, position=position)
        with _named_by(position):
            return job, router.candidates(job)[0]

    async def _read(self, item: object, position: int) -> Job:
        """Return a job whose local media are read. Raises InputError, which names its position."""
        job = as_job(item, position=position)
        with _named_by(position):
            return await self._accounts.library.read(job)

    @short_tracebacks
    async def _all_checked(self, jobs: Jobs, router: Router, *, has_journal: bool) -> list[Job]:
        checked: list[Job] = []
        async with aclosing(iterate_jobs(jobs, clock=self._clock)) as items:
            async for item in items:
                job, _ = self._checked(await self._read(item, len(checked)), router, position=len(checked))
                shared = has_journal or isinstance(item, Job)
                checked.append(job if shared else self._named(job.input, len(checked)))
        return checked

    def _named(self, input: Input, position: int) -> Job:
        return Job(input, key=f"{unique_key(input, random=self._clock.random())}-{position}")

    def _downloader_for(self, dispatcher: Dispatcher) -> Downloader:
        return Downloader(
            transports=self._accounts.transports,
            outputs=self._outputs_for(dispatcher),
            library=self._accounts.library,
            now=lambda: self._clock.utc().timestamp(),
        )

    def _outputs_for(self, dispatcher: Dispatcher) -> FreshOutputs:
        return FreshOutputs(dispatcher=dispatcher, settings=self._settings)

    def _destination(self, place: str | Path, *, name: str) -> Destination:
        """Return the destination at a path or URL, opened once. Raises InputError if the URL is wrong."""
        known = self._destinations.get(place)
        if known is None:
            known = self._destinations[place] = destination_at(place, name=name)
        return known

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):
            return "<kling_async.Client, not made>"  # in a traceback that prints locals, after a wrong setting
        state = "not open" if self._background is None else "closed" if self._background.has_left else "open"
        return f"<kling_async.Client {self._settings.provider(None).name}, {state}>"

    # Opening and closing.

    @defer_interrupts
    async def __aenter__(self) -> Self:
        """Open the client; see `open`."""
        return await self.open()

    @defer_interrupts
    async def open(self) -> Self:
        """Open the client and return it; for notebooks, where `async with` is not at hand. Close it with `aclose`.

        Raises:
            MissingAPIKey: there is no API key for the default provider.
            JournalError: the journal cannot be used.
            RuntimeError: the client was opened before.
        """
        if self._background is not None:
            raise RuntimeError("A client is opened once, and this one was opened before: make a new one with Client()")
        self._settings.credential(self._settings.provider(None))
        start_log(self._accounts.listeners, os.environ)
        self._background = Background(self._running, cut_off=self._accounts.cut_off)
        await self._background.open()
        return self

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            journal = self._dispatcher.journal
            opened = None if journal is None else self._dispatcher.open_journal(journal)
            accepted = [] if opened is None else await stack.enter_async_context(opened)
            await stack.enter_async_context(self._accounts.transports.fetcher.keeping())
            await stack.enter_async_context(self._accounts.running())
            self._dispatcher.resume(accepted, priority=RESUMED)
            yield

    @defer_interrupts
    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        await self._close(interrupts=is_interrupt(error), ending=error)

    @defer_interrupts
    async def aclose(self) -> None:
        """Finish the requests in flight, each by its own deadline, and close every connection and the journal.

        Any task of the event loop may call it; a client that is closed already stays as it is. It runs to its end, also
        if it is cancelled meanwhile, which is raised then. A second Ctrl-C gives requests in flight only a moment.
        """
        await self._close()

    async def _close(self, *, interrupts: int = 0, ending: BaseException | None = None) -> None:
        if self._background is not None:
            interrupts = 2 if self._accounts.hurried else interrupts
            await self._background.aclose(interrupts=interrupts, ending=ending)

    def export_timings(self) -> Json:
        """Return what was learned of how long predictions take, and of the limits of each account, as JSON.

        `Client(timings=...)` starts with it. It names an account by a hash of its API key.
        """
        return save_timings(self._accounts.durations, self._accounts.learned_limits())

    def webhooks(self, url: str, *, secrets: Mapping[str, str] | None = None) -> WebhookReceiver:
        """Let providers call a URL of yours when a prediction finishes, and return what receives these calls.

        From now on, until the client is closed, submissions name the URL, with the provider's name as a last part of
        its path, at providers whose capability `webhook` is known; an input with a `callback_url` of its own in `extra`
        keeps that. Serve it with `kling_async.integrations.webhooks.app`, or hand each call to `handle`.

        Args:
            url: such as "https://my.app/hooks". Providers see it, so it may hold no secret.
            secrets: the secrets that sign the webhooks, by provider; else environment variables, such as
                WAVESPEED_WEBHOOK_SECRET. Without its secret a provider's webhooks are hints, each confirmed by a poll.
                fal and Atlas Cloud sign with keys that they publish; checking these needs the extra `webhooks`.

        Raises:
            InputError: the URL or a secret is malformed.
            RuntimeError: the client has a receiver already.
        """
        hidden = WebhookSecrets(secrets)
        secrets = None  # a traceback that prints locals must not print them
        return WebhookReceiver(url, secrets=hidden, accounts=self._accounts)

    def add_listener(self, listener: Listener) -> None:
        """Call a function with each `Event` of each job, immediately and in the event loop; it must be quick.

        Jobs of batches are included. A job that several calls have joined has one last event for each of them.
        """
        self._accounts.listeners.add(listener)


@contextmanager
def _named_by(position: int) -> Generator[None]:
    """Put a job's position before the message of an InputError about it."""
    try:
        yield
    except InputError as error:
        error.message = f"Job {position}: {error.message}"
        raise


def _default(keys: ApiKeys, base_url: str | None) -> str:
    # With an origin for one provider, which key goes there is not left to the environment.
    return default_provider(keys, from_environment=base_url is None)
