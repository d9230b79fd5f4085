"""Read outputs into the memory, or as they are received, with the checks that saved files get."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import evolve

from ..transport.stream_part import StreamPart
from ..types.errors import DownloadError, InputError, InputFault
from ..types.prediction import Output, OutputSource, Prediction, Status
from .downloader import check_succeeded
from .fresh_outputs import FreshOutputs, has_expired, has_redacted_urls, removed_error
from .transports import Transports

__all__ = ["OutputReader"]


class OutputReader:
    """Reads the outputs of predictions.

    Args:
        transports: fetch one URL.
        outputs: finds the URLs, and new ones once they have expired.
    """

    def __init__(self, *, transports: Transports, outputs: FreshOutputs) -> None:
        self._transports = transports
        self._outputs = outputs

    async def read(self, prediction: Prediction, *, max_bytes: int) -> list[bytes]:
        """Return all outputs of a prediction. Raises DownloadError, also if they are longer than `max_bytes` in all."""
        check_succeeded(prediction)
        entry = await self._outputs.entry_of(prediction)
        known = None if entry is None else entry.submission
        return await self._outputs.fetch(prediction, known, lambda newest: self._read_all(newest, max_bytes=max_bytes))

    async def _read_all(self, prediction: Prediction, *, max_bytes: int) -> list[bytes]:
        contents: list[bytes] = []
        for output in prediction.outputs:
            left = max_bytes - sum(map(len, contents))
            try:
                contents.append(await self._read(prediction, output, left=left, max_bytes=max_bytes))
            except DownloadError as error:
                error.provider, error.key, error.id = prediction.provider, prediction.key, prediction.id
                raise
        return contents

    async def _read(self, prediction: Prediction, output: Output, *, left: int, max_bytes: int) -> bytes:
        too_long = DownloadError(
            f"The outputs are longer than {max_bytes} bytes",
            advice="Save them with client.download, read them with client.stream, or raise max_bytes.",
        )
        content, restarts, part = bytearray(), 0, StreamPart(restartable=True, limit=(left, too_long))
        try:
            async with aclosing(self._chunks(prediction, output, part)) as chunks:
                async for chunk in chunks:
                    if part.restarts != restarts:
                        restarts = part.restarts
                        content.clear()
                    content += chunk
        finally:
            part.close()
        return bytes(content)

    async def stream(self, output: Output) -> AsyncGenerator[bytes]:
        """Yield the bytes of an output as they are received.

        Raises:
            InputError: it belongs to no prediction.
            DownloadError: it could not be fetched, is no image or video, or is not complete.
        """
        source = _source_of(output)
        known, is_fresh = await self._known(source, output)
        part = StreamPart(restartable=False)
        try:
            if is_fresh:
                output = await self._renewed(known, source)
            while True:
                try:
                    async with aclosing(self._chunks(known, output, part)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                except DownloadError as error:
                    if not has_expired(error):
                        raise
                    if is_fresh:
                        raise removed_error(known, error) from error
                else:
                    return
                output, is_fresh = await self._renewed(known, source), True
        except DownloadError as error:
            error.provider, error.key, error.id = source.provider, source.key, source.id
            raise
        finally:
            part.close()

    async def _known(self, source: OutputSource, output: Output) -> tuple[Prediction, bool]:
        """Return the prediction of an output, and whether the output's URL is one that a journal has cut."""
        known = evolve(source.prediction, status=Status.SUCCEEDED)
        entry = await self._outputs.entry_of(known)
        kept = None if entry is None else entry.submission.prediction
        if entry is None or kept is None or output not in kept.outputs:
            return known, not output.is_fetchable
        return known, has_redacted_urls(evolve(known, outputs=kept.outputs), entry.submission)

    async def _renewed(self, known: Prediction, source: OutputSource) -> Output:
        outputs = (await self._outputs.renewed(known)).outputs
        if source.index >= len(outputs):
            raise DownloadError(f"The prediction has {len(outputs)} outputs now, and this was number {source.index}")
        return outputs[source.index]

    def _chunks(self, prediction: Prediction, output: Output, part: StreamPart) -> AsyncGenerator[bytes]:
        request = self._outputs.request_for(prediction, output)
        return self._transports.fetcher.stream(
            request.output, part, loopback=request.loopback, credential=request.credential
        )


def _source_of(output: Output) -> OutputSource:
    if output.source is None:
        fault = InputFault("output", output, "must be one of the outputs of a prediction")
        raise InputError.of("The output cannot be read", [fault])
    return output.source
