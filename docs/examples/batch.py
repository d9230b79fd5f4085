"""Make many images, and save each as it finishes."""

import asyncio
from collections.abc import Iterator
from itertools import product

from kling_async import Client, ImageInput, Job, Progress

ANIMALS = ("fox", "owl", "whale", "heron")
STYLES = ("linocut", "watercolour")


def jobs() -> Iterator[Job]:
    """Yield job after job, as there is room: there may be a million."""
    for animal, style in product(ANIMALS, STYLES):
        yield Job(ImageInput(f"a {animal}, {style}"), key=f"{animal}-{style}")


def line(progress: Progress) -> str:
    """Say in one line how it is getting on."""
    total = "?" if progress.total is None else progress.total
    told = f"{progress.finished} of {total}, {progress.running} running"
    left = progress.remaining
    return told if left is None else f"{told}, {left:.0f} s to go"


async def main() -> None:
    """Take the outcomes as they come; a job that failed stops no other."""
    async with Client() as client, client.batch(jobs(), save_to="out") as batch:
        async for outcome in batch:
            told = outcome.error or ", ".join(path.name for path in outcome.files)
            print(f"[{line(batch.progress)}] {outcome.job.key}: {told}")


asyncio.run(main())
