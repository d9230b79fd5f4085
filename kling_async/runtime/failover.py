"""Jobs that move on: a ticket that knows which other accounts take its job.

A ticket keeps its listeners, deadline and key when it moves, so no call has to join it again. The journal gets a
further attempt; the one before it stays beside it, as one that was never started.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from attrs import define, field, frozen

from ..journal.steps import JournalEntry
from ..scheduling.failover import is_unreachable, may_move
from ..scheduling.ticket import Entry
from ..types.errors import KlingError
from ..types.jobs import Job
from .account import Account, AccountTicket
from .admission import Admission

__all__ = ["Alternative", "MovableTicket", "ReplacingTicket", "new_ticket"]


@frozen(kw_only=True)
class Alternative:
    """An account that takes a job where another one cannot.

    Attributes:
        job: the job, with the provider and the model there.
        account: the account.
        price: the most that the job can cost there in US dollars; None where no price is known.
    """

    job: Job
    account: Account
    price: Decimal | None


@define(eq=False, weakref_slot=False)
class MovableTicket(AccountTicket):
    """A ticket that moves on to another account while its submission certainly did not start.

    Attributes:
        alternatives: the accounts that it may move to, the preferred one first.
        since: the time of its first try at the present account that did not reach the provider.
    """

    alternatives: list[Alternative] = field(kw_only=True)
    since: float = math.inf

    @property
    def can_move(self) -> bool:
        return bool(self.alternatives)

    def moves_on(self, error: KlingError, *, sent_at: float, now: float) -> bool:
        if is_unreachable(error):
            self.since = min(self.since, sent_at)
        return self.can_move and may_move(error, tries=self.failures + 1, seconds=now - self.since)

    def move(self) -> None:
        """Queue the job at the best of the accounts that are left."""
        now = self.account.now()
        # One where jobs are submitted at present goes before one that is blocked, paused or out of reach.
        to = min(self.alternatives, key=lambda one: not one.account.engine.is_available(now))
        self.alternatives.remove(to)
        self.job, self.failures, self.since = to.job, 0, math.inf
        if isinstance(self.entry, JournalEntry):
            self.entry = self.entry.moved(to.job, provider=to.job.provider or "", price=to.price)
        self.account, self.work_kind = to.account, to.account.work_kind(to.job)
        self.account.queue(self)


@define(eq=False, weakref_slot=False)
class ReplacingTicket(AccountTicket):
    """A ticket whose input took the place of a refused one.

    Attributes:
        replaces: the fingerprint of the refused input, by which other calls know the job.
    """

    replaces: str = field(kw_only=True)


def new_ticket(admission: Admission, account_at: Callable[[str | None], Account], entry: Entry | None) -> AccountTicket:
    """Make the ticket of an admitted job; it can move where other providers take the job as well.

    Args:
        admission: the decision about the job.
        account_at: returns the account at a provider. Raises InputError if there is no key for it.
        entry: the job's journal entry; None without a journal.
    """
    job, account = admission.job, account_at(admission.job.provider)
    if admission.replaces is not None:
        kind, slots = account.work_kind(job), job.input.slots
        return ReplacingTicket(
            job.key, job, kind, account=account, slots=slots, entry=entry, replaces=admission.replaces
        )
    if not admission.others:
        return account.ticket(job, entry)
    others = [Alternative(job=one, account=account_at(one.provider), price=price) for one, price in admission.others]
    kind, slots = account.work_kind(job), job.input.slots
    return MovableTicket(job.key, job, kind, account=account, slots=slots, entry=entry, alternatives=others)
