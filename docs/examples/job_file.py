"""Read a job file, print its faults and its price; then run it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from kling_async import Client, Job
from kling_async.runs.jobfile import JobfileSummary, read_jobfile


def jobs(path: Path) -> Iterator[Job]:
    """Yield the jobs of a file, line by line."""
    with path.open("rb") as lines:
        for row in read_jobfile(lines, name=path.name):
            yield from row.jobs


def check(path: Path) -> JobfileSummary:
    """Check and price all rows before any money is spent."""
    summary = JobfileSummary(["gptproto"], prices={})
    with path.open("rb") as lines:
        for row in read_jobfile(lines, name=path.name):
            summary.add(row)
    return summary


async def main(path: Path) -> None:
    """Run the file, unless a row has a fault."""
    summary = check(path)
    print(f"{summary.jobs} jobs, expected cost: {summary.estimate}")
    if summary.faulty:
        sys.exit("\n".join(map(str, summary.faults)))
    async with Client() as client, client.batch(jobs(path), save_to="out") as batch:
        async for outcome in batch:
            print(outcome.job.key, outcome.error or "done")


asyncio.run(main(Path(sys.argv[1])))
