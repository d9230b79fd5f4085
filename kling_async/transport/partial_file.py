"""Partial downloads: under a temporary name until complete, and never over another file.

An output is written to `KEY-0.part`. Beside it `KEY-0.part.json` keeps the validator and the length that the server
declared, so that a broken download is resumed, in this run or a later one (RFC 9110, 13.1.5 and 14). It is flushed and
renamed only if the length is right and the first bytes are those of an image or a video.
"""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import anyio.to_thread
from attrs import evolve, frozen

from ..system.files import fsync_directory
from ..types.errors import DownloadError, InputError, InputFault
from ..types.media import SNIFF_LENGTH, MediaType, is_complete, sniff
from ..types.provenance import Provenance
from .embedding import embed, same_content

__all__ = ["DownloadState", "PartialFile", "decode_data_uri", "ensure_writable"]


@frozen
class DownloadState:
    """The progress of a download.

    Attributes:
        size: bytes on disk.
        validator: the strong ETag or the date that the server sent, for If-Range.
        length: bytes of the complete file, where the server declared them.
    """

    size: int = 0
    validator: str | None = None
    length: int | None = None


def ensure_writable(directory: Path) -> None:
    """Create a directory, and test that it is writable. Raises InputError if it is not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".kling-async-"):
            pass
    except OSError as error:
        fault = InputFault("directory", str(directory), f"cannot be written: {error.strerror or error}")
        raise InputError.of("The files cannot be saved", [fault]) from error


def decode_data_uri(url: str) -> bytes:
    """Return the bytes of a data URI. Raises DownloadError if it is malformed."""
    try:
        return base64.b64decode(url.partition(",")[2], validate=False)
    except ValueError as error:
        raise DownloadError("The output's data URI cannot be decoded") from error


class PartialFile:
    """A partial download. Its methods block on the disk for a moment; flushing and renaming run in a thread."""

    every = 1 << 20
    """Bytes after which a download lets other work of its task go on."""

    def __init__(self, directory: Path, stem: str) -> None:
        self.directory = directory
        self.stem = stem
        self.path = directory / f"{stem}.part"
        self._state_path = directory / f"{stem}.part.json"
        self._file: io.FileIO | None = None
        self._source = ""
        self.state = DownloadState()

    def open(self, *, source: str) -> None:
        """Open the file, and keep its content if an earlier attempt at the same source left any."""
        # Not through a planted link, and not over a foreign file.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = io.FileIO(os.open(self.path, flags, 0o666), "r+")
        self._source = source
        self.state = self._load_state()
        if not self.state.size:
            self.restart()

    def _load_state(self) -> DownloadState:
        try:
            fields = json.loads(self._state_path.read_bytes())
            validator, length = fields["validator"], fields["length"]
            if fields["source"] != self._source or not isinstance(validator, str) or not isinstance(length, int | None):
                return DownloadState()
        except (OSError, ValueError, KeyError, TypeError):
            return DownloadState()
        size = self._opened.seek(0, os.SEEK_END)
        return DownloadState(size, validator, length) if length is None or size <= length else DownloadState()

    def restart(self, *, validator: str | None = None, length: int | None = None) -> None:
        """Empty the file, and keep what the server declares of the complete one."""
        self._opened.truncate(0)
        self.state = DownloadState(0, validator, length)
        if validator is None:
            self._state_path.unlink(missing_ok=True)
            return
        fields = {"source": self._source, "validator": validator, "length": length}
        self._state_path.write_text(json.dumps(fields), encoding="utf-8")

    def expect(self, length: int | None) -> None:
        """Set the length of the complete file, where it was unknown."""
        self.state = evolve(self.state, length=length)

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        self._opened.seek(self.state.size)
        view = memoryview(piece)
        while view:
            view = view[self._opened.write(view) :]
        self.state = evolve(self.state, size=self._opened.tell())

    @property
    def _opened(self) -> io.FileIO:
        if self._file is None:
            raise RuntimeError("the partial file is not open")
        return self._file

    def _read(self, offset: int, size: int) -> bytes:
        self._opened.seek(max(0, offset))
        return self._opened.read(size)

    async def finish(self, *, overwrite: bool, embedded: Provenance | None = None) -> Path:
        """Check the file, flush it to the disk and rename it to its final name, which is returned.

        Args:
            overwrite: replace an existing file of that name.
            embedded: provenance to embed in the file, where that is safe.

        Raises:
            DownloadError: it is no image or video, it is truncated, or another file has its name.
        """
        media = sniff(self._read(0, SNIFF_LENGTH))
        if media is None:
            raise DownloadError("The output is neither an image nor a video")
        if self.state.length is None and not is_complete(media, self._read, self.state.size):
            raise DownloadError("The output is truncated, or its end cannot be verified")
        return await anyio.to_thread.run_sync(partial(self._rename, media, overwrite=overwrite, embedded=embedded))

    def _rename(self, media: MediaType, *, overwrite: bool, embedded: Provenance | None) -> Path:
        final = self.directory / f"{self.stem}{media.suffix}"
        if embedded is not None:
            # Its bytes are no longer those of the server, so that a download could not go on after them.
            self._state_path.unlink(missing_ok=True)
            embed(self._opened, embedded)
        os.fsync(self._opened.fileno())
        if overwrite:
            self.path.replace(final)
        else:
            self._link(final)
        self._state_path.unlink(missing_ok=True)
        fsync_directory(self.directory)
        return final

    def _link(self, final: Path) -> None:
        """Rename atomically unless the name is taken; a file of that name with the same content is accepted."""
        try:
            os.link(self.path, final)
        except FileExistsError:
            if final.is_symlink() or not same_content(self.path, final):
                raise DownloadError(
                    "Another file has the output's name",
                    path=str(final),
                    advice="Pass overwrite=True to replace it, or download into another directory.",
                ) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS) or final.exists():
                raise
            # A file system without links cannot rename exclusively, so the name was checked just before.
            self.path.rename(final)
            return
        self.path.unlink()

    def close(self) -> None:
        """Close the file, and remove it if it cannot be resumed."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self.state.validator is None:
            self.path.unlink(missing_ok=True)
