"""Outputs with URLs that work: a journal keeps no signatures, and URLs expire, so the provider is asked anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from attrs import evolve

from ..journal.steps import JournalEntry
from ..journal.submission import Submission
from ..providers import provider_named
from ..types.errors import BadRequest, DownloadError, KlingError
from ..types.formatting import format_duration
from ..types.prediction import Output, Prediction
from .destinations import OutputRequest
from .dispatcher import Dispatcher
from .output_expiry import is_forgotten, lifetime_of, removal_reason
from .settings import Settings

__all__ = ["FreshOutputs", "has_expired", "has_redacted_urls", "removed_error"]

T = TypeVar("T")

_EXPIRED: Final = (403, 404, 410)
"""HTTP statuses of a URL that has expired; the provider may give a new one."""


class FreshOutputs:
    """Finds the requests for outputs, and new ones once they have expired.

    Args:
        dispatcher: polls predictions whose URLs have expired, and has the journal.
        settings: know which providers run on this machine, and their keys.
    """

    def __init__(self, *, dispatcher: Dispatcher, settings: Settings) -> None:
        self._dispatcher = dispatcher
        self._settings = settings

    def request_for(self, prediction: Prediction, output: Output) -> OutputRequest:
        """Return how an output is asked for: with the API key, at its own origin, where the API itself sends it."""
        provider, credential = provider_named(prediction.provider), None
        if (request := provider.build_download(prediction, output)) is not None:
            credential = self._settings.credential(provider)
            output = evolve(output, url=f"{credential.origin}{request.path}")
        return OutputRequest(output=output, credential=credential, loopback=self._settings.is_local(provider))

    async def fetch(
        self, prediction: Prediction, known: Submission | None, attempt: Callable[[Prediction], Awaitable[T]]
    ) -> T:
        """Return what an attempt at a prediction's outputs returns; it is made again once if their URLs have expired.

        Raises:
            DownloadError: that of the attempt, or the provider has removed the outputs.
        """
        is_fresh = has_redacted_urls(prediction, known)
        if is_fresh:
            prediction = await self.renewed(prediction)
        while True:
            try:
                return await attempt(prediction)
            except DownloadError as error:
                if not has_expired(error):
                    raise
                if is_fresh:
                    raise removed_error(prediction, error) from error
            prediction, is_fresh = await self.renewed(prediction), True

    async def with_fresh_urls(self, prediction: Prediction) -> Prediction:
        """Return a prediction with complete URLs: a journal keeps no signatures, so the provider is polled for them."""
        entry = await self.entry_of(prediction)
        stale = entry is not None and has_redacted_urls(prediction, entry.submission)
        return await self._refresh(prediction) if stale else prediction

    async def renewed(self, prediction: Prediction) -> Prediction:
        """Return a prediction with fresh URLs. Raises DownloadError if the provider has removed the outputs."""
        try:
            seen = await self._refresh(prediction)
        except BadRequest as error:
            if not is_forgotten(error):
                raise
            raise _removed(prediction, "the provider has no record of the prediction any more", error) from error
        if (reason := removal_reason(seen)) is not None:
            raise _removed(prediction, reason)
        return seen

    async def _refresh(self, prediction: Prediction) -> Prediction:
        return await self._dispatcher.refresh(prediction, wait_for=self._settings.request_timeout)

    async def entry_of(self, prediction: Prediction) -> JournalEntry | None:
        """Return the journal's entry of a prediction; None if there is none."""
        journal = self._dispatcher.journal
        return None if journal is None else await journal.entry_for(prediction)


def has_expired(error: DownloadError) -> bool:
    """Return whether an output's URL has expired, so that the provider may give a new one."""
    return error.http_status in _EXPIRED


def has_redacted_urls(prediction: Prediction, known: Submission | None) -> bool:
    """Return whether a prediction comes from a journal, and its outputs' URLs are not complete."""
    if not all(output.is_fetchable for output in prediction.outputs):
        return True
    kept = None if known is None or known.urls_complete else known.prediction
    return kept is not None and prediction.outputs == kept.outputs


def removed_error(prediction: Prediction, error: DownloadError) -> DownloadError:
    """Return the error for outputs whose newest URL has expired, too."""
    return _removed(prediction, f"the newest URL answers HTTP {error.http_status}", error)


def _removed(prediction: Prediction, reason: str, cause: KlingError | None = None) -> DownloadError:
    """Return the error for outputs that the provider has removed."""
    provider, seconds = provider_named(prediction.provider), lifetime_of(prediction.provider)
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
