"""The times and the cost of outcomes: those that the journal has, with and without one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kling_async import ImageInput, Job, Limits, MemoryJournal, Outcome, rows
from kling_async.runs.results import row_from_job, to_dict
from kling_async.testing import Fixed

from ..conftest import OpenClient

PRICES = {"kling-image-o1": Decimal("0.03")}
FACTS = ("status", "cost", "sent_at", "finished_at", "took")
PROMPTS = {"ok": "a fox", "refused": "[[refused]]", "failed": "[[failed]]", "lost": "[[lost]]"}
JOBS = [Job(ImageInput(prompt), key=key) for key, prompt in PROMPTS.items()]


def by_key(outcomes: list[Outcome]) -> dict[object, dict[str, object]]:
    """Return the facts of each outcome."""
    return {row["key"]: {name: row[name] for name in FACTS} for row in rows(outcomes)}


@pytest.mark.anyio
async def test_outcomes_tell_what_the_journal_has(open_client: OpenClient) -> None:
    """Times and cost of a row are those that the run's results have, also in a later run, and without a journal."""
    journal, runs = MemoryJournal(), list[dict[object, dict[str, object]]]()
    async with open_client(image_latency=Fixed(7.0), max_open=None) as at:
        for place in (journal, journal, None):
            async with at.client.batch(JOBS, journal=place, prices=PRICES) as batch:
                runs.append(by_key([outcome async for outcome in batch]))
            await at.clock.sleep(1000.0)
    for job in JOBS:
        known = await journal.find(job.key or "")
        assert known is not None
        stored = to_dict(row_from_job(job, [known], position=0))
        assert {name: stored[name] for name in FACTS} == runs[0][job.key], job.key
        assert runs[0][job.key] == runs[1][job.key], job.key
    timed = {key: (row["status"], row["cost"], row["took"]) for key, row in runs[2].items()}
    assert ("failed", None, 0.0) == timed["refused"]
    assert ("unconfirmed", 0.03, None) == tuple(runs[0]["lost"][name] for name in ("status", "cost", "took"))
    status, cost, took = timed["ok"]
    assert ("succeeded", 0.03) == (status, cost)
    assert isinstance(took, float)
    assert 7.0 <= took < 10.0


@pytest.mark.anyio
async def test_a_job_that_was_not_sent_has_no_times(open_client: OpenClient) -> None:
    """An input that no provider takes has neither a time nor a cost."""
    async with open_client() as at, at.client.batch([ImageInput("x", n=99)]) as batch:
        [row] = rows([outcome async for outcome in batch])
    assert [None] * 4 == [row[name] for name in FACTS[1:]]


@pytest.mark.anyio
async def test_rows_have_the_columns_of_results(open_client: OpenClient) -> None:
    """`rows` and `results.jsonl` have the same names; only the number of attempts is known to a journal alone."""
    async with open_client() as at:
        [outcome] = await at.client.map([JOBS[0]])
    assert outcome.took is not None
    stored = to_dict(row_from_job(JOBS[0], [], position=0))
    assert [name for name in stored if name != "attempts"] == list(rows([outcome])[0])


@pytest.mark.anyio
async def test_the_clock_of_a_batch_stops_at_its_end(open_client: OpenClient) -> None:
    """`elapsed` stands still from the last outcome on, or from when the batch was left."""
    slow = Limits(submit_per_second=1.0, poll_per_second=None, max_open=None)
    async with open_client(image_latency=Fixed(5.0), limits=slow) as at:
        for ends in (100, 1):
            async with at.client.batch([ImageInput(f"cat {number}") for number in range(4)]) as batch:
                seen = 0
                async for _ in batch:
                    seen += 1
                    if seen == ends:
                        break
            elapsed = batch.progress.elapsed
            await at.clock.sleep(50.0)
            assert elapsed == batch.progress.elapsed
            assert 5.0 <= elapsed < 15.0


@pytest.mark.anyio
async def test_clients_and_batches_say_how_they_stand(open_client: OpenClient) -> None:
    """A client and a batch as the last line of a cell say what they are, and hold no key."""
    async with open_client() as at:
        batch = at.client.batch([ImageInput("x"), ImageInput("[[refused]]")])
        assert repr(batch).startswith("<kling_async.Batch, not entered: 0 of 2 done: nothing yet; ")
        async with batch:
            assert repr(batch).startswith("<kling_async.Batch, open: 0 of 2 done")
            async for _ in batch:
                pass
        assert repr(batch).startswith("<kling_async.Batch, ended: 2 of 2 done: 1 succeeded, 1 failed; ")
        assert repr(batch.progress).startswith("Progress(2 of 2 done: 1 succeeded, 1 failed; ")
        assert "<kling_async.Client gptproto, open>" == repr(at.client)
        client = at.client
    assert "<kling_async.Client gptproto, closed>" == repr(client)
