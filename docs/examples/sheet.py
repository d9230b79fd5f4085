"""Read a sheet of jobs, tell what is wrong with it and what it will cost; then run it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from kling_async import Client, Job
from kling_async.sheets import Survey, read_sheet


def jobs(path: Path) -> Iterator[Job]:
    """Yield the jobs of a sheet, line by line."""
    with path.open("rb") as lines:
        for row in read_sheet(lines, name=path.name):
            yield from row.jobs


def survey(path: Path) -> Survey:
    """Look at all rows before any money is spent."""
    found = Survey(["gptproto"], prices={})
    with path.open("rb") as lines:
        for row in read_sheet(lines, name=path.name):
            found.see(row)
    return found


async def main(path: Path) -> None:
    """Run nothing of a sheet that has a fault."""
    found = survey(path)
    print(f"{found.jobs} jobs, expected cost: {found.estimate}")
    if found.faulty:
        sys.exit("\n".join(map(str, found.faults)))
    async with Client() as client, client.batch(jobs(path), save_to="out") as batch:
        async for outcome in batch:
            print(outcome.job.key, outcome.error or "done")


asyncio.run(main(Path(sys.argv[1])))
