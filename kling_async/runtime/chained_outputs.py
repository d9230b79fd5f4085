"""Outputs of predictions as media of other jobs: an address that the provider can still fetch, or what was saved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio.to_thread

from ..providers import provider_named
from ..system.clock import Clock, hold_clock
from ..transport.host_limits import HostLimiter
from ..types.errors import InputError, InputFault, KlingError
from ..types.media_values import Media
from ..types.prediction import Output, OutputSource, Prediction
from .media_library import MediaLibrary
from .media_reader import read_file
from .output_expiry import is_kept, removal_reason
from .saved_files import SavedObject
from .stored_outputs import StoredOutputs

__all__ = ["ChainedOutputs", "Refresh"]

Refresh = Callable[[Prediction], Awaitable[Prediction]]
"""Polls a prediction once."""

_ASKED_SECONDS: Final = 600.0
"""Seconds for which an address that was asked for is used again."""


class ChainedOutputs:
    """Finds addresses of outputs, for all accounts of a client.

    Args:
        refresh: polls a prediction once.
        library: knows the files and the objects that outputs were saved as.
        clock: tells the time.
    """

    def __init__(self, refresh: Refresh, *, library: MediaLibrary, clock: Clock) -> None:
        self._refresh = refresh
        self._library = library
        self._clock = clock
        self._stored = StoredOutputs(clock)
        self._one_each = HostLimiter(1)
        self._asked: dict[tuple[str, str, int], tuple[float, Media]] = {}

    def is_ready(self, output: Output) -> bool:
        """Return whether an output needs no question to its provider now."""
        if self.is_fresh(output):
            return True
        return output.source is not None and isinstance(self._known(output.source), str)

    def _known(self, source: OutputSource) -> Media | None:
        """Return what was found for an output a short while ago."""
        at, known = self._asked.get(source.place, (-_ASKED_SECONDS, None))
        return known if self._clock.now() < at + _ASKED_SECONDS else None

    def is_fresh(self, output: Output) -> bool:
        """Return whether an output can be used as it is."""
        if output.url.startswith("data:"):
            return False
        if output.source is None:
            return True
        if not output.is_fetchable or _needs_key(output, output.source):
            return False
        return is_kept(output.source, now=self._clock.utc())

    async def fresh(self, output: Output) -> Media:
        """Return an address of an output: the provider's, or that of an object it was saved as; or the saved file.

        Raises:
            InputError: the provider has removed it, or sends it for its key only, and what was saved is not there.
        """
        source = output.source
        if source is None or output.url.startswith("data:") or self.is_fresh(output):
            return output.url
        async with self._one_each.acquire(str(source.place)):
            if (known := self._known(source)) is not None:
                return known
            found = await self._find(output, source)
            self._asked[source.place] = (self._clock.now(), found)
            return found

    async def _find(self, output: Output, source: OutputSource) -> Media:
        problem = "is sent by the provider for its API key only"
        if not _needs_key(output, source):
            try:
                return await self._asked_for(source)
            except KlingError as error:
                problem = f"has no fresh address ({error.message})"
        saved = self._library.saved(output)
        if saved is None:
            advice = "Nothing was sent. Give the file that it was saved as, a pathlib.Path, in its place."
            fault = InputFault("media", f"{source.provider} {source.id}", f"{problem}, and was not saved in this run")
            raise InputError.of("The output of another prediction cannot be used", [fault], advice=advice)
        if isinstance(saved, SavedObject):
            return await self._stored.media_of(saved)
        with hold_clock(self._clock):
            return await anyio.to_thread.run_sync(read_file, "media", saved, self._library)

    async def _asked_for(self, source: OutputSource) -> str:
        seen = await self._refresh(source.prediction)
        if (reason := removal_reason(seen)) is not None:
            raise InputError(reason)
        if source.index >= len(seen.outputs):
            raise InputError(f"the prediction has {len(seen.outputs)} outputs now, and this was number {source.index}")
        return seen.outputs[source.index].url


def _needs_key(output: Output, source: OutputSource) -> bool:
    """Return whether the provider's API sends an output itself, for the key."""
    return provider_named(source.provider).build_download(source.prediction, output) is not None
