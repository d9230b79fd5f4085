"""Make a hundred images, and count the results. Further animals may be arguments."""

import asyncio
import sys
from collections import Counter

from kling_async import Client, ImageInput, Limits, matrix, show_progress

ANIMALS = ["cat", "crow", "fox", "hare", "heron", "mole", "newt", "otter", "owl", "toad"]
PLACES = ["barn", "boat", "bog", "fog", "hay", "ivy", "mud", "rain", "reeds", "snow"]

JOBS = matrix(
    ImageInput("a {animal} in the {place}", aspect_ratio="1:1"),
    animal=ANIMALS + sys.argv[1:],
    place=PLACES,
)
LIMITS = Limits(submit_per_second=20, max_open=100)


async def main() -> None:
    """Count outcomes as jobs finish; a failed job stops no other."""
    results: Counter[str] = Counter()
    async with Client("apiinone", limits=LIMITS) as client:
        print("expected cost:", client.estimate(JOBS))
        async with client.batch(JOBS, save_to="hundred") as batch, show_progress(batch):
            async for outcome in batch:
                results[type(outcome.error).__name__ if outcome.error else "saved"] += 1
    for result, count in results.items():
        print(f"{result}: {count}")


asyncio.run(main())
