"""Uploads that fail, and processes that are killed in the middle of one: nothing is paid for before it is complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kling_async import Client, InputError, Limits, NotSent, VideoInput
from kling_async.errors import KlingError
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png

PNG = draw_png("a cat", width=320, height=300)
PROVIDERS = ("wavespeed", "fal", "replicate")

RUN = """
import sys
from pathlib import Path

import anyio

from kling_async import Client, Limits, VideoInput


async def main() -> None:
    provider, key, origin, folder = sys.argv[1:]
    jobs = [VideoInput("a dog", image=Path(folder, "cat.png"), model="kling-o1-std")]
    limits = Limits(submit_per_second=None, max_open=None)
    async with Client(provider, api_key=key, base_url=origin, limits=limits) as client:
        async with client.batch(jobs, journal=Path(folder, "journal.db"), save_to=Path(folder, "out")) as batch:
            async for outcome in batch:
                print(outcome.ok, outcome.error, flush=True)


anyio.run(main)
"""


def start(server: SandboxServer, provider: str, folder: Path) -> subprocess.Popen[str]:
    """Start a run in a process of its own."""
    (folder / "run.py").write_text(RUN, encoding="utf-8")
    (folder / "cat.png").write_bytes(PNG)
    arguments = [provider, server.sandbox.key_for(provider), server.url, str(folder)]
    return subprocess.Popen(
        [sys.executable, str(folder / "run.py"), *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("place", [0, 1], ids=["at its first request", "at its second request"])
def test_row_59_killed_in_the_middle_of_an_upload(provider: str, place: int, tmp_path: Path) -> None:
    """A run that is killed while its upload hangs has paid nothing; the next one uploads, and pays once."""
    with SandboxServer(Sandbox(video_latency=Fixed(0.05))) as server:
        server.sandbox.script_uploads([None] * (place if provider != "replicate" else 0) + ["hang"])
        run = start(server, provider, tmp_path)
        requests = 1 if provider == "replicate" else place + 1
        for _ in range(3000):
            if server.sandbox.count("upload") >= requests:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert (requests, 0) == (server.sandbox.count("upload"), server.sandbox.submits)
        again = start(server, provider, tmp_path)
        told, _ = again.communicate(timeout=60)
        assert "True None\n" == told
        assert (1, 1) == (server.sandbox.submits, server.sandbox.billed())


@pytest.mark.anyio
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("faults", "error", "requests"),
    [
        (["bad_request"], KlingError, 1),
        (["too_large"], KlingError, 1),
        (["forbidden"], KlingError, 1),
        (["lost"] * 4, NotSent, 4),
        (["hang"] * 4, NotSent, 4),
        (["error_503"] * 4, NotSent, 4),
    ],
)
async def test_row_59_an_upload_that_fails(
    provider: str, faults: list[str], error: type[KlingError], requests: int
) -> None:
    """What is refused is asked once, and what may pass a few times; either is an error that names the file."""
    with SandboxServer(Sandbox()) as server:
        key = server.sandbox.key_for(provider)
        server.sandbox.script_uploads(faults)
        limits = Limits(submit_per_second=None, max_open=None)
        async with Client(provider, api_key=key, base_url=server.url, request_timeout=0.5, limits=limits) as client:
            with pytest.raises(error) as caught:
                await client.generate(VideoInput("a dog", image=PNG, model="kling-o1-std"), key="k")
        assert ("k", False) == (caught.value.key, caught.value.may_be_billed)
        assert (requests, 0) == (server.sandbox.count("upload"), server.sandbox.submits)
        assert key not in f"{caught.value!r} {caught.value}"


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["http://192.0.2.1/x", "https://10.0.0.1/x", "ftp://x.test/x", "https://u@x.test/"])
async def test_row_59_a_ticket_that_leads_elsewhere(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A content goes to public https addresses only, whatever a provider's ticket names."""
    with SandboxServer(Sandbox()) as server:
        monkeypatch.setattr("kling_async.testing.sandbox.uploads._put_url", lambda *_: address)
        key = server.sandbox.key_for("wavespeed")
        async with Client("wavespeed", api_key=key, base_url=server.url) as client:
            with pytest.raises((NotSent, InputError), match="The place that wavespeed named|holds no address"):
                await client.generate(VideoInput("a dog", image=PNG, model="kling-o1-std"), wait_timeout=60.0)
        assert 0 == server.sandbox.submits
