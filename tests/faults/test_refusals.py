"""Rows 11 to 14: a provider that fails, or says no."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import anyio
import pytest

from kling_async import ImageInput, Limits, Outcome
from kling_async.errors import AnswerLost, AuthenticationError, KlingError, PermissionDenied, RateLimited
from kling_async.runtime.batch import Batch
from kling_async.types.events import Event, EventKind

from .answers import HEALTHY_SUBMIT, Answer, Script, refused, reply, sleep
from .conftest import ANSWER_WITHIN, PACE, OpenSite, cats, client_of, listing, named
from .promises import check_paid_once, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")
STORMS = {
    status: reply("<html>bad gateway</html>", status=f"{status} No", headers=[("Content-Type", "text/html")]).for_ever
    for status in ("500", "502", "503", "504")
}


async def handed_out(batch: Batch, outcomes: list[Outcome]) -> list[Outcome]:
    """Take all that a batch hands out, also when it ends with an error."""
    async with batch:
        async for outcome in batch:
            outcomes.append(outcome)
    return outcomes


@pytest.mark.parametrize("storm", named(STORMS))
async def test_row_11_storm_of_5xx_on_submissions(site: OpenSite, storm: Answer) -> None:
    """Behind a 5xx the provider may be at work: each job is unconfirmed after one submission."""
    here = site(Script(submit=[storm]))
    async with client_of(here) as client:
        outcomes = (await timed(lambda: client.map(cats(8)), by=4.0)).well()
    assert all(type(one.error) is AnswerLost and one.error.may_be_billed for one in outcomes)
    check_paid_once(here.log, [f"cat {number}" for number in range(8)])


async def test_row_11_a_storm_slows_submissions(site: OpenSite) -> None:
    """While answer after answer is lost, submissions leave one by one with pauses; when it is over, all the rest do."""
    here = site(Script(submit=[STORMS["502"]]))
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=4)
    outcomes: list[Outcome] = []
    most: list[int] = []
    async with client_of(here, limits=limits) as client, anyio.create_task_group() as group:

        async def calm() -> None:
            await anyio.sleep(0.6)  # 60 s of the client's clock, or more where the machine is busy
            stormy = here.log.of("submit")
            assert len(stormy) <= 4 + (time.monotonic() - stormy[0].at) * PACE / 5
            here.script(Script())
            most.append(len(here.log.of("submit")))

        group.start_soon(calm)
        (await timed(partial(handed_out, client.batch(cats(60)), outcomes), by=6.0)).well()
    lost = sum(type(one.error) is AnswerLost for one in outcomes)
    assert 4 <= lost <= most[0]
    assert 60 == lost + sum(one.ok for one in outcomes)
    check_paid_once(here.log, [f"cat {number}" for number in range(60)])


async def test_row_12_storm_of_5xx_on_polls(site: OpenSite) -> None:
    """Polls that meet 5xx are repeated ever more rarely, until the storm is over; then all finish, paid for once."""
    here = site(Script(poll=[STORMS["502"]]))
    storm_for = 0.4  # 40 s of the client's clock
    async with client_of(here) as client, anyio.create_task_group() as group:

        async def calm() -> None:
            await anyio.sleep(storm_for)
            here.script(Script())

        group.start_soon(calm)
        outcomes = (await timed(lambda: client.map(cats(10)), by=4.0)).well()
    assert all(one.ok for one in outcomes)
    check_paid_once(here.log, [f"cat {number}" for number in range(10)])
    # Full jitter under 1, 2, 4, 8, 16 and then 30 s: eight looks in 40 s by the dice's mean.
    assert len(here.log.of("poll")) <= 10 * 16


def retry(*values: str, sent: str | None = None) -> list[tuple[str, str]]:
    """Write Retry-After headers, and a Date."""
    headers = [("Retry-After", value) for value in values]
    return headers if sent is None else [*headers, ("Date", sent)]


NOON, LATER = "Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 12:00:10 GMT"
JITTER = 1.0
"""Seconds under which it waits, by the dice, when it is not told how long."""
ADDED = 0.1
"""Seconds of jitter on top of what it is told."""
MOST = 300.0

WAITS: dict[str, tuple[list[tuple[str, str]], float, float]] = {
    "none": ([], 0.0, JITTER),
    "0": (retry("0"), 0.0, ADDED),
    "5": (retry("5"), 5.0, 5.0 + ADDED),
    "date in the future": (retry(LATER, sent=NOON), 10.0, 10.0 + ADDED),
    "date in the past": (retry(NOON, sent=LATER), 0.0, ADDED),
    "date without a date to hold it against": (retry(LATER), 0.0, JITTER),
    "clock of the server 20 years slow": (
        retry(LATER.replace("2026", "2006"), sent=NOON.replace("2026", "2006")),
        10,
        10.1,
    ),
    "-1": (retry("-1"), 0.0, JITTER),
    "1e9": (retry("1e9"), 0.0, JITTER),
    "a billion": (retry("1000000000"), MOST, MOST + ADDED),
    "NaN": (retry("NaN"), 0.0, JITTER),
    "inf": (retry("inf"), 0.0, JITTER),
    "10^400": (retry("1" + "0" * 400), MOST, MOST + ADDED),
    "two headers": (retry("5", "7"), 7.0, 7.0 + ADDED),
    "two headers, one of them nonsense": (retry("5", "soon"), 0.0, JITTER),
    "empty": (retry(""), 0.0, JITTER),
}


@pytest.mark.parametrize("row", named(WAITS))
async def test_row_13_retry_after(site: OpenSite, row: tuple[list[tuple[str, str]], float, float]) -> None:
    """A 429 is waited out: as long as it asks, at most 300 s; what it says that is no time is ignored."""
    headers, least, most = row
    pace, waits = 1000.0, list[float]()
    here = site(Script(submit=[refused("429 Too Many Requests", headers=headers)]))

    def hear(event: Event) -> None:
        if event.kind is EventKind.THROTTLED and event.retry_in is not None:
            waits.append(event.retry_in)

    async with client_of(here, pace=pace) as client:
        batch = client.batch([CAT])
        batch.add_listener(hear)
        [outcome] = (await timed(lambda: handed_out(batch, []), by=2.0)).well()
    assert outcome.ok
    [waited] = waits
    assert least <= waited <= most
    first, second = here.log.of("submit")
    assert second.at - first.at >= least / pace - 0.005
    assert 1 == len(here.log.charges["a cat"])


async def test_row_13_a_429_pauses_the_account(site: OpenSite) -> None:
    """A 429 to one job holds back all of them: until it is over not one submission leaves."""
    here = site(Script(submit=[refused("429 Too Many Requests", headers=retry("40")), sleep(0.02) + HEALTHY_SUBMIT]))
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=2)
    async with client_of(here, limits=limits) as client:
        outcomes = (await timed(lambda: client.map(cats(8)), by=4.0)).well()
    assert all(one.ok for one in outcomes)
    first, *rest = [one.at for one in here.log.of("submit")]
    # Who was on his way already is the only one to arrive before the pause of 0.4 s is over.
    assert 1 >= sum(at < first + 0.39 for at in rest)
    assert 9 == len(here.log.of("submit"))


async def test_row_13_a_429_for_ever(site: OpenSite) -> None:
    """A provider that says 429 for ever ends a call after 8 tries, and nothing was charged."""
    here = site(Script(submit=[refused("429 Too Many Requests", headers=retry("0")).for_ever]))
    async with client_of(here) as client:
        error = (await timed(lambda: client.submit(CAT, wait_timeout=900), by=2.0)).badly(RateLimited)
    assert not error.may_be_billed
    assert 8 == len(here.log.of("submit"))
    assert {} == here.log.charges


REVOKED = {
    "401": (refused("401 Unauthorized"), AuthenticationError),
    "403": (refused("403 Forbidden"), PermissionDenied),
}


@pytest.mark.parametrize("row", named(REVOKED))
async def test_row_14_key_refused_in_a_run(
    site: OpenSite, tmp_path: Path, row: tuple[Answer, type[KlingError]]
) -> None:
    """A key that is revoked in a run stops its submissions; what was accepted is polled, and its files are saved."""
    answer, kind = row
    slots = 3
    here = site(Script(submit=[HEALTHY_SUBMIT] * 4 + [answer.for_ever]), running_for=2)
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=slots)
    outcomes: list[Outcome] = []
    async with client_of(here, limits=limits) as client:
        batch = client.batch(cats(30), save_to=tmp_path, max_open=30)
        (await timed(partial(handed_out, batch, outcomes), by=3.0)).badly(kind)
    assert 4 == sum(one.ok for one in outcomes)
    assert 4 == len(listing(tmp_path))
    assert all(one.ok or type(one.error) is kind for one in outcomes)
    assert len(here.log.of("submit")) <= 4 + slots
    assert 4 == sum(len(ids) for ids in here.log.charges.values())


@pytest.mark.parametrize("row", named(REVOKED))
async def test_row_14_key_refused_to_a_single_call(site: OpenSite, row: tuple[Answer, type[KlingError]]) -> None:
    """A call whose key is refused says so at once, and sends nothing again."""
    answer, kind = row
    here = site(Script(submit=[answer.for_ever]))
    async with client_of(here) as client:
        (await timed(lambda: client.generate(CAT), by=ANSWER_WITHIN)).badly(kind)
    assert 1 == len(here.log.of("submit"))
