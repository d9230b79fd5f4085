"""Measure media by their headers: the pixels of images and videos, and the seconds of videos and of audio.

What a header does not tell, or tells in a way that is not known here, is None. It is no reason to refuse a file.

Sources: ISO/IEC 14496-12 on the boxes `mvhd` (8.2.2), `tkhd` (8.3.2) and `hdlr` (8.4.3), and Apple's QuickTime File
Format, which has the same; for audio the RIFF chunks `fmt ` and `data` of WAV, and RFC 9639, 8.2, for FLAC. The length
of an MP3 or of a WebM file is not in one known place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from .media import ReadAt
from .media_headers import HEADER_LENGTH, detect_type, image_size

__all__ = ["Measures", "measure"]

_MAX_BOXES: Final = 10_000
"""Of one level: a damaged file could have millions of empty ones."""


@frozen(kw_only=True)
class Measures:
    """What a header tells.

    Attributes:
        width: pixels of an image, or of a video as it is shown, after its rotation.
        height: as `width`.
        seconds: the duration of a video or of audio, to the millisecond.
    """

    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def measure(read: ReadAt, size: int) -> Measures:
    """Measure media of any type; only headers are read, at any offset.

    Args:
        read: returns the bytes at an offset.
        size: the length of the whole file in bytes.
    """
    head = read(0, 16)
    found = detect_type(head)
    if found is None:
        return Measures()
    if found.kind == "image":
        width, height = image_size(read(0, HEADER_LENGTH)) or (None, None)
        return Measures(width=width, height=height)
    if head[4:8] == b"ftyp":
        return _movie(read, size)
    if found.mime == "audio/wav":
        return Measures(seconds=_wav_seconds(read, size))
    return Measures(seconds=_flac_seconds(read(0, 26))) if found.mime == "audio/flac" else Measures()


def _movie(read: ReadAt, size: int) -> Measures:
    """Read the box `moov`, which may be the last one of the file."""
    moov = _find(read, 0, size, b"moov")
    if moov is None:
        return Measures()
    header = _find(read, *moov, b"mvhd")
    width, height = _video_size(read, *moov) or (None, None)
    return Measures(width=width, height=height, seconds=None if header is None else _movie_seconds(read(header[0], 32)))


def _boxes(read: ReadAt, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box between two offsets, and where its body begins and ends."""
    for _ in range(_MAX_BOXES):
        head = read(at, 16)
        length, kind, width = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 0:  # up to the end
            length = end - at
        elif length == 1:  # too long for 32 bits: the length follows the kind
            length, width = int.from_bytes(head[8:16], "big"), 16
        if len(head) < width or length < width or at + length > end:
            return
        yield kind, at + width, at + length
        at += length


def _find(read: ReadAt, at: int, end: int, wanted: bytes) -> tuple[int, int] | None:
    return next(((begin, stop) for kind, begin, stop in _boxes(read, at, end) if kind == wanted), None)


def _movie_seconds(body: bytes) -> float | None:
    wide = body[:1] == b"\1"  # version 1 has 64-bit times
    scale, length = (body[20:24], body[24:32]) if wide else (body[12:16], body[16:20])
    if len(length) < (8 if wide else 4) or length == b"\xff" * len(length):  # all ones: it is not known
        return None
    return _seconds(int.from_bytes(length, "big"), int.from_bytes(scale, "big"))


def _seconds(units: int, per_second: int) -> float | None:
    """Return a duration; None if there is none: a file that is written live has zero."""
    return round(units / per_second, 3) if units and per_second else None


def _video_size(read: ReadAt, at: int, end: int) -> tuple[int, int] | None:
    """Return the pixels of the first track of video."""
    for kind, begin, stop in _boxes(read, at, end):
        if kind != b"trak" or not _is_video(read, begin, stop):
            continue
        header = _find(read, begin, stop, b"tkhd")
        if header is not None and (size := _track_size(read(header[0], 96))) is not None:
            return size
    return None


def _is_video(read: ReadAt, at: int, end: int) -> bool:
    media = _find(read, at, end, b"mdia")
    handler = None if media is None else _find(read, *media, b"hdlr")
    return handler is not None and read(handler[0], 12)[8:12] == b"vide"


def _track_size(body: bytes) -> tuple[int, int] | None:
    """Return the pixels of a track header, as numbers of 16.16 bits; a rotation by 90 degrees swaps them."""
    matrix = 52 if body[:1] == b"\1" else 40
    if len(body) < matrix + 44:
        return None
    numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(matrix, matrix + 44, 4)]
    width, height = (round(one / 65536) for one in numbers[9:11])
    if not width or not height:
        return None
    is_turned = numbers[0] == numbers[4] == 0 and numbers[1] != 0
    return (height, width) if is_turned else (width, height)


def _wav_seconds(read: ReadAt, size: int) -> float | None:
    at, rate = 12, 0
    for _ in range(_MAX_BOXES):
        head = read(at, 20)
        kind, length = head[:4], int.from_bytes(head[4:8], "little")
        if len(head) < 8 or at + 8 + length > size:  # a file that was written live has no length
            return None
        if kind == b"fmt ":
            rate = int.from_bytes(head[16:20], "little")
        elif kind == b"data":
            return _seconds(length, rate)
        at += 8 + length + length % 2
    return None


def _flac_seconds(head: bytes) -> float | None:
    if len(head) < 26 or head[4] & 0x7F:  # the first block is STREAMINFO, of type 0
        return None
    facts = int.from_bytes(head[18:26], "big")
    return _seconds(facts & ((1 << 36) - 1), facts >> 44)
