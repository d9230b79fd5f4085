"""Media types by content, and file names by job key. A provider's text decides neither."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import frozen

from .prediction import OutputKind

__all__ = ["SNIFF_LENGTH", "MediaType", "ReadAt", "file_stem", "is_complete", "sniff"]

SNIFF_LENGTH: Final = 16
"""Leading bytes that `sniff` needs."""


@frozen
class MediaType:
    """A file type: its MIME type, its suffix, and whether it is an image or a video."""

    mime: str
    suffix: str
    kind: OutputKind


_PNG = MediaType("image/png", ".png", OutputKind.IMAGE)
_JPEG = MediaType("image/jpeg", ".jpg", OutputKind.IMAGE)
_GIF = MediaType("image/gif", ".gif", OutputKind.IMAGE)
_WEBP = MediaType("image/webp", ".webp", OutputKind.IMAGE)
_AVIF = MediaType("image/avif", ".avif", OutputKind.IMAGE)
_MP4 = MediaType("video/mp4", ".mp4", OutputKind.VIDEO)
_MOV = MediaType("video/quicktime", ".mov", OutputKind.VIDEO)
_WEBM = MediaType("video/webm", ".webm", OutputKind.VIDEO)


def sniff(head: bytes) -> MediaType | None:
    """Return a file's type by its first bytes; None if it is no known image or video."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if head.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _WEBP
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _WEBM
    if head[4:8] == b"ftyp":
        return {b"qt  ": _MOV, b"avif": _AVIF, b"avis": _AVIF}.get(head[8:12], _MP4)
    return None


_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
"""Device names on Windows, with any suffix."""


def file_stem(key: str) -> str:
    """Return a file name without suffix for a job's key, safe on every file system.

    A key that is such a name is unchanged. From any other, what is neither a letter of any script nor a digit is
    removed, and a hash of the key is appended, so that two keys never share a file. None begins with `-` or `.`.
    """
    if _PLAIN.fullmatch(key) and not _RESERVED.fullmatch(key):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_kept(key) or 'job'}_{digest}"


_MAX_KEPT: Final = 120
"""Bytes of a cleaned key: with hash and suffixes, most file systems take 255."""


def _kept(key: str) -> str:
    """Return the letters, marks and digits of a key, `_` in place of the rest, and no `-` at the beginning."""
    marked = "".join(one if _is_kept(one) else "\0" for one in unicodedata.normalize("NFC", key))
    kept = re.sub("\0+", "_", marked).strip("_").lstrip("_-")[:60]
    return kept.encode()[:_MAX_KEPT].decode(errors="ignore")


def _is_kept(one: str) -> bool:
    return one.isalnum() or one in "_-" or unicodedata.category(one).startswith("M")


ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Reads a file: called with an offset and a size, it returns at most that many bytes."""

_MAX_BOXES: Final = 10_000


def is_complete(media: MediaType, read: ReadAt, size: int) -> bool:
    """Return whether a file ends where its own structure says; for responses without a length."""
    if media is _PNG:
        return b"IEND" in read(size - 12, 12)
    if media is _JPEG:
        return read(size - 64, 64).rstrip(b"\0").endswith(b"\xff\xd9")
    if media is _GIF:
        return read(size - 64, 64).rstrip(b"\0").endswith(b";")
    if media is _WEBP:
        return int.from_bytes(read(4, 4), "little") + 8 <= size
    return _webm_end(size, read) if media is _WEBM else _mp4_end(size, read)


_HEADER, _SEGMENT = 0x1A45DFA3, 0x18538067


def _webm_end(size: int, read: ReadAt) -> bool:
    """Walk the elements of a WebM file (RFC 8794, 6 and 8; RFC 9559, 4.5).

    A segment that was written live may leave its size open. Cut between two clusters it has the same form, so such a
    file never proves that it is complete.
    """
    at, kinds = 0, list[int]()
    for _ in range(_MAX_BOXES):
        kind, id_bytes = _varint(read(at, 8), marked=True)
        length, size_bytes = _varint(read(at + id_bytes, 8), marked=False)
        if not id_bytes or not size_bytes or length == (1 << 7 * size_bytes) - 1:  # all ones: the size is open
            return False
        kinds.append(kind)
        at += id_bytes + size_bytes + length
        if at >= size:
            return at == size and kinds[0] == _HEADER and _SEGMENT in kinds
    return False


def _varint(data: bytes, *, marked: bool) -> tuple[int, int]:
    """Return a number of variable length and its width in bytes, 0 if it is malformed (RFC 8794, 4).

    Args:
        marked: whether the bit that marks the length is part of the number, as in an element's ID.
    """
    width = 9 - data[0].bit_length() if data and data[0] else 0
    if not 0 < width <= len(data):
        return 0, 0
    number = int.from_bytes(data[:width], "big")
    return (number if marked else number & ((1 << 7 * width) - 1)), width


def _mp4_end(size: int, read: ReadAt) -> bool:
    """Walk the boxes of an MP4, QuickTime or AVIF file (ISO/IEC 14496-12, 4.2)."""
    at, indexed, filled = 0, False, False
    for _ in range(_MAX_BOXES):
        head = read(at, 16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        indexed, filled = indexed or kind in (b"moov", b"meta"), filled or kind == b"mdat"
        if length == 0:  # up to the end of the file
            length = size - at
        elif length == 1:  # too long for 32 bits: the length follows the name
            length = int.from_bytes(head[8:16], "big")
        at += length
        if length < 8 or at >= size:
            return at == size and indexed and filled
    return False
