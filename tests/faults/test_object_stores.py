"""Rows 57 and 58: a bucket that is missing, refuses, fails, is slow or silent, and runs that are killed in an upload.

The key of the bucket is in nothing that is shown or written, whatever goes wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import Job, Outcome
from kling_async.errors import DownloadError, InputError

from ..s3 import SECRET, Bucket
from .answers import CLOSE, Script, reply
from .conftest import OpenSite, cats, client_of, named
from .crashes import Runner
from .harness import Site
from .promises import check_paid_once, check_whole_objects, shown_by, timed
from .sweeps import LONG, interrupted_uploads, long_file

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks runs."""
    with Runner() as started:
        yield started


@pytest.fixture(autouse=True)
def _no_secret(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[None]:
    """Hold each row to a key of the bucket that shows in no log, output or file."""
    caplog.set_level(logging.DEBUG)
    yield
    written = "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    check_no_secret(caplog.text, *capfd.readouterr(), written)


def check_no_secret(*shown: str | bytes) -> None:
    """Hold that the key of the bucket, and no signature, is in nothing that is shown."""
    for one in shown:
        text = one if isinstance(one, str) else one.decode("latin-1")
        assert SECRET not in text
        assert "X-Amz-Signature" not in text


def jobs(number: int) -> list[Job]:
    return [Job(input, key=f"cat-{position}") for position, input in enumerate(cats(number))]


async def run(here: Site, place: Path | str, journal: Path, *, number: int = 3) -> list[Outcome]:
    """Run a batch, as the next process would."""
    async with (
        client_of(here) as client,
        client.batch(jobs(number), save_to=place, journal=journal, ordered=True) as batch,
    ):
        return [outcome async for outcome in batch]


async def saved_by_the_next_run(here: Site, bucket: Bucket, journal: Path, *, number: int, content: bytes) -> None:
    """Hold that the next run saves what the last one could not, whole, and pays nothing for it."""
    bucket.faults()
    outcomes = (await timed(lambda: run(here, bucket.url, journal, number=number), by=10.0, jobs=20)).well()
    assert all(outcome.ok for outcome in outcomes)
    assert {f"cat-{position}-0.png" for position in range(number)} == bucket.objects().keys()
    check_whole_objects(bucket, content)
    check_paid_once(here.log, [f"cat {position}" for position in range(number)])


REFUSED: dict[str, dict[str, Any]] = {
    "denied": {"status": 403, "code": "AccessDenied"},
    "wrong key": {"status": 403, "code": "SignatureDoesNotMatch"},
    "missing": {"status": 404, "code": "NoSuchBucket"},
    "broken": {"status": 501, "code": "NotImplemented"},
}


@pytest.mark.parametrize("fault", named(REFUSED))
async def test_row_57_refused_before_the_first_job(
    site: OpenSite, bucket: Bucket, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """A bucket that does not take an object is an error when the batch is entered: 0 requests at the provider."""
    here = site()
    bucket.faults({"method": "PUT", "message": SECRET, "times": 99, **fault})
    error = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db"), by=11.0)).badly(InputError)
    assert "cannot be written: " in str(error)
    check_no_secret(*shown_by(error))
    assert [] == here.log.requests


async def test_row_57_silent_before_the_first_job(site: OpenSite, bucket: Bucket, tmp_path: Path) -> None:
    """A bucket that does not answer is an error within seconds, not minutes: 0 requests at the provider."""
    here = site()
    bucket.faults({"method": "PUT", "sleep": 12.0, "times": 99})
    error = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db"), by=21.0)).badly(InputError)
    assert "it did not answer in time" in str(error)
    assert [] == here.log.requests


LATER: dict[str, dict[str, Any]] = {
    "denied": {"status": 403, "code": "AccessDenied", "message": SECRET},
    "full": {"status": 507, "code": "InsufficientStorage", "message": SECRET},
    "gone": {"status": 404, "code": "NoSuchBucket", "message": SECRET},
}


@pytest.mark.parametrize("fault", named(LATER))
async def test_row_57_fails_later(site: OpenSite, bucket: Bucket, tmp_path: Path, fault: dict[str, Any]) -> None:
    """A bucket that fails after the jobs were paid leaves them finished; the next run saves them for nothing."""
    here = site()
    bucket.faults({"method": "PUT", "path": r"-0\.png", "times": 99, **fault})
    outcomes = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db"), by=30.0, jobs=20)).well()
    for outcome in outcomes:
        assert isinstance(outcome.error, DownloadError)
        assert outcome.prediction is not None
        assert outcome.prediction.succeeded
        check_no_secret(*shown_by(outcome.error))
    assert {} == bucket.objects()
    await saved_by_the_next_run(here, bucket, tmp_path / "journal.db", number=3, content=PNG)


async def test_row_57_busy_for_a_moment(site: OpenSite, bucket: Bucket, tmp_path: Path) -> None:
    """A bucket that is busy for a moment is asked again: an object written twice is the same object."""
    here = site()
    bucket.faults({"method": "PUT", "path": r"-0\.png", "status": 503, "code": "SlowDown", "times": 2})
    outcomes = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db"), by=10.0, jobs=20)).well()
    assert all(outcome.ok for outcome in outcomes)
    check_paid_once(here.log, ["cat 0", "cat 1", "cat 2"])


MIDDLE: dict[str, dict[str, Any]] = {
    "a part": {"method": "PUT", "path": "partNumber=2"},
    "the last part": {"method": "PUT", "path": "partNumber=3"},
    "the end": {"method": "POST", "path": "uploadId="},
}


@pytest.mark.parametrize("fault", named(MIDDLE))
async def test_row_57_fails_in_the_middle(
    site: OpenSite, bucket: Bucket, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """An upload that fails at a part, or at its end, leaves neither an object nor a part; the next run saves it."""
    here = site(Script(file=[long_file().for_ever]))
    bucket.faults({"status": 403, "code": "AccessDenied", "message": SECRET, **fault})
    [outcome] = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db", number=1), by=20.0, jobs=40)).well()
    assert isinstance(outcome.error, DownloadError)
    assert {} == bucket.objects()
    with anyio.fail_after(5):
        while bucket.uploads():
            await anyio.sleep(0.05)
    await saved_by_the_next_run(here, bucket, tmp_path / "journal.db", number=1, content=LONG)


async def test_row_57_broken_off_at_the_source(site: OpenSite, bucket: Bucket, tmp_path: Path) -> None:
    """An output that breaks off again and again has no object, however much of it was uploaded."""
    here = site(Script(file=[(reply(LONG, headers=[("ETag", '"one"')], short=12) + CLOSE).for_ever]))
    [outcome] = (await timed(lambda: run(here, bucket.url, tmp_path / "journal.db", number=1), by=20.0, jobs=40)).well()
    assert isinstance(outcome.error, DownloadError)
    assert {} == bucket.objects()


async def test_row_57_slow(site: OpenSite, bucket: Bucket, tmp_path: Path) -> None:
    """While a bucket is slow, jobs are submitted and polled as ever; all of them are saved in the end."""
    here = site()
    bucket.faults({"method": "PUT", "path": r"-0\.png", "sleep": 0.5, "times": 8})

    async def submitted() -> None:
        await here.until(lambda log: 8 == len(log.submissions()))
        assert {} == bucket.objects()

    async with anyio.create_task_group() as group:
        group.start_soon(submitted)
        outcomes = await run(here, bucket.url, tmp_path / "journal.db", number=8)
    assert all(outcome.ok for outcome in outcomes)
    check_paid_once(here.log, [f"cat {position}" for position in range(8)])


async def test_row_57_leaving_does_not_wait_for_it(site: OpenSite, bucket: Bucket, tmp_path: Path) -> None:
    """A batch that is left while a bucket is silent ends at once; the next run saves what was not saved."""
    here, journal = site(), tmp_path / "journal.db"
    bucket.faults({"method": "PUT", "path": "cat-1-0", "sleep": 4.0})

    async def leave() -> int:
        async with client_of(here) as client, client.batch(jobs(2), save_to=bucket.url, journal=journal) as batch:
            async for outcome in batch:
                assert "cat-0" == outcome.job.key
                break
        return 1

    (await timed(leave, by=2.0, jobs=20)).well()
    await anyio.sleep(4.0)  # what was on its way arrives, or not: the next run takes either
    await saved_by_the_next_run(here, bucket, journal, number=2, content=PNG)


def test_row_58_killed_in_the_middle_of_an_upload(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Killed after one part or two, a run leaves nothing under the name; the next one saves it and pays nothing."""
    interrupted_uploads(runner, site, tmp_path)
