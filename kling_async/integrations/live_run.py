"""A run that takes jobs one at a time while it is open, each paid for once, within a budget.

Theory of operation. The run is a directory like that of a batch: stored jobs, a journal, saved files. A job is stored
before it is started, so one that was ordered is not forgotten when the process is killed: the next opening starts it
again under its key, where the journal knows what was paid for. Each job is a task that waits for its result; to cancel
one that was not submitted is to end its task.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from ..client import Client
from ..journal.base import Journal
from ..journal.sqlite import SqliteJournal
from ..journal.submission import Submission
from ..runs.directory import RunDirectory
from ..scheduling.budget import Budget, max_spent
from ..types.errors import BudgetExceeded, InputError, KlingError, PredictionFailed
from ..types.events import Event
from ..types.jobs import Job, fingerprint
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .live_jobs import JobState, LiveJobs

__all__ = ["LiveRun"]

_LONGEST: Final = 7 * 24 * 3600.0
"""Seconds for which a job is waited for."""


class _Running:
    """The task of a job."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()


class LiveRun:
    """A run that is open; made by `opened`.

    Attributes:
        directory: that of the run.
        jobs: its jobs.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        client: Client,
        tasks: TaskGroup,
        budget: Budget,
        prices: Mapping[str, Decimal],
    ) -> None:
        self.directory = directory
        self._client = client
        self._tasks = tasks
        self._budget = budget
        self._prices = prices
        self.jobs = LiveJobs(directory)
        self._running: dict[str, _Running] = {}
        client.add_listener(self._on_event)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        path: Path,
        *,
        max_cost: Decimal,
        prices: Mapping[str, Decimal] | None = None,
        settings: Mapping[str, object] | None = None,
        client_of: Callable[[Journal], Client] = lambda journal: Client(journal=journal),
    ) -> AsyncGenerator[LiveRun]:
        """Open the run in a directory, which is created if it is missing, and go on with its jobs.

        Args:
            path: the directory.
            max_cost: US dollars that all jobs of the run may cost together, those of earlier openings included.
            prices: US dollars by model, in place of the published ones.
            settings: those that run.json is to have, for commands that go on with the run.
            client_of: makes the client, which the run opens, of the journal that it is to have.

        Raises:
            InputError: the directory cannot be written, or its files are damaged.
            JournalError: another process uses it, or its journal cannot be used.
            MissingAPIKey: there is no API key for the provider.
        """
        directory = RunDirectory(path)
        with directory.owned():
            stored = list(directory.jobs()) if directory.holds_run else []
            journal = SqliteJournal(directory.journal)
            budget = Budget(max_cost)
            async with client_of(journal) as opened, anyio.create_task_group() as tasks:
                run = cls(directory, client=opened, tasks=tasks, budget=budget, prices=prices or {})
                directory.write_metadata({"sheet": "live", "jobs": len(stored), "settings": dict(settings or {})})
                known = await journal.submissions()
                budget.spent = sum(map(run._paid_for, known), Decimal(0))
                run._go_on(stored, known={one.key: one for one in known})
                try:
                    yield run
                finally:
                    tasks.cancel_scope.cancel()

    # Money.

    @property
    def max_cost(self) -> Decimal:
        """US dollars that all jobs of the run may cost together."""
        return self._budget.limit or Decimal(0)

    @property
    def committed(self) -> Decimal:
        """US dollars that the jobs so far cost at most: what is spent, and what unfinished ones may cost."""
        return self._budget.spent + self._budget.reserved

    def _paid_for(self, submission: Submission) -> Decimal:
        """Return the most that a submission of an earlier opening has cost, also by a price that no journal knows."""
        unknown = submission.price is None and not submission.is_unpaid
        return self.max_price(submission.job()) if unknown else submission.max_cost

    def max_price(self, job: Job) -> Decimal:
        """Return the most that a job costs, in US dollars. Raises InputError if its model has no price."""
        estimate = self._client.estimate([job])
        own = self._prices.get(next(iter(estimate.unpriced), job.input.model or ""))
        if own is not None:
            return own
        if not estimate.known:
            message = f"{estimate.unpriced[0]} has no published price, so it cannot be held to the budget"
            advice = "Nothing was submitted. A price for it is set where the run is started: --price MODEL=DOLLARS."
            raise InputError(message, key=job.key, advice=advice)
        return estimate.high

    def _require_room(self, cost: Decimal) -> None:
        left = self.max_cost - self.committed
        if cost > left:
            message = f"It would pass the budget: it costs up to ${cost}, and ${left} of ${self.max_cost} are left"
            raise BudgetExceeded(message, advice="Nothing was submitted. The budget is set where the run is started.")

    # Jobs.

    def _go_on(self, stored: Iterable[Job], *, known: Mapping[str, Submission]) -> None:
        """Start the stored jobs again; those that were submitted are not paid for again."""
        for job in stored:
            state, newest = JobState(job=job, price=self.max_price(job)), known.get(job.key or "")
            if newest is not None:
                state = evolve(state, status=newest.status, prediction=newest.prediction)
            self.jobs.add(state)
            self._start(job, paid=newest is not None and newest.status is not JobStatus.PLANNED)
        self.jobs.store()

    def submit(self, jobs: Sequence[Job]) -> list[JobState]:
        """Store jobs and start them, all or none; those that the run has already are returned as they are.

        Each job without a key gets one that its input determines, so that an order that is repeated buys nothing twice.

        Raises:
            InputError: an input is wrong, or the run has another input under its key; nothing was stored.
            BudgetExceeded: together they cost more than is left; nothing was stored.
        """
        named = [job if job.key else evolve(job, key=_key_of(job)) for job in jobs]
        fresh = {job.key or "": job for job in named if self.jobs.is_new(job)}
        if len({(job.key, fingerprint(job.input)) for job in named}) > len({job.key for job in named}):
            raise InputError("Two of the jobs have the same key and other inputs. Nothing was submitted")
        prices = {key: self.max_price(job) for key, job in fresh.items()}
        self._require_room(sum(prices.values(), Decimal(0)))
        for key, job in fresh.items():
            self.jobs.add(JobState(job=job, price=prices[key]))
        self.jobs.store()
        for job in fresh.values():
            self._start(job, paid=False)
        return [self.jobs[job.key or ""] for job in named]

    async def wait(self, keys: Iterable[str], *, max_seconds: float) -> None:
        """Wait until jobs have ended, or some seconds have passed."""
        with anyio.move_on_after(max_seconds):
            for key in keys:
                if key in self._running:
                    await self._running[key].ended.wait()

    async def cancel(self, key: str) -> JobState:
        """Cancel a job: at its provider if it was accepted; one that was not submitted costs nothing.

        Raises:
            Unsupported: the provider cannot cancel.
            InputError: the run has no such job, or it is being submitted.
            KlingError: the provider did not answer.
        """
        state = self.jobs[key]
        if state.ended:
            return state
        if state.prediction is not None:
            prediction = await self._client.cancel(state.prediction)
            self.jobs.update(key, prediction=prediction)
        elif state.status is JobStatus.PLANNED:
            self._running[key].scope.cancel()
            self._budget.settle(state.price, spent=Decimal(0))
            self.jobs.update(key, status=JobStatus.CANCELLED, ended=True)
            self.jobs.store()
        else:
            raise InputError("It is being submitted. Cancel it once its status is accepted", key=key)
        return self.jobs[key]

    def _start(self, job: Job, *, paid: bool) -> None:
        """Start a job; what was paid for before is counted already."""
        state = self.jobs[job.key or ""]
        if not paid and not self._budget.reserve(state.price):
            error = self._budget.exceeded(state.key, state.price)
            self.jobs.update(state.key, error=error, ended=True)
            return
        self._running[state.key] = _Running()
        self._tasks.start_soon(partial(self._run, state, paid=paid))

    async def _run(self, state: JobState, *, paid: bool) -> None:
        job, running, key = state.job, self._running[state.key], state.key
        try:
            with running.scope:
                prediction, error = await self._result(job)
                if not paid:
                    self._budget.settle(state.price, spent=max_spent(prediction, error, state.price))
                if error is None and prediction is not None:
                    self.jobs.update(key, status=JobStatus.SUCCEEDED, prediction=prediction)
                    await self._save(key, prediction)
                self.jobs.update(key, prediction=prediction, error=error, ended=True)
        finally:
            running.ended.set()

    async def _result(self, job: Job) -> tuple[Prediction | None, KlingError | None]:
        try:
            generated = self._client.generate(job.input, provider=job.provider, key=job.key, wait_timeout=_LONGEST)
            return await generated, None
        except PredictionFailed as error:
            return error.prediction, error
        except KlingError as error:
            return self.jobs[job.key or ""].prediction, error

    async def _save(self, key: str, prediction: Prediction) -> None:
        try:
            files = await self._client.download(prediction, self.directory.media)
        except KlingError as error:
            self.jobs.update(key, error=error)
        else:
            self.jobs.update(key, files=tuple(files))

    def _on_event(self, event: Event) -> None:
        state = self.jobs[event.key] if event.key is not None and event.key in self.jobs else None
        if state is not None and not state.ended:
            self.jobs.update(state.key, status=event.status, prediction=event.prediction or state.prediction)


def _key_of(job: Job) -> str:
    return f"{job.input.kind}-{fingerprint(job.input)[:12]}"
