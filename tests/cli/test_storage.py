"""Runs whose files go into a bucket: what is there, what stays here, and what the report links to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_async.testing import Sandbox

from ..s3 import PATIENCE, SECRET, Bucket
from .conftest import Run
from .test_bulk import foxes, write_jobs

Served = tuple[Sandbox, dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Have a job file of three jobs."""
    write_jobs(tmp_path, foxes(3))
    return tmp_path


def settings_of(served: Served, bucket: Bucket) -> dict[str, str]:
    return served[1] | bucket.environ


def rows(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "results.jsonl").read_text().splitlines()]


def links(directory: Path) -> list[str]:
    """Return what the report links to, apart from its own parts."""
    page = (directory / "report.html").read_text()
    found = re.findall(r'href="((?:s3|https?)://[^"]+)"', page)
    return [url.replace("&amp;", "&") for url in found]


NAMES = [f"shot-{n:02}-0.png" for n in range(3)]


def test_files_go_into_the_bucket_and_the_run_stays(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """The bucket has the files; the run directory has its default name, and no media."""
    done = run("batch", "jobs.jsonl", "-o", bucket.url, **settings_of(served, bucket))
    assert 0 == done.returncode, done.stderr
    assert sorted(f"{bucket.url}/{name}" for name in NAMES) == sorted(done.stdout.split())
    assert NAMES == sorted(bucket.objects())
    here = {path.name for path in (folder / "jobs").iterdir()}
    assert {"journal.db", "report.html", "results.jsonl", "results.csv", "run.json", "jobs.jsonl"} <= here
    assert "media" not in here
    assert [[f"{bucket.url}/{name}"] for name in NAMES] == [row["files"] for row in rows(folder / "jobs")]
    assert [f"{bucket.url}/{name}" for name in NAMES] == links(folder / "jobs")


def test_a_run_directory_can_be_named(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """`--run-directory` names it; a run resumes from there with its bucket, and pays and writes nothing twice."""
    settings = settings_of(served, bucket)
    run("batch", "jobs.jsonl", "-o", bucket.url, "--run-directory", "runs/one", **settings)
    bucket.faults()
    done = run("resume", "runs/one", **settings)
    assert 0 == done.returncode, done.stderr
    assert 3 == served[0].submits == served[0].billed()
    assert not [target for method, target, _ in bucket.log() if method == "PUT" and ".png" in target]
    assert "3 jobs" in run("status", "runs/one", **settings).stdout
    assert not (folder / "jobs").exists()


def test_links_are_signed_on_request(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """`--presign` lets whoever has the report open the files; no other file of the run has a signature, nor the log."""
    done = run("batch", "jobs.jsonl", "-o", bucket.url, "--presign", "600", **settings_of(served, bucket))
    assert 0 == done.returncode, done.stderr
    found = links(folder / "jobs")
    assert 3 == len(found)
    assert all("X-Amz-Expires=600" in url for url in found)
    assert all(httpx.get(url, timeout=PATIENCE).content.startswith(b"\x89PNG") for url in found)
    for path in (folder / "jobs").iterdir():
        assert ("report.html" == path.name) == (b"X-Amz-Signature" in path.read_bytes())
        assert SECRET.encode() not in path.read_bytes()
    assert "X-Amz-" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_the_run_goes_along_on_request(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """`--copy-run` copies what the run has written, byte by byte, below run/."""
    done = run("batch", "jobs.jsonl", "-o", bucket.url, "--copy-run", **settings_of(served, bucket))
    assert 0 == done.returncode, done.stderr
    copied = {name.removeprefix("run/"): body for name, body in bucket.objects().items() if name.startswith("run/")}
    assert {
        "journal.db",
        "report.html",
        "results.jsonl",
        "results.csv",
        "run.json",
        "jobs.jsonl",
        "failed.jsonl",
    } == set(copied)
    for name, body in copied.items():
        assert (folder / "jobs" / name).read_bytes() == body, name


def test_a_bucket_that_refuses_costs_nothing(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """It is said before the first submission; with a bucket that works, the same command runs."""
    settings = settings_of(served, bucket)
    bucket.faults({"method": "PUT", "status": 403, "code": "AccessDenied", "message": SECRET, "times": 99})
    done = run("batch", "jobs.jsonl", "-o", bucket.url, **settings)
    assert 2 == done.returncode
    assert "access is denied (AccessDenied)" in done.stderr
    assert SECRET not in done.stderr
    assert 2 == run("generate", "a cat", "-o", bucket.url, **settings).returncode
    assert 0 == served[0].submits
    bucket.faults()
    assert 0 == run("batch", "jobs.jsonl", "-o", bucket.url, **settings).returncode
    assert 3 == served[0].billed()


def test_a_bucket_that_fails_later_is_resumed(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """What could not be saved is a finished job with a cause; `resume` saves it and pays nothing."""
    settings = settings_of(served, bucket)
    bucket.faults({"method": "PUT", "path": r"\.png", "status": 403, "code": "AccessDenied", "times": 99})
    done = run("batch", "jobs.jsonl", "-o", bucket.url, **settings)
    assert 1 == done.returncode
    assert ["succeeded"] * 3 == [row["status"] for row in rows(folder / "jobs")]
    assert all("access is denied" in row["error"] for row in rows(folder / "jobs"))
    bucket.faults()
    assert 0 == run("resume", "jobs", **settings).returncode
    assert 3 == served[0].submits == served[0].billed()
    assert NAMES == sorted(bucket.objects())


def test_one_picture_goes_into_a_bucket(run: Run, served: Served, bucket: Bucket) -> None:
    """`generate -o URL` prints the URL of the object."""
    done = run("generate", "a cat", "-o", bucket.url, "--key", "cat", **settings_of(served, bucket))
    assert (0, f"{bucket.url}/cat-0.png\n") == (done.returncode, done.stdout)


def test_a_comparison_goes_into_a_bucket(folder: Path, run: Run, served: Served, bucket: Bucket) -> None:
    """`compare -o URL` keeps its own default directory."""
    settings = settings_of(served, bucket)
    done = run("compare", "jobs.jsonl", "--on", "gptproto", "--on", "apiinone", "-o", bucket.url, **settings)
    assert 0 == done.returncode, done.stderr
    assert 6 == len(bucket.objects())
    assert (folder / "jobs-compare" / "report.html").is_file()


WRONG = {
    "no bucket": (("-o", "s3:///x"), "must be s3://bucket/prefix"),
    "no store": (("-o", "s4://bucket/x"), "must be s3://bucket/prefix"),
    "a web page": (("-o", "https://example.com/x"), "must be s3://bucket/prefix"),
    "a password": (("-o", f"s3://me:{SECRET}@bucket/x"), "credentials come from the environment"),
    "two directories": (("-o", "out", "--run-directory", "runs"), "is for -o URL"),
    "nothing to sign": (("-o", "out", "--presign", "60"), "is for outputs in an object store"),
    "nowhere to copy to": (("--copy-run",), "is for outputs in an object store"),
    "too long": (("-o", "s3://bucket/x", "--presign", "604801"), "at most 604800 seconds"),
}


@pytest.mark.parametrize(("options", "says"), WRONG.values(), ids=list(WRONG))
def test_wrong_options_are_refused(folder: Path, run: Run, served: Served, options: tuple[str, ...], says: str) -> None:
    """They are refused before anything is sent or made, and no secret is repeated."""
    done = run("batch", "jobs.jsonl", *options, **served[1])
    assert 2 == done.returncode
    assert says in " ".join(done.stderr.split())
    assert SECRET not in done.stderr
    assert 0 == served[0].submits
    assert ["jobs.jsonl"] == sorted(path.name for path in folder.iterdir())
