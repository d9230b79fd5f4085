"""Whether a claim may still be used, by the client's own clock.

Theory of operation. A client that stood still may be gone for the others, which then have released its claims. To ask
the database first would take time, in which it could stand still again. So immediately before a byte leaves it compares
its own clock with its lease, counted from before the renewal was sent, and sends nothing in the last third of it: for
clocks that differ, and for the moment until the byte has left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from attrs import frozen

from ..system.clock import elapsed_seconds
from ..types.errors import NotSent
from ..types.gate import SendCheck
from .gate import Claim
from .submission import Submission

__all__ = ["Permits"]

_MIN_LEFT: Final = 1 / 3
"""The share of its lease without which nothing is sent."""
_TOKEN_SECONDS: Final = 2.0
"""Seconds for which a token of the rate may be used: saved up, tokens would leave faster than the rate."""
_ADVICE: Final = "Nothing reached the provider, and its claim is given back. It is submitted again by itself."


@frozen
class _Permit:
    worker: int
    until: float


class Permits:
    """The claims of one client, and its lease.

    Args:
        name: names the journal, for messages.
        lease_seconds: the length of a lease.
        now: tells the seconds of a clock that never stands still.

    Attributes:
        worker: the number of the client's worker; another one means that it was released.
    """

    def __init__(self, *, name: str, lease_seconds: float, now: Callable[[], float] = elapsed_seconds) -> None:
        self.worker = 0
        self._name = name
        self._lease_seconds = lease_seconds
        self._now = now
        self._renewed_at = -math.inf
        self._granted: dict[tuple[str, int], _Permit] = {}
        self._looked_up: dict[tuple[str, int], int] = {}
        """The workers that had the few submissions which are looked up, or were."""

    def renewed(self, at: float) -> None:
        """Count the lease from a time before its renewal was sent, once that is committed."""
        self._renewed_at = max(at, self._renewed_at)

    def grant(self, claim: Claim, *, at: float) -> None:
        """Remember a claim that was granted not before a time."""
        self._granted[claim.key, claim.attempt] = _Permit(self.worker, at + _TOKEN_SECONDS)

    def take(self, claim: Claim) -> SendCheck:
        """Return what has to be asked before a granted claim is used."""
        permit = self._granted.pop((claim.key, claim.attempt), _Permit(-1, -math.inf))
        return partial(self._check, claim.account.provider, claim.key, permit)

    def own(self, key: str, attempt: int) -> None:
        """Remember that the present worker has a submission that is looked up: no later one of this client has it."""
        self._looked_up[key, attempt] = self.worker

    def of_lookup(self, submission: Submission) -> SendCheck:
        """Return what has to be asked before a submission is repeated: it needs the lease, and no token."""
        worker = self._looked_up.get((submission.key, submission.attempt), -1)
        permit = _Permit(worker, self._now() + self._lease_seconds)
        return partial(self._check, submission.provider, submission.key, permit)

    def drop(self, claim: Claim) -> None:
        """Forget a claim that was not granted in the end."""
        self._granted.pop((claim.key, claim.attempt), None)

    def _check(self, provider: str, key: str, permit: _Permit) -> None:
        reason = self._why_late(permit)
        if reason is not None:
            raise NotSent(f"{reason}, in {self._name}", reason="late", provider=provider, key=key, advice=_ADVICE)

    def _why_late(self, permit: _Permit) -> str | None:
        now = self._now()
        if permit.worker != self.worker:
            return "Its lease ended before the submission left, and the claim was released"
        left = self._lease_seconds - (now - self._renewed_at)
        if left < _MIN_LEFT * self._lease_seconds:
            told = f"has {left:.1f} s left" if left > 0.0 else "has ended"
            return f"The lease of this client, of {self._lease_seconds:g} s, {told}, too little to submit a job"
        if now > permit.until:
            return f"Its turn ended {now - permit.until:.1f} s ago"
        return None
