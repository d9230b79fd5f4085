"""Scan images and videos for C2PA credentials and for embedded provenance, by the heads of their parts alone.

A scan asks for a few bytes at rising offsets, so that it reads a file of gigabytes by seeking, and a download while it
is received. It changes nothing.

Sources: the C2PA specification on embedding manifests (PNG chunk `caBX`, JPEG APP11 with JUMBF, RIFF chunk `C2PA`, BMFF
box `uuid`), the PNG specification on chunks and `iTXt`, ITU-T T.81 on markers, ISO/IEC 14496-12 on boxes (`mfra` is the
last one), and XMP part 3 on PNG and MPEG-4. GIF and WebM are not looked into.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias

from attrs import frozen

from .media import SNIFF_LENGTH, ReadAt, sniff

__all__ = ["EMBEDDING_NAME", "XMP_BOX", "MediaScan", "MediaScanner", "scan_file"]

EMBEDDING_NAME: Final = "kling_async"
"""What provenance that this package has embedded begins with."""
XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The id of the `uuid` box that holds XMP in an MP4 file (XMP part 3)."""

_C2PA_BOX: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_C2PA_JUMBF: Final = bytes.fromhex("6332706100110010800000aa00389b71")
_MAX_PARTS: Final = 100_000
"""Of a file: a PNG of 800 MB in chunks of 8 KiB has as many."""
_HEAD: Final = 256
"""Bytes of a part that are looked at: those of an XMP packet name its author in the first 200."""
_XMP_KEYWORD: Final = b"XML:com.adobe.xmp"


@frozen(kw_only=True)
class MediaScan:
    """What a scan has found.

    Attributes:
        c2pa: whether there is a C2PA credential; None where the type or the structure is not understood.
        insert_at: the offset at which provenance can be inserted; None where that may break something.
        embedded: the offsets between which this package has embedded provenance, or None.
    """

    c2pa: bool | None = None
    insert_at: int | None = None
    embedded: tuple[int, int] | None = None


_Scan: TypeAlias = Generator[tuple[int, int], bytes, MediaScan]
"""Yields an offset, never below the last one, and a size; is sent these bytes, or fewer at the end."""


def scan_file(read: ReadAt) -> MediaScan:
    """Scan a file that can be read at any offset."""
    steps = _scan()
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(read(*wanted))
    except StopIteration as stopped:
        return _result(stopped)


class MediaScanner:
    """Scans a file that is received piece by piece."""

    def __init__(self) -> None:
        self._steps = _scan()
        self._wanted: tuple[int, int] = next(self._steps)
        self._buffer, self._offset = bytearray(), 0
        self._found: MediaScan | None = None

    def feed(self, piece: bytes) -> None:
        """Add the next bytes; those that are not looked at are not kept."""
        if self._found is not None:
            return
        self._buffer += piece
        while self._found is None:
            passed = min(len(self._buffer), self._wanted[0] - self._offset)
            del self._buffer[:passed]
            self._offset += passed
            if self._offset < self._wanted[0] or len(self._buffer) < self._wanted[1]:
                return
            self._send()

    def finish(self) -> MediaScan:
        """Return what was found, after the last byte."""
        while self._found is None:
            passed = self._wanted[0] - self._offset
            del self._buffer[:passed]
            self._offset += passed
            self._send()
        return self._found

    def _send(self) -> None:
        try:
            self._wanted = self._steps.send(bytes(self._buffer[: self._wanted[1]]))
        except StopIteration as stopped:
            self._found = _result(stopped)


def _result(stopped: StopIteration) -> MediaScan:
    found: MediaScan = stopped.value
    return found


def _scan() -> _Scan:
    media = sniff((yield 0, SNIFF_LENGTH))
    if media is None:
        return MediaScan()
    if media.mime == "image/png":
        return (yield from _scan_png())
    if media.mime == "image/jpeg":
        return (yield from _scan_jpeg())
    if media.mime == "image/webp":
        return (yield from _scan_webp())
    if media.mime in ("video/mp4", "video/quicktime", "image/avif"):
        return (yield from _scan_boxes(is_mp4=media.mime == "video/mp4"))
    return MediaScan()


def _scan_png() -> _Scan:
    at, c2pa, foreign, own = 8, False, False, -1
    for _ in range(_MAX_PARTS):
        head = yield at, _HEAD
        kind, keyword = head[4:8], head[8:].partition(b"\0")[0]
        if len(head) < 12:
            break
        if kind == b"IEND":
            after = yield at + 12, 1
            free = not (after or c2pa or foreign or own >= 0)
            return MediaScan(c2pa=c2pa, insert_at=at if free else None, embedded=(own, at) if own >= 0 else None)
        c2pa = c2pa or kind == b"caBX"
        if kind == b"iTXt" and keyword == EMBEDDING_NAME.encode():
            own = at
        elif own < 0 and kind == b"iTXt" and keyword == _XMP_KEYWORD:
            foreign = True  # it may name a credential that lies elsewhere, and covers the file as it is
        at += 12 + int.from_bytes(head[:4], "big")
    return MediaScan(c2pa=c2pa or None)


def _scan_boxes(*, is_mp4: bool) -> _Scan:
    at, c2pa, foreign, own, kinds = 0, False, False, None, [b""]
    for _ in range(_MAX_PARTS):
        # With the last byte of the box before, which shows whether that box is whole.
        seen = yield max(0, at - 1), _HEAD
        head = seen[1:] if at else seen
        if not head:
            free = is_mp4 and bool(seen) and not (c2pa or foreign or own) and b"moov" in kinds and kinds[-1] != b"mfra"
            return MediaScan(c2pa=c2pa, insert_at=at if free else None, embedded=own) if seen else MediaScan()
        size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:  # too long for 32 bits: the length follows the name
            size, start = int.from_bytes(head[8:16], "big"), 16
        if kind == b"uuid":
            id, content = head[start : start + 16], head[start + 16 :]
            c2pa = c2pa or id == _C2PA_BOX
            if id == XMP_BOX and f'xmptk="{EMBEDDING_NAME}'.encode() in content:
                own = (at, at + size)
            foreign = foreign or (id == XMP_BOX and own is None)
        if size < start:  # 0: up to the end of the file, so that nothing can follow it
            return MediaScan(c2pa=c2pa if size == 0 else c2pa or None, embedded=own)
        kinds.append(kind)
        kinds = [one for one in kinds if one == b"moov"][:1] + kinds[-1:]
        at += size
    return MediaScan(c2pa=c2pa or None)


def _scan_jpeg() -> _Scan:
    at = 2
    for _ in range(_MAX_PARTS):
        head = yield at, 44
        if len(head) < 4 or head[0] != 0xFF:
            return MediaScan()
        marker = head[1]
        if marker in (0xDA, 0xD9):  # the picture itself, or the end
            return MediaScan(c2pa=False)
        if marker == 0xEB and head[4:6] == b"JP" and head[16:20] == b"jumb" and head[28:44] == _C2PA_JUMBF:
            return MediaScan(c2pa=True)
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        else:
            at += 2 + int.from_bytes(head[2:4], "big")
    return MediaScan()


def _scan_webp() -> _Scan:
    at = 12
    for _ in range(_MAX_PARTS):
        head = yield at, 8
        if head[:4] == b"C2PA":
            return MediaScan(c2pa=True)
        if len(head) < 8:
            return MediaScan(c2pa=None if head else False)
        size = int.from_bytes(head[4:8], "little")
        at += 8 + size + size % 2
    return MediaScan()
