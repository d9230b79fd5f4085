"""Provenance in files: embedded where that is safe, and left out where two files are compared."""

from __future__ import annotations

import filecmp
import hashlib
import io
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from ..types.media import SNIFF_LENGTH, sniff
from ..types.media_scan import MediaScanner, scan_file
from ..types.provenance import FileFacts, Provenance, embedding

__all__ = ["StreamInspector", "embed", "facts_of", "inspect_file", "same_content"]

_PIECE: Final = 1 << 20
_TAIL: Final = 64
"""Bytes after the place of an insertion: none, or a PNG's last chunk."""


def embed(file: io.FileIO, record: Provenance) -> bool:
    """Embed provenance in a file, and return whether that was done. No byte of the file moves but its last 12.

    A file that has a C2PA credential, XMP of its own or an unknown structure is left as it is: what signs or describes
    a file would no longer be true of it.
    """
    read = partial(_read, file)
    media, found = sniff(read(0, SNIFF_LENGTH)), scan_file(read)
    if media is None or found.insert_at is None or not (added := embedding(record, media)):
        return False
    content = memoryview(added + read(found.insert_at, _TAIL))
    file.seek(found.insert_at)
    while content:
        content = content[file.write(content) :]
    return True


def inspect_file(path: Path) -> FileFacts:
    """Return the facts of a file, which is read once. Raises OSError."""
    with path.open("rb") as file:
        return facts_of(iter(partial(file.read, _PIECE), b""))


def facts_of(pieces: Iterable[bytes]) -> FileFacts:
    """Return the facts of a file by its pieces."""
    digest, inspector = hashlib.sha256(), StreamInspector()
    for piece in pieces:
        digest.update(piece)
        inspector.feed(piece)
    return inspector.facts(digest.hexdigest())


class StreamInspector:
    """Finds the facts of a file while it is passed on; its SHA-256 is found by what receives it."""

    def __init__(self) -> None:
        self._scanner, self._size = MediaScanner(), 0

    def feed(self, piece: bytes) -> None:
        """Add the next bytes."""
        self._scanner.feed(piece)
        self._size += len(piece)

    def restart(self) -> None:
        """Begin again with the first byte."""
        self._scanner, self._size = MediaScanner(), 0

    def facts(self, sha256: str) -> FileFacts:
        """Return the facts, after the last byte."""
        found = self._scanner.finish()
        return FileFacts(sha256=sha256, size=self._size, c2pa=found.c2pa, embedded=found.embedded is not None)


def same_content(one: Path, other: Path) -> bool:
    """Return whether two files are equal but for provenance that is embedded in either. Raises OSError."""
    return filecmp.cmp(one, other, shallow=False) or _digest(one) == _digest(other)


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        for piece in _without_embedding(file):
            digest.update(piece)
    return digest.digest()


def _without_embedding(file: io.FileIO) -> Iterator[bytes]:
    start, end = scan_file(partial(_read, file)).embedded or (0, 0)
    file.seek(0)
    while file.tell() < start and (piece := file.read(min(_PIECE, start - file.tell()))):
        yield piece
    file.seek(end)
    while piece := file.read(_PIECE):
        yield piece


def _read(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
