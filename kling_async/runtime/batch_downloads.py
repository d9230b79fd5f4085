"""Save the files of a batch, a few jobs at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
from attrs import evolve

from ..types.errors import KlingError
from ..types.jobs import Outcome
from .downloader import Downloader

__all__ = ["BatchDownloads"]

_MAX_DOWNLOADS: Final = 4
"""Downloads at once: they cost neither money nor API budget, only the user's bandwidth."""


class BatchDownloads:
    """Saves the files of a batch's outcomes.

    Args:
        downloader: saves the files of one prediction.
        directory: where to.
    """

    def __init__(self, downloader: Downloader, directory: Path) -> None:
        self._downloader = downloader
        self._directory = directory
        self._limit = anyio.Semaphore(_MAX_DOWNLOADS)

    async def save(self, outcome: Outcome, *, overwrite: bool) -> Outcome:
        """Return an outcome with its files, or with the error that kept them from being saved."""
        if outcome.prediction is None:
            return outcome
        async with self._limit:
            try:
                files = await self._downloader.save(outcome.prediction, self._directory, overwrite=overwrite)
            except KlingError as error:
                return evolve(outcome, error=error)
        return evolve(outcome, files=tuple(files))
