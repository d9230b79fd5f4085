"""Make one image and save it."""

import asyncio

from kling_async import Client, ImageInput


async def main() -> None:
    """Ask for one image, wait for it, and save it."""
    async with Client() as client:  # the key is in GPTPROTO_API_KEY
        prediction = await client.generate(ImageInput("a cat reading by candlelight"))
        for path in await client.download(prediction, "out"):
            print(path)


asyncio.run(main())
