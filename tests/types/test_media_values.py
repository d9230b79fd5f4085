"""Media in inputs: what a field takes, how it is shown, and what their bytes tell."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async import ImageInput, InputError, MediaFile, Output, OutputKind, Prediction, Status, VideoInput
from kling_async.types.media_headers import HEADER_LENGTH, detect_type, image_size
from kling_async.types.media_values import decode_data_uri, lacks_content, media_in, with_media

URL = "https://x.test/a.png"
OUTPUT = Output(url=URL, kind=OutputKind.IMAGE)


def prediction(*outputs: Output) -> Prediction:
    """Make a prediction that succeeded."""
    return Prediction(provider="fal", model="m", id="p-1", key="k", status=Status.SUCCEEDED, outputs=outputs)


@pytest.mark.parametrize("value", [URL, Path("a.png"), b"abc", "data:image/png;base64,AA==", OUTPUT])
def test_every_field_takes_every_form(value: Any) -> None:
    """A URL, a path, bytes, a `data:` URI and an output are media in each field, and the input stays hashable."""
    lists = {name: [value] for name in ("keyframes", "images", "videos", "audios")}
    input = VideoInput("a", image=value, last_image=value, **lists)
    assert hash(input) == hash(VideoInput("a", image=value, last_image=value, **lists))
    assert [value] * 6 == [one for _, one in media_in(input)]
    assert (value,) == ImageInput("a", images=[value]).images


def test_a_prediction_stands_for_its_only_output() -> None:
    """A prediction with one output is that output, which knows where it is from; with two one has to be picked."""
    made = VideoInput("a", image=prediction(OUTPUT)).image
    assert isinstance(made, Output)
    assert made.source is not None
    assert ("fal", "p-1", 0, "k") == (made.source.provider, made.source.id, made.source.index, made.source.key)
    for several in (prediction(OUTPUT, OUTPUT), prediction()):
        with pytest.raises(InputError, match="exactly one output"):
            VideoInput("a", image=several)
    picked = prediction(OUTPUT, OUTPUT).outputs[1]
    assert picked.source is not None
    assert 1 == picked.source.index


def test_the_repr_holds_no_content() -> None:
    """Bytes and long `data:` URIs are shown by their beginning or length."""
    long = b"x" * 1_000_000
    shown = repr(VideoInput("a", image=long, images=(long, "data:" + "y" * 10_000)))
    assert len(shown) < 1000
    assert "<1,000,000 bytes>" in shown
    assert "source" not in repr(MediaFile(name="a", sha256="0", size=1, mime="image/png", source=long))


def test_media_are_replaced_by_field() -> None:
    """Each medium is replaced by its field's name and index; an input without changes stays the same object."""
    input = VideoInput("a", image=URL, images=(URL, URL))
    replaced = with_media(input, lambda name, _: f"https://x.test/{name}")
    assert ("https://x.test/image", ("https://x.test/images[0]", "https://x.test/images[1]")) == (
        replaced.image,
        replaced.images,
    )
    assert input is with_media(input, lambda _, one: one)


def test_media_from_a_journal_cannot_be_sent() -> None:
    """Only a medium without its content makes an input that cannot be sent."""
    known = MediaFile(name="a", sha256="0", size=1, mime="image/png")
    assert lacks_content(VideoInput("a", image=known))
    assert not lacks_content(VideoInput("a", image=MediaFile(name="a", sha256="0", size=1, mime="a/b", source=b"1")))
    assert not lacks_content(VideoInput("a", image=URL))


HEADS: dict[str, tuple[bytes, str]] = {
    "PNG": (b"\x89PNG\r\n\x1a\n", "image/png"),
    "JPEG": (b"\xff\xd8\xff\xe0", "image/jpeg"),
    "WebP": (b"RIFF\0\0\0\0WEBP", "image/webp"),
    "MP4": (b"\0\0\0\x18ftypisom", "video/mp4"),
    "MOV": (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
    "WAV": (b"RIFF\0\0\0\0WAVE", "audio/wav"),
    "MP3 with tags": (b"ID3\4", "audio/mpeg"),
    "bare MP3": (b"\xff\xfb\x90\x64", "audio/mpeg"),
    "AAC": (b"\xff\xf1\x50\x80", "audio/aac"),
    "FLAC": (b"fLaC", "audio/flac"),
    "OGG": (b"OggS", "audio/ogg"),
    "M4A": (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
    "HEIC": (b"\0\0\0\x24ftypheic", "image/heic"),
}


@pytest.mark.parametrize(("head", "mime"), HEADS.values(), ids=list(HEADS))
def test_types_follow_from_the_content(head: bytes, mime: str) -> None:
    """The first bytes tell the type, whatever the name says."""
    found = detect_type(head + bytes(32))
    assert found is not None
    assert (mime, mime.partition("/")[0]) == (found.mime, found.kind)


@pytest.mark.parametrize("head", [b"", b"%PDF-1.7", b"hello", b"\xff\xff\xff\xff", b"PK\x03\x04"])
def test_other_content_is_no_media(head: bytes) -> None:
    """A document, a text and an archive are no media."""
    assert detect_type(head) is None


def jpeg(width: int, height: int, *, before: bytes = b"") -> bytes:
    """Make the header of a JPEG file, with other segments before the frame."""
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, height, width, 1) + bytes(3)
    return b"\xff\xd8" + before + frame


def webp(kind: bytes, body: bytes) -> bytes:
    """Make the beginning of a WebP file with one chunk."""
    return b"RIFF\0\0\0\0WEBP" + kind + struct.pack("<I", len(body)) + body


EXIF = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)
SIZES: dict[str, bytes] = {
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480),
    "JPEG": jpeg(640, 480),
    "JPEG behind metadata": jpeg(640, 480, before=EXIF + EXIF),
    "JPEG with fill bytes": jpeg(640, 480, before=b"\xff\xff\xd0"),
    "GIF": b"GIF89a" + struct.pack("<HH", 640, 480),
    "WebP, lossy": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)),
    "WebP, lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
    "WebP, extended": webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")),
}


@pytest.mark.parametrize("head", SIZES.values(), ids=list(SIZES))
def test_sizes_follow_from_the_header(head: bytes) -> None:
    """Width and height are read from the header; from any shorter part of it they are read right, or not at all."""
    assert (640, 480) == image_size(head)
    for length in range(max(0, len(head) - 40), len(head)):
        assert image_size(head[:length]) in (None, (640, 480))


@given(st.binary(max_size=64), st.sampled_from([*SIZES.values()]), st.integers(0, 40))
def test_damaged_headers_are_harmless(noise: bytes, head: bytes, at: int) -> None:
    """Any bytes are read without an error."""
    image_size(head[:at] + noise)
    detect_type(noise)
    assert len(head) < HEADER_LENGTH


@pytest.mark.parametrize(
    ("uri", "content"),
    [("data:image/png;base64,AAEC", b"\0\1\2"), ("data:,a%20b", b"a b"), ("data:image/png;base64,AA%3D%3D", b"\0")],
)
def test_data_uris_are_decoded(uri: str, content: bytes) -> None:
    """Base64 and percent-encoding are undone."""
    assert content == decode_data_uri(uri)


@pytest.mark.parametrize("uri", ["data:image/png;base64", "data:image/png;base64,%%%", "data:;base64,A"])
def test_malformed_data_uris_are_refused(uri: str) -> None:
    """A `data:` URI that holds nothing readable is no content."""
    with pytest.raises(ValueError, match=r"comma|base64"):
        decode_data_uri(uri)
