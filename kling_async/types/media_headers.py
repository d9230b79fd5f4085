"""Types of media given as input, by their first bytes, and the sizes of images by their headers."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import frozen

from .media import SNIFF_LENGTH, sniff

__all__ = ["HEADER_LENGTH", "InputType", "MediaKind", "detect_type", "image_size", "suffix_of"]

MediaKind: TypeAlias = Literal["image", "video", "audio"]

HEADER_LENGTH: Final = 256 * 1024
"""Leading bytes that `image_size` needs: the sizes of a JPEG follow its metadata, which cameras fill."""


@frozen
class InputType:
    """A type of media: its MIME type, its suffix, and its kind."""

    mime: str
    suffix: str
    kind: MediaKind


_MP3 = InputType("audio/mpeg", ".mp3", "audio")
_WAV = InputType("audio/wav", ".wav", "audio")
_OGG = InputType("audio/ogg", ".ogg", "audio")
_FLAC = InputType("audio/flac", ".flac", "audio")
_AAC = InputType("audio/aac", ".aac", "audio")
_M4A = InputType("audio/mp4", ".m4a", "audio")
_HEIC = InputType("image/heic", ".heic", "image")
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""Brands of pictures in HEIF, as telephones take them (ISO/IEC 23008-12, annex B; `mif1` and `msf1`: its clause 10)."""


_SUFFIXES: Final = {
    **{one.mime: one.suffix for one in (_MP3, _WAV, _OGG, _FLAC, _AAC, _M4A, _HEIC)},
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


def suffix_of(mime: str) -> str:
    """Return the suffix of file names of a MIME type, an empty one if it is unknown."""
    return _SUFFIXES.get(mime, "")


def detect_type(head: bytes) -> InputType | None:
    """Return the type of media by their first bytes; None if they are no known image, video or audio."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _WAV
    if head[4:8] == b"ftyp" and head[8:12] == b"M4A ":
        return _M4A
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return _HEIC
    found = sniff(head[:SNIFF_LENGTH])
    if found is not None:
        return InputType(found.mime, found.suffix, found.kind.value)
    if head.startswith(b"ID3"):
        return _MP3
    if head.startswith(b"OggS"):
        return _OGG
    return _FLAC if head.startswith(b"fLaC") else _frames_type(head)


def _frames_type(head: bytes) -> InputType | None:
    """Return the type of bare audio frames, whose first 11 bits are set (ISO/IEC 11172-3, 2.4.1.3; 13818-7, 6.2)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer = head[1] >> 1 & 3
    if layer == 0:
        return _AAC if head[1] & 0xF0 == 0xF0 else None
    is_valid = head[1] >> 3 & 3 != 1 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3
    return _MP3 if is_valid else None


def image_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height of an image in pixels by its header; None if it has none that is known or complete."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):  # PNG, third edition, 11.2.1
        return _pair(head, 16, 4, "big") if head[12:16] == b"IHDR" else None
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _pair(head, 6, 2, "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp_size(head)
    return _jpeg_size(head) if head.startswith(b"\xff\xd8\xff") else None


def _pair(head: bytes, at: int, width: int, order: Literal["big", "little"]) -> tuple[int, int] | None:
    if len(head) < at + 2 * width:
        return None
    return int.from_bytes(head[at : at + width], order), int.from_bytes(head[at + width : at + 2 * width], order)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Read the first chunk of a WebP file (RFC 9649, 2.5 to 2.7)."""
    kind, body = head[12:16], head[20:]
    if kind == b"VP8X" and len(body) >= 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":  # RFC 6386, 9.1
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None


_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame, which has the sizes (ITU-T T.81, table B.1)."""


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Walk the segments of a JPEG file to the one that starts a frame (ITU-T T.81, B.1 and B.2)."""
    at = 2
    while at + 4 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAMES:
            size = _pair(head, at + 5, 2, "big")
            return None if size is None else (size[1], size[0])
        else:
            at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return None
