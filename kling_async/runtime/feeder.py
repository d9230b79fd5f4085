"""Feed a batch: pull its jobs, name them, admit them, and reserve their price."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from ..scheduling.budget import Budget
from ..types.errors import InputError, NotSent
from ..types.hash_table import KeySet
from ..types.jobs import Job, JobKeyGenerator, Outcome, as_job
from .admission import Admission, AdmissionRules
from .dispatcher import Dispatcher
from .job_source import Jobs, iterate_jobs
from .outcome_queue import OutcomeQueue
from .tracebacks import shorten

__all__ = ["Feeder", "not_sent"]

_REASONS: Final = {
    "closed": "The client was closed before it was submitted",
    "stopped": "Not submitted: the run was stopped",
}


class Feeder:
    """Turns the jobs of a batch into admissions, as fast as capacity and budget allow.

    Args:
        jobs: jobs or inputs, from anything that can be iterated over, also asynchronously.
        dispatcher: admits jobs.
        rules: by which jobs are admitted.
        budget: in which the price of a billable job is reserved.
        delivery: limits how many jobs are open.
    """

    def __init__(
        self, jobs: Jobs, *, dispatcher: Dispatcher, rules: AdmissionRules, budget: Budget, outcomes: OutcomeQueue
    ) -> None:
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._rules = rules
        self._budget = budget
        self._outcomes = outcomes
        self._names = JobKeyGenerator()
        self._keys = KeySet()
        self._pulled: Job | None = None

    async def pull(self) -> AsyncGenerator[Admission | Outcome]:
        """Yield an admission for each job, to be started at once, or the outcome of a job that was not admitted.

        Raises:
            InputError: an item is no job, or a second job has the same key.
            BudgetExceeded: the budget has no room for a job, and no open job can free any.
        """
        async with aclosing(iterate_jobs(self._jobs, clock=self._dispatcher.accounts.clock)) as items:
            await self._outcomes.slot()
            async for item in items:
                given = self._pulled = as_job(item, position=self._outcomes.taken)
                try:
                    given = await self._dispatcher.accounts.library.read(given)
                except InputError as error:
                    shorten(error)
                    self._pulled = None
                    yield Outcome(job=given, error=error)
                    await self._outcomes.slot()
                    continue
                job, shared = self._named(given)
                self._pulled = job
                while True:
                    async with self._dispatcher.reserve_key(job.key):
                        one = await self._admit(job, shared=shared)
                        if isinstance(one, Outcome) or not one.is_billable or self._budget.reserve(one.price):
                            self._pulled = None
                            yield one
                            break
                    if not self._budget.reserved:
                        raise self._budget.exceeded(job.key, one.price)
                    await self._outcomes.capacity()
                await self._outcomes.slot()

    def stopped(self) -> Outcome | None:
        """Return the outcome of a job that was pulled, and not admitted since the pull was cancelled."""
        job, self._pulled = self._pulled, None
        return None if job is None else Outcome(job=job, error=not_sent(job, reason="stopped"))

    async def unfinished(self, *, saving: bool) -> AsyncGenerator[Admission]:
        """Yield what an earlier run has paid for and not finished, or not saved, and this batch was not asked for."""
        async with aclosing(self._dispatcher.unfinished(self._keys, saving=saving)) as left:
            async for admission in left:
                await self._outcomes.slot()
                yield admission

    def _named(self, given: Job) -> tuple[Job, bool]:
        """Return a job with a key, and whether the key names it for other calls as well."""
        job = self._names.with_key(given)
        if not self._keys.add(job.key or ""):
            raise InputError("A second job has the same key; it was not sent", key=job.key)
        # A generated key means something to a journal only.
        return job, self._dispatcher.journal is not None or given.key is not None

    async def _admit(self, job: Job, *, shared: bool) -> Admission | Outcome:
        """Return the admission of a job, or the outcome of one that is not admitted."""
        try:
            return await self._dispatcher.admit(job, self._rules, shared=shared)
        except InputError as error:
            shorten(error)
            return Outcome(job=job, error=error)


def not_sent(job: Job, *, reason: str) -> NotSent:
    """Return the error of a job that a batch did not submit."""
    return NotSent(_REASONS[reason], reason=reason, provider=job.provider, key=job.key)
