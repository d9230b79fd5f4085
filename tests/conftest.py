"""What many tests share: both backends, a client in front of a sandbox in the process, and sockets that misbehave."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream
from attrs import define, evolve
from hypothesis import HealthCheck, settings

from kling_async import Client, Limits
from kling_async.journal.base import Journal
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock

from .postgres import PostgresServer
from .s3 import Bucket, S3Process

NO_LIMITS = Limits(submit_per_second=None, poll_per_second=None, max_open=None)
ORIGIN = "http://127.0.0.1:1"
"""Where the sandbox in the process pretends to be; nothing ever connects to it."""


settings.register_profile(
    "steady",
    deadline=None,  # how long an example takes is the machine's business,
    suppress_health_check=[HealthCheck.too_slow],  # and so is how long it takes to make one up
    derandomize=True,
    database=None,
)
settings.load_profile("steady")


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell lets what it starts in the background ignore it, and so would all that is started here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test on both backends."""
    backend: str = request.param
    return backend


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the keys and origins of whoever runs the tests out of them, and the colours that they like."""
    monkeypatch.setenv("PYTHON_COLORS", "0")  # from 3.13 on, Python paints its tracebacks in any terminal
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.api_key_env, raising=False)
        for name in filter(None, (provider.base_url_env, provider.webhook_env, *provider.api_key_pair_env)):
            monkeypatch.delenv(name, raising=False)


@define
class SandboxedClient:
    """A client, the sandbox behind it, and the clock of both."""

    client: Client
    sandbox: Sandbox
    clock: VirtualClock


OpenClient = Callable[..., AbstractAsyncContextManager[SandboxedClient]]


@pytest.fixture
def open_client() -> OpenClient:
    """Open a client in front of a strict sandbox in the process, on a clock that jumps over waiting."""

    @asynccontextmanager
    async def opening(
        *,
        provider: str = "gptproto",
        request_timeout: float = 30.0,
        limits: Limits = NO_LIMITS,
        journal: Journal | None = None,
        **settings: Any,
    ) -> AsyncIterator[SandboxedClient]:
        sandbox = Sandbox(strict=True, **settings)
        async with VirtualClock() as clock:
            client = Client(
                provider,
                api_keys={name: sandbox.key_for(name) for name in PROVIDERS},
                base_urls=dict.fromkeys(PROVIDERS, ORIGIN),
                transport=httpx.ASGITransport(SandboxApp(sandbox, clock)),
                request_timeout=request_timeout,
                limits=dict.fromkeys(PROVIDERS, limits),
                journal=journal,
                clock=clock,
            )
            async with client:
                yield SandboxedClient(client, sandbox, clock)

    return opening


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Process]:
    """Start S3 on this machine, once for all tests that want it."""
    pytest.importorskip("obstore")
    with S3Process.started() as process:
        yield process


@pytest.fixture
def bucket(s3_process: S3Process, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Make an empty bucket, and let the environment hold the way to it."""
    made = s3_process.bucket()
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start PostgreSQL on this machine, once for all tests that want it."""
    pytest.importorskip("psycopg")
    with PostgresServer.started() as server:
        yield server


Serve = Callable[[Callable[[SocketStream], Awaitable[None]]], AbstractAsyncContextManager[str]]


@pytest.fixture
def serve() -> Serve:
    """Serve a function of a raw connection on a loopback port; give the origin."""

    @asynccontextmanager
    async def serving(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
        async def guarded(stream: SocketStream) -> None:
            async with stream:
                # A client that has gone away is what many of these tests are about.
                with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                    await handle(stream)

        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as group,
        ):
            group.start_soon(listener.serve, guarded)
            port = listener.extra(SocketAttribute.local_port)
            yield f"http://127.0.0.1:{port}"
            group.cancel_scope.cancel()

    return serving


FOR_EVER = 1e6
"""Seconds that a job of a sandbox takes which only `finish` ends."""


def finish(sandbox: Sandbox, count: int) -> None:
    """Wait for so many accepted jobs, let all that there are be done, and take no time for later ones."""
    while len(sandbox.tasks) < count:
        time.sleep(0.01)
    sandbox.image_latency = Fixed(0.0)
    for id, task in list(sandbox.tasks.items()):
        sandbox.tasks[id] = evolve(task, done_at=task.started_at)


async def read_request(stream: SocketStream) -> bytes:
    """Read one HTTP request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while lengths and len(body) < lengths[0]:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


def reply(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Write one whole HTTP reply."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def load_from_docs(path: str) -> ModuleType:
    """Load a program that lies beside the pages, where no import finds it."""
    file = Path(__file__).parents[1] / "docs" / path
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample_run() -> ModuleType:
    """Load what makes up runs for the pictures of the documentation; reports of them are tested too."""
    return load_from_docs("sample_run.py")
