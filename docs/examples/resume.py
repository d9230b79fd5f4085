"""A dozen images, from a run that may be stopped and started again at any time."""

import asyncio

from kling_async import Client, ImageInput, Job


async def main() -> None:
    """Generate them; run it twice, and the second time nothing is sent."""
    jobs = [Job(ImageInput(f"a fox in the style of painter {n}"), key=f"fox-{n}") for n in range(12)]
    async with Client() as client, client.batch(jobs, journal="out/journal.db", save_to="out") as batch:
        async for outcome in batch:
            print(outcome.job.key, *outcome.files, outcome.error or "")


asyncio.run(main())
