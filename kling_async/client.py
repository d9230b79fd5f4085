"""The face: one client for every provider you have a key for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import anyio

from .accounts import Accounts
from .effects.clock import Clock, SystemClock
from .effects.credentials import Credential, Keys
from .effects.files import Files
from .effects.parts import check_directory
from .effects.transport import HttpTransport, TlsContext, Transport
from .effects.workers import Workers
from .errors import DownloadError, InputError, InputFault, KlingError, PredictionFailed, WaitTimeout
from .gateway import Gateway
from .inputs import ImageInput, Input, Job, VideoInput, fingerprint
from .media import file_stem
from .outcome import Outcome
from .planning.money import Estimate, estimate
from .prediction import Prediction, Status
from .providers import Provider, provider_named

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
        transport: any `httpx.AsyncBaseTransport`, which then carries everything, downloads too. It is closed with the
            client.
        auth_schemes: by provider, "bearer" or, at GPTProto, "bare": how the key stands in the Authorization header.
        allow_http: let a key travel over http to another machine.
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
        request_timeout: float = 30.0,
        transport: HttpTransport | None = None,
        auth_schemes: Mapping[str, str] | None = None,
        allow_http: bool = False,
        clock: Clock | None = None,
    ) -> None:
        hidden, keys = Keys(keys), None  # a traceback that prints locals must not print them
        self._accounts = Accounts(
            provider,
            keys=hidden,
            base_urls=base_urls,
            auth_schemes=auth_schemes,
            allow_http=allow_http,
            connect=self._connect,
        )
        self._request_timeout = _positive("request_timeout", request_timeout)
        self._shared = transport
        self._clock = clock or SystemClock()
        self._tls = TlsContext()
        self._files = Files(clock=self._clock, tls=self._tls, shared=transport)
        self._workers = Workers()

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish the requests in flight, each by its own deadline, and close every connection."""
        await self._workers.__aexit__()
        with anyio.CancelScope(shield=True):
            await self._accounts.aclose()
            if self._shared is not None:
                await self._shared.aclose()

    async def submit(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input and return once the provider has accepted it.

        What certainly did not start (no connection, HTTP 429) is sent again for up to `wait_timeout` seconds. What may
        have started never is.

        Raises:
            InputError: the input is wrong; nothing was sent.
            NotSent: nothing reached the provider.
            Refused: the provider said no.
            AnswerLost: it may have been accepted, and may be billed.
        """
        gateway, job = self._prepare(input, provider, key)
        until = self._clock.now() + _positive("wait_timeout", wait_timeout)
        return await gateway.submit(job.input, key=job.key or "", until=until)

    async def refresh(self, prediction: Prediction) -> Prediction:
        """Look once at a prediction and return what the provider says now.

        Raises:
            KlingError: no answer could be read within `request_timeout`; the prediction itself goes on.
        """
        until = self._clock.now() + self._request_timeout
        seen = await self._accounts.gateway(provider_named(prediction.provider)).poll(prediction, until=until)
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
        gateway = self._accounts.gateway(provider_named(prediction.provider))
        return await gateway.wait(prediction, wait_for=_positive("wait_timeout", wait_timeout))

    async def generate(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input, wait, and return the prediction once it has succeeded.

        Raises:
            PredictionFailed: it ended otherwise; the error carries it.
            WaitTimeout: it is still running after `wait_timeout` seconds in all; the error carries it.
            InputError, NotSent, Refused, AnswerLost: as `submit` does.
        """
        began = self._clock.now()
        prediction = await self.submit(input, provider=provider, key=key, wait_timeout=wait_timeout)
        if not prediction.status.finished:
            # At least one look, also where accepting took all the time there was.
            left = max(began + wait_timeout - self._clock.now(), 1e-3)
            prediction = await self.wait(prediction, wait_timeout=left)
        if prediction.status is not Status.SUCCEEDED:
            raise PredictionFailed(prediction)
        return prediction

    async def map(self, inputs: Iterable[Input], *, provider: str | None = None) -> list[Outcome]:
        """Generate all inputs at once and return how each ended, in their order; one failure stops no other.

        Raises:
            InputError: an input is wrong; nothing at all was sent. Its text names the position.
        """
        jobs = [self._checked(position, input, provider) for position, input in enumerate(inputs)]
        outcomes: list[Outcome | None] = [None] * len(jobs)

        async def run(position: int, job: Job) -> None:
            outcomes[position] = await self._outcome(job)

        async with anyio.create_task_group() as group:
            for position, job in enumerate(jobs):
                group.start_soon(run, position, job)
        return [outcome for outcome in outcomes if outcome is not None]

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
        loopback = self._accounts.on_this_machine(provider_named(prediction.provider))
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
        chosen = self._accounts.provider(provider)
        known = list(inputs)
        for input in known:
            chosen.check(input)
        return estimate((input.model, chosen.spec(input).price(input)) for input in known)

    async def _outcome(self, job: Job) -> Outcome:
        try:
            prediction = await self.generate(job.input, provider=job.provider, key=job.key)
        except (PredictionFailed, WaitTimeout) as error:
            return Outcome(job=job, prediction=error.prediction, error=error)
        except KlingError as error:
            return Outcome(job=job, error=error)
        return Outcome(job=job, prediction=prediction)

    def _checked(self, position: int, input: Input, provider: str | None) -> Job:
        try:
            return self._prepare(input, provider, None)[1]
        except InputError as error:
            error.message = f"Input {position}: {error.message}"
            raise

    def _prepare(self, input: object, provider: str | None, key: str | None) -> tuple[Gateway, Job]:
        if not isinstance(input, (ImageInput, VideoInput)):
            fault = InputFault("input", input, "must be an ImageInput or a VideoInput")
            raise InputError.of("Nothing to generate", [fault])
        if key is None:
            # Each call is a purchase of its own, so its files must not meet those of an earlier one.
            kind = "image" if isinstance(input, ImageInput) else "video"
            key = f"{kind}-{fingerprint(input)[:8]}-{int(self._clock.dice() * 16**6):06x}"
        chosen = self._accounts.provider(provider)
        chosen.check(input, key=key)
        return self._accounts.gateway(chosen), Job(input, key=key, provider=chosen.name)

    def _connect(self, provider: Provider, credential: Credential) -> Gateway:
        transport = Transport(
            provider=provider.name,
            credential=credential,
            timeout=self._request_timeout,
            tls=self._tls,
            shared=self._shared,
        )
        return Gateway(provider=provider, transport=transport, clock=self._clock, workers=self._workers)


def _positive(name: str, seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise InputError.of("Wrong setting", [InputFault(name, seconds, "must be a number of seconds above 0")])
    return seconds
