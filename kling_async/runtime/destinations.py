"""Where the files of predictions are saved: in a directory, or in an object store."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio.to_thread
from attrs import field, frozen

from ..system.threads import ThreadPool
from ..transport.credentials import Credential
from ..transport.fetcher import OutputFetcher
from ..transport.object_errors import StorageError
from ..transport.object_saver import PIECE, save_object
from ..transport.object_store import ObjectStore, open_store
from ..transport.object_urls import is_store_url
from ..transport.partial_file import ensure_writable
from ..transport.stream_part import StreamPart
from ..types.errors import DownloadError, InputError, InputFault
from ..types.prediction import Output

__all__ = ["Destination", "DirectoryDestination", "OutputRequest", "SavedFile", "StoreDestination", "destination_at"]

T = TypeVar("T")

_FILES: Final = 4
"""Files of a batch that are saved at once: they cost neither money nor API budget, only the user's bandwidth."""
_OBJECTS: Final = 8
"""Objects: while one half is fetched, which one host permits four times at once, the other is written."""


@frozen
class SavedFile:
    """A file that was saved: where it is, its name there, and the SHA-256 of its bytes where it is an object."""

    location: Path | str
    name: str
    sha256: str | None = None


@frozen(kw_only=True)
class OutputRequest:
    """How an output is asked for: its URL, the API key that it needs, and whether it may be on this machine."""

    output: Output
    credential: Credential | None
    loopback: bool


class Destination(Protocol):
    """A place for files."""

    @property
    def width(self) -> int:
        """How many predictions a batch saves there at once."""
        ...

    async def check(self) -> None:
        """Check that files can be saved there. Raises InputError."""
        ...

    async def prepare(self) -> None:
        """Do what must be done before files are saved. Raises DownloadError."""
        ...

    def place_of(self, stem: str) -> str:
        """Return the identity of the place of one prediction's files, over all ways in which it may be written."""
        ...

    async def find(self, names: Sequence[str]) -> list[Path | str] | None:
        """Return where files of these names are; None if one is missing. Raises DownloadError."""
        ...

    async def save(self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool) -> SavedFile:
        """Save an output as `stem` with the suffix of its detected type. Raises DownloadError."""
        ...


@frozen
class DirectoryDestination:
    """A directory, which is created if it is missing."""

    path: Path

    @property
    def width(self) -> int:
        return _FILES

    async def check(self) -> None:
        await anyio.to_thread.run_sync(ensure_writable, self.path)

    async def prepare(self) -> None:
        try:
            await self.check()
        except InputError as error:
            raise DownloadError(f"{error.message}: {error.faults[0]}", path=str(self.path)) from error

    def place_of(self, stem: str) -> str:
        return os.path.realpath(self.path / stem)

    async def find(self, names: Sequence[str]) -> list[Path | str] | None:
        found = [self.path / name for name in names]
        return [*found] if all(path.is_file() for path in found) else None

    async def save(self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool) -> SavedFile:
        path = await fetcher.save(
            request.output,
            self.path,
            stem,
            overwrite=overwrite,
            loopback=request.loopback,
            credential=request.credential,
        )
        return SavedFile(path, path.name)


@frozen
class StoreDestination:
    """An object store."""

    store: ObjectStore
    _threads: ThreadPool = field(factory=lambda: ThreadPool(name="kling_async object store", keep=_OBJECTS), repr=False)

    @property
    def width(self) -> int:
        return _OBJECTS

    async def check(self) -> None:
        try:
            await self._run(self.store.check)
        except StorageError as error:
            fault = InputFault("save_to", self.store.url, f"cannot be written: {error}")
            raise InputError.of("The files cannot be saved", [fault]) from error

    async def prepare(self) -> None:
        """Do nothing: a bucket is not created, and writing into it shows whether it takes anything."""

    def place_of(self, stem: str) -> str:
        return self.store.url_of(stem)

    async def find(self, names: Sequence[str]) -> list[Path | str] | None:
        try:
            sizes = await self._run(lambda: [self.store.size_of(name) for name in names])
        except StorageError as error:
            message = f"The object store does not tell which objects it has: {error}"
            raise DownloadError(message, path=self.store.url) from error
        return None if None in sizes else [self.store.url_of(name) for name in names]

    async def save(self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool) -> SavedFile:
        part = StreamPart(restartable=True, every=PIECE)
        received = fetcher.stream(request.output, part, loopback=request.loopback, credential=request.credential)
        try:
            async with aclosing(received) as chunks:
                with self._threads.acquire() as thread:
                    saved = await save_object(chunks, part, self.store, stem, overwrite=overwrite, thread=thread)
        finally:
            part.close()
        return SavedFile(self.store.url_of(saved.name), saved.name, saved.sha256)

    async def _run(self, function: Callable[[], T]) -> T:
        """Run a function that blocks; a store that does not answer keeps no program from ending."""
        with self._threads.acquire() as thread:
            return await thread.run(function)


def destination_at(place: str | Path, *, name: str) -> Destination:
    """Return the destination at a path, or at the URL of an object store.

    Args:
        place: the path or the URL.
        name: that of the parameter, for errors.

    Raises:
        InputError: the URL is wrong, or the extra `storage` is not installed.
    """
    if is_store_url(place):
        return StoreDestination(open_store(place))
    if isinstance(place, Path) and place.parts[:1] and is_store_url(f"{place.parts[0]}//"):
        # A path has lost a slash of the URL, and would be a directory of that name.
        fault = InputFault(name, str(place), "must be a str to be the URL of an object store")
        raise InputError.of("Wrong setting", [fault])
    return DirectoryDestination(Path(place))
