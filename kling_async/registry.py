"""Which jobs are under way, so that a second call for one joins the first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import anyio

from .planning.moves import Ticket
from .prediction import Prediction

__all__ = ["Name", "Registry"]

Name: TypeAlias = str | tuple[str, str]
"""A job's key, or the provider and the id of a prediction that was submitted elsewhere."""

_FEW: Final = 64
"""So many tickets are never worth tidying."""


class Registry:
    """The jobs of one journal that are under way; without a journal, those of one client."""

    def __init__(self) -> None:
        self._tickets: dict[Name, Ticket] = {}
        self._tidy_at = _FEW
        self._claims: dict[str, anyio.Event] = {}

    @asynccontextmanager
    async def claimed(self, key: str) -> AsyncGenerator[None]:
        """Keep others from beginning the same job meanwhile; wait for one that is just doing so."""
        while (claim := self._claims.get(key)) is not None:
            await claim.wait()
        claim = self._claims[key] = anyio.Event()
        try:
            yield
        finally:
            del self._claims[key]
            claim.set()

    def note(self, name: Name, ticket: Ticket) -> None:
        """Remember a job that has begun."""
        if len(self._tickets) >= self._tidy_at:
            self._tickets = {name: known for name, known in self._tickets.items() if not known.state.over}
            self._tidy_at = 2 * len(self._tickets) + _FEW
        self._tickets[name] = ticket

    def drop(self, ticket: Ticket) -> None:
        """Let go of a job if it is over: its input, and its reply, may be large."""
        known = ticket.prediction
        names: tuple[Name | None, ...] = (ticket.key, None if known is None else (known.provider, known.id))
        for name in names if ticket.state.over else ():
            if name is not None and self._tickets.get(name) is ticket:
                del self._tickets[name]

    def looked_at(self, prediction: Prediction) -> Ticket | None:
        """Return the ticket of a prediction that is looked at, for its job or by itself; None if it is not."""
        ticket = self.find(prediction.key)
        known = None if ticket is None else ticket.prediction
        if known is not None and (known.provider, known.id) == (prediction.provider, prediction.id):
            return ticket
        return self.find((prediction.provider, prediction.id))

    def find(self, name: Name | None) -> Ticket | None:
        """Return the ticket of a job that is under way; None if it is not, or is over."""
        ticket = None if name is None else self._tickets.get(name)
        return None if ticket is None or ticket.state.over else ticket
