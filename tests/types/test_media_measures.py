"""Pixels and seconds of media by their headers: right where a header is known, and nothing elsewhere."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.testing import sandbox
from kling_async.testing.sandbox.media import draw_png
from kling_async.types.media_measures import Measures, measure


def measured(content: bytes) -> Measures:
    """Measure bytes that are read at any offset."""
    return measure(lambda at, length: content[at : at + length], len(content))


def box(kind: bytes, *parts: bytes, wide: bool = False) -> bytes:
    """Make a box; a wide one has its length in 64 bits."""
    body = b"".join(parts)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


STRAIGHT, TURNED = (1 << 16, 0, 0, 0, 1 << 16), (0, 1 << 16, 0, -(1 << 16), 0)


def movie_header(units: int, per_second: int, *, version: int) -> bytes:
    """Make a box `mvhd`."""
    times = struct.pack(">QQIQ", 9, 9, per_second, units) if version else struct.pack(">IIII", 9, 9, per_second, units)
    return box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))


def track(handler: bytes, width: int, height: int, *, version: int = 0, turned: bool = False) -> bytes:
    """Make a box `trak`."""
    times = struct.pack(">QQIIQ", 9, 9, 1, 0, 9) if version else struct.pack(">IIIII", 9, 9, 1, 0, 9)
    matrix = struct.pack(">5i", *(TURNED if turned else STRAIGHT)) + bytes(12) + struct.pack(">I", 1 << 30)
    size = struct.pack(">II", width << 16, height << 16)
    header = box(b"tkhd", bytes([version, 0, 0, 7]), times, bytes(16), matrix, size)
    return box(b"trak", header, box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(13))))


def clip(*parts: bytes, brand: bytes = b"isom", first: bytes = b"", wide: bool = False) -> bytes:
    """Make a file with a box `moov`, behind other boxes."""
    return box(b"ftyp", brand, bytes(4), brand) + first + box(b"moov", *parts, wide=wide)


@given(
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    milliseconds=st.integers(1, 10**8),
    version=st.sampled_from([0, 1]),
    brand=st.sampled_from([b"isom", b"qt  ", b"mp42"]),
    media=st.binary(max_size=300),
    turned=st.booleans(),
    wide=st.booleans(),
)
def test_a_video_is_measured(
    *, width: int, height: int, milliseconds: int, version: int, brand: bytes, media: bytes, turned: bool, wide: bool
) -> None:
    """Pixels and seconds are read in both versions of the boxes, behind the media too, and follow the rotation."""
    tracks = (track(b"soun", 0, 0), track(b"vide", width, height, version=version, turned=turned))
    content = clip(
        movie_header(milliseconds, 1000, version=version), *tracks, brand=brand, first=box(b"mdat", media), wide=wide
    )
    width, height = (height, width) if turned else (width, height)
    assert Measures(width=width, height=height, seconds=milliseconds / 1000) == measured(content)


@given(st.data())
def test_a_damaged_video_is_harmless(data: st.DataObject) -> None:
    """Bytes that are changed, inserted or cut off never break a measurement, nor does it take long."""
    content = bytearray(clip(movie_header(5000, 1000, version=0), track(b"vide", 640, 480), first=box(b"mdat", b"1")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    found = measured(cut)
    assert found.seconds is None or found.seconds > 0
    assert (found.width is None) is (found.height is None)


@given(st.binary(max_size=200), st.sampled_from([b"\0\0\0\x10ftypisom\0\0\0\0", b"RIFF\0\0\0\0WAVE", b"fLaC", b""]))
def test_noise_is_harmless(noise: bytes, head: bytes) -> None:
    """Any bytes behind any beginning are measured without an error."""
    assert measured(head + noise).seconds is None or measured(head + noise).seconds


UNKNOWN: dict[str, bytes] = {
    "no moov": box(b"ftyp", b"isom", bytes(8)) + box(b"mdat", bytes(100)),
    "a moov that is cut": clip(movie_header(5000, 1000, version=0), track(b"vide", 640, 480))[:-1],
    "a file of fragments": clip(movie_header(0, 1000, version=0)),
    "a duration of ones": clip(movie_header(2**32 - 1, 1000, version=0)),
    "no time scale": clip(movie_header(5000, 0, version=0)),
    "a track without pixels": clip(track(b"vide", 0, 0)),
    "only sound": clip(track(b"soun", 640, 480)),
    "a compressed moov": clip(box(b"cmov", bytes(40)), brand=b"qt  "),
    "an MP3": b"ID3\4" + bytes(100),
    "a WebM": b"\x1a\x45\xdf\xa3" + bytes(100),
    "a WAV without a length": b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff" + bytes(8),
}


@pytest.mark.parametrize("content", UNKNOWN.values(), ids=list(UNKNOWN))
def test_what_is_not_told_is_unknown(content: bytes) -> None:
    """A file without a known header is measured as unknown, and is no error."""
    assert Measures() == measured(content)


def test_audio_is_measured() -> None:
    """The seconds of WAV, FLAC and M4A follow from their headers."""
    wave = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
    chunks = b"LIST\3\0\0\0abc\0" + b"fmt \x10\0\0\0" + wave + b"data" + struct.pack("<I", 24_000) + bytes(24_000)
    assert 1.5 == measured(b"RIFF\0\0\0\0WAVE" + chunks).seconds
    facts = (8000 << 44 | 20_000).to_bytes(8, "big")
    assert 2.5 == measured(b"fLaC\x80\0\0\x22" + bytes(10) + facts + bytes(16)).seconds
    assert 3.5 == measured(clip(movie_header(7, 2, version=0), track(b"soun", 0, 0), brand=b"M4A ")).seconds


def test_real_files_are_measured() -> None:
    """The clip that the sandbox serves, which an encoder made, and an image have their pixels and seconds."""
    content = (Path(sandbox.__file__).parent / "clip.mp4").read_bytes()
    found = measured(content)
    assert found.seconds is not None
    assert (found.width, found.height) == (320, 180)
    assert 0.5 <= found.seconds <= 2
    assert Measures(width=320, height=300) == measured(draw_png("a", width=320, height=300))
