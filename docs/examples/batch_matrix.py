"""Make an image for every combination of an animal and a place, and watch."""

import asyncio

from kling_async import Client, ImageInput, matrix, progress

JOBS = matrix(
    ImageInput("{animal} in {place}", aspect_ratio="1:1"),
    animal=["a fox", "an owl", "a whale"],
    place=["rain", "snow"],
)


async def main() -> None:
    """Show on stderr how it is getting on; stdout is for what came out."""
    async with (
        Client() as client,
        client.batch(JOBS, save_to="out") as batch,
        progress(batch),
    ):
        async for outcome in batch:
            print(outcome.job.key, *(path.name for path in outcome.files))


asyncio.run(main())
