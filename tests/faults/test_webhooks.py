"""Rows 57 and 58: webhooks that go wrong, and processes that are killed while they take one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from kling_async import Client, ImageInput, Limits, WebhookReceiver
from kling_async.integrations.webhooks import app
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..integrations.test_webhooks import hooked
from ..ports import free_port
from .crashes import ids_told, kept_in

pytestmark = pytest.mark.anyio

PROCESS = Path(__file__).with_name("webhook_process.py")
JOBS = 3
DELIVERIES = {
    "webhook_lost": 0,
    "webhook_late:1": 1,
    "webhook_doubled": 2,
    "webhook_forged": 2,
    "webhook_reordered": 2,
}


def receiver_of(server: SandboxServer) -> tuple[Client, WebhookReceiver]:
    sandbox = server.sandbox
    client = Client("wavespeed", api_key=sandbox.key_for("wavespeed"), base_url=server.url, limits=Limits())
    secrets = {"wavespeed": sandbox.webhook_secret("wavespeed")}
    return client, client.webhooks("http://127.0.0.1:1/hooks", secrets=secrets)


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn, which serves the receiver, is for asyncio."""
    return "asyncio"


@pytest.mark.parametrize("fault", DELIVERIES)
async def test_row_60_a_webhook_goes_wrong(fault: str) -> None:
    """A webhook that is lost, late, doubled, forged or overtaken leaves a job with its one result and one charge."""
    async with hooked() as (client, sandbox, _):
        jobs = [ImageInput(f"cat {number} [[{fault}]]") for number in range(3)]
        outcomes = await client.map(jobs, provider="wavespeed", wait_timeout=60.0)
        with anyio.fail_after(10.0):
            while sandbox.count("webhook") < DELIVERIES[fault] * len(jobs):
                await anyio.sleep(0.02)
        statuses = {one.status for one in sandbox.log if one.kind == "webhook"}
    assert all(outcome.ok for outcome in outcomes)
    assert (3, 3) == (sandbox.submits, sandbox.billed())
    assert {"webhook_lost": set(), "webhook_forged": {401, 200}}.get(fault, {200}) == statuses


async def test_row_60_a_body_that_trickles_holds_up_nothing() -> None:
    """A delivery whose body never ends keeps its own connection busy, and neither polls nor other deliveries."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.3))) as server:
        client, receiver = receiver_of(server)
        serve = app(receiver)

        async def trickle() -> dict[str, object]:
            await anyio.sleep(0.05)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(_: object) -> None:
            raise AssertionError("it is not answered before its end")

        scope = {"type": "http", "method": "POST", "path": "/wavespeed", "headers": []}
        async with client, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(serve, scope, trickle, send)
            with anyio.fail_after(20.0):
                assert (await client.generate(ImageInput("a cat"))).succeeded
            tasks.cancel_scope.cancel()
    assert 1 == server.sandbox.billed()


def run(server: SandboxServer, folder: Path, port: int, *, step: int) -> subprocess.CompletedProcess[str]:
    """Run the batch in a process of its own, to be killed at a step."""
    secret = server.sandbox.webhook_secret("wavespeed")
    key = server.sandbox.key_for("wavespeed")
    env = {**os.environ, "WAVESPEED_API_KEY": key, "WAVESPEED_WEBHOOK_SECRET": secret}
    command = [sys.executable, str(PROCESS), server.url, str(folder), str(port), str(JOBS), str(step)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    shown = [done.stdout, done.stderr, *(path.read_bytes().decode("latin-1") for path in folder.iterdir())]
    assert not any(secret in text or secret.removeprefix("whsec_") in text or key in text for text in shown)
    return done


def kill_and_go_on(folder: Path, step: int) -> bool:
    """Kill a run in its first delivery, run it again, and hold both to the promises; return whether it was killed."""
    folder.mkdir()
    port = free_port()
    with SandboxServer(Sandbox(image_latency=Fixed(0.3))) as server:
        first = run(server, folder, port, step=step)
        told = ids_told(folder)
        assert first.returncode in (0, -9), first.stderr
        again = run(server, folder, port, step=0)
        assert 0 == again.returncode, again.stderr
        charged = {entry.prompt: entry.id for entry in server.sandbox.entries}
        assert (JOBS, JOBS) == (len(server.sandbox.entries), len(charged))
    kept = kept_in(folder)
    assert {(one.key, charged[one.key.replace("cat-", "cat ")]) for one in kept} == {
        (one.key, one.prediction.id) for one in kept if one.prediction is not None
    }
    assert told <= {(one.key, one.prediction.id) for one in kept if one.prediction is not None}
    assert all(one.succeeded for one in kept)
    return first.returncode == -9


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 13])
def test_row_61_killed_in_a_delivery(tmp_path: Path, step: int) -> None:
    """Killed while it takes a webhook, a run loses no id, the next one pays nothing, and no secret is on disk."""
    assert kill_and_go_on(tmp_path / "run", step) or step > 5


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_61_killed_in_a_delivery_at_each_step(tmp_path: Path) -> None:
    """The same at each of the first 40 steps."""
    killed = [kill_and_go_on(tmp_path / str(step), step) for step in range(1, 41)]
    assert killed.count(True) >= 5


def test_row_60_each_provider_that_calls_back_is_here() -> None:
    """The rows are about WaveSpeedAI's wire; those of all others are in the tests of the receiver."""
    calling = {name for name, provider in PROVIDERS.items() if provider.capabilities.webhook.value}
    assert {"wavespeed", "fal", "replicate", "openrouter", "kling", "apiinone", "atlascloud"} == calling
