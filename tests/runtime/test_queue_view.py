"""The queue as a caller of a client sees it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from kling_async import Client, ImageInput, InputError, LimitKind, Limits
from kling_async.testing import Fixed

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio

SLOW = Limits(submit_per_second=0.1, submit_burst=1, max_open=None)


async def test_a_job_is_followed_through_the_queue(open_client: OpenClient) -> None:
    """Queued, it has a place and two expectations; submitted, one; finished, none. The next job moves up."""
    async with open_client(limits=SLOW, image_latency=Fixed(30.0)) as at, anyio.create_task_group() as group:
        client = at.client
        before = client.queue()
        assert ("gptproto", 0, 0, 0, 0.0, None) == (
            *(before.provider, before.queued, before.running, before.position),
            *(before.submit_seconds, before.limited_by),
        )
        for key in ("a", "b", "c"):
            group.start_soon(lambda key=key: client.generate(ImageInput("a cat"), key=key))
            await anyio.lowlevel.checkpoint()
        await at.clock.sleep(1.0)
        assert [None, 0, 1, 2] == [client.queue(key).position for key in ("a", "b", "c", None)]
        assert [9.0, 19.0, 29.0] == [round(client.queue(key).submit_seconds or 0.0) for key in ("b", "c", None)]
        later = client.queue("c")
        assert later.limited_by is not None
        assert (2, 1, LimitKind.RATE) == (later.queued, later.running, later.limited_by.kind)
        running = client.queue("a")
        assert (None, None) == (running.position, running.submit_seconds)
        assert 0.0 < (running.finish_seconds or 0.0) < (later.finish_seconds or 0.0)
        await at.clock.sleep(10.0)
        assert 0 == client.queue("c").position
    assert 3 == at.sandbox.submits


async def test_a_job_that_is_not_here_has_no_place(open_client: OpenClient) -> None:
    """An unknown key, and that of a finished job, have no place and no time; the queue is told all the same."""
    async with open_client() as at:
        await at.client.generate(ImageInput("a cat"), key="a")
        for key in ("a", "unknown"):
            status = at.client.queue(key)
            assert (0, None, None, None) == (
                *(status.queued, status.position),
                *(status.submit_seconds, status.finish_seconds),
            )


async def test_misuse_is_told(open_client: OpenClient) -> None:
    """A client that is not open is RuntimeError, and a provider that does not exist InputError."""
    with pytest.raises(RuntimeError, match="not open"):
        Client(api_key="sk-sandbox").queue()
    async with open_client() as at:
        with pytest.raises(InputError, match="provider"):
            at.client.queue(provider="nobody")
