"""Where the files of predictions are saved: in a directory, or in an object store."""

from __future__ import annotations

import os.path
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio.to_thread
from attrs import field, frozen

from ..system.files import atomic_write
from ..system.threads import ThreadPool
from ..transport.credentials import Credential
from ..transport.embedding import StreamInspector, facts_of, inspect_file
from ..transport.object_errors import StorageError
from ..transport.object_saver import PIECE, save_object
from ..transport.object_store import ObjectStore, open_store
from ..transport.object_urls import is_store_url, is_url
from ..transport.partial_file import ensure_writable
from ..transport.stream_part import StreamPart
from ..types.errors import DownloadError, InputError, InputFault
from ..types.prediction import Output
from ..types.provenance import FileFacts
from .saved_files import SavedFile, Saving

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.fetcher import OutputFetcher

__all__ = [
    "Destination",
    "DirectoryDestination",
    "OutputRequest",
    "StoreDestination",
    "destination_at",
]

T = TypeVar("T")

_FILES: Final = 4
"""Files of a batch that are saved at once: they cost neither money nor API budget, only the user's bandwidth."""
_OBJECTS: Final = 8
"""Objects: while one half is fetched, which one host permits four times at once, the other is written."""
_MAX_SIDECAR: Final = 16 * 1024 * 1024
"""Bytes of a sidecar that are read; a prompt has at most 166,000 characters."""


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

    async def save(
        self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool, provenance: Saving
    ) -> SavedFile:
        """Save an output as `stem` with the suffix of its detected type. Raises DownloadError."""
        ...

    async def inspect(self, name: str) -> FileFacts:
        """Return the facts of a file, which is read once. Raises DownloadError."""
        ...

    async def read_sidecar(self, name: str) -> bytes | None:
        """Return what a sidecar holds, at most 16 MiB of it; None if there is none. Raises DownloadError."""
        ...

    async def write_sidecar(self, name: str, content: bytes) -> None:
        """Write a sidecar atomically, in place of another one. Raises DownloadError."""
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

    async def save(
        self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool, provenance: Saving
    ) -> SavedFile:
        path = await fetcher.save(
            request.output,
            self.path,
            stem,
            overwrite=overwrite,
            loopback=request.loopback,
            credential=request.credential,
            embedded=provenance.embedded,
        )
        if not provenance.inspects:
            return SavedFile(path, path.name)
        facts = await self.inspect(path.name)
        return SavedFile(path, path.name, facts.sha256, facts)

    async def inspect(self, name: str) -> FileFacts:
        return await self._run(name, inspect_file)

    async def read_sidecar(self, name: str) -> bytes | None:
        return await self._run(name, _read_start)

    async def write_sidecar(self, name: str, content: bytes) -> None:
        await self._run(name, lambda path: _write(path, content))

    async def _run(self, name: str, function: Callable[[Path], T]) -> T:
        """Run a function of a path in a thread. Raises DownloadError instead of OSError."""
        path = self.path / name
        try:
            return await anyio.to_thread.run_sync(function, path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DownloadError(f"The provenance of a file cannot be saved: {reason}", path=str(path)) from error


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

    async def save(
        self, fetcher: OutputFetcher, request: OutputRequest, stem: str, *, overwrite: bool, provenance: Saving
    ) -> SavedFile:
        """Save an output as an object. Nothing is embedded: whether that is safe is known after its last byte only."""
        part, inspector = StreamPart(restartable=True, every=PIECE), StreamInspector() if provenance.inspects else None
        received = fetcher.stream(request.output, part, loopback=request.loopback, credential=request.credential)
        try:
            async with aclosing(received) as chunks, aclosing(_inspected(chunks, part, inspector)) as pieces:
                with self._threads.acquire() as thread:
                    saved = await save_object(pieces, part, self.store, stem, overwrite=overwrite, thread=thread)
        finally:
            part.close()
        facts = None if inspector is None else inspector.facts(saved.sha256)
        return SavedFile(self.store.url_of(saved.name), saved.name, saved.sha256, facts)

    async def inspect(self, name: str) -> FileFacts:
        return await self._asked(name, lambda: facts_of(self.store.read(name)))

    async def read_sidecar(self, name: str) -> bytes | None:
        def read() -> bytes | None:
            size = self.store.size_of(name)
            return None if size is None else b"".join(self.store.read(name)) if size < _MAX_SIDECAR else b""

        return await self._asked(name, read)

    async def write_sidecar(self, name: str, content: bytes) -> None:
        await self._asked(name, lambda: self.store.put(name, content, mime="application/json"))

    async def _asked(self, name: str, function: Callable[[], T]) -> T:
        try:
            return await self._run(function)
        except StorageError as error:
            message = f"The provenance of an object cannot be saved: {error}"
            raise DownloadError(message, path=self.store.url_of(name)) from error

    async def _run(self, function: Callable[[], T]) -> T:
        """Run a function that blocks; a store that does not answer keeps no program from ending."""
        with self._threads.acquire() as thread:
            return await thread.run(function)


async def _inspected(
    chunks: AsyncIterator[bytes], part: StreamPart, inspector: StreamInspector | None
) -> AsyncGenerator[bytes]:
    """Pass on the bytes of an output, and let each of them be seen."""
    restarts = part.restarts
    async for chunk in chunks:
        if inspector is not None:
            if part.restarts != restarts:
                restarts = part.restarts
                inspector.restart()
            inspector.feed(chunk)
        yield chunk


def _read_start(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_SIDECAR)
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content.decode())


def destination_at(place: str | Path, *, name: str) -> Destination:
    """Return the destination at a path, or at the URL of an object store.

    Args:
        place: the path or the URL.
        name: that of the parameter, for errors.

    Raises:
        InputError: the URL is wrong, or the extra `storage` is not installed.
    """
    if is_url(place):  # of another scheme it is refused, and no directory is made by that name
        return StoreDestination(open_store(place))
    if isinstance(place, Path) and place.parts[:1] and is_store_url(f"{place.parts[0]}//"):
        # A path has lost a slash of the URL, and would be a directory of that name.
        fault = InputFault(name, str(place), "must be a str to be the URL of an object store")
        raise InputError.of("Wrong setting", [fault])
    return DirectoryDestination(Path(place))
