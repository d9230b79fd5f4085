"""Read local media once, before their job is planned: whether they are there, what they are, and their hash.

Everything here blocks on the disk, and nothing is sent.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.media_headers import HEADER_LENGTH, InputType, detect_type
from ..types.media_measures import measure
from ..types.media_values import Media, MediaFile, file_of, is_local, media_in, show_media, with_media

__all__ = ["PIECE", "KnownFiles", "content_of", "needs_reading", "pieces_of", "read_file", "read_media"]

PIECE: Final = 256 * 1024
"""Bytes that are read at once."""


class KnownFiles(Protocol):
    """What earlier reads found, in this run or in those before it."""

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        """Return what a file was found to be; None if it is unknown, or was changed since. No size: it is gone."""
        ...

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        """Keep what a file was found to be."""
        ...


def needs_reading(input: Input) -> bool:
    """Return whether an input has local media that were not read, or not checked, yet."""
    return any(is_local(one) and not isinstance(one, MediaFile) for _, one in media_in(input))


def read_media(input: Input, known: KnownFiles, *, key: str | None = None) -> Input:
    """Return an input whose files and bytes are read; a file that an earlier run has read may be gone.

    Raises:
        InputError: a file is missing, no file, not readable or of no known type. It has every fault found.
    """
    faults: list[InputFault] = []

    def read(name: str, media: Media) -> Media:
        try:
            return _read(name, media, known)
        except InputError as error:
            faults.extend(error.faults)
            return media

    made = with_media(input, read)
    if faults:
        raise InputError.of("The media cannot be used", faults, key=key)
    return made


def _read(name: str, media: Media, known: KnownFiles) -> Media:
    if isinstance(media, Path):
        return read_file(name, media, known)
    try:
        found = file_of(media)
    except ValueError as error:
        raise _fault(name, show_media(media)[:80], str(error)) from None
    # The text of a data: URI stays, since it is what counts.
    return media if found is None or isinstance(media, str) else found


def read_file(name: str, given: Path, known: KnownFiles) -> MediaFile:
    """Return what a file is; `name` is the field that has it. Raises InputError as `read_media` does."""
    try:
        path = given.expanduser().absolute()
    except RuntimeError as error:
        raise _fault(name, given, f"cannot be found: {error}") from None
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise _fault(name, given, "is a directory, not a file" if path.is_dir() else "is not a regular file")
        if (found := known.find(path, facts.st_size, facts.st_mtime_ns)) is not None:
            os.close(os.open(path, os.O_RDONLY))  # it may have become unreadable, which its times do not tell
            return found
        with path.open("rb") as file:
            found = _inspect(name, path, file)
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        if (found := known.find(path, None, None)) is not None:
            return found  # a job that has finished needs none of its media again
        raise _fault(name, given, "does not exist") from None
    except OSError as error:
        raise _fault(name, given, f"cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:  # a null character
        raise _fault(name, given, "is no possible path") from None
    known.remember(path, facts.st_mtime_ns, found)
    return found


def _inspect(name: str, path: Path, file: BinaryIO) -> MediaFile:
    head = file.read(HEADER_LENGTH)
    kind = _type_of(name, head, path)
    digest, size = hashlib.sha256(head), len(head)
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    measures = measure(lambda at, length: _read_at(file, at, length), size)
    return MediaFile(
        name=path.name,
        sha256=digest.hexdigest(),
        size=size,
        mime=kind.mime,
        width=measures.width,
        height=measures.height,
        seconds=measures.seconds,
        source=path,
    )


def _read_at(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _type_of(name: str, head: bytes, shown: object) -> InputType:
    if not head:
        raise _fault(name, shown, "is empty")
    kind = detect_type(head)
    if kind is None:
        raise _fault(name, shown, f"is no image, video or audio of a known type: it begins with {head[:8]!r}")
    return kind


def _fault(name: str, shown: object, problem: str) -> InputError:
    text = str(shown) if isinstance(shown, Path) else shown
    return InputError.of("The media cannot be used", [InputFault(name, text, problem)])


def pieces_of(media: MediaFile) -> Iterator[bytes]:
    """Yield the content of media, piece by piece, after verifying that it is still the one that was read.

    The last piece is yielded only if the hash of all is right.

    Raises:
        InputError: the file is gone, cannot be read, or was changed since it was read.
    """
    if media.source is None:
        raise _gone(media, "is known by its hash only: give the file again")
    if isinstance(media.source, bytes):
        yield from (media.source[at : at + PIECE] for at in range(0, len(media.source), PIECE))
        return
    try:
        with media.source.open("rb") as file:
            yield from _verified(media, file)
    except FileNotFoundError:
        raise _gone(media, "is gone since it was read, and its job is not submitted yet") from None
    except OSError as error:
        raise _gone(media, f"cannot be read: {error.strerror or type(error).__name__}") from None


def _verified(media: MediaFile, file: BinaryIO) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), media.size
    while left:
        piece = file.read(min(PIECE, left))
        digest.update(piece)
        left -= len(piece)
        is_last = not left and not file.read(1)
        if not piece or (not left and (not is_last or digest.hexdigest() != media.sha256)):
            raise _gone(media, "was changed since it was read, and its job is not submitted yet")
        yield piece


def _gone(media: MediaFile, problem: str) -> InputError:
    place = str(media.source) if isinstance(media.source, Path) else media.name
    return InputError.of("The media cannot be sent", [InputFault("media", place, problem)])


def content_of(media: MediaFile) -> bytes:
    """Return the whole content of media. Raises InputError as `pieces_of` does."""
    return media.source if isinstance(media.source, bytes) else b"".join(pieces_of(media))
