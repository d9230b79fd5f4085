"""The public API: one client for every provider that there is an API key for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Unpack

from attrs import evolve

from ..journal.base import Journal
from ..journal.places import hide_url, journal_at
from ..providers.selection import Prefer
from ..runtime.admission import AdmissionRules
from ..runtime.batch import Batch
from ..runtime.batch_options import BatchOptions, BatchSettings
from ..runtime.completion import prediction_of
from ..runtime.job_source import Jobs
from ..runtime.refusals import Replacer
from ..runtime.settings import positive_float, positive_int
from ..runtime.tracebacks import short_tracebacks
from ..scheduling.budget import Budget
from ..scheduling.priority import INTERACTIVE
from ..system.interrupts import defer_interrupts
from ..types.errors import PredictionFailed
from ..types.inputs import Input
from ..types.jobs import Job, Outcome, unique_key
from ..types.prediction import Prediction
from ..types.provenance import ProvenanceMode
from ..types.refusals import OnRefused
from .base import WAIT_TIMEOUT
from .following import FollowingClient

__all__ = ["Client"]


class Client(FollowingClient):
    """Generate images and videos, through one or several providers.

    Use it inside `async with`, once; one per event loop is enough for any number of concurrent calls. It holds keys and
    connections, so it can neither be pickled nor copied.

    Args:
        provider: the default provider, for inputs and jobs that name none. If it is not given, it is the only one with
            an API key: in `api_keys` if that is given, else in the environment. Of several it is "gptproto", which it
            also is if there is no key, or if only `api_key` or `base_url` is given: neither goes to a provider that
            the environment decides.
        api_key: the default provider's API key; else its environment variable, such as GPTPROTO_API_KEY.
        api_keys: API keys by provider, for several.
        base_url: the default provider's origin, such as "https://gptproto.com"; else its environment variable, such as
            GPTPROTO_BASE_URL.
        base_urls: origins by provider, for several.
        limits: rates and open jobs of the default provider, or by provider; every call shares them, and with a journal
            in a database every client of the account.
        request_timeout: seconds that one exchange with an API may take, and more where images are inside the request.
        transport: any `httpx.AsyncBaseTransport`, which then carries everything, downloads too. It is closed with the
            client.
        journal: a file, the URL of a PostgreSQL database ("postgresql://..."), or a `Journal`: each submission is
            written down under its key before it is sent, so that it is never paid twice, in this process, a later one
            or, with a database, another one. A job that is asked for again under its key is resumed. Without a journal
            a key names a job only while it is running.
        timings: what `export_timings` of an earlier client returned, so that polls are well timed from the start, and
            limits that were learned are known.
        auth_schemes: by provider, how the API key is sent in the Authorization header, such as "bearer".
        allow_http: let a key travel over http to another machine.
        storage: a bucket of yours for local media, such as "s3://bucket/prefix", for providers that take none; they get
            an address that is valid for a day. It needs the extra `storage`.
        clock: source of time and randomness; see `kling_async.testing.VirtualClock` for tests.

    Raises:
        InputError: a provider's name, an origin, a scheme or a number is wrong; or no provider is named and several
            have an API key, "gptproto" not among them.
    """

    # One prediction.

    @defer_interrupts
    @short_tracebacks
    async def submit(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input and return once the provider has accepted it.

        It waits in the account's queue under its limits. A submission that certainly did not start (no connection,
        HTTP 429) is sent again for up to `wait_timeout` seconds; one that may have started never is.

        Args:
            input: the input.
            provider: by default the client's.
            key: the job's name. A call with a key that is running joins it, as `generate` does, until it is accepted.
                Without a key every call creates a new job.
            wait_timeout: maximum number of seconds to wait.

        Raises:
            InputError: the input is wrong, or another one is running under its key; nothing was sent.
            NotSent: nothing reached the provider.
            Refused: the provider refused it.
            AnswerLost: it may have been accepted, and may be billed.
        """
        wait_for, job = positive_float("wait_timeout", wait_timeout), await self._job(input, provider, key)
        return prediction_of(await self._dispatcher.run(job, self._rules, wait_for=wait_for, only_submit=True))

    @defer_interrupts
    @short_tracebacks
    async def generate(
        self,
        input: Input,
        *,
        provider: str | None = None,
        key: str | None = None,
        wait_timeout: float = WAIT_TIMEOUT,
        on_refused: OnRefused | None = None,
    ) -> Prediction:
        """Submit an input, wait, and return the prediction once it has succeeded.

        Any number of calls may be awaited at once: they share the account's limits, its polls and its connections. A
        caller that is cancelled only stops waiting; its submission in flight is finished, and its id is logged.

        A call with a key that is running, in another call or a batch of this client, joins it if the input is the same:
        there is one submission and one cost, and each caller gets the result, or waits no longer than its own
        `wait_timeout`. With a journal a key also holds after the job has finished; without one, only while it is
        running. Batches with a journal of their own are separate.

        Args:
            input: the input.
            provider: by default the client's. A call that joins uses the provider of the first one.
            key: the job's name, which names its files as well. Without a key every call creates a new job.
            wait_timeout: maximum number of seconds to wait.
            on_refused: is asked for another input if the content policy refuses this one, as for `batch`.

        Raises:
            PredictionFailed: it ended without success; the error carries it.
            WaitTimeout: it is still running after `wait_timeout` seconds in all; the error carries it.
            InputError, NotSent, Refused, AnswerLost: as `submit` does.
        """
        wait_for, job = positive_float("wait_timeout", wait_timeout), await self._job(input, provider, key)
        if on_refused is None:
            event = await self._dispatcher.run(job, self._rules, wait_for=wait_for, priority=INTERACTIVE)
        else:
            replacer = Replacer(self._dispatcher, self._rules, on_refused)
            event = await replacer.run(job, wait_for=wait_for, priority=INTERACTIVE)
        prediction = prediction_of(event)
        if not prediction.succeeded:
            raise PredictionFailed(prediction)
        return evolve(await self._outputs.with_fresh_urls(prediction), prompt=event.prompt or input.prompt or None)

    async def _job(self, input: Input, provider: str | None, key: str | None) -> Job:
        chosen = self._settings.provider(provider)
        job = await self._accounts.library.read(Job(input, key=key, provider=chosen.name))
        return job if key is not None else evolve(job, key=unique_key(job.input, random=self._clock.random()))

    # Many predictions.

    @defer_interrupts
    async def map(self, jobs: Jobs, **settings: Unpack[BatchSettings]) -> list[Outcome]:
        """Generate all jobs and return the outcome of each, in their order; one failure stops no other.

        Args:
            jobs: jobs or inputs, as for `batch`; all of them are read and checked before the first is sent. Without a
                `journal` of its own a call creates a new job for each input, as `generate` does.
            settings: as for `batch`.

        Raises:
            InputError: a job is wrong; nothing at all was sent. Its text names the position.
        """
        place = hide_url(settings.pop("journal", None))  # out of sight of a traceback that prints locals
        router, own = self._router(self._settings.providers(settings.get("provider"))), journal_at(place)
        checked = await self._all_checked(jobs, router, has_journal=own is not None)
        settings["journal"] = own
        if settings.get("max_open") is None:
            settings["max_open"] = max(1, len(checked))
        async with self.batch(checked, ordered=True, **settings) as batch:
            return [outcome async for outcome in batch]

    def batch(
        self,
        jobs: Jobs,
        *,
        provider: str | Sequence[str] | None = None,
        journal: str | Path | Journal | None = None,
        save_to: str | Path | None = None,
        provenance: ProvenanceMode | None = None,
        max_open: int | None = None,
        max_cost: Decimal | float | None = None,
        prices: Mapping[str, Decimal | float] | None = None,
        prefer: Prefer = "least_loaded",
        failover: bool = False,
        ordered: bool = False,
        wait_timeout: float = 3600.0,
        stop_after: int = 3,
        resubmit_changed: bool = False,
        resubmit_failed: bool = False,
        stop_on_signals: bool = False,
        on_refused: OnRefused | None = None,
    ) -> Batch:
        """Start many jobs: use it inside `async with`, and iterate over the outcomes as they finish.

        Jobs are pulled as there is capacity, so an iterator may be endless, and may wait. One failing job stops no
        other. Pulling ends if the iterator raises, two jobs have one key, the budget is spent, the journal fails, or
        the account is refused or unreachable `stop_after` times in a row. Jobs that are paid for are finished and
        delivered, and then that error is raised. Leaving early stops submitting, and stops waiting for what was
        submitted.

        A job whose key is running in another call or batch joins that one, as `generate` says: it is submitted once,
        has its outcome here too, and costs this batch nothing. Keys are names within a journal: with one of its own a
        batch joins nothing outside, and without any journal only keys that were given are joined, not generated ones.

        Args:
            jobs: jobs or inputs, from anything that can be iterated over, also asynchronously.
            provider: for jobs that name none; of several, the one that `prefer` says.
            journal: a file, a URL or a `Journal`, as for `Client`: with the same one, a later run resumes this one,
                however it ended, and never pays twice. By default the client's, if it has one.
            save_to: a directory for the files, named after the jobs' keys, or the URL of an object store, such as
                "s3://bucket/prefix", as for `download`.
            provenance: "sidecar" writes a JSON file beside each file, `KEY-0.png.json`, with prompt, model, provider,
                id, key, labels, times and SHA-256; "embed" puts them into PNG and MP4 files too, as for `download`.
            max_open: maximum number of jobs pulled and not yet delivered; by default twice the slots of each account,
                and 1,000 where these are learned.
            max_cost: US dollars that are never exceeded, including earlier runs with this `journal`, and all clients
                that share it. A job that is joined counts where it was submitted first; if that call leaves before it
                is sent, it counts here.
            prices: prices of models in US dollars, for those without a published price.
            prefer: of several providers that take a job, the least loaded or the cheapest; an unknown price ranks last.
            failover: let a job move on to the next of several providers if one is out of reach, refuses the account or
                answers 429. It never moves after a lost answer, a refusal of the input or an acceptance.
            ordered: deliver outcomes in the order of the jobs.
            wait_timeout: seconds that one job may take.
            stop_after: refusals of the account (key, permission, balance) in a row after which to stop.
            resubmit_changed: submit, and pay, a job whose key the journal knows with another input.
            resubmit_failed: submit again, and pay again, what failed in an earlier run.
            stop_on_signals: let the first Ctrl-C or SIGTERM stop submitting only, and the second one leave.
            on_refused: a function of an input that the content policy refused, and of the `ContentRejected`, that
                returns another input or None. It is asked once per job, also over restarts with a journal, while other
                jobs go on. What it returns is checked, priced and paid like any input, under the same key and at the
                same provider. A plain function runs in a thread, so it may block; a coroutine function is awaited.

        Raises:
            InputError: a setting is wrong. A directory or bucket that cannot be written is one when the batch is
                entered, before anything is paid.
        """
        place, journal, chosen = hide_url(journal), None, self._settings.providers(provider)  # hidden in tracebacks
        router, (dispatcher, owns) = self._router(chosen, prices, prefer, failover=failover), self._journaled(place)
        options = BatchOptions(
            max_open=2 * self._settings.slots(chosen) if max_open is None else positive_int("max_open", max_open),
            ordered=ordered,
            wait_timeout=positive_float("wait_timeout", wait_timeout),
            stop_after=positive_int("stop_after", stop_after),
            save_to=None if save_to is None else self._destination(save_to, name="save_to"),
            provenance=provenance,
            stop_on_signals=stop_on_signals,
            on_refused=on_refused,
        )
        rules = AdmissionRules(router=router, resubmit_changed=resubmit_changed, resubmit_failed=resubmit_failed)
        budget = Budget(None if max_cost is None else Decimal(str(positive_float("max_cost", max_cost))))
        saver = self._downloader_for(dispatcher)
        return Batch(
            jobs, options, dispatcher=dispatcher, rules=rules, budget=budget, downloader=saver, owns_journal=owns
        )
