"""Jobs that wait to be submitted: first come, first served, held back by slots and by a pacer."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from itertools import count

from ..providers.spec import Limits
from .moves import State, Ticket
from .pacing import Pacer
from .slots import Slots

__all__ = ["Line"]


class Line:
    """The line of one account.

    A job that does not fit into the free slots holds up those behind it: were they let past, it might wait for ever.

    Attributes:
        slots: what is taken by those who have left the line and are not over.
    """

    def __init__(self, limits: Limits) -> None:
        self.slots = Slots(limits.max_open)
        self._pacer = Pacer(per_second=limits.submit_per_second, burst=limits.submit_burst)
        self._ready: deque[Ticket] = deque()
        self._later: list[tuple[float, int, Ticket]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, ticket: Ticket) -> None:
        """Let a job join the end."""
        self._ready.append(ticket)

    def put_back(self, ticket: Ticket) -> None:
        """Let a job that was taken stand first again; its slots are free."""
        self.slots.give(ticket.weight)
        self._ready.appendleft(ticket)

    def put_back_later(self, ticket: Ticket, at: float) -> None:
        """Let a job that was taken stand first again from some time on; its slots are free."""
        self.slots.give(ticket.weight)
        heapq.heappush(self._later, (at, next(self._numbers), ticket))

    def take(self, now: float) -> Ticket | None:
        """Return the job whose turn it is, with its slots taken, or None."""
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        if self.ready_at(now) > now:
            return None
        ticket = self._ready.popleft()
        self._pacer.spend(now)
        self.slots.take(ticket.weight)
        return ticket

    def ready_at(self, now: float) -> float:
        """Return when it may be somebody's turn; infinity if only news can change that."""
        while self._ready and self._ready[0].state is not State.PLANNED:
            self._ready.popleft()
        at = self._later[0][0] if self._later else math.inf
        if self._ready and self.slots.fit(self._ready[0].weight):
            at = min(at, self._pacer.ready_at(now))
        return at

    def hold_until(self, at: float, *, now: float, sent_at: float) -> None:
        """Let nobody leave before a time, since the provider said 429 to a submission that left at `sent_at`."""
        self._pacer.hold_until(at, now=now, sent_at=sent_at)

    def dismiss(self) -> Iterator[Ticket]:
        """Yield everybody who still waits, out of the line."""
        while self._ready or self._later:
            ticket = self._ready.popleft() if self._ready else heapq.heappop(self._later)[2]
            if ticket.state is State.PLANNED:
                yield ticket
