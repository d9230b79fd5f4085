"""Make one video of two shots and save it."""

import asyncio

from kling_async import Client, Shot, VideoInput


async def main() -> None:
    """Make ten seconds, five for each shot."""
    video = VideoInput(
        "a lighthouse through one stormy night",
        model="kling-video-o1-std",
        aspect_ratio="16:9",
        duration=10,
        shots=(
            Shot("dusk, the first drops of rain", 5),
            Shot("midnight, waves break over the rocks", 5),
        ),
    )
    async with Client() as client:
        prediction = await client.generate(video, wait_timeout=900)
        [path] = await client.download(prediction, "out")
        print(path)


asyncio.run(main())
