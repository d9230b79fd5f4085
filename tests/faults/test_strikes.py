"""Rows 46 and 47: Ctrl-C at any call, and while an iterator blocks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest

from .conftest import OpenSite, cats, client_of
from .names import fake_names

STRIKER = Path(__file__).with_name("striker.py")
PROGRAMS = ["generate", "map", "batch", "panel", "journal", "save"]
BACKENDS = ["asyncio", "trio"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a process of its own")


def struck(**order: Any) -> tuple[list[dict[str, Any]], str]:
    """Strike programs, and return what came of each, and what the process wrote before a hang ended it."""
    order = {"programs": PROGRAMS, "seed": 48, **order}
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, str(STRIKER), json.dumps(order)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return told, "" if done.returncode == 0 else f"{done.stderr[-6000:]}\nexit code {done.returncode}"


def faults(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the strikes that did not end in a bare KeyboardInterrupt with books that agree."""
    return [
        one
        for one in told
        if one["ended"] != ("KeyboardInterrupt" if one["struck"] else "done") or one["wrong"] or one["unraisable"]
    ]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_46_at_any_call(backend: str) -> None:
    """Wherever Ctrl-C strikes: the program ends with it, what is billed is written down, and the journal is free."""
    told, hang = struck(backend=backend, strikes=13)
    assert not hang, hang
    assert [] == faults(told)
    assert 60 < sum(one["struck"] for one in told)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_46_and_once_more_while_it_closes(backend: str) -> None:
    """A second one, at any call after the closing began: what was cut off is unconfirmed, and nothing is lost."""
    told, hang = struck(backend=backend, strikes=4, twice=True)
    assert not hang, hang
    assert [] == faults(told)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_46_thousands_of_times(backend: str, program: str, *, twice: bool) -> None:
    """The same, at many more calls."""
    told, hang = struck(backend=backend, programs=[program], strikes=100 if twice else 300, twice=twice, seed=480)
    assert not hang, hang
    assert [] == faults(told)


@pytest.mark.timeout(120)
def test_a_package_without_protection_is_caught() -> None:
    """Negative control: where trio is told to keep Ctrl-C out of nothing, strikes end in hangs or other errors."""
    told, hang = struck(backend="trio", programs=["journal"], strikes=25, unprotected=True)
    assert hang or faults(told)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "two.test"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_46_while_it_connects(site: OpenSite, backend: str, host: str) -> None:
    """Connections may be made in tasks of their own: Ctrl-C that strikes one of them comes out bare, too."""
    here = site()

    def strike(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name in ("create_connection", "attempt_connect", "try_connect"):
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        origin = here.origin.replace("127.0.0.1", host)
        async with client_of(here, origin=origin, allow_http=True) as client:
            sys.setprofile(strike)
            await client.generate(cats(1)[0])

    with fake_names({"two.test": [["127.0.0.2", "127.0.0.1"]]}), pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)


NAMELESS = """
import signal, socket, sys, time
import anyio
from kling_async import Client, ImageInput
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

real = socket.getaddrinfo

def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    if "slow.test" not in str(host) or flags & socket.AI_NUMERICHOST:
        return real(host, port, family, type, proto, flags)
    # A signal just before the loop blocks in select is handled when select returns, at the next one, as one with it.
    time.sleep(0.1)
    print("looks up", flush=True)
    time.sleep(20)

socket.getaddrinfo = getaddrinfo
output = Output(url="https://slow.test/one.png", kind=OutputKind.IMAGE)
settings = {"provider": "gptproto", "model": "kling-image-o1", "id": "p-1"}

async def main():
    keys = {"api_keys": {"gptproto": "sk-sandbox"}, "base_urls": {"gptproto": "https://slow.test"}}
    async with Client(**keys) as client:
        if sys.argv[2] == "submit":
            await client.submit(ImageInput("a cat"))
        elif sys.argv[2] == "poll":
            await client.wait(Prediction(**settings, status=Status.RUNNING))
        else:
            await client.download(Prediction(**settings, status=Status.SUCCEEDED, outputs=(output,)), sys.argv[3])

signal.signal(signal.SIGINT, signal.default_int_handler)
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("what", ["submit", "poll", "download"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_46_while_a_name_is_looked_up(tmp_path: Path, backend: str, what: str) -> None:
    """Two of them end a program whose resolver does not answer: neither the loop nor Python waits for its thread."""
    command = [sys.executable, "-c", NAMELESS, backend, what, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "looks up" == process.stdout.readline().strip()
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate(timeout=8)  # 2 s, and what a busy machine adds; the resolver takes 20
        finally:
            process.kill()
    assert -signal.SIGINT == process.returncode, talk
    assert "KeyboardInterrupt" in talk
    assert "ExceptionGroup" not in talk
    assert [] == list(tmp_path.iterdir())


BLOCKS = """
import os, signal, sys
import anyio, httpx
from kling_async import Client, ImageInput
from kling_async.testing import Fixed, Sandbox, SandboxApp
from kling_async.system.clock import SystemClock

never, _ = os.pipe()

def jobs():
    yield ImageInput("a cat")
    yield ImageInput("another cat")
    print("blocks", flush=True)
    os.read(never, 1)

async def main():
    sandbox = Sandbox(image_latency=Fixed(0.1))
    transport = httpx.ASGITransport(SandboxApp(sandbox, SystemClock()))
    keys = {"api_keys": {"gptproto": sandbox.key}, "base_urls": {"gptproto": "http://127.0.0.1:1"}}
    async with Client(transport=transport, **keys) as client:
        async with client.batch(jobs(), stop_on_signals=sys.argv[2] == "gently") as batch:
            async for outcome in batch:
                print("over", flush=True)
    print("stopped", batch.stopped, flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)
anyio.run(main, backend=sys.argv[1])
"""


@contextmanager
def blocked(backend: str, how: str) -> Iterator[subprocess.Popen[str]]:
    """Run a batch whose iterator blocks for ever, until it does, and its first jobs are over all the same."""
    command = [sys.executable, "-c", BLOCKS, backend, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert ["blocks", "over", "over"] == sorted(process.stdout.readline().strip() for _ in range(3))
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("backend", BACKENDS)
def test_row_47_ctrl_c_while_next_blocks(backend: str) -> None:
    """Ctrl-C ends a program whose iterator never returns; meanwhile polls went on, and outcomes were handed out."""
    with blocked(backend, "plainly") as process:
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=20)
    assert -signal.SIGINT == process.returncode
    assert "KeyboardInterrupt" in talk
    assert "ExceptionGroup" not in talk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", BACKENDS)
def test_row_47_a_gentle_stop_while_next_blocks(backend: str, number: signal.Signals) -> None:
    """With `stop_on_signals` the first signal ends the loop by itself, though the iterator never returns."""
    with blocked(backend, "gently") as process:
        process.send_signal(number)
        out, talk = process.communicate(timeout=20)
    assert 0 == process.returncode, talk
    assert "stopped True" in out
    assert "Traceback" not in talk
