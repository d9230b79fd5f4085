"""Outputs are real files, and are served as object stores do."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from importlib.resources import files

import pytest

from kling_async.testing.sandbox.media import draw_png, mark_jpeg, mark_mp4, size_of

CLIP = (files("kling_async.testing.sandbox") / "clip.mp4").read_bytes()
STILL = (files("kling_async.testing.sandbox") / "still.jpg").read_bytes()


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Read a PNG by the specification, checking every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        chunks.append((kind, data))
        at += 12 + length
    assert (chunks[0][0], chunks[-1]) == (b"IHDR", (b"IEND", b""))
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert rest == [8, 2, 0, 0, 0]
    raw = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    assert len(raw) == height * (1 + 3 * width)
    assert set(raw[:: 1 + 3 * width]) == {0}
    return width, height, raw


@pytest.mark.parametrize("ratio", ["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "2:1", "21:9", "auto"])
@pytest.mark.parametrize("resolution", ["1k", "2k"])
def test_a_picture_is_a_valid_png_of_the_size_asked_for(ratio, resolution):
    """It can be decoded, and its sides have the ratio."""
    width, height = size_of(ratio, resolution)
    assert pixels(draw_png("a cat", width=width, height=height))[:2] == (width, height)
    assert max(width, height) == {"1k": 320, "2k": 640}[resolution]
    across, _, down = ratio.partition(":")
    assert width / height == pytest.approx(int(across) / int(down) if down else 1, rel=0.02)


def test_pictures_differ_by_prompt_and_not_by_chance():
    """The same name gives the same bytes, another name another picture."""
    drawn = [draw_png.__wrapped__(f"prompt {i}", width=320, height=180) for i in range(50)]
    assert draw_png.__wrapped__("prompt 0", width=320, height=180) == drawn[0]
    assert len({pixels(png)[2] for png in drawn}) == 50
    assert len(set(pixels(drawn[0])[2])) > 20


def boxes(film: bytes) -> list[bytes]:
    """Return the kinds of the boxes of an MP4, which must fill it."""
    found: list[bytes] = []
    at = 0
    while at < len(film):
        length, kind = struct.unpack_from(">I4s", film, at)
        assert 8 <= length <= len(film) - at
        found.append(kind)
        at += length
    assert at == len(film)
    return found


def test_films_differ_by_prompt_and_stay_valid():
    """The boxes add up, the index comes before the data, and the mark is a box that players skip."""
    first, second = mark_mp4(CLIP, "a"), mark_mp4(CLIP, "b")
    assert boxes(CLIP)[0] == b"ftyp"
    assert boxes(CLIP).index(b"moov") < boxes(CLIP).index(b"mdat")
    assert boxes(first) == [*boxes(CLIP), b"free"]
    assert first != second
    assert len(CLIP) < 10_000


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
def test_ffprobe_reads_the_films_and_the_pictures(tmp_path):
    """Another program's eyes find H.264 of two seconds, PNG and JPEG."""
    samples = {
        "film.mp4": (mark_mp4(CLIP, "a"), "h264"),
        "picture.png": (draw_png("a", width=320, height=180), "png"),
        "still.jpg": (mark_jpeg(STILL, "a"), "mjpeg"),
    }
    for name, (content, codec) in samples.items():
        (tmp_path / name).write_bytes(content)
        command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,duration", "-of", "csv=p=0"]
        probed = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=True)
        assert probed.stderr == ""
        assert probed.stdout.startswith(codec)
        if codec == "h264":
            assert float(probed.stdout.strip().split(",")[1]) == pytest.approx(2.0)


def test_jpegs_differ_by_prompt_and_keep_their_ends():
    """The mark is a comment segment right after the start."""
    marked = mark_jpeg(STILL, "a")
    assert marked != mark_jpeg(STILL, "b")
    assert marked[:4] == b"\xff\xd8\xff\xfe"
    assert marked[4 + 34 :] == STILL[2:]


@pytest.mark.anyio
async def test_files_are_served_without_a_key_once_they_are_done(visit):
    """Not before, not under another name, and with length, type, tag and date."""
    async with visit() as v:
        created = await v.image("a cat", n=2, aspect_ratio="1:1")
        early = f"/files/{created.json()['data']['id']}-1.png"
        assert (await v.http.get(early)).status_code == 404
        urls = (await v.result(created))["outputs"]
        first, second = [await v.http.get(url) for url in urls]
        assert first.content != second.content
        assert pixels(first.content)[:2] == (320, 320)
        assert first.headers["content-type"] == "image/png"
        assert first.headers["content-length"] == str(len(first.content))
        assert first.headers["last-modified"].startswith("Thu, 01 Jan 2026 00:00:")
        assert first.headers["etag"] != second.headers["etag"]
        for wrong in (early.replace("-1.png", "-3.png"), early.replace(".png", ".mp4"), "/files/", "/files/a"):
            assert (await v.http.get(wrong)).status_code == 404
        head = await v.http.head(urls[0])
        assert (head.content, head.headers["content-length"]) == (b"", first.headers["content-length"])


@pytest.mark.anyio
async def test_a_film_is_served_as_mp4(visit):
    """Two prompts give two films."""
    async with visit() as v:
        films = [await v.http.get((await v.result(await v.video(prompt=p)))["outputs"][0]) for p in ("a", "b")]
        assert [film.headers["content-type"] for film in films] == ["video/mp4", "video/mp4"]
        assert boxes(films[0].content)
        assert films[0].content != films[1].content


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=100-", slice(100, None)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=10-99999999", slice(10, None)),
        ("bytes=-7", slice(-7, None)),
    ],
)
async def test_ranges_give_the_bytes_asked_for(visit, header, part):
    """206, the right bytes, and a Content-Range that says which."""
    async with visit() as v:
        url = (await v.result(await v.image()))["outputs"][0]
        whole = (await v.http.get(url)).content
        answer = await v.http.get(url, headers={"range": header})
        assert answer.status_code == 206
        assert answer.content == whole[part]
        first = part.indices(len(whole))[0]
        last = first + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.anyio
async def test_if_range_decides_between_the_part_and_the_whole(visit):
    """The right tag or date gives the part, a wrong one the whole file."""
    async with visit() as v:
        url = (await v.result(await v.image()))["outputs"][0]
        whole = await v.http.get(url)
        for name, status in ((whole.headers["etag"], 206), (whole.headers["last-modified"], 206), ('"other"', 200)):
            answer = await v.http.get(url, headers={"range": "bytes=5-", "if-range": name})
            assert answer.status_code == status
            assert answer.content == whole.content[5 if status == 206 else 0 :]


@pytest.mark.anyio
async def test_ranges_that_cannot_be_are_416_or_ignored(visit):
    """Beyond the end is 416 with the length; what is no range at all is ignored."""
    async with visit() as v:
        url = (await v.result(await v.image()))["outputs"][0]
        size = len((await v.http.get(url)).content)
        for header in (f"bytes={size}-", "bytes=-0"):
            beyond = await v.http.get(url, headers={"range": header})
            assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        for header in ("bytes=-", "bytes=9-3", "lines=1-2", "bytes=1-2,4-5"):
            assert (await v.http.get(url, headers={"range": header})).status_code == 200
