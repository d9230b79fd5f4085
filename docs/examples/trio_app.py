"""Make two images at once, on trio."""

import trio

from kling_async import Client, ImageInput


async def make(client: Client, prompt: str) -> None:
    """Make one image and save it."""
    prediction = await client.generate(ImageInput(prompt))
    [path] = await client.download(prediction, "out")
    print(path)


async def main() -> None:
    """Share one client between two tasks."""
    async with Client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(make, client, "a fox, linocut")
        nursery.start_soon(make, client, "an owl, linocut")


trio.run(main)
