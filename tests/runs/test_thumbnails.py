"""Thumbnails: small, made once, never of what is small already, and never in the way of a report."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import anyio
import pytest
from PIL import Image

from kling_async.runs.images import load_small
from kling_async.runs.thumbnails import Thumbnails
from kling_async.testing.sandbox.media import draw_png


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Have the directory of a run's files."""
    directory = tmp_path / "media"
    directory.mkdir()
    return directory


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a small PNG that says that it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")


def test_a_large_image_gets_a_small_one(media: Path, tmp_path: Path) -> None:
    """A thumbnail has the shape of its image, at most 480 pixels a side, and a fraction of its bytes."""
    (media / "cat-0.png").write_bytes(draw_png("a cat", width=1600, height=900))
    found = Thumbnails(tmp_path).of(["media/cat-0.png"])
    assert {"media/cat-0.png": "thumbnails/cat-0.png.webp"} == found
    with Image.open(tmp_path / "thumbnails" / "cat-0.png.webp") as small:
        assert ("WEBP", (480, 270)) == (small.format, small.size)
    assert (tmp_path / "thumbnails" / "cat-0.png.webp").stat().st_size * 10 < (media / "cat-0.png").stat().st_size


def test_a_second_report_makes_none_again(media: Path, tmp_path: Path) -> None:
    """What is there is used again, and an image that was replaced since gets a new one."""
    image, thumbnails = media / "cat-0.png", Thumbnails(tmp_path)
    image.write_bytes(draw_png("a cat", width=640, height=640))
    thumbnails.of(["media/cat-0.png"])
    made = tmp_path / "thumbnails" / "cat-0.png.webp"
    before = made.stat().st_ino
    thumbnails.of(["media/cat-0.png"])
    assert before == made.stat().st_ino
    image.write_bytes(draw_png("a dog", width=640, height=640))
    os.utime(image, ns=(1, 1_700_000_000_000_000_000))
    content = made.read_bytes()
    thumbnails.of(["media/cat-0.png"])
    assert content != made.read_bytes()
    assert ["cat-0.png.webp"] == [path.name for path in made.parent.iterdir()]


FILES = {
    "small": draw_png("a cat", width=480, height=300),
    "broken": draw_png("a cat", width=900, height=900)[:2000],
    "bomb": bomb(),
    "wide bomb": bomb(width=2_000_000_000, height=1),
    "not an image": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "empty": b"",
}


@pytest.mark.parametrize("content", FILES.values(), ids=list(FILES))
def test_an_image_without_a_thumbnail_is_shown_itself(media: Path, tmp_path: Path, content: bytes) -> None:
    """Of what is small, broken or far too large no thumbnail is made, and nothing is left behind."""
    (media / "cat-0.png").write_bytes(content)
    assert {} == Thumbnails(tmp_path).of(["media/cat-0.png", "media/missing-0.png", "media/river-0.mp4"])
    assert not (tmp_path / "thumbnails").exists()


def test_a_directory_that_cannot_be_written_harms_no_report(media: Path, tmp_path: Path) -> None:
    """Where no thumbnail can be written, the report has the images themselves."""
    (media / "cat-0.png").write_bytes(draw_png("a cat", width=900, height=900))
    (tmp_path / "thumbnails").write_text("in the way")
    assert {} == Thumbnails(tmp_path).of(["media/cat-0.png"])


@pytest.mark.parametrize("mode", ["L", "LA", "P", "I;16", "CMYK", "1"])
def test_every_kind_of_image(media: Path, tmp_path: Path, mode: str) -> None:
    """Grey, transparent, indexed, 16 bits and print colours all get a thumbnail."""
    suffix = ".jpg" if mode == "CMYK" else ".png"
    Image.new(mode, (600, 500)).save(media / f"cat-0{suffix}")
    assert [f"media/cat-0{suffix}"] == list(Thumbnails(tmp_path).of([f"media/cat-0{suffix}"]))


def test_an_image_is_turned_as_a_browser_turns_it(media: Path) -> None:
    """The orientation in a photograph's Exif holds for its thumbnail, which has no Exif."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (800, 400)).save(media / "cat-0.jpg", exif=exif)
    small = load_small(media / "cat-0.jpg", 200)
    assert small is not None
    assert (100, 200) == small.size


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_thumbnails_are_made_while_a_run_goes_on(media: Path, tmp_path: Path, backend: str) -> None:
    """What was started is there when it is waited for, videos and broken ones aside, on both event loops."""
    for number in range(5):
        (media / f"cat-{number}.png").write_bytes(draw_png(f"cat {number}", width=700, height=500))
    (media / "cat-5.png").write_bytes(b"broken")
    (media / "cat-6.mp4").write_bytes(b"a video")

    images = [*media.iterdir()]

    async def go_on() -> None:
        thumbnails = Thumbnails(tmp_path)
        for path in images:
            thumbnails.start(path)
        await thumbnails.finish()
        await thumbnails.finish()

    anyio.run(go_on, backend=backend)
    made = {path.name for path in (tmp_path / "thumbnails").iterdir()}
    assert {f"cat-{number}.png.webp" for number in range(5)} == made
