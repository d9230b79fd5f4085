"""Send everything through a proxy, whose address is in MY_PROXY, and note requests."""

import asyncio
import os

import httpx

from kling_async import Client, ImageInput


class Noting(httpx.AsyncBaseTransport):
    """Prints what passes, and never a header: the key is in one of them."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, and say what came back."""
        response = await self.inner.handle_async_request(request)
        print(request.method, request.url.path, response.status_code)
        return response

    async def aclose(self) -> None:
        """Close what is inside."""
        await self.inner.aclose()


async def main() -> None:
    """Hand the transport in; it is closed with the client."""
    through = httpx.AsyncHTTPTransport(proxy=os.environ.get("MY_PROXY"))
    async with Client(transport=Noting(through)) as client:
        prediction = await client.generate(ImageInput("a cat on a fence"))
        print(prediction.status)


asyncio.run(main())
