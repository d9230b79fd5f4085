"""Use two providers from one client. It needs GPTPROTO_API_KEY and APIINONE_API_KEY."""

import asyncio

from kling_async import Client, ImageInput


async def main() -> None:
    """Generate the same image at both, at the same time."""
    image = ImageInput("a lighthouse at dusk", aspect_ratio="16:9", resolution="2k")
    async with Client("gptproto") as client:
        predictions = await asyncio.gather(
            client.generate(image),  # the client's own provider
            client.generate(image, provider="apiinone"),
        )
        for prediction in predictions:
            [path] = await client.download(prediction, f"out/{prediction.provider}")
            print(prediction.provider, prediction.cost, path)


asyncio.run(main())
