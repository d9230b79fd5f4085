"""What a client does with outputs: save them, or read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final, overload

from ..runtime.output_reader import OutputReader
from ..runtime.settings import positive_int
from ..runtime.sidecars import ProvenanceRequest, check_mode
from ..runtime.tracebacks import short_tracebacks
from ..system.interrupts import defer_interrupts
from ..types.inputs import Input
from ..types.prediction import Output, Prediction
from ..types.provenance import ProvenanceMode
from .base import BaseClient

__all__ = ["OutputsClient"]

_MAX_READ: Final = 256 * 1024 * 1024
"""Bytes of all outputs of a prediction that are read into the memory by default."""


class OutputsClient(BaseClient):
    """Saves and reads outputs; `Client` describes the arguments."""

    @overload
    async def download(
        self,
        prediction: Prediction,
        directory: Path,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> list[Path]: ...
    @overload
    async def download(
        self,
        prediction: Prediction,
        directory: str,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> list[Path | str]: ...
    @defer_interrupts
    async def download(
        self,
        prediction: Prediction,
        directory: str | Path,
        *,
        overwrite: bool = False,
        provenance: ProvenanceMode | None = None,
        input: Input | None = None,
    ) -> Sequence[Path | str]:
        """Save a prediction's outputs as `directory/KEY-0.png` and so on, and return their paths.

        Names come from the prediction's key, suffixes from the content. A file appears under its name only when it is
        complete. An interrupted download is continued where it stopped.

        The URL of an object store in place of a directory saves objects: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`,
        `az://CONTAINER/PREFIX`, `file:///DIRECTORY` or `memory:///PREFIX`, with the extra `storage`. Their URLs are
        returned. Credentials come from the environment, as the store's own tools read them. An interrupted upload
        leaves nothing under the object's name, and begins again with the next call.

        Args:
            prediction: one that succeeded.
            directory: created if missing; a bucket must exist.
            overwrite: replace other files with these names.
            provenance: "sidecar" writes `KEY-0.png.json` beside each file. "embed" does that, and puts the same into
                the file itself if that is a PNG or an MP4 in a directory; one with a C2PA credential is never changed.
            input: what the prediction was made from, whose prompt is saved; by default the client's journal knows it.

        Raises:
            DownloadError: an output could not be saved, or the directory cannot be written; it can be tried again.
            InputError: the URL of the store is wrong, or `provenance` is none of these words.
        """
        check_mode(provenance)
        request = None if provenance is None else ProvenanceRequest(mode=provenance, input=input)
        place = self._destination(directory, name="directory")
        downloader = self._downloader_for(self._dispatcher)
        return await downloader.save(prediction, place, overwrite=overwrite, provenance=request)

    @defer_interrupts
    @short_tracebacks
    async def read(self, prediction: Prediction, *, max_bytes: int = _MAX_READ) -> list[bytes]:
        """Return the bytes of a prediction's outputs, in their order, with the checks that `download` makes.

        Args:
            prediction: one that succeeded.
            max_bytes: bytes that all outputs together may have, by default 256 MiB; they are held in memory.

        Raises:
            DownloadError: an output could not be fetched, is no image or video or is not complete, or they are longer.
        """
        limit = positive_int("max_bytes", max_bytes)
        return await self._reader.read(prediction, max_bytes=limit)

    def stream(self, output: Output) -> AsyncGenerator[bytes]:
        """Iterate over the bytes of one output of a prediction as they are received, such as 64 KiB at a time.

        They are checked like those of `download`: nothing comes of what is neither an image nor a video, and the
        iteration ends without an error only if the output was complete. A connection that breaks is resumed. An output
        whose server declares no length is collected in a temporary file first. Iterate inside
        `contextlib.aclosing(...)` if you may leave early.

        Raises:
            InputError: the output belongs to no prediction.
            DownloadError: it could not be fetched or resumed, is no image or video, or is not complete.
        """
        return self._reader.stream(output)

    @property
    def _reader(self) -> OutputReader:
        return OutputReader(transports=self._accounts.transports, outputs=self._outputs)
