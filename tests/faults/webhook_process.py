"""Runs a batch whose client receives webhooks, and kills itself at the n-th step of the first delivery.

    python webhook_process.py ORIGIN FOLDER PORT JOBS STEP

A step is the beginning or the end of a call that touches disk or network, in any thread, from the moment at which the
receiver is handed a delivery. Step 0 is never. What is known of each job, it writes at once to a file.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import uvicorn

from kling_async import Client, Event, EventKind, ImageInput, Job, Limits, WebhookReceiver, WebhookResult
from kling_async.integrations.webhooks import app

TOUCHING = frozenset({"execute", "executemany", "fsync", "write", "send", "recv", "recv_into", "connect", "commit"})


class CrashPoint:
    """Kills this process at a step, counted from the moment at which it is armed."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._count = 0
        self.armed = False

    def __call__(self, _: object, event: str, what: Any) -> None:
        if self.armed and event in ("c_call", "c_return") and getattr(what, "__name__", "") in TOUCHING:
            self._count += 1
            if self._count == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


class Killed(WebhookReceiver):
    """A receiver that arms the crash point at its first delivery."""

    point: CrashPoint

    async def handle(self, headers: Mapping[str, str], body: bytes, *, provider: str) -> WebhookResult:
        self.point.armed = True
        return await super().handle(headers, body, provider=provider)


async def main(origin: str, folder: Path, port: int, jobs: int, point: CrashPoint) -> None:
    """Run the jobs to their end."""
    told = os.open(folder / "told.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def heard(event: Event) -> None:
        if event.kind in (EventKind.ACCEPTED, EventKind.RESUMED) and event.prediction is not None:
            os.write(told, f"id {event.key} {event.prediction.id}\n".encode())

    client = Client("wavespeed", base_url=origin, limits=Limits(max_open=None))
    client.add_listener(heard)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        async with client, anyio.create_task_group() as tasks:
            receiver = client.webhooks(f"http://127.0.0.1:{port}/hooks")
            receiver.__class__ = Killed
            Killed.point = point
            config = uvicorn.Config(app(receiver), log_config=None, lifespan="off", access_log=False)
            server = uvicorn.Server(config)
            tasks.start_soon(lambda: server.serve(sockets=[listener]))
            todo = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(jobs)]
            async with client.batch(todo, journal=folder / "journal.db") as batch:
                async for outcome in batch:
                    os.write(told, f"outcome {outcome.job.key} {outcome.result().id}\n".encode())
            server.should_exit = True


if __name__ == "__main__":
    crash = CrashPoint(int(sys.argv[5]))
    threading.setprofile(crash)
    sys.setprofile(crash)
    anyio.run(main, sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), crash)
