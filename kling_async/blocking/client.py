"""The public API for programs without an event loop: each call waits, and returns what the asynchronous one returns."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, Unpack, overload

from ..client.base import WAIT_TIMEOUT
from ..journal.base import Journal
from ..journal.places import hide_url, journal_at
from ..journal.submission import Submission
from ..providers.pricing import Estimate
from ..providers.selection import Prefer
from ..runtime.batch import Batch as AsyncBatch
from ..runtime.batch_options import BatchSettings
from ..types.events import Listener
from ..types.inputs import Input
from ..types.jobs import Job, Outcome
from ..types.prediction import Json, Output, Prediction
from ..types.provenance import ProvenanceMode
from ..types.queue import QueueStatus
from ..types.refusals import OnRefused
from .base import BaseClient
from .batch import Batch
from .receiver import WebhookReceiver

__all__ = ["Client"]

_MAX_READ: Final = 256 * 1024 * 1024


class Client(BaseClient):
    """Generate images and videos, through one or several providers.

    The same as `kling_async.Client`, with its arguments, for programs without an event loop: use it inside `with`,
    once. It runs an event loop in a thread of its own, and any number of threads may call it at once. A call in a
    thread where an event loop runs raises RuntimeError, and so does one in a process that was forked after the client
    was opened.

    The first Ctrl-C ends the call that waits in the main thread with KeyboardInterrupt; leaving the client then
    finishes the requests in flight, and writes them down. The second one leaves within 2 s. `Batch` says what it does
    there.
    """

    # One prediction.

    def submit(
        self, input: Input, *, provider: str | None = None, key: str | None = None, wait_timeout: float = WAIT_TIMEOUT
    ) -> Prediction:
        """Submit an input and return once the provider has accepted it. See `kling_async.Client.submit`."""
        return self._loop.call(
            partial(self._client.submit, input, provider=provider, key=key, wait_timeout=wait_timeout)
        )

    def refresh(self, prediction: Prediction) -> Prediction:
        """Poll a prediction once and return it as the provider describes it now; it is queued among the polls.

        See `kling_async.Client.refresh`.
        """
        return self._loop.call(partial(self._client.refresh, prediction))

    def wait(self, prediction: Prediction, *, wait_timeout: float = WAIT_TIMEOUT) -> Prediction:
        """Wait until a prediction is finished, whatever its status, and return it. See `kling_async.Client.wait`."""
        return self._loop.call(partial(self._client.wait, prediction, wait_timeout=wait_timeout))

    def cancel(self, prediction: Prediction) -> Prediction:
        """Ask the provider to cancel a prediction, and return it as the provider describes it then.

        See `kling_async.Client.cancel`.
        """
        return self._loop.call(partial(self._client.cancel, prediction))

    def generate(
        self,
        input: Input,
        *,
        provider: str | None = None,
        key: str | None = None,
        wait_timeout: float = WAIT_TIMEOUT,
        on_refused: OnRefused | None = None,
    ) -> Prediction:
        """Submit an input, wait, and return the prediction once it has succeeded. See `kling_async.Client.generate`."""
        generate = partial(self._client.generate, input, provider=provider, key=key, on_refused=on_refused)
        return self._loop.call(partial(generate, wait_timeout=wait_timeout))

    # Many predictions.

    def map(self, jobs: Iterable[Job | Input], **settings: Unpack[BatchSettings]) -> list[Outcome]:
        """Generate all jobs and return the outcome of each, in their order; one failure stops no other.

        See `kling_async.Client.map`.
        """
        settings["journal"] = journal_at(hide_url(settings.pop("journal", None)))  # as in `batch`
        return self._loop.call(partial(self._client.map, jobs, **settings))

    def batch(
        self,
        jobs: Iterable[Job | Input],
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

        Here it is a plain `with` and a plain iteration. An iterator of jobs is pulled in another thread, as there is
        capacity. See `kling_async.Client.batch`.
        """
        limits = BatchSettings(max_open=max_open, max_cost=max_cost, prices=prices, stop_after=stop_after)
        again = BatchSettings(resubmit_changed=resubmit_changed, resubmit_failed=resubmit_failed, on_refused=on_refused)
        settings: BatchSettings = {
            **limits,
            **again,
            "provider": provider,
            "journal": (journal := journal_at(hide_url(journal))),  # no traceback that prints locals has its password
            "save_to": save_to,
            "provenance": provenance,
            "prefer": prefer,
            "failover": failover,
            "wait_timeout": wait_timeout,
            "stop_on_signals": stop_on_signals,
        }

        def make() -> AsyncBatch:
            return self._client.batch(jobs, ordered=ordered, **settings)

        return Batch(make, portal=self._loop, stop_on_signals=stop_on_signals)

    # Outputs.

    @overload
    def download(
        self,
        prediction: Prediction,
        directory: Path,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> list[Path]: ...
    @overload
    def download(
        self,
        prediction: Prediction,
        directory: str,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> list[Path | str]: ...
    def download(
        self,
        prediction: Prediction,
        directory: str | Path,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> Sequence[Path | str]:
        """Save a prediction's outputs as `directory/KEY-0.png` and so on, and return their paths.

        See `kling_async.Client.download`.
        """

        async def download() -> Sequence[Path | str]:
            return await self._client.download(
                prediction, str(directory), overwrite=overwrite, provenance=provenance, input=input
            )

        return self._loop.call(download)

    def read(self, prediction: Prediction, *, max_bytes: int = _MAX_READ) -> list[bytes]:
        """Return the bytes of a prediction's outputs, in their order, with the checks that `download` makes.

        See `kling_async.Client.read`.
        """
        return self._loop.call(partial(self._client.read, prediction, max_bytes=max_bytes))

    def stream(self, output: Output) -> Generator[bytes]:
        """Iterate over the bytes of one output of a prediction as they are received, such as 64 KiB at a time.

        Iterate inside `contextlib.closing(...)` if you may leave early. See `kling_async.Client.stream`.
        """
        return self._loop.pump(partial(self._client.stream, output))

    # Queues and costs.

    def queue(self, key: str | None = None, *, provider: str | None = None) -> QueueStatus:
        """Return the queue of submissions at a provider, and the place in it of a job, or of one that comes now.

        See `kling_async.Client.queue`.
        """
        return self._loop.run(partial(self._client.queue, key, provider=provider))

    def estimate(self, jobs: Iterable[Job | Input], *, provider: str | None = None) -> Estimate:
        """Return what jobs or inputs will cost, before anything is sent; it needs no key.

        See `kling_async.Client.estimate`.
        """
        return self._client.estimate(jobs, provider=provider)

    def quote(self, jobs: Iterable[Job | Input], *, provider: str | None = None) -> Estimate:
        """Return what jobs or inputs will cost: by the provider's live price, or the table's where it tells none.

        See `kling_async.Client.quote`.
        """
        return self._loop.call(partial(self._client.quote, list(jobs), provider=provider))

    # Unconfirmed submissions.

    def unconfirmed(self) -> list[Submission]:
        """Return submissions in the journal whose arrival at the provider is unknown.

        See `kling_async.Client.unconfirmed`.
        """
        return self._loop.call(self._client.unconfirmed)

    def attach(self, key: str, id: str) -> Prediction:
        """Record the provider's id of an unconfirmed submission, and return its prediction.

        See `kling_async.Client.attach`.
        """
        return self._loop.call(partial(self._client.attach, key, id))

    def resubmit(self, key: str, *, input: Input | None = None, wait_timeout: float = WAIT_TIMEOUT) -> Prediction:
        """Submit an unconfirmed job again, which may pay for it twice, and return once that is accepted.

        See `kling_async.Client.resubmit`.
        """
        return self._loop.call(partial(self._client.resubmit, key, input=input, wait_timeout=wait_timeout))

    def abandon(self, key: str) -> None:
        """Give up an unconfirmed submission: it is not listed any more, and never submitted again.

        See `kling_async.Client.abandon`.
        """
        return self._loop.call(partial(self._client.abandon, key))

    # What it learns and tells.

    def export_timings(self) -> Json:
        """Return what was learned of how long predictions take, and of the limits of each account, as JSON.

        See `kling_async.Client.export_timings`.
        """
        return self._client.export_timings() if self._portal is None else self._portal.read(self._client.export_timings)

    def webhooks(self, url: str, *, secrets: Mapping[str, str] | None = None) -> WebhookReceiver:
        """Let providers call a URL of yours when a prediction finishes, and return what receives these calls.

        See `kling_async.Client.webhooks`.
        """
        portal = self._loop
        return WebhookReceiver(portal.run(partial(self._client.webhooks, url, secrets=secrets)), portal=portal)

    def add_listener(self, listener: Listener) -> None:
        """Call a function with each `Event` of each job, immediately and in the event loop; it must be quick.

        That is another thread, in which no method that waits may be called. See `kling_async.Client.add_listener`.
        """
        self._client.add_listener(listener)
