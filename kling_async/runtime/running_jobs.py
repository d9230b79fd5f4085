"""The running jobs of a dispatcher, so that a second call for one joins the first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import anyio

from ..types.prediction import Prediction
from .account import AccountTicket
from .open_refusals import OpenRefusals

__all__ = ["Name", "RunningJobs"]

Name: TypeAlias = str | tuple[str, str]
"""A job's key, or the provider and the id of a prediction that was submitted elsewhere."""

_MIN_COMPACT: Final = 64
"""Tickets below which closed ones are not removed all at once."""


class RunningJobs:
    """The running jobs of one journal; without a journal, those of one client.

    Attributes:
        refusals: the refusals that calls handle at present.
    """

    def __init__(self) -> None:
        self.refusals = OpenRefusals()
        self._tickets: dict[Name, AccountTicket] = {}
        self._compact_at = _MIN_COMPACT
        self._reserved: dict[str, anyio.Event] = {}

    @asynccontextmanager
    async def reserve(self, key: str) -> AsyncGenerator[None]:
        """Keep other calls from starting the same job meanwhile; wait for one that is doing so."""
        while (reservation := self._reserved.get(key)) is not None:
            await reservation.wait()
        reservation = self._reserved[key] = anyio.Event()
        try:
            yield
        finally:
            del self._reserved[key]
            reservation.set()

    def add(self, name: Name, ticket: AccountTicket) -> None:
        """Keep a job that has started."""
        if len(self._tickets) >= self._compact_at:
            self._tickets = {name: known for name, known in self._tickets.items() if not known.closed}
            self._compact_at = 2 * len(self._tickets) + _MIN_COMPACT
        self._tickets[name] = ticket

    def drop(self, ticket: AccountTicket) -> None:
        """Drop a job if it is closed: its input, and its reply, may be large."""
        known = ticket.prediction
        names: tuple[Name | None, ...] = (ticket.key, None if known is None else (known.provider, known.id))
        for name in names if ticket.closed else ():
            if name is not None and self._tickets.get(name) is ticket:
                del self._tickets[name]

    def find_polled(self, prediction: Prediction) -> AccountTicket | None:
        """Return the ticket of a prediction that is polled, for its job or by itself; None if it is not."""
        ticket = self.find(prediction.key)
        known = None if ticket is None else ticket.prediction
        if known is not None and (known.provider, known.id) == (prediction.provider, prediction.id):
            return ticket
        return self.find((prediction.provider, prediction.id))

    def find(self, name: Name | None) -> AccountTicket | None:
        """Return the ticket of a running job; None if it is not running."""
        ticket = None if name is None else self._tickets.get(name)
        return None if ticket is None or ticket.closed else ticket
