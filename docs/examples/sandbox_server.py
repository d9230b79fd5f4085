"""Start the sandbox on a free port of this machine, use it, and read its books."""

import asyncio

from kling_async import Client, ImageInput
from kling_async.testing import Fixed, Sandbox, SandboxServer


async def main(server: SandboxServer) -> None:
    """Make one image at each provider that the sandbox stands in for."""
    names = ("gptproto", "apiinone")
    keys = dict.fromkeys(names, server.sandbox.key)
    async with Client(keys=keys, base_urls=dict.fromkeys(names, server.url)) as client:
        for name in names:
            prediction = await client.generate(ImageInput("a cat"), provider=name)
            print(name, prediction.status)


with SandboxServer(Sandbox(image_latency=Fixed(0.1))) as server:
    asyncio.run(main(server))
    for entry in server.sandbox.entries:
        print(entry.provider, entry.model, "was billed", entry.amount)
