"""Make one image and save it."""

import asyncio

from kling_async import Client, ImageInput


async def main() -> None:
    """Generate one image and save it."""
    async with Client() as client:  # reads GPTPROTO_API_KEY
        prediction = await client.generate(ImageInput("a cat reading by candlelight"))
        for path in await client.download(prediction, "out"):
            print(path)


asyncio.run(main())
