"""Save the files of a batch, a few jobs at a time, and first those whose outputs are removed first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import anyio
from attrs import evolve

from ..providers import provider_named
from ..system.clock import Clock
from ..types.errors import KlingError
from ..types.jobs import Job, Outcome
from ..types.prediction import Prediction
from ..types.provenance import ProvenanceMode
from .destinations import Destination
from .downloader import Downloader
from .sidecars import ProvenanceRequest

__all__ = ["BatchDownloads"]

_UNKNOWN_TTL: Final = 86_400.0
"""Seconds that outputs count as kept where no page says how long: between the hour and the weeks that pages say."""


class BatchDownloads:
    """Saves the files of a batch's outcomes.

    Args:
        downloader: saves the files of one prediction.
        place: where to.
        clock: tells the time at which a prediction without a date was created: now.
        provenance: where the provenance of the files goes; None saves none.
    """

    def __init__(
        self,
        downloader: Downloader,
        place: Destination,
        *,
        clock: Clock,
        provenance: ProvenanceMode | None = None,
    ) -> None:
        self._downloader = downloader
        self._place = place
        self._clock = clock
        self._provenance: ProvenanceMode | None = provenance
        self._slots = _Slots(place.width)

    async def save(self, outcome: Outcome, *, overwrite: bool) -> Outcome:
        """Return an outcome with its files, or with the error that kept them from being saved."""
        if outcome.prediction is None:
            return outcome
        try:
            async with self._slots.acquire(self._removed_at(outcome.prediction)):
                files = await self._downloader.save(
                    outcome.prediction, self._place, overwrite=overwrite, provenance=self._request(outcome.job)
                )
        except KlingError as error:
            return evolve(outcome, error=error)
        return evolve(outcome, files=tuple(files))

    def _request(self, job: Job) -> ProvenanceRequest | None:
        if self._provenance is None:
            return None
        return ProvenanceRequest(mode=self._provenance, input=job.input, labels=job.labels)

    def _removed_at(self, prediction: Prediction) -> float:
        """Return the time, in seconds since 1970, until which a prediction's outputs are surely kept."""
        ttl = provider_named(prediction.provider).capabilities.output_ttl.value
        created_at = prediction.created_at or self._clock.utc()
        return created_at.timestamp() + (_UNKNOWN_TTL if ttl is None else ttl)


class _Slots:
    """A number of slots. A free one goes to whichever waits with the earliest deadline.

    Args:
        number: how many may be held at once.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: list[tuple[float, int, anyio.Event]] = []
        self._arrivals = count()

    @asynccontextmanager
    async def acquire(self, deadline: float) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it; of equal deadlines the first to come is the first served."""
        await self._wait(deadline)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, deadline: float) -> None:
        if self._free:
            self._free -= 1
            return
        waiting = (deadline, next(self._arrivals), anyio.Event())
        heappush(self._waiting, waiting)
        try:
            await waiting[2].wait()
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                heapify(self._waiting)
            else:
                self._release()  # it was handed over, and is not used
            raise

    def _release(self) -> None:
        if self._waiting:
            heappop(self._waiting)[2].set()
        else:
            self._free += 1
