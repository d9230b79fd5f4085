"""Extra polls of predictions that a webhook has announced, beside those that the plan has for them.

Theory of operation. A webhook that proves nothing is a hint: its prediction is polled at once, by the same rate limit.
The planned poll stays in its queue meanwhile, so that a hint, true or not, changes nothing but that one more poll is
sent. A prediction has a few such polls at most, whatever is sent about it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heappop, heappush
from typing import Final

from ..types.prediction import Prediction
from .ticket import Ticket

__all__ = ["Hints"]

_MAX_POLLS: Final = 6
"""Extra polls of one prediction."""
_DELAYS: Final = (1.0, 3.0)
"""Seconds until the next extra poll after one that found it running: a poll may know of the end a little later."""
_MAX_EARLY: Final = 1000
"""Ids that are kept of webhooks which came before the answer to the submission."""


class Hints:
    """What webhooks say about the predictions of one account.

    It finds the jobs that are polled by the ids of their predictions, from `start` on.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, tuple[Ticket, ...]] | None = None
        self._due: list[tuple[float, Ticket]] = []
        self._polls: dict[Ticket, int] = {}
        self._planned = set[Ticket]()
        self._in_flight = set[Ticket]()
        self._early: OrderedDict[str, None] = OrderedDict()

    # Jobs by the ids of their predictions.

    def start(self) -> None:
        """Keep the jobs that are added from now on."""
        self._by_id = {} if self._by_id is None else self._by_id

    def add(self, ticket: Ticket, now: float) -> None:
        """Keep a job that is polled; poll it at once if its webhook came before the answer to its submission."""
        if self._by_id is None or ticket.prediction is None:
            return
        id = ticket.prediction.id
        self._by_id[id] = (*self._by_id.get(id, ()), ticket)
        if id in self._early:
            del self._early[id]
            self.announce(ticket, now)

    def discard(self, ticket: Ticket) -> None:
        """Keep a job no longer: it is finished, or polled no more."""
        known = ticket.prediction
        if self._by_id is not None and known is not None:
            left = tuple(one for one in self._by_id.pop(known.id, ()) if one is not ticket)
            if left:
                self._by_id[known.id] = left
            self._polls.pop(ticket, None)

    def find(self, id: str) -> tuple[tuple[Ticket, Prediction], ...]:
        """Return the jobs of a prediction, with what is known of it; an id without any is kept for a while."""
        found = () if self._by_id is None else self._by_id.get(id, ())
        if not found:
            self._early[id] = None
            if len(self._early) > _MAX_EARLY:
                self._early.popitem(last=False)
        return tuple((one, one.prediction) for one in found if one.prediction is not None)

    # Extra polls.

    def announce(self, ticket: Ticket, now: float) -> bool:
        """Poll a job at once; return False if it is, or had its extra polls before."""
        return ticket not in self._planned and ticket not in self._in_flight and self._plan(ticket, now)

    def is_announced(self, ticket: Ticket) -> bool:
        """Return whether a webhook has announced the end of a job."""
        return ticket in self._polls

    def take(self, now: float) -> Ticket | None:
        """Return a job whose extra poll is due, or None."""
        while self._due and (self._due[0][0] <= now or self._due[0][1].closed):
            _, ticket = heappop(self._due)
            self._planned.discard(ticket)
            if not ticket.closed:
                self._in_flight.add(ticket)
                return ticket
        return None

    def ready_at(self) -> float:
        """Return the time of the next extra poll; infinity if there is none."""
        return self._due[0][0] if self._due else math.inf

    def settle(self, ticket: Ticket) -> bool:
        """Return whether a poll that has brought a result is an extra one, which leaves the planned one in its queue.

        With both in flight the first result counts as that of the extra one: the planned one follows.
        """
        if ticket not in self._in_flight:
            return False
        self._in_flight.discard(ticket)
        return True

    def again(self, ticket: Ticket, now: float, *, delay: float | None = None) -> None:
        """Plan the next extra poll after one that did not find the end, by default after a moment."""
        polls = self._polls.get(ticket, 0)
        self._plan(ticket, now + (_DELAYS[min(polls, len(_DELAYS)) - 1] if delay is None else delay))

    def _plan(self, ticket: Ticket, at: float) -> bool:
        polls = self._polls.get(ticket, 0)
        if polls >= _MAX_POLLS or ticket.closed:
            return False
        self._polls[ticket] = polls + 1
        self._planned.add(ticket)
        heappush(self._due, (at, ticket))
        return True
