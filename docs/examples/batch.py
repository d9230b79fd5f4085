"""Make many images, and save each as it finishes."""

import asyncio
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from kling_async import Client, ImageInput, Job, Progress

ANIMALS = ("fox", "owl", "whale", "heron")
STYLES = ("linocut", "watercolour")


def jobs() -> Iterator[Job]:
    """Yield one job after the other; there may be a million."""
    for animal, style in product(ANIMALS, STYLES):
        yield Job(ImageInput(f"a {animal}, {style}"), key=f"{animal}-{style}")


def format_progress(progress: Progress) -> str:
    """Return the progress in one line."""
    total = "?" if progress.total is None else progress.total
    text = f"{progress.done} of {total}, {progress.accepted} accepted"
    left = progress.remaining
    return text if left is None else f"{text}, {left:.0f} s left"


async def main() -> None:
    """Print outcomes as jobs finish; a failed job stops no other."""
    async with Client() as client, client.batch(jobs(), save_to="out") as batch:
        async for outcome in batch:
            result = outcome.error or ", ".join(Path(file).name for file in outcome.files)
            print(f"[{format_progress(batch.progress)}] {outcome.job.key}: {result}")


asyncio.run(main())
