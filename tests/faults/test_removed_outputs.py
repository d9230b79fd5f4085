"""Rows 55 and 56: outputs that a provider has removed, and predictions that it has cancelled."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from kling_async import Client, Job, JobStatus, MemoryJournal, Outcome, PredictionFailed, Status
from kling_async.errors import DownloadError
from kling_async.types.prediction import FailureKind

from ..conftest import NO_LIMITS
from .answers import CLOSE, HEALTHY_FILE, HEALTHY_POLL, Answer, Script, reply, said, sleep
from .cases import CASES, Case
from .conftest import OpenSite, PacedClock, client_of, listing, named
from .harness import Site
from .promises import CANARY, check_paid_once, check_whole_files, timed

pytestmark = pytest.mark.anyio

GONE = {status: reply("gone", status=f"{status} Gone").for_ever for status in ("403", "404", "410")}
HALF_A_FILE = reply(b"\x89PNG\r\n\x1a\n" + bytes(4000), headers=[("ETag", '"one"')], short=2000) + CLOSE


async def run(here: Site, case: Case, journal: MemoryJournal, folder: Path, **settings: bool) -> Outcome:
    """Run one job of a provider with a journal, and save its files."""
    async with client_of(here, provider=case.provider, journal=journal) as client:
        job = Job(case.input, key="cat")
        [outcome] = (await timed(partial(client.map, [job], save_to=folder, **settings), by=3.0)).well()
    return outcome


def check_removed(outcome: Outcome, here: Site, folder: Path) -> DownloadError:
    """Hold that an outcome says that the output was removed, that nothing was bought anew, and no file is there."""
    error = outcome.error
    assert type(error) is DownloadError
    assert "The outputs were removed" in str(error)
    assert "They cannot be downloaded again" in str(error)
    assert here.log.charges["a cat"] == [error.id]
    check_paid_once(here.log, ["a cat"])
    check_whole_files(folder)
    assert not [name for name in listing(folder) if ".part" not in name]
    return error


@pytest.mark.parametrize("gone", named(GONE))
@pytest.mark.parametrize("case", named(CASES))
async def test_row_55_removed_file(site: OpenSite, tmp_path: Path, case: Case, gone: Answer) -> None:
    """A file that is gone at its newest address was removed: the error says so in each run, and nothing is bought."""
    here, journal = site(Script(file=[gone])), MemoryJournal()
    for _ in range(2):
        outcome = await run(here, case, journal, tmp_path)
        check_removed(outcome, here, tmp_path)
        assert outcome.prediction is not None
        assert outcome.prediction.succeeded


async def test_row_55_removed_in_the_middle(site: OpenSite, tmp_path: Path) -> None:
    """A file that is removed while it is fetched leaves nothing under its final name."""
    here = site(Script(file=[HALF_A_FILE, GONE["404"]]))
    check_removed(await run(here, CASES["kling"], MemoryJournal(), tmp_path), here, tmp_path)


REMOVED = {"status": "succeeded", "output": None, "data_removed": True, "error": None, "input": {}}


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "resubmit_failed"])
async def test_row_55_removed_after_an_hour(site: OpenSite, tmp_path: Path, *, again: bool) -> None:
    """What Replicate has removed by its own record is said to be removed, and how long it keeps outputs.

    A job without files counts as expired from then on, and is bought anew only where that was asked for.
    """
    removed = reply(json.dumps({"id": "<<id>>", **REMOVED})).for_ever
    here = site(Script(poll=[HEALTHY_POLL, removed], file=[GONE["404"]]))
    journal, case = MemoryJournal(), CASES["replicate"]
    error = check_removed(await run(here, case, journal, tmp_path), here, tmp_path)
    assert "it has removed the outputs since" in str(error)
    assert "Replicate keeps them for 1 h" in str(error)
    known = await journal.find("cat")
    assert known is not None
    assert JobStatus.EXPIRED is known.status
    here.script(Script())
    outcome = await run(here, case, journal, tmp_path, resubmit_failed=again)
    assert again == outcome.ok
    assert (2 if again else 1) == len(here.log.charges["a cat"])


async def test_row_55_removed_after_it_was_saved(site: OpenSite, tmp_path: Path) -> None:
    """A job whose files were saved stays finished when the outputs are removed: no run buys it, nor asks for it."""
    here, journal, case = site(), MemoryJournal(), CASES["replicate"]
    assert (await run(here, case, journal, tmp_path)).ok
    files, requests = listing(tmp_path), len(here.log.requests)
    body = json.dumps({"id": "<<id>>", **REMOVED})
    here.script(Script(poll=[reply(body).for_ever], file=[GONE["404"]]))
    assert (await run(here, case, journal, tmp_path, resubmit_failed=True)).ok
    assert (files, requests) == (listing(tmp_path), len(here.log.requests))


NO_RECORD = {
    "replicate": reply('{"detail": "The requested resource could not be found."}', status="404 Not Found"),
    "openrouter": reply('{"error": {"code": 404, "message": "Job not found"}}', status="404 Not Found"),
    "fal": reply('{"detail": "Request not found"}', status="404 Not Found"),
    "wavespeed": reply('{"message": "Prediction not found"}', status="404 Not Found"),
    "kling legacy": reply('{"code": 1201, "message": "Task not found by id/external id"}', status="400 Bad Request"),
    "kling": reply('{"code": 0, "message": "SUCCEED", "data": []}'),
}


@pytest.mark.parametrize("name", NO_RECORD)
async def test_row_55_removed_with_its_record(site: OpenSite, tmp_path: Path, name: str) -> None:
    """Where a provider has removed its record as well, that is what the error says."""
    here, case = site(), CASES[name]
    async with client_of(here, provider=case.provider) as client:
        prediction = (await timed(partial(client.generate, case.input), by=3.0)).well()
        here.script(Script(poll=[NO_RECORD[name].for_ever], file=[GONE["404"]]))
        error = (await timed(partial(client.download, prediction, tmp_path), by=3.0)).badly(DownloadError)
    assert "no record of the prediction any more" in str(error)
    assert prediction.id == error.id
    check_paid_once(here.log, ["a cat"])
    assert not [one for one in listing(tmp_path) if ".part" not in one]


async def test_row_55_what_goes_first_is_fetched_first(site: OpenSite, tmp_path: Path) -> None:
    """Outputs kept for an hour are fetched before those kept for a month, though these were waiting before them."""
    slow = (sleep(0.2) + HEALTHY_FILE).for_ever
    month, hour = site(Script(file=[slow])), site(Script(file=[slow]), running_for=2)
    client = Client(
        "kling",
        api_keys={"kling": CANARY, "replicate": CANARY},
        base_urls={"kling": month.origin, "replicate": hour.origin},
        limits={"kling": NO_LIMITS, "replicate": NO_LIMITS},
        clock=PacedClock(),
    )
    jobs = [Job(one, provider="kling") for one in CASES["kling"].inputs(16)]
    jobs.append(Job(CASES["replicate"].input, provider="replicate"))
    async with client:
        outcomes = (await timed(partial(client.map, jobs, save_to=tmp_path), by=5.0, jobs=17)).well()
    assert all(one.ok for one in outcomes)
    [first] = hour.log.of("file")
    assert sum(one.at > first.at for one in month.log.of("file")) >= 4


# Row 56.

CANCELLED: dict[str, tuple[str, Script]] = {
    "wavespeed cancelled": ("wavespeed", Script(poll=[said("cancelled")])),
    "wavespeed deleted": ("wavespeed", Script(poll=[said("deleted")])),
    "fal canceled": ("fal", Script(poll=[said("CANCELED")])),
    "fal, in its status": (
        "fal",
        Script(poll=[reply('{"status":"COMPLETED","error":"It was cancelled","error_type":"client_cancelled"}')]),
    ),
    "fal, in its result": (
        "fal",
        Script(
            result=[
                reply(
                    '{"detail":"It was cancelled","error_type":"client_cancelled"}', status="499 Client Closed Request"
                )
            ]
        ),
    ),
    "replicate canceled": ("replicate", Script(poll=[said("canceled")])),
    "replicate aborted": ("replicate", Script(poll=[said("aborted")])),
    "openrouter cancelled": ("openrouter", Script(poll=[said("cancelled")])),
}
"""How each provider says it. Kling has no word for it."""


@pytest.mark.parametrize("row", named(CANCELLED))
async def test_row_56_cancelled_by_the_provider(site: OpenSite, tmp_path: Path, row: tuple[str, Script]) -> None:
    """What a provider has cancelled is cancelled, and not failed: no outputs, and no second submission in any run."""
    name, script = row
    here, journal, case = site(script), MemoryJournal(), CASES[name]
    for _ in range(2):
        outcome = await run(here, case, journal, tmp_path)
        assert type(outcome.error) is PredictionFailed
        seen = outcome.error.prediction
        assert (Status.CANCELLED, ()) == (seen.status, seen.outputs)
        assert seen.failure is not None
        assert FailureKind.CANCELLED is seen.failure.kind
        known = await journal.find("cat")
        assert known is not None
        assert JobStatus.CANCELLED is known.status
        check_paid_once(here.log, ["a cat"])
    assert [] == here.log.of("file")


async def test_row_56_a_caller_that_hung_up_has_cancelled_nothing(site: OpenSite) -> None:
    """The same HTTP status for a result that only broke off ends nothing: it is asked for again."""
    broken = reply('{"detail":"It closed","error_type":"client_disconnected"}', status="499 Client Closed Request")
    here = site(Script(result=[broken]))
    async with client_of(here, provider="fal") as client:
        (await timed(partial(client.generate, CASES["fal"].input), by=3.0)).well()
    assert 2 == len(here.log.of("result"))
    check_paid_once(here.log, ["a cat"])
