"""The face: one client for every provider you have a key for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Self, TypeGuard

import anyio
from attrs import evolve

from .batch import Batch, Jobs
from .desk import Desk
from .effects.clock import Clock, SystemClock
from .effects.credentials import Keys
from .effects.files import Files
from .effects.lanes import HttpTransport, TlsContext
from .effects.parts import check_directory
from .effects.transport import Transport
from .errors import DownloadError, InputError, InputFault, PredictionFailed
from .gateway import Gateway
from .inputs import ImageInput, Input, Job, VideoInput, fingerprint
from .media import file_stem
from .outcome import Outcome
from .planning.durations import Learner
from .planning.money import Budget, Estimate, estimate
from .planning.moves import Event
from .prediction import Json, Prediction, Status
from .providers import Limits, Provider, provider_named
from .scheduler import Scheduler
from .settings import Settings

__all__ = ["Client"]

_WAIT_TIMEOUT: Final = 600.0


class Client:
    """Generate images and videos, through one or several providers.

    Use it inside `async with`; one per event loop is enough for any number of concurrent calls.

    Args:
        provider: who does what does not name a provider itself: "gptproto" or "apiinone".
        keys: keys by provider; else the environment's GPTPROTO_API_KEY and APIINONE_API_KEY.
        base_urls: origins by provider, such as "https://gptproto.com"; else the environment's GPTPROTO_BASE_URL and
            APIINONE_BASE_URL.
        request_timeout: seconds that one exchange with an API may take in all.
        limits: how fast each provider may be used, and how much may be open at once; every call shares them.
        transport: any `httpx.AsyncBaseTransport`, which then carries everything, downloads too. It is closed with the
            client.
        auth_schemes: by provider, "bearer" or, at GPTProto, "bare": how the key stands in the Authorization header.
        allow_http: let a key travel over http to another machine.
        learned: what `learned` of an earlier client returned, so that this one knows when to look from the start.
        clock: time and dice; `kling_async.testing` has one that leaps.

    Raises:
        InputError: a provider's name, an origin, a scheme or a number is wrong.
    """

    def __init__(
        self,
        provider: str = "gptproto",
        *,
        keys: Mapping[str, str] | None = None,
        base_urls: Mapping[str, str] | None = None,
        limits: Mapping[str, Limits] | None = None,
        request_timeout: float = 30.0,
        transport: HttpTransport | None = None,
        auth_schemes: Mapping[str, str] | None = None,
        allow_http: bool = False,
        learned: Json = None,
        clock: Clock | None = None,
    ) -> None:
        hidden, keys = Keys(keys), None  # a traceback that prints locals must not print them
        self._settings = Settings(
            provider, keys=hidden, base_urls=base_urls, auth_schemes=auth_schemes, limits=limits, allow_http=allow_http
        )
        self._request_timeout = _positive("request_timeout", request_timeout)
        self._shared = transport
        self._clock = clock or SystemClock()
        self._tls = TlsContext()
        self._files = Files(clock=self._clock, tls=self._tls, shared=transport)
        learner = Learner() if learned is None else Learner.load(learned)
        self._scheduler = Scheduler(clock=self._clock, learner=learner, connect=self._connect)

    async def __aenter__(self) -> Self:
        await self._scheduler.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish the requests in flight, each by its own deadline, and close every connection."""
        await self._scheduler.aclose()
        if self._shared is not None:
            with anyio.CancelScope(shield=True):
                await self._shared.aclose()

    @property
    def learned(self) -> Json:
        """What was learned of how long work takes; `Client(learned=...)` begins with it."""
        return self._scheduler.learner.save()

    async def submit(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input and return once the provider has accepted it.

        It waits for its turn under the account's limits. What certainly did not start (no connection, HTTP 429) is sent
        again for up to `wait_timeout` seconds. What may have started never is.

        Raises:
            InputError: the input is wrong; nothing was sent.
            NotSent: nothing reached the provider.
            Refused: the provider said no.
            AnswerLost: it may have been accepted, and may be billed.
        """
        job, chosen = self._prepare(input, provider, key)
        return _accepted(await self._scheduler.submit(job, chosen, wait_for=_positive("wait_timeout", wait_timeout)))

    async def refresh(self, prediction: Prediction) -> Prediction:
        """Look once at a prediction and return what the provider says now; it takes its turn among the polls.

        Raises:
            KlingError: no answer could be read within `request_timeout`; the prediction itself goes on.
        """
        provider, wait_for = provider_named(prediction.provider), self._request_timeout
        seen = _accepted(await self._scheduler.look(prediction, provider, wait_for=wait_for, once=True))
        return prediction if prediction.status.finished and not seen.status.finished else seen

    async def wait(self, prediction: Prediction, *, wait_timeout: float = _WAIT_TIMEOUT) -> Prediction:
        """Wait until a prediction is finished, however it ends, and return it.

        Errors of a look that may pass are waited out.

        Args:
            prediction: what `submit` returned, in this process or another.
            wait_timeout: seconds to wait at most.

        Raises:
            WaitTimeout: it is still running; the error carries it, and the work goes on.
            Refused: the provider will not say, for a reason that does not pass.
        """
        wait_for = _positive("wait_timeout", wait_timeout)
        if prediction.status.finished:
            return prediction
        provider = provider_named(prediction.provider)
        return _accepted(await self._scheduler.look(prediction, provider, wait_for=wait_for, once=False))

    async def generate(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input, wait, and return the prediction once it has succeeded.

        Any number of these may be awaited at once: they share the account's limits, its polls and its connections. A
        caller who is cancelled only stops waiting; a submission on its way ends, and its id is logged.

        Raises:
            PredictionFailed: it ended otherwise; the error carries it.
            WaitTimeout: it is still running after `wait_timeout` seconds in all; the error carries it.
            InputError, NotSent, Refused, AnswerLost: as `submit` does.
        """
        job, chosen = self._prepare(input, provider, key)
        event = await self._scheduler.generate(job, chosen, wait_for=_positive("wait_timeout", wait_timeout))
        prediction = _accepted(event)
        if prediction.status is not Status.SUCCEEDED:
            raise PredictionFailed(prediction)
        return prediction

    async def map(self, inputs: Iterable[Input], *, provider: str | None = None) -> list[Outcome]:
        """Generate all inputs and return how each ended, in their order; one failure stops no other.

        Raises:
            InputError: an input is wrong; nothing at all was sent. Its text names the position.
        """
        jobs = [self._checked(position, input, provider) for position, input in enumerate(inputs)]
        async with self.batch(jobs, max_open=max(1, len(jobs)), ordered=True) as batch:
            return [outcome async for outcome in batch]

    def batch(
        self,
        jobs: Jobs,
        *,
        provider: str | Sequence[str] | None = None,
        save_to: str | Path | None = None,
        max_open: int | None = None,
        max_cost: Decimal | float | None = None,
        prices: Mapping[str, Decimal | float] | None = None,
        ordered: bool = False,
        wait_timeout: float = 3600.0,
        stop_after: int = 3,
    ) -> Batch:
        """Begin many jobs: use it inside `async with`, and iterate over the outcomes as they finish.

        Jobs are pulled as there is room, so an iterator may be endless, and may wait. One failing job stops no other.
        No more jobs are pulled if the iterator raises, if two jobs have one key, if the budget is spent, or if the
        account is refused, or its host cannot be found or trusted, `stop_after` times in a row. What is paid for is
        finished and handed out, and then that error is raised. Leaving early stops submitting, and stops waiting for
        what was submitted.

        Args:
            jobs: jobs or inputs, from anything that can be iterated over, also asynchronously.
            provider: who does what does not name a provider itself; of several, the one with the least to do.
            save_to: a directory for the files, named after the jobs' keys.
            max_open: jobs pulled and not yet handed out, at most; by default what the accounts' limits can hold, twice.
            max_cost: US dollars that are never exceeded, by published prices.
            prices: prices of models in US dollars, for those that are not published.
            ordered: hand outcomes out in the order of the jobs.
            wait_timeout: seconds that one job may take.
            stop_after: refusals of the account (key, permission, balance) in a row after which to stop.

        Raises:
            InputError: a setting is wrong.
        """
        chosen = [self._settings.provider(name) for name in _names(provider)]
        for one in chosen:
            self._scheduler.account(one)
        desk = Desk(
            providers=chosen,
            scheduler=self._scheduler,
            save=None if save_to is None else lambda prediction: self.download(prediction, save_to),
            prices={model: _price(model, price) for model, price in (prices or {}).items()},
            wait_for=_positive("wait_timeout", wait_timeout),
        )
        if max_open is None:
            slots = [self._settings.limits(one).max_open for one in chosen]
            max_open = 2 * sum(one or 500 for one in slots)
        return Batch(
            jobs,
            desk=desk,
            clock=self._clock,
            max_open=_whole("max_open", max_open),
            budget=Budget(None if max_cost is None else Decimal(str(_positive("max_cost", max_cost)))),
            ordered=ordered,
            stop_after=_whole("stop_after", stop_after),
        )

    async def download(self, prediction: Prediction, directory: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Save a prediction's outputs as `directory/KEY-0.png` and so on, and return their paths.

        Names come from the prediction's key, suffixes from what the files are. A file appears under its name only when
        it is whole. A download that broke goes on where it stopped.

        Args:
            prediction: one that succeeded.
            directory: where to; made if missing.
            overwrite: replace other files that have the names.

        Raises:
            DownloadError: an output could not be saved, or the directory cannot be written; it can be tried again.
        """
        if prediction.status is not Status.SUCCEEDED:
            raise DownloadError(
                "There is nothing to download",
                provider=prediction.provider,
                key=prediction.key,
                id=prediction.id,
                advice=f"The prediction is {prediction.status.value}; only one that succeeded has outputs.",
            )
        folder = Path(directory)
        try:
            await anyio.to_thread.run_sync(check_directory, folder)
        except InputError as error:
            raise DownloadError(f"{error.message}: {error.faults[0]}", path=str(folder)) from error
        loopback = self._settings.on_this_machine(provider_named(prediction.provider))
        stem = file_stem(prediction.key or f"{prediction.provider}:{prediction.id}")
        saved: list[Path] = []
        for index, output in enumerate(prediction.outputs):
            try:
                path = await self._files.save(output, folder, f"{stem}-{index}", overwrite=overwrite, loopback=loopback)
            except DownloadError as error:
                error.provider, error.key, error.id = prediction.provider, prediction.key, prediction.id
                raise
            saved.append(path)
        return saved

    def estimate(self, inputs: Iterable[Input], *, provider: str | None = None) -> Estimate:
        """Return what inputs will cost, before anything is sent; it needs no key.

        Raises:
            InputError: an input is wrong.
        """
        chosen = self._settings.provider(provider)
        known = list(inputs)
        for input in known:
            chosen.check(input)
        return estimate((input.model, chosen.spec(input).price(input)) for input in known)

    def _checked(self, position: int, input: Input, provider: str | None) -> Job:
        try:
            job = self._prepare(input, provider, None)[0]
            return evolve(job, key=f"{job.key}-{position}")
        except InputError as error:
            error.message = f"Input {position}: {error.message}"
            raise

    def _prepare(self, input: object, provider: str | None, key: str | None) -> tuple[Job, Provider]:
        if not isinstance(input, (ImageInput, VideoInput)):
            # Callers without a type checker get an error before money, too.
            fault = InputFault("input", input, "must be an ImageInput or a VideoInput")
            raise InputError.of("Nothing to generate", [fault])
        if key is None:
            # Each call is a purchase of its own, so its files must not meet those of an earlier one.
            kind = "image" if isinstance(input, ImageInput) else "video"
            key = f"{kind}-{fingerprint(input)[:8]}-{int(self._clock.dice() * 16**6):06x}"
        chosen = self._settings.provider(provider)
        chosen.check(input, key=key)
        self._scheduler.account(chosen)
        return Job(input, key=key, provider=chosen.name), chosen

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


def _accepted(event: Event) -> Prediction:
    if event.error is not None:
        raise event.error
    if event.prediction is None:
        raise RuntimeError("a job is over without a prediction and without an error")
    return event.prediction


def _names(provider: str | Sequence[str] | None) -> Sequence[str | None]:
    return [provider] if provider is None or isinstance(provider, str) else provider


def _positive(name: str, number: object) -> float:
    if not _finite(number) or not float(number) > 0.0:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a number above 0")])
    return float(number)


def _price(model: str, price: object) -> Decimal:
    if not _finite(price) or not float(price) >= 0.0:
        fault = InputFault(f"prices[{model!r}]", price, "must be US dollars, not below 0")
        raise InputError.of("Wrong setting", [fault])
    return Decimal(str(price))


def _finite(number: object) -> TypeGuard[float | Decimal]:
    return not isinstance(number, bool) and isinstance(number, (int, float, Decimal)) and math.isfinite(number)


def _whole(name: str, number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError.of("Wrong setting", [InputFault(name, number, "must be a whole number above 0")])
    return number
