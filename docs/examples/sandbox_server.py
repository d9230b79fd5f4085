"""Start the sandbox on a free port of this machine, use it, and read its ledger."""

import asyncio

from kling_async import Client, ImageInput
from kling_async.testing import Fixed, Sandbox, SandboxServer


async def main(server: SandboxServer) -> None:
    """Make one image at each provider that the sandbox emulates."""
    names = ["gptproto", "apiinone"]
    api_keys = dict.fromkeys(names, server.sandbox.key)
    base_urls = dict.fromkeys(names, server.url)
    async with Client(api_keys=api_keys, base_urls=base_urls) as client:
        for name in names:
            prediction = await client.generate(ImageInput("a cat"), provider=name)
            print(name, prediction.status)


with SandboxServer(Sandbox(image_latency=Fixed(0.1))) as server:
    asyncio.run(main(server))
    for entry in server.sandbox.entries:
        print(entry.provider, entry.model, "was billed", entry.amount)
