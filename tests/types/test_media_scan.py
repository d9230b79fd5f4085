"""Credentials and embedded provenance are found by the heads of a file's parts, whole or received in pieces."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.testing.sandbox.media import draw_png
from kling_async.types.media import sniff
from kling_async.types.media_scan import XMP_BOX, MediaScan, MediaScanner, scan_file
from kling_async.types.provenance import Provenance, embedding

C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
C2PA_JUMBF = bytes.fromhex("6332706100110010800000aa00389b71")
PNG = draw_png("a cat", width=40, height=30)
MP4 = (files("kling_async.testing.sandbox") / "clip.mp4").read_bytes()
RECORD = Provenance(
    prompt="a cat",
    kind="image",
    model="m",
    provider="p",
    id="1",
    key="k",
    labels={},
    accepted_at=0.0,
    software="kling_async 9",
)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def box(kind: bytes, body: bytes = b"", *, long: bool = False) -> bytes:
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    written = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body for marker, body in segments)
    return b"\xff\xd8" + written + b"\xff\xda\0\x02" + b"picture" * 9 + b"\xff\xd9"


def jumbf(id: bytes) -> bytes:
    described = box(b"jumd", id + b"\x03c2pa\0")
    return b"JP\0\x01\0\0\0\x01" + box(b"jumb", described)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


HEAD, END = PNG[:33], chunk(b"IEND")
FTYP, MOOV, MDAT = box(b"ftyp", b"isom\0\0\0\0"), box(b"moov", b"x" * 300), box(b"mdat", b"y" * 5000)
APP0 = (0xE0, b"JFIF\0\x01\x02" + bytes(7))
FILES: dict[str, tuple[bytes, bool | None, int | None]] = {
    "png": (PNG, False, len(PNG) - 12),
    "png, signed before its picture": (HEAD + chunk(b"caBX", b"x" * 3000) + PNG[33:], True, None),
    "png, signed after its picture": (PNG[:-12] + chunk(b"caBX", b"x") + END, True, None),
    "png with XMP of its own": (HEAD + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>") + PNG[33:], False, None),
    "png with bytes after its end": (PNG + b"more", False, None),
    "png that is cut": (PNG[:-20], None, None),
    "png that is signed and cut": (HEAD + chunk(b"caBX", b"x" * 3000) + PNG[33:-20], True, None),
    "mp4": (MP4, False, len(MP4)),
    "mp4, index first": (FTYP + MOOV + MDAT, False, len(FTYP + MOOV + MDAT)),
    "mp4, index last, long sizes": (FTYP + box(b"mdat", b"y" * 99, long=True) + MOOV, False, len(FTYP + MOOV) + 115),
    "mp4, signed": (FTYP + box(b"uuid", C2PA_BOX + b"z" * 400) + MOOV + MDAT, True, None),
    "mp4, signed, long sizes": (FTYP + MOOV + MDAT + box(b"uuid", C2PA_BOX + b"z", long=True), True, None),
    "mp4 with XMP of its own": (FTYP + MOOV + MDAT + box(b"uuid", XMP_BOX + b"<x/>"), False, None),
    "mp4 without an index": (FTYP + MDAT, False, None),
    "mp4 of fragments with an index at its end": (FTYP + MOOV + MDAT + box(b"mfra", b"i" * 9), False, None),
    "mp4 whose last box is open": (FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + b"y" * 70, False, None),
    "mp4 that is cut": (FTYP + MOOV + MDAT[:-1], None, None),
    "mp4 with a box of no size": (FTYP + struct.pack(">I4s", 7, b"moov") + MDAT, None, None),
    "mov": (box(b"ftyp", b"qt  \0\0\0\0") + MOOV + MDAT, False, None),
    "avif, signed": (box(b"ftyp", b"avif\0\0\0\0") + box(b"uuid", C2PA_BOX) + MDAT, True, None),
    "jpeg": (jpeg(APP0), False, None),
    "jpeg, signed": (jpeg(APP0, (0xEB, jumbf(C2PA_JUMBF))), True, None),
    "jpeg with another JUMBF": (jpeg(APP0, (0xEB, jumbf(bytes(16)))), False, None),
    "jpeg with fill bytes": (b"\xff\xd8\xff" + jpeg(APP0, (0xEB, jumbf(C2PA_JUMBF)))[2:], True, None),
    "jpeg without segments": (b"\xff\xd8\xff\xe0\0\x04abnonsense", None, None),
    "webp": (webp(riff(b"VP8 ", b"x" * 31)), False, None),
    "webp, signed": (webp(riff(b"VP8 ", b"x" * 31), riff(b"C2PA", b"z" * 9)), True, None),
    "gif": (b"GIF89a" + bytes(30), None, None),
    "nothing known": (b"<html></html>   ", None, None),
    "nothing": (b"", None, None),
}


HEADS = (PNG[:8], HEAD, FTYP, FTYP + MOOV, box(b"ftyp", b"avif"), b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"")


def whole(content: bytes) -> MediaScan:
    """Scan a file that can be read at any offset."""
    return scan_file(lambda offset, size: content[offset : offset + size])


@pytest.mark.parametrize(("content", "c2pa", "insert_at"), FILES.values(), ids=list(FILES))
def test_a_file_is_scanned(content: bytes, c2pa: bool | None, insert_at: int | None) -> None:
    """A credential is found wherever it may be, and a place for text only where nothing is signed, moved or unknown."""
    assert MediaScan(c2pa=c2pa, insert_at=insert_at) == whole(content)


@pytest.mark.parametrize("size", [1, 7, 300, 100_000])
@pytest.mark.parametrize("content", [one for one, _, _ in FILES.values()], ids=list(FILES))
def test_a_stream_is_scanned(content: bytes, size: int) -> None:
    """Pieces of any size give the same result as the whole file."""
    scanner = MediaScanner()
    for at in range(0, len(content), size):
        scanner.feed(content[at : at + size])
    assert whole(content) == scanner.finish() == scanner.finish()


@pytest.mark.parametrize("content", [PNG, MP4, FTYP + MOOV + MDAT], ids=["png", "mp4", "mp4, index first"])
def test_what_was_embedded_is_found(content: bytes) -> None:
    """Embedded provenance is found again, exactly as long as it is, and none is added to it."""
    media, at = sniff(content), whole(content).insert_at
    assert media is not None
    assert at is not None
    added = embedding(RECORD, media)
    changed = content[:at] + added + content[at:]
    assert MediaScan(c2pa=False, embedded=(at, at + len(added))) == whole(changed)


def test_the_memory_of_a_scan_is_bounded() -> None:
    """A video of 64 GiB is scanned by its heads: a few reads of 256 bytes, although its picture comes first."""
    size = 64 << 30
    front, reads = FTYP + struct.pack(">I4sQ", 1, b"mdat", size), list[tuple[int, int]]()
    end = len(FTYP) + size

    def read(offset: int, length: int) -> bytes:
        reads.append((offset, length))
        if offset < 1000:
            return front.ljust(1000, b"\0")[offset : offset + length]
        return (b"\0" + MOOV)[offset - end + 1 :][:length]

    assert MediaScan(c2pa=False, insert_at=end + len(MOOV)) == scan_file(read)
    assert len(reads) < 10
    assert all(length <= 256 for _, length in reads)


def test_the_memory_of_a_stream_is_bounded() -> None:
    """What a stream has passed is not kept: after 3 MB of one picture, only a head is."""
    scanner, opened = MediaScanner(), FTYP + MOOV + struct.pack(">I4s", 3_000_008, b"mdat")
    scanner.feed(opened)
    kept = list[int]()
    for _ in range(30):
        scanner.feed(bytes(100_000))
        kept.append(len(scanner._buffer))
    assert max(kept) < 300
    assert len(opened) + 3_000_000 == scanner.finish().insert_at


@given(st.sampled_from(HEADS), st.binary(max_size=600), st.integers(1, 700))
def test_no_bytes_break_a_scan(head: bytes, rest: bytes, size: int) -> None:
    """Whatever follows the head of a file, a scan ends, and a stream of it gives the same result."""
    content, scanner = head + rest, MediaScanner()
    for at in range(0, len(content), size):
        scanner.feed(content[at : at + size])
    found = whole(content)
    assert found == scanner.finish()
    assert found.insert_at is None or found.insert_at <= len(content)


@pytest.mark.parametrize("make", [lambda n: HEAD + chunk(b"tEXt", b"") * n + END, lambda n: FTYP + box(b"free") * n])
def test_a_file_of_many_parts_ends(make: Callable[[int], bytes]) -> None:
    """More parts than a scan looks at are a structure that is not understood, and nothing is added to it."""
    assert MediaScan(c2pa=None) == whole(make(100_001))
