"""Row 48: the same key asked for several times at the same time."""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from kling_async import AnswerLost, Client, ImageInput, Job, KlingError, Outcome, SqliteJournal

from .answers import RESET, Answer, Script, accepted, sleep
from .conftest import OpenSite, client_of
from .promises import timed

pytestmark = pytest.mark.anyio

KEYS = 60
LOST = {"cat 7", "cat 31", "cat 59"}
"""The answers to the submissions of these are lost."""


def jobs(dice: random.Random) -> list[Job]:
    """Return all jobs, in an order of its own."""
    return [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in dice.sample(range(KEYS), KEYS)]


async def ask(client: Client, job: Job, ended: list[object]) -> None:
    """Ask for one job, and note its id, or what went wrong."""
    try:
        ended.append((await client.generate(job.input, key=job.key)).id)
    except KlingError as error:
        ended.append(error)


async def test_row_48_two_batches_and_many_calls_buy_each_key_once(site: OpenSite, tmp_path: Path) -> None:
    """Two batches and 180 calls over the same 60 keys, at random: each is posted once, and all get its outcome."""
    dice = random.Random(50)
    here = site(Script(jobs=dict.fromkeys(LOST, Script(submit=[RESET]))), running_for=3)
    runs: list[list[Outcome]] = []
    ended: dict[str, list[object]] = {f"cat {number}": [] for number in range(KEYS)}

    async def run(client: Client, listed: list[Job]) -> None:
        async with client.batch(listed, max_open=20, stop_after=KEYS) as batch:
            runs.append([outcome async for outcome in batch])

    async def later(client: Client, job: Job, after: float) -> None:
        await anyio.sleep(after)
        await ask(client, job, ended[job.input.prompt])

    async def storm() -> None:
        journal = SqliteJournal(tmp_path / "journal.db")
        async with client_of(here, journal=journal) as client, anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(run, client, jobs(dice))
            for job in [*jobs(dice), *jobs(dice), *jobs(dice)]:
                group.start_soon(later, client, job, dice.random() * 0.3)

    await timed(storm, by=20.0, jobs=KEYS)
    log = here.log
    assert dict.fromkeys(ended, 1) == dict(log.submissions())
    for one in [*runs[0], *runs[1]]:
        ended[one.job.input.prompt].append(one.prediction.id if one.prediction is not None else one.error)
    for prompt, got in ended.items():
        expected = [AnswerLost] if prompt in LOST else [*log.charges[prompt]]
        assert expected * 5 == [type(one) if prompt in LOST else one for one in got], prompt


@pytest.mark.parametrize("answer", [accepted(), RESET], ids=["accepted", "lost"])
async def test_row_48_calls_without_a_journal_share_one_submission(site: OpenSite, answer: Answer) -> None:
    """Twenty calls for a key whose submission is on its way: one request, and its outcome for each, also a lost one."""
    here = site(Script(submit=[sleep(0.2) + answer]))
    ended: list[object] = []

    async def storm() -> None:
        async with client_of(here) as client, anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask, client, Job(ImageInput("a cat"), key="cat"), ended)

    await timed(storm, by=10.0, jobs=20)
    assert {"a cat": 1} == dict(here.log.submissions())
    assert 20 == len(ended)
    if answer is RESET:
        assert {AnswerLost} == {type(one) for one in ended}
        assert 20 == len({id(one) for one in ended})
    else:
        assert {*here.log.charges["a cat"]} == set(ended)
