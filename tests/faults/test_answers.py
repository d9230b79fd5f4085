"""Rows 4 to 10 and 15 to 17: answers that break, are late, or cannot be read."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import pytest

from kling_async import ImageInput
from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    ContentRejected,
    DownloadError,
    InsufficientBalance,
    KlingError,
    PermissionDenied,
    RateLimited,
    Refused,
    WaitTimeout,
)
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

from .answers import (
    CLOSE,
    HEALTHY_SUBMIT,
    RESET,
    Answer,
    Script,
    poll_reply,
    repeat,
    reply,
    send,
    sleep,
)
from .conftest import ANSWER_WITHIN, OpenSite, cats, client_of, listing, named
from .harness import Site
from .promises import Ended, check_paid_once, check_whole_files, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")


async def submit(here: Site, **settings: float) -> Ended[Prediction]:
    """Submit one input to a site."""
    async with client_of(here, **settings) as client:
        return await timed(lambda: client.submit(CAT, wait_timeout=600), by=ANSWER_WITHIN)


async def lost(here: Site, **settings: float) -> AnswerLost:
    """Submit to a site whose answer is lost: the error says so, one request was sent, and one charge made."""
    error = (await submit(here, **settings)).badly(AnswerLost)
    assert error.may_be_billed
    check_paid_once(here.log, ["a cat"])
    return error


async def generated(here: Site, **settings: float) -> Prediction:
    """Generate once at a site; it must succeed, and be paid for once."""
    async with client_of(here, **settings) as client:
        prediction = (await timed(lambda: client.generate(CAT, wait_timeout=900), by=3.0)).well()
    check_paid_once(here.log, ["a cat"])
    assert prediction.status is Status.SUCCEEDED
    return prediction


HALF_HEAD = send("HTTP/1.1 200 OK\r\nContent-Le")
HALF_CHUNK = send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{")
HALF_BODY = reply('{"code":200,"data":{"id":"<<id>>","status":"completed"}}', short=20)
BROKEN_OFF = {
    "half a head": HALF_HEAD + CLOSE,
    "half a body": HALF_BODY + CLOSE,
    "half a chunk": HALF_CHUNK + CLOSE,
    "reset in the head": HALF_HEAD + RESET,
    "reset in the body": HALF_BODY + RESET,
    "reset in a chunk": HALF_CHUNK + RESET,
}


@pytest.mark.parametrize("end", named({"reset": RESET, "close": CLOSE}))
async def test_row_04_reset_before_the_answer(site: OpenSite, end: Answer) -> None:
    """A submission whose connection ends before an answer is unconfirmed: within 1 s, after 1 request, 0 retries."""
    here = site(Script(submit=[end.for_ever]))
    ended = await submit(here)
    ended.badly(AnswerLost)
    assert ended.took <= 1.0
    check_paid_once(here.log, ["a cat"])


async def test_row_04_in_a_batch(site: OpenSite) -> None:
    """In a batch, too: the job whose answer is lost is told so, once, and the others go on."""
    here = site(Script(jobs={"cat 1": Script(submit=[RESET]), "cat 3": Script(submit=[CLOSE])}))
    async with client_of(here) as client:
        outcomes = (await timed(lambda: client.map(cats(5)), by=3.0)).well()
    check_paid_once(here.log, [f"cat {number}" for number in range(5)])
    assert [None, AnswerLost, None, AnswerLost, None] == [one.error and type(one.error) for one in outcomes]


@pytest.mark.parametrize("end", named({"reset": RESET, "close": CLOSE}))
async def test_row_05_reset_on_a_reused_connection(site: OpenSite, end: Answer) -> None:
    """A server that drops a reused connection on its second submission has had it: unconfirmed, 0 retries."""
    here = site(Script(submit=[HEALTHY_SUBMIT, end]))
    async with client_of(here) as client:
        (await timed(lambda: client.submit(ImageInput(prompt="first")), by=ANSWER_WITHIN)).well()
        (await timed(lambda: client.submit(CAT), by=ANSWER_WITHIN)).badly(AnswerLost)
    check_paid_once(here.log, ["first", "a cat"])
    assert 1 == here.log.connections


async def test_row_05_idle_connection_closed_before_the_next(site: OpenSite) -> None:
    """A connection that the server closed while it was idle is not used: the next submission goes through."""
    here = site(Script(submit=[HEALTHY_SUBMIT + CLOSE]))
    async with client_of(here) as client:
        (await timed(partial(client.submit, ImageInput(prompt="first")), by=ANSWER_WITHIN)).well()
        await here.until(lambda log: log.closed == 1)  # before that nobody can know of it
        (await timed(partial(client.submit, CAT), by=ANSWER_WITHIN)).well()
    check_paid_once(here.log, ["first", "a cat"])
    assert 2 == here.log.connections


@pytest.mark.parametrize("end", named({"reset": RESET, "close": CLOSE}))
async def test_row_05_poll_on_a_reused_connection(site: OpenSite, end: Answer) -> None:
    """A poll that is dropped on a reused connection is asked again."""
    here = site(Script(poll=[poll_reply("processing"), end]))
    await generated(here)
    assert 3 == len(here.log.of("poll"))


@pytest.mark.parametrize("answer", named(BROKEN_OFF))
async def test_row_06_submission_broken_off(site: OpenSite, answer: Answer) -> None:
    """Half an answer to a submission is none: unconfirmed, 0 retries."""
    await lost(site(Script(submit=[answer])))


@pytest.mark.parametrize("answer", named(BROKEN_OFF))
async def test_row_06_poll_broken_off(site: OpenSite, answer: Answer) -> None:
    """Half an answer to a poll is asked for again."""
    here = site(Script(poll=[answer]))
    await generated(here)
    assert 2 == len(here.log.of("poll"))


TAGGED = (("ETag", '"one"'),)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
HALF = len(PNG) // 2


@pytest.mark.parametrize("end", named({"reset": RESET, "close": CLOSE}))
async def test_row_06_download_broken_off(site: OpenSite, tmp_path: Path, end: Answer) -> None:
    """A download that breaks goes on where it stopped, and there is no file by its name until it is whole."""
    # A reset throws away what its receiver has not read yet, so that comes late enough for a busy machine.
    here = site(Script(file=[reply(PNG, headers=TAGGED, short=HALF) + sleep(0.5) + end]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
        [path] = (await timed(lambda: client.download(prediction, tmp_path), by=2.0)).well()
    assert PNG == path.read_bytes()
    assert [path.name] == listing(tmp_path)
    first, second = here.log.of("file")
    assert first.header("range") is None
    assert f"bytes={len(PNG) - HALF}-" == second.header("range")


async def test_row_06_download_never_whole(site: OpenSite, tmp_path: Path) -> None:
    """A download that breaks every time is given up, leaves no file by its name, and goes on in a later call."""
    here = site(Script(file=[(reply(PNG, headers=TAGGED, short=HALF) + CLOSE).for_ever]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
        error = (await timed(lambda: client.download(prediction, tmp_path), by=2.0)).badly(DownloadError)
        assert prediction.id == error.id
        check_whole_files(tmp_path)
        here.script(Script())
        [path] = (await timed(lambda: client.download(prediction, tmp_path), by=2.0)).well()
    assert PNG == path.read_bytes()


async def test_row_07_submission_without_length(site: OpenSite) -> None:
    """An answer whose end is the end of the connection may be cut: what cannot be read is unconfirmed."""
    cut = reply('{"code":200,"data":{"id":"<<id>>","sta', length=False) + CLOSE
    await lost(site(Script(submit=[cut])))


async def test_row_07_whole_answer_without_length(site: OpenSite) -> None:
    """An answer without a length that can be read is one."""
    whole = reply('{"code":200,"data":{"id":"<<id>>","status":"created"}}', length=False) + CLOSE
    await generated(site(Script(submit=[whole])))


def box(kind: bytes, inside: bytes) -> bytes:
    """Write one box of an MP4 file."""
    return (8 + len(inside)).to_bytes(4, "big") + kind + inside


MP4 = box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", bytes(3000)) + box(b"moov", bytes(900))


def element(id: bytes, inside: bytes) -> bytes:
    """Write one element of a WebM file."""
    return id + (1 << 56 | len(inside)).to_bytes(8, "big") + inside


WEBM = element(b"\x1a\x45\xdf\xa3", bytes(20)) + element(b"\x18\x53\x80\x67", element(b"\x1f\x43\xb6\x75", bytes(900)))
WEBP = b"RIFF" + (4 + 3000).to_bytes(4, "little") + b"WEBP" + bytes(3000)
GIF = b"GIF89a" + bytes(1000) + b";"
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000) + b"\xff\xd9"
MEDIA = {"png": PNG, "jpeg": JPEG, "gif": GIF, "webp": WEBP, "mp4": MP4, "webm": WEBM}


async def saved(here: Site, directory: Path) -> Ended[list[Path]]:
    """Download what a site made."""
    output = Output(url=f"{here.origin}/files/one.bin", kind=OutputKind.IMAGE)
    one = Prediction(provider="gptproto", model="kling-image-o1", id="p-1", status=Status.SUCCEEDED, outputs=(output,))
    async with client_of(here) as client:
        return await timed(lambda: client.download(one, directory), by=3.0)


@pytest.mark.parametrize("data", named(MEDIA))
async def test_row_07_download_without_length(site: OpenSite, tmp_path: Path, data: bytes) -> None:
    """A file of undeclared length is taken if it is whole by its own structure, and refused if it is cut."""
    here = site(Script(file=[reply(data, length=False) + CLOSE, (reply(data[:-50], length=False) + CLOSE).for_ever]))
    [path] = (await saved(here, tmp_path / "whole")).well()
    assert data == path.read_bytes()
    (await saved(here, tmp_path / "cut")).badly(DownloadError)
    assert [] == listing(tmp_path / "cut")


def beside(more: str) -> str:
    """Write an acceptance with a member of one's choice."""
    return '{"code":200,"data":{"id":"<<id>>","status":"created"MORE}}'.replace("MORE", more)


READABLE = {
    "byte order mark": b"\xef\xbb\xbf" + beside("").encode(),
    "huge integer beside": beside(f',"executionTime":1{"0" * 4000}'),
    "nested beside": beside(f',"more":{"[" * 500}{"]" * 500}'),
    "duplicate key, the last counts": '{"code":500,"code":200,"data":{"id":1,"id":"<<id>>","status":"created"}}',
    "status of another type": '{"code":200,"data":{"id":"<<id>>","status":[7]}}',
}
UNREADABLE = {
    "empty": b"",
    "truncated": beside("")[:-1],
    "two values": beside("") * 2,
    "NaN": beside(',"executionTime":NaN'),
    "too huge integer": beside(f',"executionTime":1{"0" * 9000}'),
    "too deep": beside(f',"more":{"[" * 20_000}{"]" * 20_000}'),
    "wrong charset": b'{"code":200,"data":{"id":"<<id>>","status":"cr\xe9\xe9"}}',
    "control bytes": beside("\0"),
    "a list": "[]",
    "null": "null",
    "a text": '"<<id>>"',
    "id missing": '{"code":200,"data":{"status":"created"}}',
    "id null": '{"code":200,"data":{"id":null,"status":"created"}}',
    "id a number": '{"code":200,"data":{"id":7,"status":"created"}}',
    "id a path": '{"code":200,"data":{"id":"../../etc/passwd","status":"created"}}',
}


@pytest.mark.parametrize("body", named(READABLE))
async def test_row_08_odd_json_with_an_id(site: OpenSite, body: str | bytes) -> None:
    """An id that can be read is kept, however odd the rest: what was paid for is fetched."""
    await generated(site(Script(submit=[reply(body)])))


@pytest.mark.parametrize("body", named(UNREADABLE))
async def test_row_08_json_without_a_usable_id(site: OpenSite, body: str | bytes) -> None:
    """A 2xx without an id that can be read is unconfirmed, and the error shows its beginning."""
    error = await lost(site(Script(submit=[reply(body)])))
    assert bool(body) == bool(error.excerpt)


@pytest.mark.parametrize("body", named({name: body for name, body in UNREADABLE.items() if not name.startswith("id ")}))
async def test_row_08_polls_that_cannot_be_read(site: OpenSite, body: str | bytes) -> None:
    """A poll that cannot be read is asked again, and the prediction goes on."""
    await generated(site(Script(poll=[reply(body)])))


async def test_row_08_mangled_at_random(site: OpenSite) -> None:
    """Whatever single mistake an acceptance has, the job is accepted, refused or unconfirmed, and never sent twice."""
    dice, good = random.Random(8), beside(',"outputs":[],"urls":{"get":"x"},"n":1.5')
    scripts: dict[str, Script] = {}
    for number in range(100):
        at, length = dice.randrange(len(good)), dice.randrange(4)
        noise = bytes(dice.randrange(256) for _ in range(dice.randrange(3)))
        mangled = good[:at].encode() + noise + good[at + length :].encode()
        scripts[f"cat {number}"] = Script(submit=[reply(mangled.replace(b"<<", b"").replace(b">>", b""))])
    here = site(Script(jobs=scripts))
    async with client_of(here) as client:
        outcomes = (await timed(lambda: client.map(cats(100)), by=10.0)).well()
    check_paid_once(here.log, scripts)
    # A mangled id is a wrong id, which the provider does not know: then the first poll is refused.
    assert all(one.error is None or isinstance(one.error, (AnswerLost, Refused, WaitTimeout)) for one in outcomes)


PAGE = reply("<html><form>log in</form></html>", headers=[("Content-Type", "text/html")])
PICTURE = reply(PNG, headers=[("Content-Type", "image/png")])


@pytest.mark.parametrize("answer", named({"page": PAGE, "picture": PICTURE}))
async def test_row_09_wrong_content_to_a_submission(site: OpenSite, answer: Answer) -> None:
    """A page or a picture in place of JSON says nothing about the submission: unconfirmed."""
    await lost(site(Script(submit=[answer])))


@pytest.mark.parametrize("answer", named({"page": PAGE, "picture": PICTURE}))
async def test_row_09_wrong_content_to_a_poll(site: OpenSite, answer: Answer) -> None:
    """A page or a picture in place of a poll's JSON is asked again."""
    here = site(Script(poll=[answer] * 3))
    await generated(here)
    assert 4 == len(here.log.of("poll"))


@pytest.mark.parametrize("answer", named({"page": PAGE, "json": reply('{"error":1}')}))
async def test_row_09_wrong_content_in_place_of_a_file(site: OpenSite, tmp_path: Path, answer: Answer) -> None:
    """A page or JSON in place of an image is no file."""
    (await saved(site(Script(file=[answer.for_ever])), tmp_path)).badly(DownloadError)
    assert [] == listing(tmp_path)


def envelope(code: object, message: str) -> str:
    return json.dumps({"code": code, "message": message, "data": None})


ENVELOPES: dict[str, tuple[str, str, type[KlingError], int]] = {
    "gptproto 400": ("gptproto", envelope(400, "Invalid parameters"), BadRequest, 1),
    "gptproto 401": ("gptproto", envelope(401, "Invalid signature"), AuthenticationError, 1),
    "gptproto 402": ("gptproto", envelope("402", "no money"), InsufficientBalance, 1),
    "gptproto 403": ("gptproto", envelope(403, "Insufficient permissions"), PermissionDenied, 1),
    "gptproto 403 balance": ("gptproto", envelope(403, "Insufficient balance"), InsufficientBalance, 1),
    "gptproto 503 content": ("gptproto", envelope(503, "Content policy violation"), ContentRejected, 1),
    "gptproto 429": ("gptproto", envelope(429, "Rate limit exceeded"), RateLimited, 8),
    "gptproto 409": ("gptproto", envelope(409, "conflict"), AnswerLost, 1),
    "gptproto 500": ("gptproto", envelope(500, "Internal error"), AnswerLost, 1),
    "apiinone 401": ("apiinone", '{"error":{"code":401,"message":"no"}}', AuthenticationError, 1),
    "apiinone 402": ("apiinone", '{"error":{"code":402,"message":"no"}}', InsufficientBalance, 1),
    "apiinone content": (
        "apiinone",
        '{"error":{"code":400,"message":"no","type":"content_policy_violation"}}',
        ContentRejected,
        1,
    ),
    "apiinone 500": ("apiinone", '{"error":{"code":500,"message":"no"}}', AnswerLost, 1),
}


@pytest.mark.parametrize("row", named(ENVELOPES))
async def test_row_10_error_in_a_200(site: OpenSite, row: tuple[str, str, type[KlingError], int]) -> None:
    """A 200 whose envelope says no is judged by the code in it: only "too many requests" is sent again."""
    provider, body, kind, sent = row
    here = site(Script(submit=[reply(body).free.for_ever]))
    async with client_of(here, provider=provider, pace=1000.0) as client:
        error = (await timed(lambda: client.submit(CAT, wait_timeout=6000), by=2.0)).badly(kind)
    assert (kind is AnswerLost) == error.may_be_billed
    assert {"a cat": sent} == dict(here.log.submissions())


SLOWLY = {
    "head, a byte at a time": send("HTTP/1.1 200 OK\r\nX: ") + repeat("x", times=100, every=0.05),
    "body, a byte at a time": send("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    + repeat(" ", times=100, every=0.05),
    "silence": sleep(3.0),
}


@pytest.mark.parametrize("answer", named(SLOWLY))
async def test_row_15_slow_answer_to_a_submission(site: OpenSite, answer: Answer) -> None:
    """An answer that trickles is lost at the deadline of the exchange: each byte in time does not put that off."""
    await lost(site(Script(submit=[answer])), request_timeout=ANSWER_WITHIN)


@pytest.mark.parametrize("answer", named(SLOWLY))
async def test_row_15_slow_answer_to_a_poll(site: OpenSite, answer: Answer) -> None:
    """A poll whose answer trickles is asked again after its deadline, and a call that waits ends by its own."""
    await generated(site(Script(poll=[answer])), request_timeout=ANSWER_WITHIN)
    here = site(Script(poll=[answer.for_ever]))
    async with client_of(here, request_timeout=ANSWER_WITHIN) as client:
        error = (await timed(lambda: client.generate(CAT, wait_timeout=100), by=1.0)).badly(WaitTimeout)
    assert error.prediction.id == error.id


ENDLESS = {
    "102 for ever": repeat("HTTP/1.1 102 Processing\r\n\r\n", times=1000, every=0.02),
    "100 for ever": repeat("HTTP/1.1 100 Continue\r\n\r\n", times=1000, every=0.02),
    "103 at full speed": repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", times=1_000_000),
}


@pytest.mark.parametrize("answer", named(ENDLESS))
async def test_row_16_endless_interim_answers(site: OpenSite, answer: Answer) -> None:
    """Interim answers without end are no answer: the exchange ends at its deadline."""
    await lost(site(Script(submit=[answer])), request_timeout=ANSWER_WITHIN)
    await generated(site(Script(poll=[answer])), request_timeout=ANSWER_WITHIN)


@pytest.mark.parametrize("answer", named(ENDLESS))
async def test_row_16_endless_interim_answers_to_a_refresh(site: OpenSite, answer: Answer) -> None:
    """A single look ends at the deadline of its exchange, too, and says that the prediction goes on."""
    here = site(Script(poll=[answer.for_ever]))
    async with client_of(here, pace=1.0, request_timeout=ANSWER_WITHIN) as client:
        prediction = (await timed(lambda: client.submit(CAT), by=ANSWER_WITHIN)).well()
        ended = await timed(lambda: client.refresh(prediction), by=ANSWER_WITHIN)
    assert isinstance(ended.error, KlingError)
    assert ended.error.may_be_billed


GARBAGE = {
    "header of 200 KB": send("HTTP/1.1 200 OK\r\nX-Long: ") + repeat("x", times=1, times_each=200_000),
    "status line": send("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "binary": send(bytes(range(256))),
    "header without a colon": send("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    "status out of range": send("HTTP/1.1 999999 No\r\n\r\n"),
    "two lengths": send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "length of nonsense": send("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "HTTP/2 preface": send("\0\0\0\4\0\0\0\0\0"),
}


@pytest.mark.parametrize("answer", named(GARBAGE))
async def test_row_17_garbage(site: OpenSite, answer: Answer) -> None:
    """Bytes that are no HTTP are no answer: a submission is unconfirmed, a poll is asked again."""
    await lost(site(Script(submit=[answer + CLOSE])))
    await generated(site(Script(poll=[answer + CLOSE])))
