"""The gate of a shared journal: whether a job may be submitted now, decided for all clients together.

Theory of operation. A claim asks for everything that a submission needs at once: its key, its slots, a token of the
rate and its money. The journal decides in the transaction that writes the intent, by the arithmetic of
`types.admission`. If anything is missing, nothing is written, and the answer says when to ask again. Rate and slots are
those of the account, money is that of the run. A claim that was given back has spent its token: the time since may have
restored it already, so that a second one in its place could leave too early.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

from attrs import evolve, frozen

from ..types.admission import after_token, burst_tolerance, money_fits, slots_fit, token_at
from ..types.errors import BudgetExceeded, JournalError, KlingError
from ..types.gate import Hold, SendCheck, SharedAccount
from ..types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
from .submission import Submission

__all__ = ["AccountState", "Claim", "Gate", "Held", "Lease", "answer_of_account", "answer_of_money"]

_ASK_AGAIN: Final = 0.5
"""Seconds after which a claim is made again that waits for another client to free slots or money."""
_MIN_HOLD: Final = 0.001
_WAIT: Final = "Nothing was sent for it. It is submitted as soon as the limit allows."
_NAME_A_PRICE: Final = "Nothing was sent for it. Name a price with prices={model: dollars}, or leave max_cost out."
_RAISE_LIMIT: Final = (
    "Nothing was sent for it; what was submitted before is paid for and goes on. max_cost={enough} would do for this "
    "job."
)


@frozen(kw_only=True)
class Claim:
    """A submission that is to be made, and what it needs.

    Attributes:
        submission: the submission, as submitting.
        account: the account that it is made with.
        slots: the slots that it occupies until it has finished.
        slot_seconds: for so long it keeps them once it is unconfirmed, or has no client that polls it.
        max_cost: US dollars that all submissions of the run may cost together; None is no limit.
    """

    submission: Submission
    account: SharedAccount
    slots: int
    slot_seconds: float
    max_cost: Decimal | None

    @property
    def key(self) -> str:
        """The job's key."""
        return self.submission.key

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        return self.submission.attempt


class Held(JournalError):
    """A job may not be submitted yet: nothing was written, and nothing was sent.

    Attributes:
        hold: says when to ask again.
    """

    def __init__(self, hold: Hold, *, claim: Claim) -> None:
        held_by = "the money of the run" if hold.limit is None else f"the limit {hold.limit}"
        message = f"It waits for {held_by}, which clients share"
        super().__init__(message, provider=claim.account.provider, key=claim.key, advice=_WAIT)
        self.hold = hold


@frozen(kw_only=True)
class Lease:
    """The lease of the client that is submitting a job.

    Attributes:
        owner: names the client's process.
        until: when it ends unless it is renewed, by the database's clock.
    """

    owner: str
    until: datetime


@runtime_checkable
class Gate(Protocol):
    """What a journal with a gate offers, besides what every `Journal` does."""

    def use_account(self, account: SharedAccount, *, limits: Limits | None, on_workers: Callable[[int], None]) -> None:
        """Take part in an account from now on, in every claim and in the count of its clients.

        Args:
            account: the account.
            limits: those that the user has set, which hold for all clients from now on; None leaves them.
            on_workers: is called in this event loop with the number of clients, at least 1, whenever it has changed.
        """
        ...

    async def claim(self, claim: Claim) -> SendCheck:
        """Write the intent of a submission, and return what it has to ask immediately before it leaves.

        Raises:
            Held: not now; nothing was written.
            BudgetExceeded: it does not fit into the budget; nothing was written.
            NotOwner: another client has the job.
            JournalError: the intent is not certain to be durable.
        """
        ...

    def lookup_check(self, submission: Submission) -> SendCheck:
        """Return what has to be asked before a submission of this client is repeated under its idempotency key."""
        ...

    def watch_left(self, on_left: Callable[[], None]) -> None:
        """Call a function in this event loop when accepted or looked up submissions have no client any more."""
        ...

    async def take_left(self) -> list[Submission]:
        """Take these over, and return them. Raises JournalError."""
        ...

    async def lease_of(self, key: str) -> Lease | None:
        """Return the lease of the client that is submitting a job; None if none is. Raises JournalError."""
        ...


@frozen(kw_only=True)
class AccountState:
    """What is taken of an account. Times are seconds of the gate's clock.

    Attributes:
        per_second: the rate; None is no limit.
        burst: submissions that may leave at once.
        max_open: the slots; None is no limit.
        arrival: the theoretical arrival time of the rate.
        in_use: the slots in use.
    """

    per_second: float | None
    burst: int
    max_open: int | None
    arrival: float
    in_use: int

    def taken(self, slots: int, *, now: float) -> AccountState:
        """Return it after a submission that leaves now."""
        arrival = self.arrival
        if self.per_second is not None:
            arrival = after_token(arrival, now=now, interval=1.0 / self.per_second)
        return evolve(self, arrival=arrival, in_use=self.in_use + slots)


def answer_of_account(state: AccountState, claim: Claim, *, now: float) -> Hold | None:
    """Return what holds a claim back at an account now; None if nothing does."""
    if not slots_fit(claim.slots, in_use=state.in_use, limit=state.max_open):
        return _hold(claim, LimitKind.SLOTS, state.max_open or 0, seconds=_ASK_AGAIN)
    if state.per_second is not None:
        tolerance = burst_tolerance(1.0 / state.per_second, burst=state.burst)
        wait = token_at(state.arrival, tolerance=tolerance) - now
        if wait > 0.0:
            return _hold(claim, LimitKind.RATE, state.per_second, seconds=max(wait, _MIN_HOLD))
    return None


def _hold(claim: Claim, kind: LimitKind, value: float, *, seconds: float) -> Hold:
    limit = SpeedLimit(provider=claim.account.provider, kind=kind, value=value, origin=LimitOrigin.SHARED)
    return Hold(seconds=seconds, limit=limit)


def answer_of_money(claim: Claim, *, spent: Decimal, reserved: Decimal, run: str) -> KlingError | None:
    """Return why a claim does not fit into the budget of its run; None if it does.

    Args:
        claim: the claim.
        spent: US dollars that the finished submissions of the run cost at most.
        reserved: US dollars that the unfinished ones can cost at most.
        run: the name of the run, for messages.

    Returns:
        Held while what is reserved may still be given back, else BudgetExceeded.
    """
    price, limit = claim.submission.price, claim.max_cost
    if limit is None:
        return None
    provider, key = claim.account.provider, claim.key
    if price is None:
        message = f"A model without a published price cannot be held to max_cost, in run {run}"
        return BudgetExceeded(message, provider=provider, key=key, advice=_NAME_A_PRICE)
    if money_fits(price, spent=spent, reserved=reserved, limit=limit):
        return None
    if money_fits(price, spent=spent, reserved=Decimal(0), limit=limit):
        return Held(Hold(seconds=_ASK_AGAIN, limit=None), claim=claim)
    message = f"It would pass max_cost of run {run}: it costs up to ${price}, and ${limit - spent} of ${limit} are left"
    advice = _RAISE_LIMIT.format(enough=spent + price)
    return BudgetExceeded(message, provider=provider, key=key, advice=advice)
