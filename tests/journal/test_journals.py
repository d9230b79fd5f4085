"""What every journal keeps, and what the one in a file refuses: with real files, real locks and real full disks."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from kling_async import AnswerLost, ImageInput, InputError, Job, JournalError, Prediction, Status, VideoInput
from kling_async.journal.memory import MemoryJournal
from kling_async.journal.schema import VERSION
from kling_async.journal.serialization import dump_submission
from kling_async.journal.sqlite import SqliteJournal
from kling_async.journal.submission import Submission, new_submission
from kling_async.testing import SingleOwnerSuite
from kling_async.testing.journal_samples import MakeJournal
from kling_async.types.prediction import Output, OutputKind

from ..journals import listed

pytestmark = pytest.mark.anyio

SIGNED = "https://files.example/cat.png?X-Amz-Signature=c0ffee"
DATA = "data:image/png;base64,iVBORw0KGgo="


def submission(key: str = "cat", *, attempt: int = 1) -> Submission:
    """Return a submission of which nothing has left yet."""
    job = Job(ImageInput("a cat"), key=key)
    return new_submission(job, provider="gptproto", price=Decimal("0.03"), at=1.0, attempt=attempt)


def accepted(key: str = "cat", *, id: str = "id-1") -> Submission:
    """Return a submission that the provider has."""
    prediction = Prediction(provider="gptproto", model="kling-image-o1", id=id, key=key, status=Status.RUNNING)
    return submission(key).sent(2.0).accepted(prediction, 3.0)


def contents(directory: Path) -> dict[str, bytes]:
    """Return the files of a directory, if there is one."""
    return {path.name: path.read_bytes() for path in directory.glob("*")}


class TestEveryJournal(SingleOwnerSuite):
    """What every journal does, those of this package do."""

    @pytest.fixture(params=["memory", "full", "normal"])
    def make(self, request: pytest.FixtureRequest, tmp_path: Path) -> MakeJournal:
        """Make a journal of each kind; made again, it is the same one."""
        if request.param == "memory":
            kept = MemoryJournal()
            return lambda: kept
        return lambda: SqliteJournal(tmp_path / "journal.db", durability=request.param)


class _Forgetful(MemoryJournal):
    """Acknowledges what it drops."""

    async def write(self, *submissions: Submission) -> None:
        await super().write(*submissions[1:])


class _Shared(MemoryJournal):
    """Lets anybody in."""

    async def open(self) -> None:
        with suppress(JournalError):
            await super().open()


class _Hurried(MemoryJournal):
    """Saves nothing elsewhere."""

    async def write_emergency(self, submission: Submission) -> str:
        return "nowhere"


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (_Forgetful, "test_a_written_submission_is_found"),
        (_Shared, "test_one_at_a_time"),
        (_Hurried, "test_the_emergency_file_is_read_when_it_is_opened_again"),
    ],
)
async def test_the_suite_finds_a_journal_that_will_not_do(made: type[MemoryJournal], test: str) -> None:
    """A journal that breaks a rule fails the test of that rule."""
    kept = made()
    with pytest.raises(AssertionError):
        await getattr(SingleOwnerSuite(), test)(lambda: kept)


# Its contents.


async def test_nothing_secret_is_on_the_disk(tmp_path: Path) -> None:
    """No data URI and no query of an address is in the file, whether of an input, an output or an error."""
    job = Job(
        VideoInput(f"like {SIGNED}", image=DATA, images=[SIGNED, DATA], extra={"deep": [{"er": SIGNED}]}), key="cat"
    )
    start = new_submission(job, provider="gptproto", price=None, at=1.0)
    output = Output(url=SIGNED, kind=OutputKind.IMAGE)
    ended = Prediction(
        provider="gptproto", model="kling-image-o1", id="id-1", status=Status.SUCCEEDED, outputs=(output,), raw=SIGNED
    )
    lost = start.failed(AnswerLost(f"nothing at {SIGNED}"), at=2.0)
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    await journal.write(start.finished(ended, 2.0), evolve(lost, attempt=2))
    await journal.write_emergency(lost)
    everything = b"".join(contents(tmp_path).values())
    assert b"files.example/cat.png" in everything
    assert b"c0ffee" not in everything
    assert b"iVBORw0KGgo" not in everything
    await journal.aclose()


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Prompts are their owner's business."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    await journal.write(submission())
    assert 0 == (tmp_path / "journal.db").stat().st_mode & 0o077
    await journal.aclose()


async def test_it_leaves_one_file(tmp_path: Path) -> None:
    """Closed in order, a journal is a single file."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    await journal.write(submission())
    await journal.aclose()
    assert ["journal.db"] == list(contents(tmp_path))


# What is refused.


async def refused(path: Path, match: str) -> None:
    """See a journal refused, and its bytes left as they are."""
    before = contents(path.parent).get(path.name)
    with pytest.raises(JournalError, match=match):
        await SqliteJournal(path).open()
    assert before == contents(path.parent).get(path.name)


@pytest.mark.parametrize("left", [True, False])
async def test_a_transaction_that_was_cut_off_is_undone(tmp_path: Path, left: bool) -> None:
    """A kill while an earlier version switched a new journal to its log left a rollback journal: it opens as it was."""
    whole, cut = tmp_path / "whole.db", tmp_path / "cut.db"
    journal = SqliteJournal(whole)
    await journal.open()
    await journal.write(*(accepted(f"cat-{number}", id=f"id-{number}") for number in range(200)))
    await journal.aclose()
    with closing(sqlite3.connect(whole, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE submissions SET body = 'half', state = 'planned'")
        shutil.copy(whole, cut)
        if left:
            shutil.copy(f"{whole}-journal", f"{cut}-journal")
        connection.execute("ROLLBACK")
    again = SqliteJournal(cut)
    if not left:
        with pytest.raises(JournalError, match="damaged"):
            await again.open()
        return
    await again.open()
    try:
        assert {f"id-{number}" for number in range(200)} == {
            one.prediction.id for one in await again.submissions() if one.prediction is not None
        }
    finally:
        await again.aclose()


async def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Text, an empty file, a directory and a foreign database are refused and not changed."""
    text, empty, other = tmp_path / "text.db", tmp_path / "empty.db", tmp_path / "other.db"
    text.write_text("not a database at all, and longer than a header is, which has a hundred bytes\n" * 20)
    empty.touch()
    connection = sqlite3.connect(other)
    connection.executescript("CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Mia');")
    connection.close()
    await refused(text, "not a database")
    await refused(empty, "empty")
    await refused(other, "no journal")
    with pytest.raises(JournalError):
        await SqliteJournal(tmp_path).open()


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    """A journal creates no directories: a mistyped path would submit paid jobs again."""
    await refused(tmp_path / "no" / "journal.db", "directory is missing")


async def test_a_later_version_is_refused(tmp_path: Path) -> None:
    """What a later kling_async has written is not guessed at."""
    path = await filled(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    await refused(path, "later kling_async")


async def filled(directory: Path, count: int = 200) -> Path:
    """Make a journal with submissions in it."""
    journal = SqliteJournal(directory / "journal.db")
    await journal.open()
    await journal.write(*(accepted(f"cat-{number}", id=f"id-{number}") for number in range(count)))
    await journal.aclose()
    return journal.path


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.99])
async def test_a_truncated_journal_is_refused(tmp_path: Path, share: float) -> None:
    """Wherever it is truncated, the rest is not accepted as complete."""
    path = await filled(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    await refused(path, "cannot be opened")


async def test_flipped_bits_are_refused_or_harmless(tmp_path: Path) -> None:
    """Wherever a byte is changed, what is read is what was written, or nothing."""
    path = await filled(tmp_path, 40)
    whole = path.read_bytes()
    written = await listed(path)
    step, caught = len(whole) // 60, 0
    for at in range(0, len(whole), step):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x24]) + whole[at + 1 :])
        try:
            assert written == await listed(path)
        except JournalError:
            caught += 1
    assert caught > 20


OWNER = """
import anyio, sys
from kling_async.journal.sqlite import SqliteJournal

async def main():
    journal = SqliteJournal(sys.argv[1])
    await journal.open()
    print("open", flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


def test_another_process_is_named(tmp_path: Path) -> None:
    """A second process gets an error that names the owner while that runs; once it is killed, the journal opens."""
    path = tmp_path / "journal.db"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match=f"in use by process {owner.pid} on"):
            anyio.run(SqliteJournal(path).open)
        assert owner.poll() is None
        owner.kill()
        owner.wait()
    assert [] == anyio.run(listed, path)


def test_durability_is_a_word() -> None:
    """A durability that does not exist is refused when it is asked for."""
    with pytest.raises(InputError, match="full, normal"):
        SqliteJournal("journal.db", durability="some")


async def test_an_incomplete_line_of_the_emergency_file_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An incomplete line of the emergency file was never reported, and does not keep the journal from opening."""
    path = await filled(tmp_path, 1)
    text = dump_submission(accepted("dog", id="id-9"))
    path.with_name("journal.db.emergency").write_text(f"{text}\n{text[: len(text) // 2]}\n\n\n")
    assert ["cat-0", "dog"] == [one.key for one in await listed(path)]
    assert "an incomplete line" in caplog.text
    assert json.loads(text)["key"] == "dog"


CRAMPED = """
import anyio, resource, signal, sys
from kling_async import JournalError
from kling_async.journal.sqlite import SqliteJournal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    anyio.run(SqliteJournal(sys.argv[1]).open)
except JournalError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_without_room_it_is_not_opened(tmp_path: Path) -> None:
    """On a full disk a journal is refused when it is opened, which is before any money is spent."""
    command = [sys.executable, "-c", CRAMPED, str(tmp_path / "journal.db")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be opened" in ran.stdout


async def test_opened_twice_it_stays_with_the_first(tmp_path: Path) -> None:
    """Opening an open journal again is refused, and does not disturb its use."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    with pytest.raises(JournalError, match="in use by process"):
        await journal.open()
    await journal.write(submission())
    assert submission() == await journal.find("cat")
    await journal.aclose()
    assert [submission()] == await listed(journal.path)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelled_at_any_turn_it_is_let_go_of(tmp_path: Path) -> None:
    """Native cancellation, which minds no shield, leaves no owner behind and no writer without a word."""
    journal = SqliteJournal(tmp_path / "journal.db", durability="normal")

    async def use() -> None:
        await journal.open()
        try:
            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(journal.write, submission(f"cat-{number}"))
        finally:
            await journal.aclose()

    for turns in range(30):
        using = asyncio.create_task(use())
        for _ in range(2):
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            using.cancel()
        await asyncio.wait([using], timeout=60)
        assert using.done()
        await listed(journal.path)


def test_it_writes_under_a_plain_event_loop(tmp_path: Path) -> None:
    """Groups follow one another where nothing but a task tells the event loop, as under asyncio.run."""
    journal = SqliteJournal(tmp_path / "journal.db", durability="normal")

    async def write(writer: int) -> None:
        for number in range(20):
            await journal.write(submission(f"cat-{writer}-{number}"))

    async def use() -> None:
        await journal.open()
        await asyncio.gather(*map(write, range(5)))
        await journal.aclose()

    asyncio.run(asyncio.wait_for(use(), timeout=60))
    assert 100 == len(asyncio.run(listed(journal.path)))


async def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    """Broken links are an error that names them when the journal is opened, like any other unusable path."""
    for one, other in (("a.db", "b.db"), ("b.db", "a.db")):
        (tmp_path / one).symlink_to(other)
    with pytest.raises(JournalError, match="cannot be opened"):
        await SqliteJournal(tmp_path / "a.db").open()
