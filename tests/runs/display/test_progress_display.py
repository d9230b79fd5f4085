"""The progress display: where it shows what, that it never harms the batch, and that it restores the terminal."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve
from rich.console import Console

import kling_async
from kling_async import Batch, ImageInput, InputError, Job, Limits, show_progress
from kling_async.runs.display import mode_for
from kling_async.runs.display.progress_display import LogDisplay
from kling_async.runs.display.snapshot import ProviderView, Snapshot
from kling_async.testing import Fixed
from kling_async.types.limits import LimitKind, LimitOrigin, SpeedLimit

from ...conftest import OpenClient
from .test_snapshot import STILL

PROVIDER = ProviderView(name="gptproto", accepted=0, submitting=1, finished=0, throttled=0, per_second=None)
NOT_PASSED = ("CI", "COLUMNS", "LINES", "NO_COLOR")
"""Variables that describe another terminal than the program's own."""
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"
PROGRAM = """
import anyio, httpx, os
from kling_async import Client, ImageInput, Job, Limits, show_progress
from kling_async.testing import Fixed, Sandbox, SandboxApp

async def main(body):
    sandbox = Sandbox(image_latency=Fixed(float(os.environ.get("LATENCY", "0.4"))))
    key, url = {"gptproto": sandbox.key}, {"gptproto": "http://127.0.0.1:1"}
    transport = httpx.ASGITransport(SandboxApp(sandbox))
    async with Client(api_keys=key, base_urls=url, transport=transport) as client:
        jobs = [Job(ImageInput(f"一只猫 {n}"), key=f"猫-{n}") for n in range(8)]
        async with client.batch(jobs) as batch, show_progress(batch):
            async for outcome in batch:
                body(outcome)
    print(sandbox.billed(), "billed")
"""


class Terminal:
    """A terminal of its own, and a program in it whose stdout goes elsewhere."""

    def __init__(self, code: str, backend: str, **settings: str) -> None:
        self.out = b""
        self.master, slave = pty.openpty()
        self.resize(30, 100, slave)
        environment = {name: value for name, value in os.environ.items() if name not in NOT_PASSED}
        environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path(kling_async.__file__).parents[1])}
        run = f"anyio.run(main, body, backend={backend!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{PROGRAM}\n{code}\n{run}"],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment | {"PYTHONIOENCODING": "utf-8"} | settings,
        )
        os.close(slave)
        self.seen = b""

    def end(self) -> bytes:
        """Wait for the end, and return all that was written to the terminal; stdout is kept in `out`."""
        self.read()
        self.out, _ = self.process.communicate(timeout=200)
        return self.seen

    def resize(self, rows: int, columns: int, end: int | None = None) -> None:
        """Tell the terminal that it has another size."""
        fcntl.ioctl(end or self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, until: Callable[[bytes], bool] = lambda _: False) -> bytes:
        """Read what is written to the terminal, until something or the end."""
        while not until(self.seen):
            try:
                data = os.read(self.master, 65536)
            except OSError:  # nobody writes any more
                break
            if not data:
                break
            self.seen += data
        return self.seen


@contextmanager
def terminal(code: str, backend: str = "asyncio", **settings: str) -> Iterator[Terminal]:
    """Run a program in a terminal of its own, and take it down."""
    run = Terminal(code, backend, **settings)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        if run.process.stdout is not None:
            run.process.stdout.close()
        os.close(run.master)


def is_drawn(seen: bytes) -> bool:
    """Return whether the display was drawn."""
    return b"elapsed" in seen


def cursor_is_back(seen: bytes) -> bool:
    """Return whether the cursor was hidden and shown again."""
    return 0 <= seen.rfind(HIDE_CURSOR) < seen.rfind(SHOW_CURSOR)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_terminal_gets_the_display_and_a_pipe_the_data(backend: str) -> None:
    """The display is drawn in place on stderr; stdout, which goes elsewhere, has only what was printed."""
    with terminal("body = lambda outcome: print(outcome.job.key)", backend) as run:
        seen = run.end()
        assert 0 == run.process.returncode, seen
    assert b"8 of 8" in seen
    assert "8 succeeded" in seen.decode()
    assert b"\x1b[1A\x1b[2K" in seen
    assert cursor_is_back(seen)
    assert sorted([*(f"猫-{n}" for n in range(8)), "8 billed"]) == sorted(run.out.decode().splitlines())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_error_brings_the_cursor_back(backend: str) -> None:
    """A program that ends with an exception restores the terminal, and shows that exception itself."""
    with terminal("def body(outcome): raise ValueError('over' + 'board')", backend) as run:
        seen = run.end()
        assert 1 == run.process.returncode
    assert cursor_is_back(seen)
    assert b"ValueError: overboard" in seen
    assert b"ExceptionGroup" not in seen


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_brings_the_cursor_back(backend: str) -> None:
    """An interrupt restores the terminal."""
    with terminal("body = print", backend, LATENCY="1000") as run:
        run.read(is_drawn)
        run.process.send_signal(signal.SIGINT)
        seen = run.end()
        assert run.process.returncode != 0
    assert b"KeyboardInterrupt" in seen
    assert cursor_is_back(seen)


def test_a_closed_terminal_ends_the_display_only() -> None:
    """When the window is closed, the jobs in flight are still finished."""
    with terminal("body = lambda outcome: None") as run:
        run.read(is_drawn)
        os.close(run.master)
        out, _ = run.process.communicate(timeout=200)
        run.master = os.open(os.devnull, os.O_RDONLY)
        # Python exits with 120 if a closed stream cannot be flushed.
        assert run.process.returncode in (0, 120)
        assert b"8 billed\n" == out


def test_a_terminal_may_change_its_size() -> None:
    """A terminal that was made narrower is cleared, because the old lines were wrapped, and gets lines that fit."""
    with terminal("body = lambda outcome: None") as run:
        run.read(is_drawn)
        assert b"\x1b[2J" not in run.seen
        run.resize(20, 40)
        seen = run.read()
    after = seen[seen.index(b"\x1b[2J") :].decode()
    rows = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row) for row in re.split(r"[\r\n]+", after)]
    assert any("8 of 8" in row for row in rows)
    assert all(len(row) <= 40 for row in rows)


@pytest.mark.parametrize("settings", [{"CI": "true"}, {"TERM": "dumb"}])
def test_elsewhere_lines_are_plain(settings: dict[str, str]) -> None:
    """In a build, or on a terminal that cannot draw, there are plain lines without any escape code."""
    with terminal("body = lambda outcome: None", **settings) as run:
        seen = run.read()
    assert b"\x1b" not in seen
    assert seen.decode().splitlines()[-1].startswith("8 of 8 (100%) done: 8 succeeded; ")


def test_no_color_has_no_colour() -> None:
    """`NO_COLOR` keeps the display and omits the colours."""
    with terminal("body = lambda outcome: None", NO_COLOR="1") as run:
        seen = run.read()
    assert b"8 of 8" in seen
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", seen)


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "mode"),
    [
        (None, {}, "none"),
        (io.StringIO(), {}, "plain"),
        (io.StringIO(), {"FORCE_COLOR": "1"}, "plain"),
        (Tty(), {}, "live"),
        (Tty(), {"TERM": "xterm"}, "live"),
        (Tty(), {"TERM": "dumb"}, "plain"),
        (Tty(), {"CI": "1"}, "plain"),
        (Tty(), {"CI": "false"}, "live"),
        (Tty(), {"CI": ""}, "live"),
    ],
)
def test_the_stream_and_the_environment_decide(stream: Any, environ: dict[str, str], mode: str) -> None:
    """The display is live only on a terminal that can draw; FORCE_COLOR makes no terminal."""
    assert mode == mode_for(stream, environ)


async def run_through(batch: Batch, **options: Any) -> None:
    """Take all outcomes beside a display."""
    async with show_progress(batch, **options):
        async for _ in batch:
            pass


JOBS = [Job(ImageInput(f"cat {n}"), key=f"cat-{n}") for n in range(40)]


@pytest.mark.anyio
async def test_plain_lines_come_now_and_then(open_client: OpenClient) -> None:
    """A long batch has a line every ten seconds or after each tenth of its jobs, and a last one."""
    file = io.StringIO()
    async with (
        open_client(image_latency=Fixed(100.0), max_open=None) as at,
        at.client.batch(iter(JOBS), max_open=8) as batch,
    ):
        await run_through(batch, mode="plain", console=Console(file=file), clock=at.clock, total=40)
    lines = file.getvalue().splitlines()
    elapsed = [
        int(minutes) * 60 + int(seconds) for minutes, seconds in re.findall(r"elapsed (\d+):(\d+)", file.getvalue())
    ]
    assert len(lines) == len(elapsed)
    assert all(1 <= later - earlier <= 11 for earlier, later in pairwise(elapsed[:-1]))
    assert 500 <= elapsed[-1]
    assert lines[0].startswith("0 of 40 (0%) done: 8 accepted, 32 planned; ")
    assert lines[-1].startswith("40 of 40 (100%) done: 40 succeeded; ")


@pytest.mark.anyio
async def test_a_plain_line_names_a_limit_when_it_changes(open_client: OpenClient) -> None:
    """What limits the speed is in the first line in which it does, and not in each line after that."""
    file, limits = io.StringIO(), Limits(submit_per_second=None, poll_per_second=None, max_open=2)
    async with (
        open_client(image_latency=Fixed(30.0), limits=limits) as at,
        at.client.batch(JOBS, max_open=40) as batch,
    ):
        await run_through(batch, mode="plain", console=Console(file=file), clock=at.clock)
    lines = file.getvalue().splitlines()
    assert len(lines) > 40
    assert [at for at, line in enumerate(lines) if "gptproto max 2 slots: your limit" in line] in ([0], [1])


def test_a_plain_line_names_what_has_limited_the_speed_since_the_line_before() -> None:
    """A rate is named, and once, though a line is written in the moment in which the next submission may leave."""
    file = io.StringIO()
    display = LogDisplay(file)
    rate = SpeedLimit(provider="gptproto", kind=LimitKind.RATE, value=1.0, origin=LimitOrigin.USER)
    for second, limit in (
        (0.8, rate),
        (10.0, None),
        (10.2, rate),
        (20.0, None),
        (30.0, None),
        (30.2, rate),
        (40.0, None),
    ):
        progress = evolve(STILL, total=40, elapsed=second)
        display.show(Snapshot(progress=progress, total=40, providers=(evolve(PROVIDER, limit=limit),)))
    named = ["gptproto max 1.0/s: your limit" in line for line in file.getvalue().splitlines()]
    assert [True, False, False, True] == named


@pytest.mark.anyio
async def test_a_quick_batch_fills_no_log(open_client: OpenClient) -> None:
    """Milestones within a second of each other are one line."""
    file = io.StringIO()
    async with open_client(image_latency=Fixed(0.1)) as at, at.client.batch(JOBS, max_open=1) as batch:
        await run_through(batch, mode="plain", console=Console(file=file), clock=at.clock)
        elapsed = batch.progress.elapsed
    assert 1 <= len(file.getvalue().splitlines()) <= elapsed + 1


@pytest.mark.anyio
async def test_none_is_silent(open_client: OpenClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a display nothing is written, and the loop is the same."""
    async with open_client() as at, at.client.batch(JOBS) as batch:
        await run_through(batch, mode="none")
        assert 40 == batch.progress.done
    assert ("", "") == capsys.readouterr()


@pytest.mark.anyio
async def test_stderr_is_the_default(open_client: OpenClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a console the lines go to stderr, and nothing to stdout."""
    async with open_client() as at, at.client.batch(JOBS) as batch:
        await run_through(batch, clock=at.clock)
    out, err = capsys.readouterr()
    assert "" == out
    assert "40 of 40 (100%) done" in err


@pytest.mark.anyio
async def test_live_can_be_chosen_for_any_stream(open_client: OpenClient) -> None:
    """A display that was chosen by name is drawn into any stream."""
    file = io.StringIO()
    async with open_client() as at, at.client.batch(JOBS) as batch:
        await run_through(batch, mode="live", console=Console(file=file, width=80), clock=at.clock)
    assert "\x1b[?25h" in file.getvalue()
    assert "40 of 40" in file.getvalue()


@pytest.mark.anyio
async def test_the_cost_does_not_depend_on_the_number_of_jobs(open_client: OpenClient) -> None:
    """Five snapshots are drawn per second, for one job or for forty."""
    shown = []
    for jobs in (JOBS[:1], JOBS):
        file = io.StringIO()
        async with open_client(image_latency=Fixed(20.0)) as at, at.client.batch(jobs) as batch:
            console = Console(file=file, width=80, force_terminal=True)
            await run_through(batch, mode="live", console=console, clock=at.clock)
            shown.append(file.getvalue().count("elapsed") / batch.progress.elapsed)
    assert all(4.0 < rate < 6.0 for rate in shown)


class Broken(io.StringIO):
    """A stream that cannot be written to after a while."""

    def write(self, text: str) -> int:
        if self.tell() > 500:
            raise OSError(5, "Input/output error")
        return super().write(text)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["live", "plain"])
async def test_a_broken_stream_ends_the_display_only(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """A full disk or a closed pipe behind stderr is logged once, and the batch continues."""
    caplog.set_level(logging.ERROR)
    async with open_client(image_latency=Fixed(200.0)) as at, at.client.batch(JOBS) as batch:
        await run_through(batch, mode=mode, console=Console(file=Broken()), clock=at.clock)
        assert 40 == batch.progress.succeeded
    assert ["The progress display failed and is now off; the batch continues"] == [
        record.message for record in caplog.records
    ]


@pytest.mark.anyio
async def test_errors_of_the_body_come_out_as_they_are(open_client: OpenClient) -> None:
    """An error raised inside is raised outside, in no group."""
    async with open_client() as at, at.client.batch(JOBS) as batch:
        with pytest.raises(KeyError, match="mine"):
            async with show_progress(batch, mode="none"):
                raise KeyError("mine")


@pytest.mark.anyio
async def test_cancelled_it_ends_at_once(open_client: OpenClient) -> None:
    """Cancellation passes through, and the last line is written."""
    file = io.StringIO()
    async with open_client(image_latency=Fixed(1e6)) as at, at.client.batch(JOBS) as batch:
        with anyio.CancelScope() as scope:
            async with show_progress(batch, mode="plain", console=Console(file=file), clock=at.clock):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
    assert 1 == len(file.getvalue().splitlines())


@pytest.mark.anyio
async def test_an_unknown_mode_is_an_error(open_client: OpenClient) -> None:
    """An unknown mode is an error that lists the modes."""
    async with open_client() as at:
        mode: Any = "loud"
        with pytest.raises(InputError, match="must be live, notebook, plain or none"):
            show_progress(at.client.batch(JOBS), mode=mode)


WITHOUT_RICH = """
import sys
sys.modules["rich"] = None
sys.modules["rich.console"] = sys.modules["rich.live"] = None
main.__globals__["show_progress"] = lambda batch, show=show_progress: show(batch, mode={mode!r})
body = lambda outcome: None
"""


def test_without_rich_there_are_lines() -> None:
    """The library of the live display is an extra: without it a terminal gets lines."""
    with terminal(WITHOUT_RICH.format(mode=None)) as run:
        seen = run.read()
    assert b"8 of 8 (100%) done" in seen
    assert b"\x1b" not in seen


def test_without_rich_live_is_an_error_that_helps() -> None:
    """A display that was chosen by name says what to install."""
    with terminal(WITHOUT_RICH.format(mode="live")) as run:
        seen = run.read()
    assert b"InputError: The live display needs rich. Install it with: pip install 'kling-async[cli]'" in seen
