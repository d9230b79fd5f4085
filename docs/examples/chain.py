"""Make ten images, and a video of each as soon as it is there; run it again to go on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from kling_async import Batch, Client, ImageInput, Job, VideoInput

PLACES = (
    "a harbour",
    "a lighthouse",
    "a fjord",
    "a mill",
    "a pier",
    "a dune",
    "a moor",
    "a lake",
    "a pass",
    "a gorge",
)


async def videos(images: Batch) -> AsyncIterator[Job]:
    """Turn each image that is finished into a job for a video that begins with it."""
    async for outcome in images:
        if outcome.ok and outcome.prediction is not None:
            video = VideoInput(
                "the fog lifts", image=outcome.prediction, model="kling-video-o1-std"
            )
            yield Job(video, key=outcome.job.key)


async def main() -> None:
    """Run both batches at once: the second one is fed by the first."""
    jobs = [
        Job(ImageInput(f"{place} in the fog"), key=place.replace(" ", "-"))
        for place in PLACES
    ]
    async with (
        Client() as client,
        client.batch(jobs, journal="out/images.db", save_to="out/images") as images,
        client.batch(
            videos(images), journal="out/videos.db", save_to="out/videos"
        ) as clips,
    ):
        async for outcome in clips:
            print(outcome.job.key, *outcome.files)


Path("out").mkdir(exist_ok=True)
asyncio.run(main())
