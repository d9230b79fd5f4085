"""A client of a journal in a database, in a process that can be killed.

    python database_process.py write URL RUN
    python database_process.py batch URL RUN ORIGIN JOBS

The first writes submissions, and tells each id once it is durable. The second runs a batch, and tells each outcome.
"""

from __future__ import annotations

import sys

import anyio

from kling_async import Client, ImageInput, Job, Limits, PostgresJournal
from kling_async.testing.journal_samples import accepted_sample, sample

LIMITS = Limits(submit_per_second=None, poll_per_second=None, max_open=20, max_submitting=4)


async def write(url: str, run: str) -> None:
    """Write for ever."""
    journal = PostgresJournal(url, run=run)
    await journal.open()

    async def writer(name: int) -> None:
        for number in range(1_000_000):
            key = f"cat-{name}-{number}"
            await journal.write(sample(key).sent(2.0))
            await journal.write(accepted_sample(key, id=f"id-{key}"))
            print(key, flush=True)  # noqa: T201

    async with anyio.create_task_group() as group:
        for name in range(8):
            group.start_soon(writer, name)


async def batch(url: str, run: str, origin: str, jobs: str) -> None:
    """Run a batch to its end."""
    given = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(int(jobs))]
    client = Client("gptproto", api_key="sk-sandbox", base_url=origin, limits=LIMITS)
    async with client, client.batch(given, journal=PostgresJournal(url, run=run)) as running:
        async for outcome in running:
            error = "ok" if outcome.error is None else type(outcome.error).__name__
            print(outcome.job.key, error, outcome.prediction.id if outcome.prediction else "", flush=True)  # noqa: T201


if __name__ == "__main__":
    anyio.run({"write": write, "batch": batch}[sys.argv[1]], *sys.argv[2:])
