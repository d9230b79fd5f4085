"""Bring the media of jobs to one provider account, by the first way that there is, before anything is paid.

Theory of operation. A job whose media are not at the provider yet is kept out of the queue: it takes no slot and no
token of the rate, and its intent is not written down. An upload costs nothing, so that it is tried again; one content
is uploaded once, while other jobs that need it wait. When a job is submitted, `on_the_wire` puts addresses, or base64,
in the place of its media. The job itself keeps what it was given.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Final

import anyio.to_thread
from attrs import frozen

from ..providers import Provider
from ..scheduling.notifications import copy_error
from ..scheduling.retry import backoff_delay
from ..system.clock import Clock, hold_clock
from ..transport.host_limits import HostLimiter
from ..types.errors import (
    InputError,
    InputFault,
    KlingError,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    UnexpectedReply,
)
from ..types.events import UploadProgress
from ..types.http import HttpResponse
from ..types.inputs import Input
from ..types.media_values import Media, MediaFile, file_of, is_local, media_in, with_media
from ..types.prediction import Output
from ..types.storage import MediaStorage
from ..types.uploads import UploadTicket
from .chained_outputs import ChainedOutputs
from .media_library import MediaLibrary
from .media_reader import content_of, pieces_of

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.uploads import UploadTransport

__all__ = ["Report", "Uploads"]

Report = Callable[[UploadProgress], bool]
"""Takes the progress of an upload, and returns whether the upload is still wanted."""

_ATTEMPTS: Final = 4
_AT_ONCE: Final = 4
"""Contents of one account that are uploaded at the same time: more would share the same bandwidth."""
_PRESIGNED_SECONDS: Final = 86_400.0
"""Seconds for which an address in the user's bucket is valid: a provider may let a job wait before it fetches."""
_REPORT_BYTES: Final = 1_000_000
"""Bytes after which an upload is reported again."""
_REFUSED_FOR_GOOD: Final = (400, 411, 413, 415)
"""HTTP statuses by which a place refuses the content itself. Others may be about a ticket that has expired."""


class Uploads:
    """The media of one provider account.

    Args:
        provider: says which ways there are, and how its upload is begun.
        account: names the account among those that contents were uploaded to.
        transport: carries the uploads.
        library: knows what was uploaded before.
        outputs: gives outputs of other predictions fresh addresses.
        storage: the user's bucket, or None.
        clock: time and randomness.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        account: str,
        transport: UploadTransport,
        library: MediaLibrary,
        outputs: ChainedOutputs,
        storage: MediaStorage | None,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._account = account
        self._transport = transport
        self._library = library
        self._outputs = outputs
        self._storage = storage
        self._clock = clock
        self._ways = provider.ways(storage=storage is not None)
        self._one_each = HostLimiter(1)
        self._at_once = anyio.Semaphore(_AT_ONCE)
        self._failures: dict[str, tuple[float, KlingError]] = {}

    def is_ready(self, input: Input) -> bool:
        """Return whether a job may be queued: its media are at the provider, or go with the submission."""
        return all(self._is_there(media) for _, media in media_in(input))

    def _is_there(self, media: Media) -> bool:
        if isinstance(media, Output):
            return self._outputs.is_ready(media)
        if not is_local(media):
            return True
        file = file_of(media)
        if file is None:
            return True
        return self._ways[file.kind] == "inline" or self._known_address(file) is not None

    async def prepare(self, input: Input, report: Report) -> None:
        """Bring the media of an input to the provider, as far as they do not go with the submission.

        Raises:
            InputError: a file is gone or was changed, or the provider refuses it.
            NotSent: it could not be uploaded; nothing was submitted.
            KlingError: the account was refused.
        """
        for name, media in media_in(input):
            await self._place(name, media, report, inline=False)

    async def on_the_wire(self, input: Input) -> Input:
        """Return an input with addresses, or with base64, in the place of its media. Raises as `prepare` does."""
        placed: dict[str, Media] = {}
        for name, media in media_in(input):
            placed[name] = await self._place(name, media, _wanted, inline=True)
        return with_media(input, lambda name, _: placed[name]) if placed else input

    async def _place(self, name: str, media: Media, report: Report, *, inline: bool) -> Media:
        if isinstance(media, Output):
            media = await self._outputs.fresh(media)
        file = file_of(media) if is_local(media) else None
        if file is None:
            return media
        way = self._ways[file.kind]
        if way == "inline":
            return await self._inline(file) if inline else media
        if way is None:
            fault = InputFault(name, file.name, f"no way leads to {self._provider.title}")
            raise InputError.of("The media cannot be sent", [fault], provider=self._provider.name)
        return self._known_address(file) or await self._upload(file, report)

    async def _inline(self, file: MediaFile) -> str:
        with hold_clock(self._clock):
            return await anyio.to_thread.run_sync(lambda: self._provider.inline_media(content_of(file)))

    def _known_address(self, file: MediaFile) -> str | None:
        return self._library.address(self._place_of(file), file)

    def _place_of(self, file: MediaFile) -> str:
        return self._account if self._ways[file.kind] == "upload" else "storage"

    # One content.

    async def _upload(self, file: MediaFile, report: Report) -> str:
        """Upload a content, unless another job has done so meanwhile, and return its address."""
        since = self._clock.now()
        async with self._one_each.acquire(file.sha256):
            if (known := self._known_address(file)) is not None:
                return known
            at, failure = self._failures.get(file.sha256, (since, None))
            if failure is not None and at > since:
                raise _of_another(failure)
            async with self._at_once:
                try:
                    return await self._try_often(file, report)
                except KlingError as error:
                    self._failures[file.sha256] = (self._clock.now(), error)
                    raise

    async def _try_often(self, file: MediaFile, report: Report) -> str:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._once(file, report)
            except (ProviderUnavailable, RateLimited, UnexpectedReply) as error:
                if attempt == _ATTEMPTS:
                    raise self._not_uploaded(file, error) from None
                await self._clock.sleep(backoff_delay(error, failures=attempt, random=self._clock.random()))
        raise RuntimeError("the last attempt returns or raises")

    async def _once(self, file: MediaFile, report: Report) -> str:
        content = _Content(file, report, self._clock)
        content.tell(0)
        if self._place_of(file) == "storage":
            return await self._store(file, content)
        request = self._provider.build_upload(file)
        if request is None:
            raise RuntimeError(f"{self._provider.name} has the capability, and no upload")
        found = self._parse(await self._transport.begin(request, content), file)
        if isinstance(found, UploadTicket):
            self._check_put(await self._transport.put(found, content), file)
            found = found.address
        await self._library.keep(self._account, file, found, seconds=self._provider.upload_seconds)
        return found

    async def _store(self, file: MediaFile, content: _Content) -> str:
        if self._storage is None:
            raise RuntimeError("there is no bucket")
        with hold_clock(self._clock):
            await self._storage.put(file.upload_name, pieces_of(file), mime=file.mime)
            address = await self._storage.presign(file.upload_name, _PRESIGNED_SECONDS)
        content.tell(file.size)
        await self._library.keep("storage", file, address, seconds=_PRESIGNED_SECONDS)
        return address

    def _parse(self, response: HttpResponse, file: MediaFile) -> UploadTicket | str:
        try:
            return self._provider.parse_upload(response, file)
        except UnexpectedReply as error:
            error.excerpt = ""  # a ticket is as good as a key
            raise
        except KlingError as error:
            if response.status in _REFUSED_FOR_GOOD:
                error.message = f"The upload of {file.name} was refused: {error.message}"
            raise

    def _check_put(self, response: HttpResponse, file: MediaFile) -> None:
        if response.is_success:
            return
        if response.status in _REFUSED_FOR_GOOD:
            fault = InputFault("media", file.name, f"was refused where it was put (HTTP {response.status})")
            raise InputError.of("The media cannot be uploaded", [fault], provider=self._provider.name)
        message = f"The place for {file.name} answered HTTP {response.status}"
        raise ProviderUnavailable(message, provider=self._provider.name, http_status=response.status)

    def _not_uploaded(self, file: MediaFile, error: KlingError) -> NotSent:
        message = f"{file.name} could not be uploaded in {_ATTEMPTS} attempts: {error.message}"
        advice = "Nothing was submitted, and an upload costs nothing; run it again later."
        return NotSent(message, reason="upload", provider=self._provider.name, advice=advice)


@frozen
class _Content:
    """A content that is read in a thread, and reports how far it is."""

    file: MediaFile
    report: Report
    clock: Clock

    @property
    def length(self) -> int:
        return self.file.size

    def tell(self, sent: int) -> None:
        if not self.report(UploadProgress(name=self.file.name, sent=sent, size=self.file.size)):
            raise NotSent("The upload was given up, since no caller waits for it any more", reason="stopped")

    async def pieces(self) -> AsyncGenerator[bytes]:
        pieces, sent, reported = pieces_of(self.file), 0, 0
        while True:
            with hold_clock(self.clock):
                piece = await anyio.to_thread.run_sync(next, pieces, b"")
            if not piece:
                return
            yield piece
            sent += len(piece)
            if sent - reported >= _REPORT_BYTES or sent == self.file.size:
                reported = sent
                self.tell(sent)


def _wanted(_: UploadProgress) -> bool:
    return True


def _of_another(error: KlingError) -> KlingError:
    """Return the error that another job met with the same content."""
    other = copy_error(error)
    other.key = None
    return other
