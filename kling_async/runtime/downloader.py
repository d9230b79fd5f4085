"""Save the outputs of predictions as files or objects, and record these in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from anyio.lowlevel import RunVar

from ..journal.submission import Submission
from ..transport.host_limits import HostLimiter
from ..types.errors import DownloadError
from ..types.media import file_stem
from ..types.prediction import Prediction, Status
from .destinations import Destination, StoreDestination
from .event_log import log_saved
from .fresh_outputs import FreshOutputs
from .media_library import MediaLibrary
from .saved_files import SavedFile, Saving
from .sidecars import ProvenanceRequest, complete_sidecars, write_sidecars
from .transports import Transports

__all__ = ["Downloader", "check_succeeded"]

_limiter: Final = RunVar[HostLimiter]("kling_async_files")
"""One save of the same files at a time in an event loop, whichever client or batch asks: they share a part file."""


class Downloader:
    """Saves the outputs of predictions.

    Args:
        transports: fetch one URL.
        outputs: finds the URLs, and new ones once they have expired.
        library: remembers the files, which may be media of other jobs.
        now: tells seconds since 1970.
    """

    def __init__(
        self, *, transports: Transports, outputs: FreshOutputs, library: MediaLibrary, now: Callable[[], float]
    ) -> None:
        self._transports = transports
        self._outputs = outputs
        self._library = library
        self._now = now

    async def save(
        self,
        prediction: Prediction,
        place: Destination,
        *,
        overwrite: bool,
        provenance: ProvenanceRequest | None = None,
    ) -> list[Path | str]:
        """Save a prediction's outputs, and return where they are; with their provenance if that is requested.

        Raises:
            DownloadError: an output, or its provenance, could not be saved.
        """
        check_succeeded(prediction)
        began = self._now()
        async with _save_limiter().acquire(place.place_of(_stem(prediction))):
            saved = await self._save(prediction, place, overwrite=overwrite, provenance=provenance)
        log_saved(prediction, len(saved), seconds=self._now() - began)
        return saved

    async def _save(
        self, prediction: Prediction, place: Destination, *, overwrite: bool, provenance: ProvenanceRequest | None
    ) -> list[Path | str]:
        entry = await self._outputs.entry_of(prediction)
        known = None if entry is None else entry.submission
        names = known.files if known is not None else None
        record = None if provenance is None else provenance.record(prediction, known)
        if names and not overwrite and (found := await place.find(names)) is not None:
            self._remember(prediction, found, place)
            if record is not None:
                await complete_sidecars(place, names, record, saved_at=self._saved_at(known))
            return found
        await place.prepare()
        beside = Saving() if provenance is None or record is None else provenance.saving(record)
        saved = await self._outputs.fetch(
            prediction, known, lambda newest: self._save_all(newest, place, overwrite=overwrite, provenance=beside)
        )
        locations = [file.location for file in saved]
        self._remember(prediction, locations, place)
        if entry is not None:
            sums = [file.sha256 for file in saved if file.sha256 is not None]
            await entry.saved([file.name for file in saved], checksums=sums or None)
        if record is not None:
            saved_at = self._saved_at(None if entry is None else entry.submission)
            await write_sidecars(place, saved, record, saved_at=saved_at, overwrite=overwrite)
        return locations

    def _remember(self, prediction: Prediction, locations: Sequence[Path | str], place: Destination) -> None:
        store = place.store if isinstance(place, StoreDestination) else None
        self._library.remember_saved(prediction, locations, store)

    def _saved_at(self, known: Submission | None) -> float:
        return self._now() if known is None or known.saved_at is None else known.saved_at

    async def _save_all(
        self, prediction: Prediction, place: Destination, *, overwrite: bool, provenance: Saving
    ) -> list[SavedFile]:
        stem = _stem(prediction)
        saved: list[SavedFile] = []
        for index, output in enumerate(prediction.outputs):
            request = self._outputs.request_for(prediction, output)
            try:
                one = await place.save(
                    self._transports.fetcher, request, f"{stem}-{index}", overwrite=overwrite, provenance=provenance
                )
                saved.append(one)
            except DownloadError as error:
                error.provider, error.key, error.id = prediction.provider, prediction.key, prediction.id
                raise
        return saved


def check_succeeded(prediction: Prediction) -> None:
    """Raise DownloadError if a prediction has no outputs, because it did not succeed."""
    if prediction.status is not Status.SUCCEEDED:
        raise DownloadError(
            "There is nothing to download",
            provider=prediction.provider,
            key=prediction.key,
            id=prediction.id,
            advice=f"The prediction is {prediction.status.value}; only one that succeeded has outputs.",
        )


def _save_limiter() -> HostLimiter:
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = HostLimiter(1)
        _limiter.set(limiter)
    return limiter


def _stem(prediction: Prediction) -> str:
    return file_stem(prediction.key or f"{prediction.provider}:{prediction.id}")
