"""Download outputs to files, refresh URLs that have expired, and record the files in the journal."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Final

import anyio.to_thread
from anyio.lowlevel import RunVar
from attrs import evolve

from ..journal.submission import Submission
from ..journal.writer import JournalEntry
from ..providers import provider_named
from ..transport.fetcher import OutputFetcher
from ..transport.host_limits import HostLimiter
from ..transport.partial_file import ensure_writable
from ..types.errors import BadRequest, DownloadError, InputError, KlingError
from ..types.formatting import format_duration
from ..types.media import file_stem
from ..types.prediction import Prediction, Status
from .dispatcher import Dispatcher
from .settings import Settings

__all__ = ["Downloader"]

_EXPIRED: Final = (403, 404, 410)
"""HTTP statuses of a URL that has expired; the provider may give a new one."""
_NO_RECORD: Final = (404, 410)
"""HTTP statuses of a poll for a prediction whose record was removed."""
_limiter: Final = RunVar[HostLimiter]("kling_async_files")
"""One save of the same files at a time in an event loop, whichever client or batch asks: they share a part file."""


class Downloader:
    """Saves the outputs of predictions.

    Args:
        fetcher: fetches one URL.
        dispatcher: polls predictions whose URLs have expired, and has the journal.
        settings: know which providers run on this machine.
    """

    def __init__(self, *, fetcher: OutputFetcher, dispatcher: Dispatcher, settings: Settings) -> None:
        self._fetcher = fetcher
        self._dispatcher = dispatcher
        self._settings = settings

    async def save(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        """Save a prediction's outputs, and return the files. Raises DownloadError."""
        if prediction.status is not Status.SUCCEEDED:
            raise DownloadError(
                "There is nothing to download",
                provider=prediction.provider,
                key=prediction.key,
                id=prediction.id,
                advice=f"The prediction is {prediction.status.value}; only one that succeeded has outputs.",
            )
        async with _save_limiter().acquire(_place(prediction, directory)):
            return await self._save(prediction, directory, overwrite=overwrite)

    async def _save(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        entry = await self._entry_of(prediction)
        known = None if entry is None else entry.submission
        saved = [directory / name for name in (known.files if known is not None else None) or ()]
        if saved and not overwrite and all(path.is_file() for path in saved):
            self._dispatcher.accounts.library.remember_saved(prediction, saved)
            return saved
        try:
            await anyio.to_thread.run_sync(ensure_writable, directory)
        except InputError as error:
            raise DownloadError(f"{error.message}: {error.faults[0]}", path=str(directory)) from error
        saved = await self._fetch(prediction, known, directory, overwrite=overwrite)
        self._dispatcher.accounts.library.remember_saved(prediction, saved)
        if entry is not None:
            await entry.saved(saved)
        return saved

    async def _fetch(
        self, prediction: Prediction, known: Submission | None, directory: Path, *, overwrite: bool
    ) -> list[Path]:
        is_fresh = _has_redacted_urls(prediction, known)
        if is_fresh:
            prediction = await self._with_outputs(prediction)
        while True:
            try:
                return await self._save_all(prediction, directory, overwrite=overwrite)
            except DownloadError as error:
                if error.http_status not in _EXPIRED:
                    raise
                if is_fresh:
                    raise _removed(prediction, f"the newest URL answers HTTP {error.http_status}", error) from error
            prediction, is_fresh = await self._with_outputs(prediction), True

    async def _save_all(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        provider = provider_named(prediction.provider)
        loopback = self._settings.is_local(provider)
        stem = _stem(prediction)
        saved: list[Path] = []
        for index, output in enumerate(prediction.outputs):
            name, asked, credential = f"{stem}-{index}", output, None
            if (request := provider.build_download(prediction, output)) is not None:
                credential = self._settings.credential(provider)
                asked = evolve(output, url=f"{credential.origin}{request.path}")
            try:
                path = await self._fetcher.save(
                    asked, directory, name, overwrite=overwrite, loopback=loopback, credential=credential
                )
            except DownloadError as error:
                error.provider, error.key, error.id = prediction.provider, prediction.key, prediction.id
                raise
            saved.append(path)
        return saved

    async def with_fresh_urls(self, prediction: Prediction) -> Prediction:
        """Return a prediction with complete URLs: a journal keeps no signatures, so the provider is polled for them."""
        entry = await self._entry_of(prediction)
        stale = entry is not None and _has_redacted_urls(prediction, entry.submission)
        return await self._refresh(prediction) if stale else prediction

    async def _with_outputs(self, prediction: Prediction) -> Prediction:
        """Return a prediction with fresh URLs. Raises DownloadError if the provider has removed the outputs."""
        try:
            seen = await self._refresh(prediction)
        except BadRequest as error:
            if error.http_status not in _NO_RECORD and not error.is_unknown_id:
                raise
            raise _removed(prediction, "the provider has no record of the prediction any more", error) from error
        if seen.status is not Status.SUCCEEDED:
            reason = seen.failure.message if seen.failure is not None else f"the prediction is {seen.status.value}"
            raise _removed(prediction, reason)
        return seen

    async def _refresh(self, prediction: Prediction) -> Prediction:
        return await self._dispatcher.refresh(prediction, wait_for=self._settings.request_timeout)

    async def _entry_of(self, prediction: Prediction) -> JournalEntry | None:
        journal = self._dispatcher.journal
        return None if journal is None else await journal.entry_for(prediction)


def _removed(prediction: Prediction, reason: str, cause: KlingError | None = None) -> DownloadError:
    """Return the error for outputs that the provider has removed."""
    provider = provider_named(prediction.provider)
    seconds = provider.capabilities.output_ttl.value
    kept = "" if seconds is None else f" {provider.title} keeps them for {format_duration(seconds)}."
    return DownloadError(
        f"The outputs were removed: {reason}",
        provider=prediction.provider,
        key=prediction.key,
        id=prediction.id,
        http_status=None if cause is None else cause.http_status,
        url=cause.url if isinstance(cause, DownloadError) else None,
        advice=f"They cannot be downloaded again.{kept} Download sooner, or save outputs as they finish (save_to).",
    )


def _save_limiter() -> HostLimiter:
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = HostLimiter(1)
        _limiter.set(limiter)
    return limiter


def _stem(prediction: Prediction) -> str:
    return file_stem(prediction.key or f"{prediction.provider}:{prediction.id}")


def _place(prediction: Prediction, directory: Path) -> str:
    return os.path.realpath(directory / _stem(prediction))


def _has_redacted_urls(prediction: Prediction, known: Submission | None) -> bool:
    """Return whether a prediction comes from a journal, and its outputs' URLs are not complete."""
    kept = None if known is None or known.urls_complete else known.prediction
    return kept is not None and prediction.outputs == kept.outputs
