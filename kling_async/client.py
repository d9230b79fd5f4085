"""The face: one client for every provider you have a key for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

from .batch import Batch
from .desk import accepted_in
from .effects.background import Background
from .effects.clock import Clock, SystemClock
from .effects.credentials import Keys, NonCopyable
from .effects.journal import Journal
from .effects.lanes import HttpTransport
from .effects.signals import apply_protection, defer_interrupts, is_interrupt
from .errors import InputError, InputFault, PredictionFailed
from .inputs import Input, Job
from .outcome import Outcome
from .planning.money import Budget, Estimate, estimate
from .planning.submissions import Decision, Submission
from .prediction import Json, Prediction, Status
from .providers import Limits
from .providers.fields import valid_id
from .pulling import Jobs, pulled
from .recorder import Recorder
from .registry import Registry
from .scheduler import AWAITED
from .settings import Settings, positive, whole
from .workshop import Workshop

__all__ = ["Client"]

_WAIT_TIMEOUT: Final = 600.0
_UNASKED: Final = 0.1
"""What a prediction of an earlier run counts for until somebody asks for it."""


class Client(NonCopyable):
    """Generate images and videos, through one or several providers.

    Use it inside `async with`, once; one per event loop is enough for any number of concurrent calls. It holds keys and
    connections, so it can neither be pickled nor copied.

    Args:
        provider: who does what does not name a provider itself: "gptproto" or "apiinone".
        keys: keys by provider; else the environment's GPTPROTO_API_KEY and APIINONE_API_KEY.
        base_urls: origins by provider, such as "https://gptproto.com"; else the environment's GPTPROTO_BASE_URL and
            APIINONE_BASE_URL.
        request_timeout: seconds that one exchange with an API may take in all.
        limits: how fast each provider may be used, and how much may be open at once; every call shares them.
        journal: a file, or a `Journal`: what is submitted under a key is written down before it leaves, so that it is
            never paid twice, in this process or a later one. A job that is asked for again under its key goes on where
            it stands. Without a journal a key says which job it is only while that is under way.
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
        journal: str | Path | Journal | None = None,
        auth_schemes: Mapping[str, str] | None = None,
        allow_http: bool = False,
        learned: Json = None,
        clock: Clock | None = None,
    ) -> None:
        hidden, keys = Keys(keys), None  # a traceback that prints locals must not print them
        self._settings = Settings(
            provider, keys=hidden, base_urls=base_urls, auth_schemes=auth_schemes, limits=limits, allow_http=allow_http
        )
        self._request_timeout = positive("request_timeout", request_timeout)
        self._workshop = Workshop(
            self._settings,
            clock=clock or SystemClock(),
            request_timeout=self._request_timeout,
            shared=transport,
            learned=learned,
        )
        self._recorder = self._workshop.recorder(journal)
        self._desk = self._workshop.desk([self._settings.provider(None)], self._recorder)
        self._saver = self._workshop.saver(self._desk)
        self._background: Background | None = None
        apply_protection()

    @defer_interrupts
    async def __aenter__(self) -> Self:
        """Open it. Raises JournalError if the journal cannot be used, and RuntimeError if it was opened before."""
        if self._background is not None:
            raise RuntimeError("A client is opened once, and this one was opened before: make a new one with Client()")
        self._background = Background(self._running, cut_off=self._workshop.scheduler.cut_off)
        await self._background.open()
        return self

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            recorder = self._recorder
            accepted = [] if recorder is None else await stack.enter_async_context(recorder.opened())
            await stack.enter_async_context(self._workshop.running())
            self._desk.resume(accepted, worth=_UNASKED)
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
            interrupts = 2 if self._workshop.scheduler.hurried else interrupts
            await self._background.aclose(interrupts=interrupts, ending=ending)

    @property
    def learned(self) -> Json:
        """What was learned of how long work takes; `Client(learned=...)` begins with it."""
        return self._workshop.scheduler.learner.save()

    @defer_interrupts
    async def submit(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input and return once the provider has accepted it.

        It waits for its turn under the account's limits. What certainly did not start (no connection, HTTP 429) is sent
        again for up to `wait_timeout` seconds. What may have started never is.

        Args:
            input: what to make.
            provider: who does it; by default the client's.
            key: the job's name. A call under a key that is under way joins it, as `generate` says, until it is
                accepted. Without a key each call is a purchase of its own.
            wait_timeout: seconds to wait at most.

        Raises:
            InputError: the input is wrong, or another one is under way under its key; nothing was sent.
            NotSent: nothing reached the provider.
            Refused: the provider said no.
            AnswerLost: it may have been accepted, and may be billed.
        """
        job = self._desk.orders.purchase(input, self._settings.provider(provider), key=key)
        wait_for = positive("wait_timeout", wait_timeout)
        return accepted_in(await self._desk.run(job, wait_for=wait_for, only_submit=True))

    @defer_interrupts
    async def refresh(self, prediction: Prediction) -> Prediction:
        """Look once at a prediction and return what the provider says now; it takes its turn among the polls.

        Raises:
            KlingError: no answer could be read within `request_timeout`; the prediction itself goes on.
        """
        return await self._desk.refresh(prediction, wait_for=self._request_timeout)

    @defer_interrupts
    async def wait(self, prediction: Prediction, *, wait_timeout: float = _WAIT_TIMEOUT) -> Prediction:
        """Wait until a prediction is finished, however it ends, and return it.

        Errors of a look that may pass are waited out. Calls that wait for one prediction share its looks.

        Args:
            prediction: what `submit` returned, in this process or another.
            wait_timeout: seconds to wait at most.

        Raises:
            WaitTimeout: it is still running; the error carries it, and the work goes on.
            Refused: the provider will not say, for a reason that does not pass.
        """
        wait_for = positive("wait_timeout", wait_timeout)
        if prediction.status.finished:
            return prediction
        return accepted_in(await self._desk.look(prediction, wait_for=wait_for))

    @defer_interrupts
    async def generate(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input, wait, and return the prediction once it has succeeded.

        Any number of these may be awaited at once: they share the account's limits, its polls and its connections. A
        caller who is cancelled only stops waiting; a submission on its way ends, and its id is logged.

        A call under a key that is under way, in another call or a batch of this client, joins it if the input is the
        same: there is one submission and one cost, and each caller gets its outcome, or waits no longer than its own
        `wait_timeout`. With a journal a key also holds when the job is over; without one, only while it is under way.
        Batches with a journal of their own keep to themselves.

        Args:
            input: what to make.
            provider: who does it; by default the client's. A call that joins stays with the first one's.
            key: the job's name, which names its files as well. Without a key each call is a purchase of its own.
            wait_timeout: seconds to wait at most.

        Raises:
            PredictionFailed: it ended otherwise; the error carries it.
            WaitTimeout: it is still running after `wait_timeout` seconds in all; the error carries it.
            InputError, NotSent, Refused, AnswerLost: as `submit` does.
        """
        job = self._desk.orders.purchase(input, self._settings.provider(provider), key=key)
        wait_for = positive("wait_timeout", wait_timeout)
        prediction = accepted_in(await self._desk.run(job, wait_for=wait_for, worth=AWAITED))
        if prediction.status is not Status.SUCCEEDED:
            raise PredictionFailed(prediction)
        return await self._saver.fetchable(prediction)

    @defer_interrupts
    async def map(self, inputs: Iterable[Input], *, provider: str | None = None) -> list[Outcome]:
        """Generate all inputs and return how each ended, in their order; one failure stops no other.

        Raises:
            InputError: an input is wrong; nothing at all was sent. Its text names the position.
        """
        chosen = self._settings.provider(provider)
        jobs: list[Job] = []
        async with aclosing(pulled(inputs, clock=self._workshop.clock)) as found:
            async for input in found:
                jobs.append(self._desk.orders.purchase(input, chosen, position=len(jobs)))
        async with self.batch(jobs, max_open=max(1, len(jobs)), ordered=True) as batch:
            return [outcome async for outcome in batch]

    def batch(
        self,
        jobs: Jobs,
        *,
        provider: str | Sequence[str] | None = None,
        journal: str | Path | Journal | None = None,
        save_to: str | Path | None = None,
        max_open: int | None = None,
        max_cost: Decimal | float | None = None,
        prices: Mapping[str, Decimal | float] | None = None,
        ordered: bool = False,
        wait_timeout: float = 3600.0,
        stop_after: int = 3,
        accept_changed: bool = False,
        retry_failed: bool = False,
        stop_on_signals: bool = False,
    ) -> Batch:
        """Begin many jobs: use it inside `async with`, and iterate over the outcomes as they finish.

        Jobs are pulled as there is room, so an iterator may be endless, and may wait. One failing job stops no other.
        Pulling ends if the iterator raises, two jobs have one key, the budget is spent, the journal fails, or the
        account is refused or unreachable `stop_after` times in a row. What is paid for is finished and handed out, and
        then that error is raised. Leaving early stops submitting, and stops waiting for what was submitted.

        A job whose key is under way in another call or batch joins that one, as `generate` says: it is submitted once,
        has its outcome here too, and costs this batch nothing. Keys are names within a journal: with one of its own a
        batch joins nothing outside, and without any journal only keys that you gave yourself are joined.

        Args:
            jobs: jobs or inputs, from anything that can be iterated over, also asynchronously.
            provider: who does what does not name a provider itself; of several, the one with the least to do.
            journal: a file, or a `Journal`: with the same one, a later run goes on where this one ended, however it
                ended, and never pays twice. By default the client's, if it has one.
            save_to: a directory for the files, named after the jobs' keys.
            max_open: jobs pulled and not yet handed out, at most; by default what the accounts' limits can hold, twice.
            max_cost: US dollars that are never exceeded; what earlier runs with this `journal` have spent counts. What
                is joined counts where it was submitted first; if that call leaves before it is sent, it counts here.
            prices: prices of models in US dollars, for those that are not published.
            ordered: hand outcomes out in the order of the jobs.
            wait_timeout: seconds that one job may take.
            stop_after: refusals of the account (key, permission, balance) in a row after which to stop.
            accept_changed: submit, and pay, a job whose key the journal knows with another input.
            retry_failed: submit again, and pay again, what has failed in an earlier run.
            stop_on_signals: let the first Ctrl-C or SIGTERM stop submitting only, and the second one leave.

        Raises:
            InputError: a setting is wrong.
        """
        chosen = self._settings.providers(provider)
        own = self._workshop.recorder(journal)
        desk = self._workshop.desk(
            chosen,
            own or self._recorder,
            registry=None if own is None else Registry(),
            prices=prices,
            accept_changed=accept_changed,
            retry_failed=retry_failed,
        )
        return Batch(
            jobs,
            desk=desk,
            clock=self._workshop.clock,
            max_open=2 * self._settings.slots(chosen) if max_open is None else whole("max_open", max_open),
            budget=Budget(None if max_cost is None else Decimal(str(positive("max_cost", max_cost)))),
            ordered=ordered,
            stop_after=whole("stop_after", stop_after),
            wait_for=positive("wait_timeout", wait_timeout),
            recorder=own,
            saver=self._workshop.saver(desk),
            save_to=None if save_to is None else Path(save_to),
            stop_on_signals=stop_on_signals,
        )

    @defer_interrupts
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
        return await self._saver.save(prediction, Path(directory), overwrite=overwrite)

    @defer_interrupts
    async def unconfirmed(self) -> list[Submission]:
        """Return the submissions in the journal of which nobody knows whether they arrived.

        `attach`, `resubmit` and `abandon` are the only ways on.

        Raises:
            InputError: the client has no journal.
        """
        return await self._journalled.unconfirmed()

    @defer_interrupts
    async def attach(self, key: str, id: str) -> Prediction:
        """Say under which id the provider has an unconfirmed submission, and return its prediction.

        Raises:
            InputError: nothing under this key is unconfirmed, or the id is malformed.
        """
        if valid_id(id) is None:
            raise InputError.of("Nothing to attach", [InputFault("id", id, "must be the provider's id")], key=key)
        decided = await self._journalled.decide(key, Decision.ATTACHED, id=id)
        return decided.prediction or Prediction(provider=decided.provider, model=decided.model, id=id, key=key)

    @defer_interrupts
    async def resubmit(
        self, key: str, *, input: Input | None = None, wait_timeout: float = _WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an unconfirmed job once more, which may pay for it twice, and return once that is accepted.

        Args:
            key: the job's key.
            input: the job's input; needed where it holds data URIs or signed addresses, which a journal does not keep.
            wait_timeout: as for `submit`.

        Raises:
            InputError: nothing under this key is unconfirmed, or the journal does not hold all of its input.
            NotSent, Refused, AnswerLost: as `submit` does.
        """
        wait_for = positive("wait_timeout", wait_timeout)
        return accepted_in(await self._desk.resubmit(self._journalled, key, input, wait_for=wait_for))

    @defer_interrupts
    async def abandon(self, key: str) -> None:
        """Give an unconfirmed submission up: it is not listed any more, and never submitted again.

        Raises:
            InputError: nothing under this key is unconfirmed.
        """
        await self._journalled.decide(key, Decision.ABANDONED)

    @property
    def _journalled(self) -> Recorder:
        if self._recorder is None:
            fault = InputFault("journal", None, "must be the file that the submissions were written to")
            raise InputError.of("The client has no journal", [fault])
        return self._recorder

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
