"""A database, or a client of it, that is killed at any moment: nothing told is lost, and nothing is paid twice."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from kling_async import Client, ImageInput, Job, JobStatus, JournalError, PostgresJournal
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.journal_samples import accepted_sample, sample

from ..conftest import NO_LIMITS
from ..postgres import PostgresServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the processes of a server are found there"),
]

PROGRAM = Path(__file__).with_name("database_process.py")


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    """Give the server, which may be killed if it is ours."""
    if not postgres.is_ours:
        pytest.skip("the server that was given is not to be killed")
    return postgres


@pytest.fixture
def run() -> str:
    """Name a run that no other test has."""
    return f"run-{secrets.token_hex(4)}"


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a client in a process of its own, and kill it in any case."""
    command = [sys.executable, str(PROGRAM), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            client.kill()


def modes(folder: Path) -> list[int]:
    """Return who may read the files below a folder."""
    return [path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()]


def cut_off(place: str) -> None:
    """Append half a line to an emergency file, as a machine does that stops."""
    with Path(place).open("a", encoding="ascii") as file:
        file.write('0badc0de {"key":"ca')


def expire(server: PostgresServer, run: str) -> None:
    """Let the leases of the clients of a run end."""
    server.execute("UPDATE kling_async.workers SET expires_at = 'epoch' WHERE run = %s", run)


@pytest.mark.parametrize("lines", [1, 40])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_client_that_is_killed_while_it_writes(server: PostgresServer, run: str, lines: int) -> None:
    """G2, G3: each id that was told is in the journal, and what was being submitted is unconfirmed for the next one."""
    with process("write", server.url(), run) as client:
        assert client.stdout is not None
        told = [client.stdout.readline().strip() for _ in range(lines)]
        client.kill()
        told += client.stdout.read().split()
    expire(server, run)
    journal = PostgresJournal(server.url(), run=run)
    await journal.open()
    left = {one.key: one for one in await journal.take_over()}
    statuses = Counter(one.status for one in await journal.submissions())
    await journal.aclose()
    ids = {key: one.prediction.id for key, one in left.items() if one.prediction is not None}
    assert {key: f"id-{key}" for key in told}.items() <= ids.items()
    assert set(statuses) <= {JobStatus.ACCEPTED, JobStatus.UNCONFIRMED}
    assert statuses[JobStatus.UNCONFIRMED] <= 8


@pytest.mark.parametrize("part", ["whole", "backends"])
async def test_a_server_that_is_killed_while_many_write(server: PostgresServer, run: str, part: str) -> None:
    """Writes go on once the server is back, whether it starts again by itself or is started; each is stored once."""
    journal, written = PostgresJournal(server.url(), run=run), list[str]()
    await journal.open()

    async def write(name: int) -> None:
        for number in range(10):
            key = f"cat-{name}-{number}"
            await journal.write(sample(key).sent(2.0))
            await journal.write(accepted_sample(key, id=f"id-{key}"))
            written.append(key)

    async with anyio.create_task_group() as group:
        for name in range(8):
            group.start_soon(write, name)
        while len(written) < 20:
            await anyio.sleep(0.001)
        if part == "whole":
            server.kill()
            await anyio.to_thread.run_sync(server.restart)
        else:
            server.kill_backends()
    found = await journal.submissions()
    await journal.aclose()
    assert 80 == len(written) == len(found)
    assert {JobStatus.ACCEPTED} == {one.status for one in found}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_stays_away(
    server: PostgresServer, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G15: an id that cannot be written goes to the emergency file, and is in the journal once the server is back."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = PostgresJournal(server.url(), run=run, lease_seconds=1.0)
    await journal.open()
    await journal.write(sample().sent(2.0))
    server.kill()
    try:
        with pytest.raises(JournalError) as caught:
            await journal.write(accepted_sample())
        place = Path(await journal.write_emergency(accepted_sample()))
        await journal.aclose()
    finally:
        server.restart()
    assert not caught.value.may_be_billed
    assert place.is_relative_to(tmp_path)
    assert [0o600] == modes(tmp_path)
    again = PostgresJournal(server.url(), run=run)
    await again.open()
    assert accepted_sample() == await again.find("cat")
    assert [] == modes(tmp_path)
    await again.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_emergency_file_is_kept_while_it_knows_more(
    postgres: PostgresServer,
    run: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line that was cut off is skipped; an id that the journal has differently is told, and its file is kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = PostgresJournal(postgres.url(), run=run)
    await journal.open()
    await journal.write(accepted_sample())
    place = await journal.write_emergency(accepted_sample("dog", id="id-2"))
    cut_off(place)
    await journal.write_emergency(accepted_sample())
    await journal.aclose()
    await journal.open()
    assert accepted_sample("dog", id="id-2") == await journal.find("dog")
    assert [] == modes(tmp_path)
    await journal.write_emergency(accepted_sample(id="id-9"))
    await journal.aclose()
    for _ in range(2):
        await journal.open()
        assert accepted_sample() == await journal.find("cat")
        await journal.aclose()
        assert [0o600] == modes(tmp_path)
    assert "id=id-9 key=cat" in caplog.text


@pytest.mark.long
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_stands_still(server: PostgresServer, run: str) -> None:
    """G8: a write to a server that keeps its connections and answers nothing ends with an error; closing ends, too."""
    journal = PostgresJournal(server.url(), run=run, lease_seconds=1.0)
    await journal.open()
    await journal.write(sample().sent(2.0))
    server.signal_all(signal.SIGSTOP)
    try:
        with anyio.fail_after(60), pytest.raises(JournalError):
            await journal.write(accepted_sample())
        with anyio.fail_after(60):
            await journal.aclose()
    finally:
        server.signal_all(signal.SIGCONT)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_batch_goes_on_after_the_server_was_killed(server: PostgresServer, run: str) -> None:
    """A batch whose database is killed and started again finishes, and pays once for each job."""
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(30)]
    sandbox = Sandbox(image_latency=Fixed(0.3))
    with SandboxServer(sandbox) as provider:
        client = Client("gptproto", api_key=sandbox.key, base_url=provider.url, limits=NO_LIMITS)
        async with client, client.batch(jobs, journal=PostgresJournal(server.url(), run=run), max_open=8) as batch:
            outcomes = [await anext(batch)]
            server.kill()
            threading.Thread(target=server.restart).start()
            outcomes += [outcome async for outcome in batch]
    assert [True] * 30 == [outcome.ok for outcome in outcomes]
    assert 30 == sandbox.submits == sandbox.billed()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_of_two_clients_is_killed(server: PostgresServer, run: str) -> None:
    """G18: of two processes over the same jobs one is killed; the other, and a later one, pay for no job again."""
    sandbox = Sandbox(image_latency=Fixed(0.1))
    with SandboxServer(sandbox) as provider:
        words = ("batch", server.url(), run, provider.url, "40")
        with process(*words) as one, process(*words) as other:
            assert one.stdout is not None
            assert other.stdout is not None
            for _ in range(5):
                await anyio.to_thread.run_sync(one.stdout.readline)
            one.kill()
            one.wait()
            expire_once = "UPDATE kling_async.workers SET expires_at = 'epoch' WHERE run = %s AND name LIKE %s"
            server.execute(expire_once, run, f"process {one.pid} on %")
            told = (await anyio.to_thread.run_sync(other.stdout.read)).splitlines()
        with process(*words) as later:
            assert later.stdout is not None
            said = (await anyio.to_thread.run_sync(later.stdout.read)).splitlines()
    results = Counter(line.split()[1] for line in said)
    assert 40 == len(told) == len(said)
    assert results["ok"] + results["AnswerLost"] == 40
    assert results["AnswerLost"] <= 4
    assert results["ok"] == len([line for line in said if line.split()[2:]])
    assert all(sandbox.billed(f"cat {number}") <= 1 for number in range(40))
    assert results["ok"] <= sandbox.submits <= 40
