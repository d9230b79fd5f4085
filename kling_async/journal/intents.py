"""The intent of a submission: written, or claimed where the journal has a gate, before anything leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from ..types.errors import InputError
from ..types.gate import SendCheck, SharedAccount
from ..types.limits import Limits
from ..types.printable import one_line
from .base import Journal
from .gate import Claim, Gate, Held
from .submission import Submission

__all__ = ["Intents", "Needs"]

_HELD_AT_ONCE, _MAX_HOLD = 8, 15.0
"""Jobs that ask for money again at the same time, and the seconds after which each of any number of them does."""
_WAIT: Final = (
    "Nothing was sent. Its answer may come; else it is unconfirmed once the lease has ended, and can be resolved then."
)


@frozen(kw_only=True)
class Needs:
    """What a submission needs of its account and of its run.

    Attributes:
        slots: the slots that it occupies until it has finished.
        slot_seconds: returns for how long it keeps them where no client can say that it has ended.
        max_cost: US dollars that all submissions of the run may cost together; None is no limit.
    """

    slots: int
    slot_seconds: Callable[[], float]
    max_cost: Decimal | None


class Intents:
    """Writes the intents of one client's submissions.

    Args:
        journal: where they are written, at its gate if it has one.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._gate = journal if isinstance(journal, Gate) else None
        self._accounts: dict[str, SharedAccount] = {}
        self._short_of_money = 0
        """Claims in a row that were held for want of money: each waits by itself, and there may be thousands."""

    @property
    def is_gated(self) -> bool:
        """Whether the journal keeps rate, slots and money for all clients."""
        return self._gate is not None

    def use_account(self, account: SharedAccount, *, limits: Limits | None, on_workers: Callable[[int], None]) -> None:
        """Submit at an account from now on; see `Gate.use_account`. Without a gate this has no effect."""
        if self._gate is not None and self._accounts.get(account.provider) != account:
            self._accounts[account.provider] = account
            self._gate.use_account(account, limits=limits, on_workers=on_workers)

    async def write(self, submission: Submission, needs: Needs) -> SendCheck | None:
        """Write an intent; return what has to be asked before the submission leaves, if anything.

        Raises:
            Held: the gate lets it leave later; nothing was written.
            BudgetExceeded: it does not fit into the budget of the run; nothing was written.
            JournalError: it is not certain to be durable, or another client has the job.
        """
        account = self._accounts.get(submission.provider)
        if self._gate is None or account is None:
            await self._journal.write(submission)
            return None
        claim = Claim(
            submission=submission,
            account=account,
            slots=needs.slots,
            slot_seconds=needs.slot_seconds(),
            max_cost=needs.max_cost,
        )
        try:
            check = await self._gate.claim(claim)
        except Held as held:
            if held.hold.limit is None:
                self._short_of_money += 1
                seconds = held.hold.seconds * (1.0 + self._short_of_money / _HELD_AT_ONCE)
                held.hold = evolve(held.hold, seconds=min(seconds, _MAX_HOLD))
            raise
        self._short_of_money = 0
        return check

    def lookup_check(self, submission: Submission) -> SendCheck | None:
        """Return what has to be asked before a submission is repeated under its idempotency key, if anything."""
        return None if self._gate is None else self._gate.lookup_check(submission)

    def watch_left(self, on_left: Callable[[], None]) -> None:
        """Call a function when submissions of other clients are to be taken over; without a gate there are none."""
        if self._gate is not None:
            self._gate.watch_left(on_left)

    async def take_left(self) -> list[Submission]:
        """Take over the submissions that no client has any more. Raises JournalError."""
        return [] if self._gate is None else await self._gate.take_left()

    async def require_no_lease(self, key: str) -> None:
        """Raise InputError while the client that is submitting a job has a lease, and may still send it."""
        lease = None if self._gate is None else await self._gate.lease_of(key)
        if lease is not None:
            until = lease.until.astimezone(UTC)
            message = f"{one_line(key)} is being submitted by {lease.owner}, whose lease lasts until {until:%F %T} UTC"
            raise InputError(message, key=key, advice=_WAIT)
