"""Forty images, from a run that may be stopped and started again at any time."""

import asyncio

from kling_async import Client, ImageInput, Job

JOBS = [
    Job(ImageInput(f"a fox in the manner of painter {n}"), key=f"fox-{n}")
    for n in range(1, 41)
]


async def main() -> None:
    """Resume the last run; when all jobs are done, send nothing."""
    done = 0
    async with Client() as client:
        batch = client.batch(
            JOBS,
            journal="foxes/journal.db",
            save_to="foxes",
            stop_on_signals=True,
        )
        async with batch:
            async for outcome in batch:
                if outcome.ok:
                    done += 1
                    print(outcome.job.key, *outcome.files, flush=True)
    print(f"{done} of {len(JOBS)} are done.")
    if batch.stopped:
        print("Stopped; run it again.")


asyncio.run(main())
