"""Provenance, metadata of data sets, thumbnails and contact sheets from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from kling_async.testing import Sandbox
from kling_async.testing.sandbox.media import draw_png

from ..s3 import Bucket
from .conftest import Run

Served = tuple[Sandbox, dict[str, str]]
FILES = ["fox-0.png", "fox-1.png", "owl-0.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Have a job file of two images of 2k, of which one is two, and a video."""
    jobs = [
        {"key": "fox", "prompt": "a red fox", "resolution": "2k", "n": 2, "labels": {"style": "ink"}},
        {"key": "owl", "prompt": "an owl", "resolution": "2k"},
        {"key": "river", "prompt": "a river", "kind": "video", "duration": 5},
    ]
    (tmp_path / "jobs.jsonl").write_text("".join(f"{json.dumps(job)}\n" for job in jobs))
    return tmp_path


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_run_with_provenance(folder: Path, run: Run, served: Served) -> None:
    """The files have sidecars and embedded text, and a resumed run keeps the setting and changes no file of them."""
    done = run("batch", "jobs.jsonl", "-o", "out", "--provenance", "embed", "--dataset", **served[1])
    assert 0 == done.returncode, done.stderr
    media = contents(folder / "out" / "media")
    names = [*FILES, "river-0.mp4"]
    assert {*names, *(f"{name}.json" for name in names), "metadata.jsonl"} == media.keys()
    assert "a red fox" == json.loads(media["fox-1.png.json"])["prompt"]
    assert sorted(f"out/media/{name}" for name in names) == sorted(done.stdout.split())
    assert "1 video cannot be in the same list" in done.stderr
    (folder / "out" / "media" / "owl-0.png.json").unlink()
    assert 0 == run("resume", "out", **served[1]).returncode
    assert media == contents(folder / "out" / "media")
    assert 3 == served[0].submits


def test_a_folder_is_a_data_set(folder: Path, run: Run, served: Served) -> None:
    """`metadata.jsonl` has a line for each image of the folder, and loses those of deleted ones."""
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", "--dataset", **served[1]).returncode
    metadata = folder / "out" / "media" / "metadata.jsonl"
    lines = [json.loads(line) for line in metadata.read_text().splitlines()]
    assert [*zip(FILES, ["a red fox", "a red fox", "an owl"], strict=True)] == [
        (one["file_name"], one["text"]) for one in lines
    ]
    assert ["ink", "ink", None] == [one["label.style"] for one in lines]
    before = metadata.stat().st_ino
    assert 0 == run("report", "out").returncode
    assert before == metadata.stat().st_ino, "a file that says the same was written again"
    (folder / "out" / "media" / "fox-0.png").unlink()
    assert 0 == run("report", "out").returncode
    assert FILES[1:] == [json.loads(line)["file_name"] for line in metadata.read_text().splitlines()]


def test_a_bucket_is_a_data_set(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """In a bucket sidecars and metadata are objects, and nothing is embedded."""
    settings = served[1] | bucket.environ
    done = run("batch", "jobs.jsonl", "-o", bucket.url, "--provenance", "embed", "--dataset", **settings)
    assert 0 == done.returncode, done.stderr
    objects = bucket.objects()
    names = [*FILES, "river-0.mp4"]
    assert {*names, *(f"{name}.json" for name in names), "metadata.jsonl"} == objects.keys()
    assert FILES == [json.loads(line)["file_name"] for line in objects["metadata.jsonl"].splitlines()]
    assert not json.loads(objects["fox-0.png.json"])["embedded"]
    assert not (folder / "jobs" / "thumbnails").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--provenance", "xmp"], "sidecar"),
        (["--provenance", "sidecar", "--no-download"], "is for files that are saved"),
        (["--dataset", "--no-download"], "is for files that are saved"),
    ],
)
def test_wrong_settings_send_nothing(folder: Path, run: Run, served: Served, flags: list[str], said: str) -> None:
    """An unknown word, or a setting about files of which there are none, is an error before anything is sent."""
    done = run("batch", "jobs.jsonl", "-o", "out", *flags, **served[1])
    assert 2 == done.returncode
    assert said in done.stderr + done.stdout
    assert 0 == served[0].submits


def test_one_image_with_provenance(folder: Path, run: Run, served: Served) -> None:
    """`generate --provenance` knows the prompt, though it has no journal."""
    done = run("generate", "a red fox", "--key", "fox", "-o", "one", "--provenance", "embed", **served[1])
    assert 0 == done.returncode, done.stderr
    found = json.loads((folder / "one" / "fox-0.png.json").read_bytes())
    assert ("a red fox", True) == (found["prompt"], found["embedded"])


def test_the_report_shows_thumbnails(folder: Path, run: Run, served: Served) -> None:
    """The report shows small images and links to the files; `report` makes them again where they are gone."""
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", **served[1]).returncode
    for _ in range(2):
        page = (folder / "out" / "report.html").read_text()
        assert {f"thumbnails/{name}.webp" for name in FILES} == set(re.findall(r'<img src="([^"]+)"', page))
        assert {f"media/{name}" for name in FILES} <= set(re.findall(r'<a href="([^"]+)"', page))
        for name in FILES:
            thumbnail = folder / "out" / "thumbnails" / f"{name}.webp"
            with Image.open(thumbnail) as small:
                assert 480 == max(small.size)
            thumbnail.unlink()
        assert 0 == run("report", "out").returncode


def test_a_contact_sheet_of_a_run(folder: Path, run: Run, served: Served) -> None:
    """A sheet has the pictures of a run, in the run directory, and says how many it leaves out."""
    assert 0 == run("batch", "jobs.jsonl", "-o", "out", **served[1]).returncode
    done = run("contact-sheet", "out", "--columns", "2", "--size", "100")
    assert (0, "out/contact-sheet.png") == (done.returncode, done.stdout.strip())
    with Image.open(folder / "out" / "contact-sheet.png") as sheet:
        assert 2 * 112 + 12 == sheet.width
        assert sheet.height > 2 * 112
    done = run("contact-sheet", "out", "--max", "1", "--newest", "-o", "one.png")
    assert (0, "one.png") == (done.returncode, done.stdout.strip())
    assert "3 pictures left out; --max 4 shows all" in done.stderr


def test_a_contact_sheet_of_a_folder(folder: Path, run: Run) -> None:
    """Any folder of pictures has a sheet, which is not put among them, nor is it on the next one."""
    (folder / "pictures").mkdir()
    (folder / "pictures" / "cat.png").write_bytes(draw_png("a cat", width=90, height=90))
    (folder / "pictures" / "broken.jpg").write_bytes(b"no picture")
    (folder / "pictures" / "notes.txt").write_text("no picture at all")
    first = run("contact-sheet", "pictures")
    assert (0, "contact-sheet.png") == (first.returncode, first.stdout.strip())
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert 2 * 252 + 12 == sheet.width
    assert {"cat.png", "broken.jpg", "notes.txt"} == contents(folder / "pictures").keys()
    inside = run("contact-sheet", "pictures", "-o", "pictures/sheet.png", "--max", "1")
    assert "1 picture left out" in inside.stderr
    again = run("contact-sheet", "pictures", "-o", "pictures/sheet.png", "--max", "1")
    assert "1 picture left out" in again.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["nowhere"], "is not a directory on this machine"),
        (["empty"], "No pictures found"),
        (["empty", "--columns", "0"], "columns=0"),
        (["empty", "--size", "9"], "size=9"),
        (["empty", "--max", "0"], "max=0"),
        (["empty", "-o", "a.jpg"], "must end in .png"),
    ],
)
def test_a_contact_sheet_of_nothing(folder: Path, run: Run, flags: list[str], said: str) -> None:
    """A directory without images, or none at all, and a number out of range are bad input; no file is written."""
    (folder / "empty").mkdir()
    done = run("contact-sheet", *flags)
    assert 2 == done.returncode
    assert said in done.stderr
    assert [] == [*folder.rglob("*.png"), *folder.rglob("*.jpg")]
