"""Row 41: many jobs, and some of every fault that an answer can have."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from attrs import frozen

from kling_async import JobStatus, Outcome, SqliteJournal
from kling_async.errors import AnswerLost, BadRequest, KlingError

from .answers import CLOSE, RESET, Script, refused, reply, send
from .conftest import OpenSite, cats, client_of
from .promises import timed

pytestmark = pytest.mark.anyio


@frozen
class Fate:
    """What happens to a job: its script, how it must end, how often it is sent, and whether it is charged."""

    script: Script
    error: type[KlingError] | None
    sent: int = 1
    charged: int = 1


def lost(*rows: Script) -> list[Fate]:
    return [Fate(script, AnswerLost) for script in rows]


def waited_out(*rows: Script) -> list[Fate]:
    return [Fate(script, None) for script in rows]


HALF = send("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{")
CUT = reply('{"code":200,"data":{"id":"<<id>>","sta', length=False) + CLOSE
BROKEN = reply('{"code":200,"data":{"id":"<<id>>","sta')
PAGE = reply("<html>log in</html>")
BAD_GATEWAY = reply(status="502 Bad Gateway")

FATES = [
    *lost(Script(submit=[RESET]), Script(submit=[CLOSE])),
    *lost(Script(submit=[HALF + CLOSE]), Script(submit=[HALF + RESET]), Script(submit=[CUT])),
    *lost(Script(submit=[BROKEN]), Script(submit=[PAGE]), Script(submit=[BAD_GATEWAY])),
    *lost(Script(submit=[reply('{"code":500,"message":"internal"}')])),
    Fate(Script(submit=[reply('{"code":400,"message":"no"}').free]), BadRequest, charged=0),
    Fate(Script(submit=[refused("429 Too Many Requests", headers=[("Retry-After", "0")])]), None, sent=2),
    *waited_out(Script(poll=[RESET]), Script(poll=[HALF + CLOSE]), Script(poll=[CUT]), Script(poll=[BROKEN])),
    *waited_out(Script(poll=[PAGE]), Script(poll=[BAD_GATEWAY]), Script(poll=[BAD_GATEWAY, RESET, PAGE])),
]
WELL = Fate(Script(), None)


async def soak(site: OpenSite, journal: SqliteJournal, *, jobs: int, share: float, by: float) -> None:
    """Run jobs of which a share meets each fault, twice, and hold all accounts of it against each other."""
    dice = random.Random(41)
    fates = {f"cat {number}": WELL for number in range(jobs)}
    for prompt in fates:
        if dice.random() < share * len(FATES):
            fates[prompt] = dice.choice(FATES)
    here = site(Script(jobs={prompt: fate.script for prompt, fate in fates.items() if fate is not WELL}))
    outcomes: list[Outcome] = []

    async def run() -> None:
        outcomes.clear()
        async with client.batch(cats(jobs), journal=journal, max_open=200, stop_after=jobs) as batch:
            async for outcome in batch:
                outcomes.append(outcome)

    async with client_of(here, request_timeout=5.0) as client:
        await timed(run, by=by, jobs=200)
        asked = len(here.log.requests)
        await timed(run, by=by, jobs=200)
        assert asked == len(here.log.requests), "a finished run that was repeated has sent something"
    ended = {one.job.input.prompt: one for one in outcomes}
    log = here.log
    sent = log.submissions()
    assert fates.keys() == ended.keys()
    for prompt, fate in fates.items():
        error = ended[prompt].error
        assert fate.error is (None if error is None else type(error)), f"{prompt}: {error}"
        assert fate.sent == sent[prompt], prompt
        assert fate.charged == len(log.charges.get(prompt, ())), prompt
    accepted = sum(one.prediction is not None for one in outcomes)
    unconfirmed = sum(isinstance(one.error, AnswerLost) for one in outcomes)
    assert sum(len(ids) for ids in log.charges.values()) == accepted + unconfirmed
    await journal.open()
    kept = await journal.submissions()
    await journal.aclose()
    assert jobs == len(kept)
    assert unconfirmed == sum(one.status is JobStatus.UNCONFIRMED for one in kept)
    assert accepted == sum(one.prediction is not None and one.status.is_terminal for one in kept)


async def test_row_41_books_balance(site: OpenSite, tmp_path: Path) -> None:
    """Of 300 jobs, 2 in 100 of which meet each fault, none is paid twice, and what is charged is known."""
    await soak(site, SqliteJournal(tmp_path / "journal.db"), jobs=300, share=0.02, by=20.0)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_row_41_books_balance_at_length(site: OpenSite, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The same with 10,000 jobs, 1 in 100 of which meets each fault."""
    caplog.set_level(logging.INFO)  # a million lines of httpcore's would be most of the work
    await soak(site, SqliteJournal(tmp_path / "journal.db"), jobs=10_000, share=0.01, by=200.0)
