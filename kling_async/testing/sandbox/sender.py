"""Sends the webhooks of a sandbox: real requests, to this machine alone, tried again as each provider documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

import anyio

from ...system.clock import Clock, SystemClock
from .callbacks import Callback, sign
from .ledger import LoggedRequest
from .state import Sandbox

__all__ = ["Post", "post_over_http", "send_webhooks"]

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int | None]]
"""Posts a body with headers to a URL, and returns the HTTP status of the answer; None if there was none."""

_TIMEOUT = 10.0


async def send_webhooks(sandbox: Sandbox, *, clock: Clock | None = None, post: Post | None = None) -> None:
    """Send the webhooks of a sandbox until cancelled.

    Args:
        sandbox: the sandbox; it is served in the same event loop.
        clock: its source of time.
        post: sends a request; by default over a socket, to this machine alone.
    """
    time, send = clock or SystemClock(), post or post_over_http
    async with anyio.create_task_group() as group:

        def start(callback: Callback) -> None:
            group.start_soon(_send, sandbox, callback, time, send)

        for callback in sandbox.outbox.listen(start):
            start(callback)
        try:
            await anyio.sleep_forever()
        finally:
            sandbox.outbox.listen(None)


async def _send(sandbox: Sandbox, callback: Callback, clock: Clock, post: Post) -> None:
    while (wait := _due_at(sandbox, callback) - clock.now()) > 0:
        await clock.sleep(wait)
    for delay in (*callback.retries, None):
        # A repeated try repeats what was to be said then.
        body = json.dumps(callback.body(_due_at(sandbox, callback)), separators=(",", ":")).encode()
        headers = sign(callback, body, at=clock.utc(), key=sandbox.key_for(callback.provider))
        status = await post(callback.url, {"content-type": "application/json", **headers}, body)
        sandbox.ledger.log_request(_logged(callback, status, clock.now()))
        if delay is None or (status is not None and 200 <= status < 300):
            return
        await clock.sleep(delay * sandbox.time_scale)


def _due_at(sandbox: Sandbox, callback: Callback) -> float:
    """Return the time of a webhook; a task may end earlier than was planned, if it is cancelled."""
    at = sandbox.tasks[callback.task_id].done_at if callback.ends else callback.at
    return at + callback.after


def _logged(callback: Callback, status: int | None, now: float) -> LoggedRequest:
    return LoggedRequest(
        kind="webhook",
        at=now,
        method="POST",
        path=urlsplit(callback.url).path,
        provider=callback.provider,
        status=status,
        fault=callback.fault,
        id=callback.task_id,
    )


async def post_over_http(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
    """Post a body to this machine, over asyncio, and return the HTTP status; None if there is no answer within 10 s."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not _is_loopback(host):
        return None
    head = {"host": parts.netloc, "content-length": str(len(body)), "connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, parts.port or 80)
            try:
                writer.write(f"POST {parts.path or '/'} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
