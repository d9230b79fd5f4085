"""Rows 29 to 31: clocks that jump, replies that contradict themselves, and replies that are far too big."""

from __future__ import annotations

import json
import time
import zlib
from functools import partial

import anyio
import pytest

from kling_async import ImageInput
from kling_async.errors import AnswerLost, KlingError, PredictionFailed, WaitTimeout
from kling_async.types.prediction import FailureKind, Status

from .answers import CLOSE, HEALTHY_SUBMIT, Answer, Script, accepted, poll_reply, refused, repeat, reply, send, sleep
from .conftest import ANSWER_WITHIN, PACE, OpenSite, PacedClock, cats, client_of, named
from .promises import check_paid_once, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")
HOUR = 3600.0


class SleepyClock(PacedClock):
    """A clock that goes on while the machine sleeps; whoever waits on it is woken when that is over."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_through = 0.0

    def now(self) -> float:
        return super().now() + self.slept_through

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        await super().sleep(min(seconds, 1.0))
        while (left := until - self.now()) > 0:
            await super().sleep(min(left, 1.0))


@pytest.mark.parametrize("jump", named({"an hour ahead": HOUR, "an hour back": -HOUR}))
async def test_row_29_wall_clock_jumps(site: OpenSite, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """When somebody sets the machine's clock, waits go on as before, also one that a date of the server began."""
    wait = [("Retry-After", "Fri, 20 Nov 2026 12:00:20 GMT"), ("Date", "Fri, 20 Nov 2026 12:00:00 GMT")]
    here = site(Script(submit=[refused("429 Too Many Requests", headers=wait)]), running_for=1)
    async with client_of(here) as client, anyio.create_task_group() as group:

        async def set_clock() -> None:
            await anyio.sleep(0.1)
            right = time.time
            monkeypatch.setattr(time, "time", lambda: right() + jump)

        group.start_soon(set_clock)
        (await timed(lambda: client.generate(CAT, wait_timeout=900), by=2.0)).well()
    first, second = here.log.of("submit")
    assert 20 / PACE - 0.005 <= second.at - first.at < HOUR / PACE
    assert 1 == len(here.log.charges["a cat"])


async def test_row_29_suspend(site: OpenSite) -> None:
    """A machine that sleeps for an hour in the middle of a wait loses no id: the wait is over, and can be taken up."""
    here, clock = site(Script(poll=[poll_reply("processing").for_ever])), SleepyClock()
    async with client_of(here, clock=clock) as client, anyio.create_task_group() as group:

        async def sleep_an_hour() -> None:
            while not here.log.of("poll"):
                await anyio.sleep(0.01)
            clock.slept_through = HOUR

        group.start_soon(sleep_an_hour)
        ended = await timed(lambda: client.generate(CAT, wait_timeout=600), by=6.0)
        late = ended.badly(WaitTimeout)
        assert late.id == here.log.charges["a cat"][0]
        here.script(Script())
    async with client_of(here) as client:
        seen = (await timed(lambda: client.wait(late.prediction), by=2.0)).well()
    assert seen.status is Status.SUCCEEDED
    check_paid_once(here.log, ["a cat"])


async def test_row_30_one_id_for_two_jobs(site: OpenSite) -> None:
    """A provider that gives two jobs one id is believed: each was submitted once, and each has that id."""
    here = site(
        Script(submit=[accepted("p-same").for_ever], poll=[poll_reply("completed", ["https://a.test/1"]).for_ever])
    )
    async with client_of(here) as client:
        outcomes = (await timed(lambda: client.map(cats(2)), by=2.0)).well()
    assert [True, True] == [one.ok for one in outcomes]
    assert {"p-same"} == {one.prediction.id for one in outcomes if one.prediction is not None}
    check_paid_once(here.log, ["cat 0", "cat 1"])


async def test_row_30_id_changes_in_a_poll(site: OpenSite) -> None:
    """The id that the acceptance gave is the prediction's, whatever a later reply calls it."""
    other = reply('{"code":200,"data":{"id":"p-other","status":"processing","outputs":[]}}')
    here = site(Script(poll=[other, other]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
    [id] = here.log.charges["a cat"]
    assert id == prediction.id
    assert all(id in one.target for one in here.log.of("poll"))


async def test_row_30_status_goes_backwards(site: OpenSite) -> None:
    """A status may go back and forth while it runs; once finished it stays finished."""
    words = ["processing", "created", "processing", "created"]
    here = site(Script(poll=[poll_reply(word) for word in words]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT, wait_timeout=900), by=2.0)).well()
        here.script(Script(poll=[poll_reply("processing").for_ever]))
        again = (await timed(lambda: client.refresh(prediction), by=ANSWER_WITHIN)).well()
        waited = (await timed(lambda: client.wait(prediction), by=ANSWER_WITHIN)).well()
    assert prediction == again == waited
    check_paid_once(here.log, ["a cat"])


async def test_row_30_unknown_status(site: OpenSite, caplog: pytest.LogCaptureFixture) -> None:
    """A word that nobody knows means "still running", and is logged once."""
    here = site(Script(poll=[poll_reply("warming_up")] * 3))
    async with client_of(here) as client:
        (await timed(lambda: client.generate(CAT, wait_timeout=900), by=2.0)).well()
    assert 1 == sum("warming_up" in record.getMessage() for record in caplog.records if record.name != "asyncio")
    here.script(Script(poll=[poll_reply("warming_up").for_ever]))
    async with client_of(here) as client:
        late = await timed(lambda: client.generate(ImageInput(prompt="late"), wait_timeout=100), by=1.0)
    assert late.badly(WaitTimeout).prediction.status is Status.RUNNING


CONTRADICTIONS = {
    "completed without outputs": (poll_reply("completed"), Status.FAILED, FailureKind.NO_OUTPUT),
    "completed with outputs that are none": (
        poll_reply("completed", ["", None, 7]),
        Status.FAILED,
        FailureKind.NO_OUTPUT,
    ),
    "failed with outputs": (poll_reply("failed", ["https://a.test/1.png"]), Status.FAILED, FailureKind.FAILED),
}


@pytest.mark.parametrize("row", named(CONTRADICTIONS))
async def test_row_30_contradictions(site: OpenSite, row: tuple[Answer, Status, FailureKind]) -> None:
    """Completed without an output is a failure that may be billed, and failed with outputs is a failure."""
    answer, status, kind = row
    here = site(Script(poll=[answer.for_ever]))
    async with client_of(here) as client:
        error = (await timed(lambda: client.generate(CAT), by=2.0)).badly(PredictionFailed)
    assert error.may_be_billed
    assert status is error.prediction.status
    assert () == error.prediction.outputs
    assert error.prediction.failure is not None
    assert kind is error.prediction.failure.kind


def gzip_of_nothing(mebibytes: int) -> bytes:
    """Compress that many MiB of blanks, without ever having them."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(b" " * 1048576) for _ in range(mebibytes)] + [packer.flush()])


def encoded(coding: str, body: bytes) -> Answer:
    return reply(body, headers=[("Content-Encoding", coding)])


MIB = 1048576
BOMBS = {
    "200 MiB, declared": send(f"HTTP/1.1 200 OK\r\nContent-Length: {200 * MIB}\r\n\r\n")
    + repeat(" ", times=200, times_each=MIB),
    "200 MiB, in chunks": send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    + repeat("10000\r\n" + " " * 65536 + "\r\n", times=3200),
    "200 MiB, in one chunk": send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc800000\r\n")
    + repeat(" ", times=200, times_each=MIB),
    "endless": send("HTTP/1.1 200 OK\r\n\r\n") + repeat(" ", times=100_000, times_each=65536),
    "gzip of 200 MiB": encoded("gzip", gzip_of_nothing(200)),
    "gzip, said to be deflate": encoded("deflate", gzip_of_nothing(8)),
    "br": encoded("br", b"\x0b\x02\x80" * 100),
    "zstd": encoded("zstd", b"\x28\xb5\x2f\xfd" * 100),
    "gzip in gzip": encoded("gzip, gzip", gzip_of_nothing(8)),
    "declared longer than it is": reply('{"code":200,"data":{"id":"<<id>>"}}', short=1) + CLOSE,
}


@pytest.mark.parametrize("bomb", named(BOMBS))
async def test_row_31_bomb_to_a_submission(site: OpenSite, bomb: Answer) -> None:
    """An answer too big to read is none: unconfirmed, and 4 MiB of it were held at most."""
    here = site(Script(submit=[bomb]))
    async with client_of(here, request_timeout=10.0) as client:
        error = (await timed(lambda: client.submit(CAT), by=10.0)).badly(AnswerLost)
    assert len(error.excerpt) <= 4096
    check_paid_once(here.log, ["a cat"])


@pytest.mark.parametrize("bomb", named(BOMBS))
async def test_row_31_bomb_to_a_poll(site: OpenSite, bomb: Answer) -> None:
    """A poll whose answer is too big is an error of that poll; the prediction goes on."""
    here = site(Script(poll=[bomb.for_ever]))
    async with client_of(here, request_timeout=10.0) as client:
        prediction = (await timed(lambda: client.submit(CAT), by=10.0)).well()
        assert isinstance((await timed(lambda: client.refresh(prediction), by=10.0)).error, KlingError)
        here.script(Script())
        (await timed(lambda: client.wait(prediction), by=10.0)).well()
    check_paid_once(here.log, ["a cat"])


async def test_row_31_many_bombs_at_once(site: OpenSite) -> None:
    """Of a bomb to each of twenty jobs nothing stays in memory while they go on."""
    here = site(Script(poll=[BOMBS["gzip of 200 MiB"]] * 20))
    async with client_of(here, request_timeout=10.0) as client:
        outcomes = (await timed(lambda: client.map(cats(20)), by=15.0, jobs=20)).well()
    assert all(one.ok for one in outcomes)


def with_another_behind(own: str, another: str, *, later: float = 0.0) -> Answer:
    """Answer with a body, and with a whole reply behind it that nobody asked for, in one packet or a moment later."""
    first, second = (f"HTTP/1.1 200 OK\r\nContent-Length: {len(one)}\r\n\r\n{one}" for one in (own, another))
    return send(first) + sleep(later) + send(second) if later else send(first + second)


def record(id: str, status: str) -> str:
    return json.dumps({"code": 200, "data": {"id": id, "status": status, "outputs": []}})


@pytest.mark.parametrize("later", [0.0, 0.01])
async def test_row_31_more_than_was_declared(site: OpenSite, later: float) -> None:
    """What comes behind the end of an answer is not taken for the answer to the next submission."""
    both = with_another_behind(record("p-1", "created"), record("p-evil", "created"), later=later)
    here = site(Script(submit=[both, sleep(0.05) + HEALTHY_SUBMIT]))
    async with client_of(here) as client:
        first = (await timed(partial(client.submit, ImageInput(prompt="first")), by=ANSWER_WITHIN)).well()
        await here.until(lambda log: log.answered == 1)  # what comes behind is here, too
        second = (await timed(partial(client.submit, CAT), by=ANSWER_WITHIN)).well()
    assert "p-1" == first.id
    assert [second.id] == here.log.charges["a cat"]
    check_paid_once(here.log, ["first", "a cat"])


async def test_row_31_more_than_was_declared_to_a_poll(site: OpenSite) -> None:
    """What comes behind a poll's answer tells no other look anything."""
    both = with_another_behind(record("p-1", "processing"), record("p-1", "failed"))
    here = site(Script(submit=[accepted("p-1")], poll=[both] * 3 + [poll_reply("completed", ["https://a.test/1.png"])]))
    async with client_of(here) as client:
        (await timed(lambda: client.generate(CAT, wait_timeout=900), by=2.0)).well()
    check_paid_once(here.log, ["a cat"])
