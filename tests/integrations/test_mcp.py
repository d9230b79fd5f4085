"""Tools for agents, used by the SDK's own client: in the same process, over stdin and stdout, and over HTTP."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")

from mcp import Client as AgentClient
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult

from kling_async import Client, ImageInput, Job, Journal, Limits
from kling_async.integrations.live_run import LiveRun
from kling_async.integrations.mcp import build_server
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

MODEL = "kling-image-o1"
PRICE = Decimal("0.05")


@asynccontextmanager
async def agent(
    server: SandboxServer, folder: Path, *, max_cost: str = "1", media: Path | None = None, limits: Limits | None = None
) -> AsyncGenerator[tuple[AgentClient, LiveRun]]:
    """Connect an agent's client to the tools of a run, in this process."""
    opening = LiveRun.opened(
        folder, max_cost=Decimal(max_cost), prices={MODEL: PRICE}, client_of=partial(client_of, server, limits)
    )
    async with opening as run, AgentClient(build_server(run, media=media)) as told:
        yield told, run


def client_of(server: SandboxServer, limits: Limits | None, journal: Journal) -> Client:
    """Return a client of a sandbox."""
    return Client(api_key="sk-sandbox", base_url=server.url, allow_http=True, journal=journal, limits=limits)


async def ask(told: AgentClient, tool: str, **arguments: object) -> Any:
    """Call a tool that returns structured content, and return that."""
    result = await told.call_tool(tool, dict(arguments))
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    found: Any = result.structured_content
    return found["result"] if isinstance(found, dict) and set(found) == {"result"} else found


async def refusal(told: AgentClient, tool: str, **arguments: object) -> str:
    """Call a tool that refuses, and return what it says."""
    result = await told.call_tool(tool, dict(arguments))
    assert isinstance(result, CallToolResult)
    assert result.is_error
    return "".join(getattr(one, "text", "") for one in result.content)


async def test_each_tool_says_whether_it_costs(tmp_path: Path) -> None:
    """A tool that buys is no reading one, is told to be repeatable, and has the cost in its title."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        async with agent(server, tmp_path / "run") as (told, _):
            tools = {one.name: one for one in (await told.list_tools()).tools}
    buying = {name for name, one in tools.items() if "costs money" in (one.title or "")}
    assert {"submit", "batch_start"} == buying
    for name, one in tools.items():
        assert one.annotations is not None
        assert one.annotations.read_only_hint is (name not in {*buying, "cancel"})
        assert one.annotations.idempotent_hint is True or name not in buying
        assert one.description


async def test_an_order_that_is_repeated_buys_once(tmp_path: Path) -> None:
    """The same input without a key, and the same key, are one job; `collect` has its file, and a picture of it."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.05))) as server:
        async with agent(server, tmp_path / "run") as (told, _):
            first = await ask(told, "submit", prompt="a fox")
            again = await ask(told, "submit", prompt="a fox")
            named = [await ask(told, "submit", prompt="a fox", key="another") for _ in range(2)]
            collected = await told.call_tool("collect", {"keys": [first["key"], "another"], "wait_seconds": 20})
            assert isinstance(collected, CallToolResult)
            states = [json.loads(one.text) for one in collected.content if one.type == "text"]
            links = [one for one in collected.content if one.type == "resource_link"]
            images = [one for one in collected.content if one.type == "image"]
            read = await told.read_resource(links[0].uri)
        assert 2 == server.sandbox.ledger.billed()
    assert first["key"] == again["key"]
    assert ["another"] * 2 == [one["key"] for one in named]
    assert ["succeeded"] * 2 == [one["status"] for one in states]
    content = await anyio.Path(states[0]["files"][0]).read_bytes()
    assert content == base64.b64decode(read.contents[0].blob)  # type: ignore[union-attr]
    assert (2, 2) == (len(links), len(images))


async def test_a_key_of_another_input_is_refused(tmp_path: Path) -> None:
    """Nothing is bought for a key that names another input already, alone or within one order."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        async with agent(server, tmp_path / "run") as (told, run):
            await ask(told, "submit", prompt="a fox", key="one")
            assert "another input" in await refusal(told, "submit", prompt="a hare", key="one")
            rows = [{"prompt": "a fox", "key": "two"}, {"prompt": "a hare", "key": "two"}]
            assert "duplicate key" in await refusal(told, "batch_start", jobs=rows)
            await run.wait(["one"], max_seconds=20)
        assert 1 == server.sandbox.ledger.billed()


async def test_the_budget_holds_whatever_is_asked(tmp_path: Path) -> None:
    """An order that is too dear is refused as a whole, and says what is left; many small ones stop at the limit."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        async with agent(server, tmp_path / "run", max_cost="0.22") as (told, run):
            plan = await ask(told, "batch_plan", jobs=[{"prompt": f"cat {number}"} for number in range(10)])
            assert ("0.50", False) == (plan["may_cost"], plan["fits"])
            jobs = [{"prompt": f"cat {number}"} for number in range(5)]
            assert "$0.22 of $0.22 are left" in await refusal(told, "batch_start", jobs=jobs)
            assert 0 == server.sandbox.ledger.billed()
            said = [await told.call_tool("submit", {"prompt": f"cat {number}"}) for number in range(10)]
            assert [False] * 4 + [True] * 6 == [one.is_error for one in said if isinstance(one, CallToolResult)]
            await run.wait([one.key for one in run.jobs], max_seconds=20)
            status = await ask(told, "batch_status")
        assert 4 == server.sandbox.ledger.billed()
    assert {"max_cost": "0.22", "committed": "0.20", "left": "0.02"} == status["budget"]
    assert {"succeeded": 4} == status["statuses"]


async def test_the_budget_holds_over_openings(tmp_path: Path) -> None:
    """What was spent before counts, by the price that is given; jobs of an earlier opening are not bought again."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        for number in range(3):
            async with agent(server, tmp_path / "run", max_cost="0.12") as (told, run):
                committed = run.committed
                if number < 2:
                    await ask(told, "submit", prompt=f"cat {number}")
                else:
                    assert "$0.02 of $0.12 are left" in await refusal(told, "submit", prompt="one more")
                await run.wait([one.key for one in run.jobs], max_seconds=20)
                assert ["succeeded"] * min(number + 1, 2) == [one.status.value for one in run.jobs]
            assert number * PRICE == committed
        assert 2 == server.sandbox.ledger.billed()


async def test_a_model_without_a_price_is_not_bought(tmp_path: Path) -> None:
    """What it costs cannot be held to the budget, so the user is to name a price."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        opening = LiveRun.opened(tmp_path / "run", max_cost=Decimal(1), client_of=partial(client_of, server, None))
        async with (
            opening as run,
            AgentClient(build_server(run)) as told,
        ):
            assert "--price MODEL=DOLLARS" in await refusal(told, "submit", prompt="a fox")
            assert [] == list(run.jobs)
        assert 0 == server.sandbox.ledger.billed()


async def test_local_media_come_from_one_directory(tmp_path: Path) -> None:
    """An agent that was talked into it cannot send any file of the user's: neither by a path nor as a stored one."""
    allowed = tmp_path / "media"
    allowed.mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG")
    (allowed / "link.png").symlink_to(secret)
    stored = {"media": {"path": str(secret), "sha256": "0" * 64, "size": 4, "mime": "image/png"}}
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        for media in (None, allowed):
            async with agent(server, tmp_path / "run", media=media) as (told, run):
                for image in (str(secret), "../secret.png", "link.png", stored, {"url": "x"}):
                    said = await refusal(told, "submit", prompt="a fox", fields={"images": [image]})
                    assert "must be" in said
                assert [] == list(run.jobs)


async def test_a_job_that_was_not_submitted_can_be_cancelled(tmp_path: Path) -> None:
    """It costs nothing, gives its money back, and is not ordered any more when the run is opened again."""
    slow = Sandbox(image_latency=Fixed(300.0))
    with SandboxServer(slow) as server:
        limits = Limits(max_open=1, submit_per_second=None, poll_per_second=None)
        async with agent(server, tmp_path / "run", limits=limits) as (told, run):
            await ask(told, "submit", prompt="first", key="first")
            await ask(told, "submit", prompt="second", key="second")
            with anyio.fail_after(10):
                while run.jobs["first"].prediction is None:
                    await anyio.sleep(0.01)
            state = await ask(told, "cancel", key="second")
            assert ("cancelled", True) == (state["status"], state["ended"])
            assert PRICE == run.committed
        async with agent(server, tmp_path / "run", limits=limits) as (_, run):
            assert ["first"] == [one.key for one in run.jobs]
        assert 1 == server.sandbox.ledger.billed()


def command(server: SandboxServer, folder: Path, *more: str) -> StdioServerParameters:
    """Return the command of a server, with the environment of a user."""
    arguments = ["-m", "kling_async", "mcp", "--max-cost", "1", "--price", f"{MODEL}={PRICE}", "-o", str(folder), *more]
    environment = {**os.environ, "GPTPROTO_API_KEY": "sk-sandbox", "GPTPROTO_BASE_URL": server.url}
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment)


async def test_killed_and_started_again_it_buys_nothing_twice(tmp_path: Path) -> None:
    """Over stdin and stdout: the server is killed with jobs in all states, and the next one goes on with them."""
    folder = tmp_path / "run"
    jobs = [{"prompt": f"cat {number}"} for number in range(12)]
    with SandboxServer(Sandbox(image_latency=Fixed(0.5))) as server:
        with pytest.raises(Exception):  # noqa: B017 - whatever the client says of a server that is gone
            async with AgentClient(stdio_client(command(server, folder))) as told:
                await ask(told, "batch_start", jobs=jobs)
                with anyio.fail_after(20):
                    while server.sandbox.ledger.billed() < 5:
                        await anyio.sleep(0.01)
                owner = json.loads((folder / "run.json").read_text())
                assert owner["sheet"] == "live"
                os.kill(_process_using(folder), signal.SIGKILL)
                await ask(told, "batch_status")
        async with AgentClient(stdio_client(command(server, folder))) as told:
            keys = [one["key"] for one in await ask(told, "batch_start", jobs=jobs)]
            await told.call_tool("collect", {"keys": keys, "wait_seconds": 20})
            states = await ask(told, "status", keys=keys)
            unconfirmed = await ask(told, "unconfirmed")
        billed = server.sandbox.ledger.billed()
    assert {"succeeded", *(["unconfirmed"] if unconfirmed else [])} == {one["status"] for one in states}
    assert len(jobs) - len(unconfirmed) <= billed <= len(jobs)


def _process_using(folder: Path) -> int:
    """Return the process of a server, by the folder among its arguments."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in line and b"mcp" in line:
                return int(entry.name)
    raise AssertionError("no server is running")


async def test_over_http(tmp_path: Path) -> None:
    """The same tools over streamable HTTP, for several clients of one server."""
    port = free_port()
    with SandboxServer(Sandbox(image_latency=Fixed(0.05))) as server:
        told = command(server, tmp_path / "run", "--http", f"127.0.0.1:{port}")
        async with await anyio.open_process(
            [told.command, *told.args], env=told.env, stdin=None, stdout=None
        ) as process:
            try:
                with anyio.fail_after(30):
                    while True:
                        try:
                            async with await anyio.connect_tcp("127.0.0.1", port):
                                break
                        except OSError:
                            await anyio.sleep(0.05)
                for _ in range(2):
                    async with AgentClient(f"http://127.0.0.1:{port}/mcp") as client:
                        state = await ask(client, "submit", prompt="a fox")
                        await client.call_tool("collect", {"keys": [state["key"]], "wait_seconds": 20})
                        [state] = await ask(client, "status", keys=[state["key"]])
                        assert "succeeded" == state["status"]
                process.send_signal(signal.SIGINT)
                with anyio.fail_after(15):
                    await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
        assert 1 == server.sandbox.ledger.billed()


async def test_a_job_of_the_run_is_one_of_any_command(tmp_path: Path) -> None:
    """The directory is that of a run, which other commands read."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.0))) as server:
        async with agent(server, tmp_path / "run") as (_, run):
            [state] = run.submit([Job(ImageInput("a fox"))])
            await run.wait([state.key], max_seconds=20)
    done = await anyio.run_process([sys.executable, "-m", "kling_async", "status", "--json", str(tmp_path / "run")])
    assert {"succeeded": 1} == json.loads(done.stdout)["statuses"]
