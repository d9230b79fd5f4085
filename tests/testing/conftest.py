"""One sandbox in the process, on an auto-jumping clock, called with plain httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import define

from kling_async.testing import Sandbox, SandboxApp, VirtualClock

KEY = {"authorization": "Bearer sk-sandbox"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test on both backends."""
    backend: str = request.param
    return backend


@define
class Visitor:
    """A client of both wire formats."""

    sandbox: Sandbox
    clock: VirtualClock
    http: httpx.AsyncClient

    async def image(self, prompt: str = "a cat", **more: Any) -> httpx.Response:
        """Submit an image to GPTProto."""
        return await self.post("/api/v3/kwaivgi/kling-image-o1/text-to-image", {"prompt": prompt, **more})

    async def video(
        self, scene: str = "text-to-video", model: str = "kling-video-o1-std", prompt: str = "a dog", **more: Any
    ) -> httpx.Response:
        """Submit a video to GPTProto."""
        return await self.post(f"/api/v3/kwaivgi/{model}/{scene}", {"prompt": prompt, **more})

    async def one(self, prompt: str = "a cat", **more: Any) -> httpx.Response:
        """Submit an image to API in One."""
        body = {"model": "kling-image-o1", "prompt": prompt, **more}
        return await self.post("/api/v1/images/generations", body)

    async def one_video(self, prompt: str = "a dog", **more: Any) -> httpx.Response:
        """Submit a video to API in One."""
        return await self.post("/api/v1/videos/generations", {"model": "kling-3", "prompt": prompt, **more})

    async def post(self, path: str, body: Any, headers: dict[str, str] = KEY) -> httpx.Response:
        """Post JSON with the key."""
        return await self.http.post(path, json=body, headers=headers)

    async def poll(self, id: str, **headers: str) -> httpx.Response:
        """Poll a prediction of GPTProto."""
        return await self.http.get(f"/api/v3/predictions/{id}/result", headers={**KEY, **headers})

    async def poll_one(self, id: str) -> httpx.Response:
        """Poll a task of API in One."""
        return await self.http.get(f"/api/v1/tasks/{id}", headers=KEY)

    async def result(self, created: httpx.Response) -> dict[str, Any]:
        """Wait for a prediction of GPTProto to end, and return its data."""
        assert created.status_code == 200, created.text
        await self.clock.sleep(1000)
        data: dict[str, Any] = (await self.poll(created.json()["data"]["id"])).json()["data"]
        return data

    async def result_one(self, created: httpx.Response) -> dict[str, Any]:
        """Wait for a task of API in One to end, and return its whole body."""
        assert created.status_code == 200, created.text
        await self.clock.sleep(1000)
        body = created.json()
        id = body["data"]["task_id"] if "data" in body else body["id"]
        read: dict[str, Any] = (await self.poll_one(id)).json()
        return read


Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture
def visit() -> Visit:
    """Open a sandbox: the arguments are those of `Sandbox`."""

    @asynccontextmanager
    async def visiting(**settings: Any) -> AsyncIterator[Visitor]:
        sandbox = Sandbox(**settings)
        async with VirtualClock() as clock:
            transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
                yield Visitor(sandbox, clock, http)

    return visiting
