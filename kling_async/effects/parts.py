"""Files in the making: under a temporary name until they are whole, and never over another file.

An output goes to `KEY-0.part`, beside `KEY-0.part.json`, which notes the validator and the length the server declared,
so that a broken download goes on where it stopped, in this run or a later one (RFC 9110, 13.1.5 and 14). Only when the
length holds and the first bytes are an image or a video is it flushed and given its name.
"""

from __future__ import annotations

import base64
import errno
import filecmp
import io
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import anyio.to_thread
from attrs import evolve, frozen

from ..errors import DownloadError, InputError, InputFault
from ..media import SNIFFED_BYTES, MediaType, ends_whole, sniff
from .disk import flush_directory

__all__ = ["Part", "Progress", "check_directory", "data_of"]


@frozen
class Progress:
    """How far a download is.

    Attributes:
        size: bytes on disk.
        validator: the strong ETag or the date that the server gave, for If-Range.
        length: bytes the whole has, where the server declared it.
    """

    size: int = 0
    validator: str | None = None
    length: int | None = None


def check_directory(directory: Path) -> None:
    """Make a directory, and try to write into it. Raises InputError if that fails."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".kling-async-"):
            pass
    except OSError as error:
        fault = InputFault("directory", str(directory), f"cannot be written: {error.strerror or error}")
        raise InputError.of("No place for the files", [fault]) from error


def data_of(url: str) -> bytes:
    """Return the bytes of a data URI. Raises DownloadError if it holds none."""
    try:
        return base64.b64decode(url.partition(",")[2], validate=False)
    except ValueError as error:
        raise DownloadError("The output's data URI cannot be decoded") from error


class Part:
    """A file in the making. Its methods block on the disk for a moment; flushing and naming happen in a thread."""

    def __init__(self, directory: Path, stem: str) -> None:
        self.directory = directory
        self.stem = stem
        self.path = directory / f"{stem}.part"
        self._notes = directory / f"{stem}.part.json"
        self._file: io.FileIO | None = None
        self._source = ""
        self.progress = Progress()

    def open(self, *, source: str) -> None:
        """Open the file, going on with what an earlier try for the same source left."""
        # Not through a planted link, and not over what is not ours.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = io.FileIO(os.open(self.path, flags, 0o666), "r+")
        self._source = source
        self.progress = self._noted()
        if not self.progress.size:
            self.restart()

    def _noted(self) -> Progress:
        try:
            notes = json.loads(self._notes.read_bytes())
            validator, length = notes["validator"], notes["length"]
            if notes["source"] != self._source or not isinstance(validator, str) or not isinstance(length, int | None):
                return Progress()
        except (OSError, ValueError, KeyError, TypeError):
            return Progress()
        size = self._opened.seek(0, os.SEEK_END)
        return Progress(size, validator, length) if length is None or size <= length else Progress()

    def restart(self, *, validator: str | None = None, length: int | None = None) -> None:
        """Empty the file, and note what the server says of the whole."""
        self._opened.truncate(0)
        self.progress = Progress(0, validator, length)
        if validator is None:
            self._notes.unlink(missing_ok=True)
            return
        notes = {"source": self._source, "validator": validator, "length": length}
        self._notes.write_text(json.dumps(notes), encoding="utf-8")

    def expect(self, length: int | None) -> None:
        """Learn how long the whole is, where it was not known before."""
        self.progress = evolve(self.progress, length=length)

    def write(self, piece: bytes) -> None:
        """Add bytes at the end."""
        self._opened.seek(self.progress.size)
        view = memoryview(piece)
        while view:
            view = view[self._opened.write(view) :]
        self.progress = evolve(self.progress, size=self._opened.tell())

    @property
    def _opened(self) -> io.FileIO:
        if self._file is None:
            raise RuntimeError("the part is not open")
        return self._file

    def _read(self, offset: int, size: int) -> bytes:
        self._opened.seek(max(0, offset))
        return self._opened.read(size)

    async def finish(self, *, overwrite: bool) -> Path:
        """Check the file, flush it to the disk and give it its name.

        Raises:
            DownloadError: it is no image or video, it is cut short, or another file has its name.
        """
        media = sniff(self._read(0, SNIFFED_BYTES))
        if media is None:
            raise DownloadError("The output is neither an image nor a video")
        if self.progress.length is None and not ends_whole(media, self._read, self.progress.size):
            raise DownloadError("The output is cut short, or does not say where it ends")
        return await anyio.to_thread.run_sync(partial(self._name, media, overwrite=overwrite))

    def _name(self, media: MediaType, *, overwrite: bool) -> Path:
        final = self.directory / f"{self.stem}{media.suffix}"
        os.fsync(self._opened.fileno())
        if overwrite:
            self.path.replace(final)
        else:
            self._link(final)
        self._notes.unlink(missing_ok=True)
        flush_directory(self.directory)
        return final

    def _link(self, final: Path) -> None:
        """Give the file its name unless that is taken, in one step; the same bytes under it are as good."""
        try:
            os.link(self.path, final)
        except FileExistsError:
            if final.is_symlink() or not filecmp.cmp(self.path, final, shallow=False):
                raise DownloadError(
                    "Another file has the output's name",
                    path=str(final),
                    advice="Pass overwrite=True to replace it, or download into another directory.",
                ) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS) or final.exists():
                raise
            # A file system without links: no step of it can refuse a taken name, so it was looked for just before.
            self.path.rename(final)
            return
        self.path.unlink()

    def close(self) -> None:
        """Close the file; what cannot be gone on with is removed."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self.progress.validator is None:
            self.path.unlink(missing_ok=True)
