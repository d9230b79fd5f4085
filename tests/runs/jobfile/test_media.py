"""Local media in job files: paths are relative to the file, and what is written down is read again."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from attrs import evolve

from kling_async import InputError, Job, MediaFile, Output, OutputKind, Prediction, VideoInput
from kling_async.runs.jobfile import dump_job, read_jobfile
from kling_async.runs.jobfile.media import path_of
from kling_async.runs.targets import parse_targets
from kling_async.types.jobs import fingerprint

URL = "https://x.test/a.png"
FILE = MediaFile(name="a.png", sha256="ab" * 32, size=9, mime="image/png", width=3, height=4, source=Path("/m/a.png"))
MADE = Prediction(provider="fal", model="m", id="p", key="k", outputs=(Output(url=URL, kind=OutputKind.IMAGE),))


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("a.png", PurePosixPath("/jobs"), "/jobs/a.png"),
        ("../a b.png", PurePosixPath("/jobs"), "/jobs/../a b.png"),
        ("/m/a.png", PurePosixPath("/jobs"), "/m/a.png"),
        ("~/a.png", PurePosixPath("/jobs"), "~/a.png"),
        (r"media\a.png", PureWindowsPath(r"D:\jobs"), r"D:\jobs\media\a.png"),
        ("media/a.png", PureWindowsPath(r"D:\jobs"), r"D:\jobs\media\a.png"),
        (r"C:\m\a.png", PureWindowsPath(r"D:\jobs"), r"C:\m\a.png"),
        (r"\\server\share\a.png", PureWindowsPath(r"D:\jobs"), r"\\server\share\a.png"),
        (r"\m\a.png", PureWindowsPath(r"D:\jobs"), r"D:\m\a.png"),
        (r"~\a.png", PureWindowsPath(r"D:\jobs"), r"~\a.png"),
    ],
)
def test_paths_are_relative_to_the_file(text: str, folder: PurePosixPath | PureWindowsPath, expected: str) -> None:
    """A path is one from the job file's folder, unless it is absolute or from the home directory, on both systems."""
    assert expected == str(path_of(text, folder))


def one(line: str, name: str = "jobs.jsonl") -> VideoInput:
    """Read the only job of a file in the folder /jobs."""
    [row] = read_jobfile(line.encode().splitlines(keepends=True), name=name, folder=Path("/jobs"))
    assert () == row.faults
    [job] = row.jobs
    assert isinstance(job.input, VideoInput)
    return job.input


def test_texts_are_urls_or_paths() -> None:
    """In both formats a URL and a `data:` URI stay, and any other text is a path; so in lists."""
    given = {"prompt": "a", "kind": "video", "image": "a.png", "images": ["b.png", URL, "data:,x"]}
    expected = (Path("/jobs/a.png"), (Path("/jobs/b.png"), URL, "data:,x"))
    read = one(json.dumps(given))
    assert expected == (read.image, read.images)
    read = one(f'prompt,kind,image,images\na,video,a.png,"b.png|{URL}|data:,x"\n', "jobs.csv")
    assert expected == (read.image, read.images)


def test_settings_are_relative_to_the_working_directory() -> None:
    """What is set for all rows is typed in a shell, and means what it means there."""
    [row] = read_jobfile(
        [b'{"prompt": "a", "kind": "video"}'], name="j", settings=["image=a.png"], folder=Path("/jobs")
    )
    [job] = row.jobs
    assert isinstance(job.input, VideoInput)
    assert Path("a.png") == job.input.image


@pytest.mark.parametrize("media", [FILE, evolve(FILE, source=None), URL, "cat.png", "", MADE, Path("/m/b.png")])
def test_media_are_written_and_read_again(media: MediaFile | str | Prediction | Path) -> None:
    """A job with local media, or with an output, comes back from its line as the same job, and can be sent."""
    job = Job(VideoInput("a", image=media, images=[media], model="kling-o1-std"), key="k")
    line = dump_job(job)
    [row] = read_jobfile([line.encode()], name="jobs.jsonl", folder=Path("/elsewhere"))
    assert (job,) == row.jobs
    if isinstance(media, MediaFile):
        assert isinstance(row.jobs[0].input, VideoInput)
        read = row.jobs[0].input.image
        assert isinstance(read, MediaFile)
        assert media.source == read.source
        assert fingerprint(job.input) == fingerprint(row.jobs[0].input)


def test_bytes_are_written_as_they_are() -> None:
    """Bytes without a file are in the line itself."""
    [row] = read_jobfile([dump_job(Job(VideoInput("a", image=b"abc"))).encode()], name="jobs.jsonl")
    [job] = row.jobs
    assert isinstance(job.input, VideoInput)
    assert "data:;base64,YWJj" == job.input.image


def test_faults_of_files_have_their_line() -> None:
    """A reader's refusal is a fault of its row, also where targets are compared."""

    def refuse(job: Job) -> Job:
        raise InputError("no", faults=())

    targets = parse_targets(["fal", "wavespeed"])
    for read in (refuse, None):
        rows = list(
            read_jobfile([b'{"prompt": "a", "kind": "video", "image": "a.png"}'], name="j", targets=targets, read=read)
        )
        assert [()] == [row.jobs for row in rows]
