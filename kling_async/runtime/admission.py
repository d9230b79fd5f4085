"""The decision about one job: what is known of it, what to do, and at what price."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from ..journal.resume import ResumeAction, resume_action
from ..journal.submission import Submission
from ..providers.selection import resolved
from ..types.inputs import Input
from ..types.jobs import Job
from .account import AccountTicket
from .routing import Router

__all__ = ["Admission", "AdmissionRules", "billable"]


@frozen(kw_only=True)
class AdmissionRules:
    """The rules by which a client or a batch admits its jobs.

    Attributes:
        router: chooses the provider of a job.
        resubmit_changed: submit, and pay, another input under a known key.
        resubmit_failed: submit again, and pay again, what failed in an earlier run.
        max_cost: US dollars that a run may cost; None is no limit.
    """

    router: Router
    resubmit_changed: bool = False
    resubmit_failed: bool = False
    max_cost: Decimal | None = None

    def action(self, known: Submission, job: Job, *, is_shared: bool) -> ResumeAction:
        """Return the action for a job that the journal knows; see `resume_action`. Raises InputError."""
        changed, failed = self.resubmit_changed, self.resubmit_failed
        return resume_action(known, job, resubmit_changed=changed, resubmit_failed=failed, is_shared=is_shared)


@frozen(kw_only=True)
class Admission:
    """A job, and what to do about it.

    Attributes:
        job: with its key and its provider.
        action: what to do.
        known: the journal's newest submission of the job.
        price: the most that doing it can cost in US dollars; None where no price is known. Where it may move on, it
            is that of the dearest provider.
        ticket: the ticket of its submission, if that is running.
        shared: whether other calls know the job by its key, and may join it.
        others: the job at each provider that it may move on to, with the most that it can cost there.
        first_price: the most that it can cost at the first of several providers.
        max_cost: US dollars that all jobs of its run may cost together; None is no limit.
        replaces: the fingerprint of the refused input in whose place the job's input is submitted; None without one.
        refused: that input, where it is at hand.
    """

    job: Job
    action: ResumeAction = ResumeAction.SUBMIT
    known: Submission | None = None
    price: Decimal | None = None
    ticket: AccountTicket | None = None
    shared: bool = True
    others: tuple[tuple[Job, Decimal | None], ...] = ()
    first_price: Decimal | None = None
    max_cost: Decimal | None = None
    replaces: str | None = None
    refused: Input | None = None

    def job_at(self, provider: str) -> Job:
        """Return the job as it is submitted at a provider."""
        return next((job for job, _ in self.others if job.provider == provider), self.job)

    def price_at(self, provider: str) -> Decimal | None:
        """Return the most that doing it can cost at a provider, in US dollars; None where no price is known."""
        if not self.others:
            return self.price
        elsewhere = {job.provider: price for job, price in self.others}
        return elsewhere.get(provider, self.first_price)

    @property
    def listed_price(self) -> Decimal | None:
        """The most that the job can cost, or could when an earlier run submitted it."""
        return self.price if self.is_billable or self.known is None else self.known.price

    @property
    def replaces_files(self) -> bool:
        """Whether the job's files replace those of an earlier attempt."""
        known = self.known
        return self.action is ResumeAction.RESUBMIT or (known is not None and known.attempt > 1 and known.files is None)

    @property
    def is_billable(self) -> bool:
        """Whether doing it costs anything."""
        return self.action in (ResumeAction.SUBMIT, ResumeAction.RESUBMIT)


def billable(
    job: Job, rules: AdmissionRules, *, action: ResumeAction, known: Submission | None, shared: bool = True
) -> Admission:
    """Return the admission of a job that is submitted. Raises InputError if no provider takes it."""
    router = rules.router
    if not router.failover:
        job = resolved(job, router.select_provider(job).name)
        price = router.max_price(job)
        return Admission(job=job, action=action, known=known, price=price, shared=shared, max_cost=rules.max_cost)
    (first, price), *others = [(one, router.max_price(one)) for one in router.ranked(job)]
    if price is not None:  # a job that can be held to a budget never moves to where it cannot
        others = [(one, cost) for one, cost in others if cost is not None]
    return Admission(
        job=first,
        action=action,
        known=known,
        price=None if price is None else max([price, *(cost for _, cost in others if cost is not None)]),
        shared=shared,
        others=tuple(others),
        first_price=price,
        max_cost=rules.max_cost,
    )
