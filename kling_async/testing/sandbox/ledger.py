"""The books: what was charged for, and what was asked."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Literal, TypeAlias

from attrs import define, evolve, field, frozen

from ...prediction import Json

__all__ = ["Entry", "Kind", "Ledger", "Seen"]

Kind: TypeAlias = Literal["submit", "poll", "download", "other"]


@frozen(kw_only=True)
class Entry:
    """One submission that was charged for.

    Attributes:
        id: the id of the task at the provider.
        at: when, in the clock's seconds.
        amount: US dollars.
        answered: whether the caller was told the id; False when the answer was lost on purpose.
        refunded: whether the money was given back since the work failed.
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
class Seen:
    """One request as it came; it holds no key.

    Attributes:
        at: when, in the clock's seconds.
        status: the HTTP status it was answered with, or None where no whole answer was sent.
        fault: the fault it was answered with, or None.
        prompt: of the submission it is about, or empty.
        id: of the task it is about, or empty.
        with_key: whether it had an Authorization header.
        sent: the body of a submission, read; None where it could not be.
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
    """Charges, in order, and what was asked."""

    _entries: dict[str, Entry] = field(factory=dict[str, Entry], init=False)
    _charges: Counter[str] = field(factory=Counter[str], init=False)
    _requests: Counter[str] = field(factory=Counter[str], init=False)
    log: deque[Seen] = field(factory=lambda: deque(maxlen=100_000), init=False)
    """The latest 100,000 requests; the counts know all of them."""

    @property
    def entries(self) -> list[Entry]:
        """Every charge, in the order they were made."""
        return list(self._entries.values())

    @property
    def spent(self) -> Decimal:
        """What all charges come to, without those given back, in US dollars."""
        return sum((entry.amount for entry in self.entries if not entry.refunded), Decimal(0))

    def billed(self, prompt: str | None = None) -> int:
        """Count the charges for a prompt, or all; those given back do not count."""
        return self._charges.total() if prompt is None else self._charges[prompt]

    def count(self, kind: Kind) -> int:
        """Count the requests of a kind, whatever they were answered."""
        return self._requests[kind]

    def charge(self, entry: Entry) -> None:
        """Enter a charge."""
        self._entries[entry.id] = entry
        self._charges[entry.prompt] += 1

    def refund(self, id: str) -> Decimal:
        """Give a charge back; return its amount."""
        entry = self._entries[id]
        self._entries[id] = evolve(entry, refunded=True)
        self._charges[entry.prompt] -= 1
        return entry.amount

    def see(self, seen: Seen) -> None:
        """Write a request down."""
        self._requests[seen.kind] += 1
        self.log.append(seen)
