"""The decision about one job: what is known of it, what to do, and at what price."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from ..journal.resume import ResumeAction
from ..journal.submission import Submission
from ..types.jobs import Job
from .account import AccountTicket
from .routing import Router

__all__ = ["Admission", "AdmissionRules"]


@frozen(kw_only=True)
class AdmissionRules:
    """The rules by which a client or a batch admits its jobs.

    Attributes:
        router: chooses the provider of a job.
        resubmit_changed: submit, and pay, another input under a known key.
        resubmit_failed: submit again, and pay again, what failed in an earlier run.
    """

    router: Router
    resubmit_changed: bool = False
    resubmit_failed: bool = False


@frozen(kw_only=True)
class Admission:
    """A job, and what to do about it.

    Attributes:
        job: with its key and its provider.
        action: what to do.
        known: the journal's newest submission of the job.
        price: the most that doing it can cost in US dollars; None where no price is known.
        ticket: the ticket of its submission, if that is running.
        shared: whether other calls know the job by its key, and may join it.
    """

    job: Job
    action: ResumeAction = ResumeAction.SUBMIT
    known: Submission | None = None
    price: Decimal | None = None
    ticket: AccountTicket | None = None
    shared: bool = True

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
