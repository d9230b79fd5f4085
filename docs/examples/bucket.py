"""Save the images of a batch into a bucket, and look at one of them."""

import asyncio
import os

from kling_async import Client, ImageInput, Job

BUCKET = os.environ.get("BUCKET", "my-bucket")
JOBS = [
    Job(ImageInput(f"a lighthouse, postcard {n}"), key=f"postcard-{n}")
    for n in range(1, 5)
]


async def main() -> None:
    """Print the URLs of the objects, then the first bytes of an output."""
    async with Client() as client:
        batch = client.batch(
            JOBS,
            save_to=f"s3://{BUCKET}/lighthouses",
            journal="lighthouses.db",
            ordered=True,
        )
        async with batch:
            outcomes = [outcome async for outcome in batch]
        for outcome in outcomes:
            print(outcome.job.key, *outcome.files, outcome.error or "")
        [content] = await client.read(outcomes[0].result())
    print(f"{len(content)} bytes, {content[1:4].decode()}")


asyncio.run(main())
