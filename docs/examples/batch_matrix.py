"""Make an image for every combination of an animal and a place, and show progress."""

import asyncio
from pathlib import Path

from kling_async import Client, ImageInput, matrix, show_progress

JOBS = matrix(
    ImageInput("{animal} in {place}", aspect_ratio="1:1"),
    animal=["a fox", "an owl", "a whale"],
    place=["rain", "snow"],
)


async def main() -> None:
    """Show progress on stderr; stdout is for the results."""
    async with (
        Client() as client,
        client.batch(JOBS, save_to="out") as batch,
        show_progress(batch),
    ):
        async for outcome in batch:
            print(outcome.job.key, *(Path(file).name for file in outcome.files))


asyncio.run(main())
