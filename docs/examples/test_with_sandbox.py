"""Test your own code against two providers: no API key, no socket, no waiting."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from kling_async import AnswerLost, Client, ImageInput
from kling_async.testing import Sandbox, SandboxApp, VirtualClock

pytestmark = pytest.mark.anyio  # anyio brings this plugin for pytest


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncGenerator[Client]:
    """Open a client that talks to the sandbox only, on an auto-jumping clock."""
    async with VirtualClock() as clock:
        transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
        async with Client(
            api_key=sandbox.key, transport=transport, clock=clock
        ) as client:
            yield client


async def test_a_rate_limited_job_is_paid_once() -> None:
    """Two answers of 429 cost two retries, and no money."""
    sandbox, prompt = Sandbox(), "a cat [[rate_limited:2]]"
    async with connected(sandbox) as client:
        await client.generate(ImageInput(prompt))
    assert sandbox.submits == 3
    assert sandbox.billed(prompt) == 1


async def test_a_hundred_images_are_paid_once_each() -> None:
    """It takes half a minute of the virtual clock, and a moment of real time."""
    sandbox, prompts = Sandbox(), [f"postcard {number}" for number in range(100)]
    async with (
        connected(sandbox) as client,
        client.batch(map(ImageInput, prompts)) as batch,
    ):
        outcomes = [outcome async for outcome in batch]
    assert all(outcome.ok for outcome in outcomes)
    assert [sandbox.billed(prompt) for prompt in prompts] == [1] * 100
    assert batch.progress.elapsed > 10  # from two a second on, as fast as it may


async def test_a_lost_answer_is_not_paid_again() -> None:
    """The connection breaks after the job was started: billed, and not sent again."""
    sandbox, prompt = Sandbox(), "a cat [[lost]]"
    async with connected(sandbox) as client:
        with pytest.raises(AnswerLost) as caught:
            await client.generate(ImageInput(prompt))
    assert caught.value.may_be_billed
    assert sandbox.submits == 1
    assert sandbox.billed(prompt) == 1
