"""Send everything through a proxy, whose URL is in MY_PROXY, and log requests."""

import asyncio
import os

import httpx

from kling_async import Client, ImageInput


class LoggingTransport(httpx.AsyncBaseTransport):
    """Prints requests, but no header: one of them contains the API key."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and print its status."""
        response = await self.inner.handle_async_request(request)
        print(request.method, request.url.path, response.status_code)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self.inner.aclose()


async def main() -> None:
    """Pass the transport in; it is closed with the client."""
    proxied = httpx.AsyncHTTPTransport(proxy=os.environ.get("MY_PROXY"))
    async with Client(transport=LoggingTransport(proxied)) as client:
        prediction = await client.generate(ImageInput("a cat on a fence"))
        print(prediction.status)


asyncio.run(main())
