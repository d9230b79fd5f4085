"""The ledger: charges, and the log of requests."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Literal, TypeAlias

from attrs import define, evolve, field, frozen

from ...types.prediction import Json

__all__ = ["Charge", "Kind", "Ledger", "LoggedRequest"]

Kind: TypeAlias = Literal["submit", "poll", "cancel", "download", "upload", "webhook", "other"]


@frozen(kw_only=True)
class Charge:
    """One charge for a submission.

    Attributes:
        id: the id of the task at the provider.
        at: its time, in seconds of the clock.
        amount: US dollars.
        answered: whether the caller got the id; False if a fault lost the answer.
        refunded: whether it was refunded since the task failed.
    """

    id: str
    provider: str
    model: str
    prompt: str
    at: float
    amount: Decimal
    answered: bool = True
    refunded: bool = False


@frozen(kw_only=True)
class LoggedRequest:
    """One request as received; it holds no key.

    Attributes:
        at: its time, in seconds of the clock.
        status: the HTTP status of the response; None where no complete response was sent.
        fault: the injected fault, or None.
        prompt: of its submission, or empty.
        id: of its task, or empty.
        with_key: whether it had an Authorization header.
        sent: the parsed body of a submission; None where it is malformed.
    """

    kind: Kind
    at: float
    method: str
    path: str
    provider: str = ""
    status: int | None = None
    fault: str | None = None
    prompt: str = ""
    id: str = ""
    with_key: bool = False
    sent: Json = field(default=None, repr=False)


@define(eq=False)
class Ledger:
    """Charges in order, and the log of requests."""

    _entries: dict[str, Charge] = field(factory=dict[str, Charge], init=False)
    _charges: Counter[str] = field(factory=Counter[str], init=False)
    _requests: Counter[str] = field(factory=Counter[str], init=False)
    log: deque[LoggedRequest] = field(factory=lambda: deque(maxlen=100_000), init=False)
    """The latest 100,000 requests; the counts include all."""

    @property
    def entries(self) -> list[Charge]:
        """All charges, in order."""
        return list(self._entries.values())

    @property
    def spent(self) -> Decimal:
        """The sum of all charges that were not refunded, in US dollars."""
        return sum((entry.amount for entry in self.entries if not entry.refunded), Decimal(0))

    def billed(self, prompt: str | None = None) -> int:
        """Return the number of charges for a prompt, or of all; refunded ones do not count."""
        return self._charges.total() if prompt is None else self._charges[prompt]

    def count(self, kind: Kind) -> int:
        """Return the number of requests of a kind, whatever the response."""
        return self._requests[kind]

    def charge(self, entry: Charge) -> None:
        """Add a charge."""
        self._entries[entry.id] = entry
        self._charges[entry.prompt] += 1

    def refund(self, id: str) -> Decimal:
        """Refund a charge, and return its amount."""
        entry = self._entries[id]
        self._entries[id] = evolve(entry, refunded=True)
        self._charges[entry.prompt] -= 1
        return entry.amount

    def log_request(self, request: LoggedRequest) -> None:
        """Log a request."""
        self._requests[request.kind] += 1
        self.log.append(request)
