"""Make a hundred images, and say what it came to. Further animals may be arguments."""

import asyncio
import sys
from collections import Counter

from kling_async import Client, ImageInput, Limits, matrix, progress

ANIMALS = ["cat", "crow", "fox", "hare", "heron", "mole", "newt", "otter", "owl", "toad"]
PLACES = ["barn", "boat", "bog", "fog", "hay", "ivy", "mud", "rain", "reeds", "snow"]

JOBS = matrix(
    ImageInput("a {animal} in the {place}", aspect_ratio="1:1"),
    animal=ANIMALS + sys.argv[1:],
    place=PLACES,
)
LIMITS = {"apiinone": Limits(submit_per_second=20, max_open=100)}


async def main() -> None:
    """Take the outcomes as they come; a job that failed stops no other."""
    endings: Counter[str] = Counter()
    async with Client("apiinone", limits=LIMITS) as client:
        print("to spend:", client.estimate(job.input for job in JOBS))
        async with client.batch(JOBS, save_to="hundred") as batch, progress(batch):
            async for outcome in batch:
                endings[type(outcome.error).__name__ if outcome.error else "saved"] += 1
    for ending, count in endings.items():
        print(f"{ending}: {count}")


asyncio.run(main())
