"""Rows 32 to 37, and what 15, 16, 20, 23 and 31 say of files: slow, too big, elsewhere, without a place, gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from kling_async import ImageInput, Job
from kling_async.errors import AnswerLost, DownloadError, KlingError
from kling_async.transport.fetcher import OutputFetcher
from kling_async.transport.tls import LazySSLContext
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

from .answers import CLOSE, HEALTHY_FILE, Answer, Script, accepted, poll_reply, repeat, reply, send, sleep
from .conftest import OpenSite, PacedClock, client_of, listing, named
from .harness import Site
from .promises import Ended, check_key_stayed, check_paid_once, check_whole_files, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
OTHER = b"\x89PNG\r\n\x1a\n" + bytes(reversed(range(256))) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
HALF = len(PNG) // 2
FIRST, SECOND, WEAK = ("ETag", '"one"'), ("ETag", '"two"'), ("ETag", 'W/"one"')
CUT = reply(PNG, headers=[FIRST], short=len(PNG) - HALF) + CLOSE
PUBLIC = "https://gptproto.com"


def made(*urls: str, key: str | None = None, id: str = "p-1") -> Prediction:
    """Return a prediction that succeeded with these outputs."""
    outputs = tuple(Output(url=url, kind=OutputKind.IMAGE) for url in urls)
    return Prediction(
        provider="gptproto", model="kling-image-o1", id=id, key=key, status=Status.SUCCEEDED, outputs=outputs
    )


async def download(
    here: Site, prediction: Prediction, directory: Path, *, origin: str | None = None, overwrite: bool = False
) -> Ended[list[Path]]:
    """Download a prediction's outputs with a client of a site."""
    async with client_of(here, origin=origin) as client:
        return await timed(lambda: client.download(prediction, directory, overwrite=overwrite), by=3.0)


def file_of(here: Site, name: str = "one.png") -> str:
    return f"{here.origin}/files/{name}"


# Rows 15 and 16, for files, whose deadline is half an hour otherwise.

PIECE = send(b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 102428\r\n\r\n' + PNG[:8])
HELD_UP = {
    "head": send("HTTP/1.1 200 OK\r\nX: ") + repeat("x", times=80, every=0.05),
    "body": PIECE + repeat("x", times=80, every=0.05),
    "interim answers": repeat("HTTP/1.1 102 Processing\r\n\r\n", times=80, every=0.05),
    "interim answers at full speed": repeat("HTTP/1.1 103 Early Hints\r\n\r\n", times=1_000_000),
    "silence": sleep(3.0),
}


async def held_up(here: Site, directory: Path) -> None:
    """Save a file whose answer never ends: the call ends by its deadline, and no file has the name."""
    files = OutputFetcher(clock=PacedClock(), tls=LazySSLContext(), deadline=0.3)
    output = Output(url=file_of(here), kind=OutputKind.IMAGE)
    ended = await timed(lambda: files.save(output, directory, "cat-0", overwrite=False, loopback=True), by=0.3)
    assert "did not arrive within 0.3 s" in str(ended.badly(DownloadError))
    check_whole_files(directory)


@pytest.mark.parametrize("answer", named({name: one for name, one in HELD_UP.items() if "interim" not in name}))
async def test_row_15_slow_file(site: OpenSite, tmp_path: Path, answer: Answer) -> None:
    """A file that trickles is given up at its deadline: each byte in time does not put that off."""
    await held_up(site(Script(file=[answer.for_ever])), tmp_path)


async def test_row_15_pauses_between_tries(site: OpenSite, tmp_path: Path) -> None:
    """The pauses between tries count: a file that fails again and again is given up at its deadline, saying why."""
    files = OutputFetcher(clock=PacedClock(1.0), tls=LazySSLContext(), deadline=0.3)
    output = Output(url=file_of(site(Script(file=[reply(status="503 No").for_ever]))), kind=OutputKind.IMAGE)
    ended = await timed(lambda: files.save(output, tmp_path, "cat-0", overwrite=False, loopback=True), by=0.3)
    message = str(ended.badly(DownloadError))
    assert "did not arrive within 0.3 s; the last attempt failed with TransientError: HTTP 503" in message
    assert [] == listing(tmp_path)


@pytest.mark.parametrize("answer", named({name: one for name, one in HELD_UP.items() if "interim" in name}))
async def test_row_16_endless_interim_answers_to_a_download(site: OpenSite, tmp_path: Path, answer: Answer) -> None:
    """Interim answers without end are no file: the download ends at its deadline."""
    await held_up(site(Script(file=[answer.for_ever])), tmp_path)


# Row 20, for files.


async def test_row_20_many_downloads_from_one_host(site: OpenSite, tmp_path: Path) -> None:
    """However many files are saved at once, a host sees four connections, and all of the files come."""
    here = site(Script(file=[(sleep(0.05) + HEALTHY_FILE).for_ever]))
    async with client_of(here) as client:

        async def save(number: int) -> None:
            one = made(file_of(here), key=f"cat-{number}")
            (await timed(lambda: client.download(one, tmp_path), by=3.0, jobs=30)).well()

        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(save, number)
    assert 30 == len(listing(tmp_path))
    assert 4 == here.log.most_serving


# Row 23.


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to let any file of this process grow beyond a size."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_row_23_no_room_for_the_file(site: OpenSite, tmp_path: Path) -> None:
    """A disk that takes no more is an error of the download: no file by the name, and a later call finishes it."""
    here = site()
    with files_at_most(HALF):
        error = (await download(here, made(file_of(here), key="cat"), tmp_path)).badly(DownloadError)
    assert "File too large" in str(error)
    assert "cat" == error.key
    check_whole_files(tmp_path)
    [path] = (await download(here, made(file_of(here), key="cat"), tmp_path)).well()
    assert PNG == path.read_bytes()
    assert ["cat-0.png"] == listing(tmp_path)
    assert f"bytes={HALF}-" == here.log.of("file")[-1].header("range")


async def test_row_23_no_room_in_a_batch(site: OpenSite, tmp_path: Path) -> None:
    """In a batch, too: the outcome has its prediction beside the error, so nothing paid for is lost."""
    here = site()
    async with client_of(here) as client:
        outcomes = []

        async def run() -> None:
            with files_at_most(HALF):
                async with client.batch([Job(CAT, key="cat")], save_to=tmp_path) as batch:
                    outcomes.extend([outcome async for outcome in batch])

        await timed(run, by=3.0)
        [outcome] = outcomes
        assert isinstance(outcome.error, DownloadError)
        assert outcome.prediction is not None
        assert outcome.prediction.status is Status.SUCCEEDED
        (await timed(lambda: client.download(outcome.prediction, tmp_path), by=3.0)).well()
    assert ["cat-0.png"] == listing(tmp_path)
    check_paid_once(here.log, ["a cat"])


async def test_row_23_no_such_place(site: OpenSite, tmp_path: Path) -> None:
    """A directory that cannot be one is told before anything is fetched."""
    here = site()
    (tmp_path / "taken").write_text("a file", encoding="ascii")
    (await download(here, made(file_of(here)), tmp_path / "taken")).badly(DownloadError)
    assert [] == here.log.requests


# Row 31, for files.


async def test_row_31_big_file(site: OpenSite, tmp_path: Path) -> None:
    """A big file goes to the disk piece by piece, never into memory as a whole."""
    size, head, tail = 48 * 1048576, PNG[:8], PNG[-12:]
    answer = send(f"HTTP/1.1 200 OK\r\nContent-Length: {size + 20}\r\n\r\n".encode() + head)
    here = site(Script(file=[answer + repeat("\0", times=48, times_each=1048576) + send(tail)]))
    [path] = (await download(here, made(file_of(here)), tmp_path)).well()
    assert size + 20 == path.stat().st_size


async def test_row_31_file_that_is_said_to_be_too_big(site: OpenSite, tmp_path: Path) -> None:
    """A file that is declared longer than any video is refused before a byte of it is taken."""
    huge = send(f"HTTP/1.1 200 OK\r\nContent-Length: {10**13}\r\n\r\n") + repeat("\0", times=100_000, times_each=65536)
    here = site(Script(file=[huge.for_ever]))
    error = (await download(here, made(file_of(here)), tmp_path)).badly(DownloadError)
    assert "longer" in str(error)
    assert [] == listing(tmp_path)
    assert 1 == len(here.log.of("file"))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_row_31_compressed_file(site: OpenSite, tmp_path: Path, coding: str) -> None:
    """A compressed file was not asked for, may be a bomb, and is refused."""
    here = site(Script(file=[reply(PNG, headers=[("Content-Encoding", coding)]).for_ever]))
    (await download(here, made(file_of(here)), tmp_path)).badly(DownloadError)
    assert [] == listing(tmp_path)


# Row 32.


def to(address: str, status: str = "302 Found") -> Answer:
    return reply(status=status, headers=[("Location", address)])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_row_32_redirect_of_a_submission(site: OpenSite, status: str) -> None:
    """A submission follows no redirect, and is unconfirmed: it goes nowhere twice, and no other host sees it."""
    foreign = site()
    here = site(Script(submit=[to(f"{foreign.origin}/api/v3/kwaivgi/kling-image-o1/text-to-image", status).free]))
    async with client_of(here) as client:
        error = (await timed(lambda: client.submit(CAT), by=0.5)).badly(AnswerLost)
    assert error.may_be_billed
    assert "Check the base URL" in str(error)
    assert 1 == len(here.log.requests)
    assert 0 == foreign.log.connections


async def test_row_32_redirect_with_an_id(site: OpenSite) -> None:
    """A redirect whose body holds an id is unconfirmed, and the error keeps the id."""
    body = '{"code":200,"data":{"id":"p-paid","status":"created"}}'
    here = site(Script(submit=[reply(body, status="307 Temporary", headers=[("Location", "/elsewhere")])]))
    async with client_of(here) as client:
        error = (await timed(lambda: client.submit(CAT), by=0.5)).badly(AnswerLost)
    assert "p-paid" == error.id
    check_paid_once(here.log, ["a cat"])


async def test_row_32_redirect_of_a_poll(site: OpenSite) -> None:
    """A poll follows no redirect either: the key stays where it is."""
    foreign = site()
    here = site(Script(poll=[to(f"{foreign.origin}/api/v3/predictions/x/result").for_ever]))
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.submit(CAT), by=0.5)).well()
        ended = await timed(lambda: client.refresh(prediction), by=0.5)
    assert isinstance(ended.error, KlingError)
    assert 0 == foreign.log.connections


async def test_row_32_download_goes_to_another_host(site: OpenSite, tmp_path: Path) -> None:
    """A file may lie on another host, which gets no key, no cookie and no referrer."""
    foreign = site()
    here = site(Script(file=[to(file_of(foreign))]))
    [path] = (await download(here, made(file_of(here)), tmp_path)).well()
    assert PNG == path.read_bytes()
    [seen] = foreign.log.requests
    assert {"host", "accept", "accept-encoding", "user-agent"} >= {name.lower() for name, _ in seen.headers}
    check_key_stayed(foreign.log)
    check_key_stayed(here.log)


async def test_row_32_download_sets_a_cookie(site: OpenSite, tmp_path: Path) -> None:
    """A cookie that a host sets on the way is not sent back."""
    cookie = reply(status="302 Found", headers=[("Location", "/files/two.png"), ("Set-Cookie", "a=b; Path=/")])
    here = site(Script(file=[cookie]))
    (await download(here, made(file_of(here)), tmp_path)).well()
    assert [None, None] == [one.header("cookie") for one in here.log.of("file")]


async def test_row_32_redirects_in_circles(site: OpenSite, tmp_path: Path) -> None:
    """More than three redirects of a file are too many."""
    here = site(Script(file=[to("/files/again.png").for_ever]))
    (await download(here, made(file_of(here)), tmp_path)).badly(DownloadError)
    assert 4 == len(here.log.requests)


ELSEWHERE = {
    "http to another machine": "http://example.com/a.png",
    "private": "https://10.0.0.1/a.png",
    "metadata": "http://169.254.169.254/latest/meta-data",
    "file": "file:///etc/passwd",
    "data": "data:image/png;base64,iVBORw0KGgo=",
    "userinfo": "https://user:secret@example.com/a.png",
    "nowhere": "",
    "malformed": "http://[::1/",
}


@pytest.mark.parametrize("address", named(ELSEWHERE))
async def test_row_32_redirect_to_where_nothing_may_go(site: OpenSite, tmp_path: Path, address: str) -> None:
    """Each hop of a file is checked as the first was."""
    here = site(Script(file=[to(address).for_ever]))
    (await download(here, made(file_of(here)), tmp_path)).badly(DownloadError)
    assert [] == listing(tmp_path)
    assert len(here.log.requests) <= 4


# Row 33.

INSIDE = [
    "https://127.0.0.1:PORT/a.png",
    "https://localhost:PORT/a.png",
    "https://LOCALHOST.:PORT/a.png",
    "https://[::1]:PORT/a.png",
    "https://[::ffff:127.0.0.1]:PORT/a.png",
    "https://[::ffff:7f00:1]:PORT/a.png",
    "https://[64:ff9b::7f00:1]:PORT/a.png",
    "https://[2002:7f00:1::]:PORT/a.png",
    "https://2130706433:PORT/a.png",
    "https://0x7f000001:PORT/a.png",
    "https://0177.0.0.1:PORT/a.png",
    "https://127.1:PORT/a.png",
    "https://0:PORT/a.png",
    "https://0.0.0.0:PORT/a.png",
    "https://[::]:PORT/a.png",
    "https://10.0.0.1/a.png",
    "https://172.16.0.1/a.png",
    "https://192.168.0.1/a.png",
    "https://100.64.0.1/a.png",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/a.png",
    "https://[fc00::1]/a.png",
    "https://224.0.0.1/a.png",
    "https://255.255.255.255/a.png",
    "http://127.0.0.1:PORT/a.png",
    "http://example.com/a.png",
    "https://user@127.0.0.1:PORT/a.png",
    "https://gptproto.com@127.0.0.1:PORT/a.png",
    "https://127.0.0.1:PORT\\@gptproto.com/a.png",
    "file:///etc/passwd",
    "ftp://127.0.0.1:PORT/a.png",
    "gopher://127.0.0.1:PORT/_x",
    "//127.0.0.1:PORT/a.png",
    "https://",
    "",
]


@pytest.mark.parametrize("url", named(INSIDE))
async def test_row_33_outputs_that_lead_inside(site: OpenSite, tmp_path: Path, url: str) -> None:
    """An output of a public provider opens no connection to this machine or its network."""
    here = site()
    one = made(url.replace("PORT", str(here.port)), key="cat")
    error = (await download(here, one, tmp_path, origin=PUBLIC)).badly(DownloadError)
    assert ("p-1", "cat") == (error.id, error.key)
    assert 0 == here.log.connections
    assert [] == listing(tmp_path)


async def test_row_33_poll_address_in_a_reply(site: OpenSite) -> None:
    """The address that a reply gives for polling is never used: the key goes to the configured origin only."""
    foreign = site()
    here = site(Script(submit=[accepted(urls={"get": f"{foreign.origin}/api/v3/predictions/x/result"})]))
    async with client_of(here) as client:
        (await timed(lambda: client.generate(CAT), by=2.0)).well()
    assert 0 == foreign.log.connections


# Row 34.

HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "C:\\Windows\\x",
    "a\0b",
    "CON",
    "nul.txt",
    "x" * 300,
    "\u202ecat",
    "\uff0e\uff0e\uff0fcat",
    "cat ",
    "cat.",
    ".hidden",
    "-rf",
    "~root",
    "a/b",
    "a\nb",
    "%2e%2e%2f",
    "\ud800",
    "",
]


@pytest.mark.parametrize("key", named({ascii(one): one for one in HOSTILE}))
async def test_row_34_hostile_keys(site: OpenSite, tmp_path: Path, key: str) -> None:
    """Whatever a job is called, its file is one in the directory that was asked for."""
    here, inside = site(), tmp_path / "a" / "b"
    [path] = (await download(here, made(file_of(here), key=key), inside)).well()
    assert inside == path.parent
    assert [path.name] == listing(inside)
    assert ["a"] == listing(tmp_path)
    assert ["b"] == listing(tmp_path / "a")
    assert path.name.isascii()
    assert path.name.isprintable()
    assert len(path.name) <= 120


async def test_row_34_keys_that_differ_in_case(site: OpenSite, tmp_path: Path) -> None:
    """Where names differ in case only, neither file takes the other's place, on any file system."""
    here = site(Script(file=[reply(PNG), reply(OTHER)]))
    kept = {}
    for key in ("Cat", "cat"):
        ended = await download(here, made(file_of(here), key=key), tmp_path)
        if ended.error is None:
            [kept[key]] = ended.well()
    assert PNG == kept["Cat"].read_bytes()
    assert "cat" not in kept or OTHER == kept["cat"].read_bytes()


@pytest.mark.parametrize("id", named({ascii(one): one for one in HOSTILE if one not in ("CON", "nul.txt")}))
async def test_row_34_hostile_ids(site: OpenSite, id: str) -> None:
    """An id that could be a path is none, and is never put into an address; a dull one that is odd is kept as it is."""
    here = site(Script(submit=[accepted(id)]))
    async with client_of(here) as client:
        ended = await timed(lambda: client.generate(CAT, wait_timeout=50), by=1.0)
    assert ended.error is not None
    check_paid_once(here.log, ["a cat"])
    assert all(one.target.count("/") == 5 and ".." not in one.target for one in here.log.of("poll"))


async def test_row_34_hostile_file_names(site: OpenSite, tmp_path: Path) -> None:
    """Neither an address nor a Content-Disposition names a file."""
    headers = [("Content-Disposition", 'attachment; filename="../../evil.sh"')]
    here = site(Script(file=[reply(PNG, headers=headers)]))
    url = f"{here.origin}/files/..%2f..%2fevil.sh?name=../../evil.sh"
    [path] = (await download(here, made(url, key="cat"), tmp_path)).well()
    assert tmp_path / "cat-0.png" == path


# Row 35.


@pytest.mark.parametrize("name", ["cat-0.png", "cat-0.part", "cat-0.part.json"])
@pytest.mark.parametrize("dangling", [True, False])
async def test_row_35_planted_links(site: OpenSite, tmp_path: Path, name: str, *, dangling: bool) -> None:
    """A link that lies where a file is to be is not followed: what it points to is neither written nor made."""
    here, out, victim = site(), tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    if not dangling:
        victim.write_bytes(b"precious")
    (out / name).symlink_to(victim)
    await download(here, made(file_of(here), key="cat"), out)
    await download(here, made(file_of(here), key="cat"), out, overwrite=True)
    assert dangling or b"precious" == victim.read_bytes()
    assert not (dangling and victim.exists())


async def test_row_35_file_that_is_there(site: OpenSite, tmp_path: Path) -> None:
    """Another file of the name is kept, unless it is to be replaced; the same file is as good."""
    here, final = site(), tmp_path / "cat-0.png"
    final.write_bytes(OTHER)
    (await download(here, made(file_of(here), key="cat"), tmp_path)).badly(DownloadError)
    assert OTHER == final.read_bytes()
    (await download(here, made(file_of(here), key="cat"), tmp_path, overwrite=True)).well()
    assert PNG == final.read_bytes()
    (await download(here, made(file_of(here), key="cat"), tmp_path)).well()
    assert ["cat-0.png"] == listing(tmp_path)


async def test_row_35_directory_by_the_name(site: OpenSite, tmp_path: Path) -> None:
    """A directory that has the file's name is an error of the download."""
    here = site()
    (tmp_path / "cat-0.png").mkdir()
    (await download(here, made(file_of(here), key="cat"), tmp_path)).badly(DownloadError)
    (await download(here, made(file_of(here), key="cat"), tmp_path, overwrite=True)).badly(DownloadError)


# Row 36.


def rest(body: bytes = PNG, *, first: int = HALF, last: int = len(PNG) - 1, tag: tuple[str, str] = FIRST) -> Answer:
    """Answer with a part, from the byte that was asked for."""
    headers = [("Content-Range", f"bytes {first}-{last}/{len(body)}"), tag]
    return reply(body[first : last + 1], status="206 Partial Content", headers=headers)


NO_RANGE = reply(PNG[HALF:], status="206 Partial Content", headers=[FIRST])
WRONG_UNIT = reply(PNG[HALF:], status="206 Partial Content", headers=[("Content-Range", "lines 1-2/3")])
SEEMS_WHOLE = b"\xff\xd8\xff" + bytes(600) + b"\xff\xd9" + bytes(300) + b"\xff\xd9"
"""A picture that seems to end 302 bytes before its end."""


def seeming(first: int, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Answer with a part that ends where the picture only seems to."""
    last, whole = len(SEEMS_WHOLE) - 303, len(SEEMS_WHOLE)
    told = [("Content-Range", f"bytes {first}-{last}/{whole}"), *headers]
    return reply(SEEMS_WHOLE[first : last + 1], status="206 Partial Content", headers=told)


CHUNKED_CUT = (
    send(b'HTTP/1.1 200 OK\r\nETag: "one"\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n' + SEEMS_WHOLE[:100] + b"\r\n")
    + CLOSE
)
RESUMES: dict[str, tuple[list[Answer], bytes]] = {
    "goes on": ([CUT, rest()], PNG),
    "Range ignored": ([CUT, reply(PNG, headers=[FIRST])], PNG),
    "part of the right size from elsewhere": ([CUT, rest(first=7, last=len(PNG) - HALF + 6)], PNG),
    "part that ends early": ([CUT, rest(last=len(PNG) - 100)], PNG),
    "another part than asked for": ([CUT, rest(first=HALF - 7), reply(PNG)], PNG),
    "part of a longer whole": ([CUT, rest(PNG + b"\0")], PNG),
    "part without a range": ([CUT, NO_RANGE], PNG),
    "part in another unit": ([CUT, WRONG_UNIT], PNG),
    "changed, and sent whole": ([CUT, reply(OTHER, headers=[SECOND])], OTHER),
    "changed, and sent in part all the same": ([CUT, rest(OTHER, tag=SECOND), reply(OTHER, headers=[SECOND])], OTHER),
    "416": ([CUT, reply(status="416 Range Not Satisfiable")], PNG),
    "weak tag": ([reply(PNG, headers=[WEAK], short=HALF) + CLOSE], PNG),
    "no tag": ([reply(PNG, short=HALF) + CLOSE], PNG),
    "in three": ([CUT, rest(), rest()], PNG),
    "part cut again": (
        [
            CUT,
            reply(
                PNG[HALF:],
                status="206 Partial",
                headers=[("Content-Range", f"bytes {HALF}-{len(PNG) - 1}/{len(PNG)}"), FIRST],
                short=99,
            )
            + CLOSE,
        ],
        PNG,
    ),
    "part that was not asked for": ([seeming(0), reply(PNG)], PNG),
    "part that ends early, of unknown length": ([CHUNKED_CUT, seeming(100, [FIRST]), reply(PNG)], PNG),
    "longer than declared at first": ([CUT, rest(PNG + b"\0" * 9, last=len(PNG) + 8), reply(PNG)], PNG),
}


@pytest.mark.parametrize("row", named(RESUMES))
async def test_row_36_resumed_downloads(site: OpenSite, tmp_path: Path, row: tuple[list[Answer], bytes]) -> None:
    """However a server takes the wish to go on, the file is its bytes, all of one version."""
    answers, expected = row
    here = site(Script(file=answers))
    [path] = (await download(here, made(file_of(here)), tmp_path)).well()
    check_whole_files(tmp_path, expected)
    assert [path.name] == listing(tmp_path)
    assert here.log.of("file")[1].header("if-range") in (None, '"one"')


async def test_row_36_whole_part_left_by_a_crash(site: OpenSite, tmp_path: Path) -> None:
    """A part that was whole already when its process died becomes the file."""
    here = site(Script(file=[CUT.for_ever]))
    await download(here, made(file_of(here), key="cat"), tmp_path)
    (tmp_path / "cat-0.part").write_bytes(PNG)
    here.script(Script(file=[reply(status="416 Range Not Satisfiable")]))
    [path] = (await download(here, made(file_of(here), key="cat"), tmp_path)).well()
    assert PNG == path.read_bytes()


async def test_row_36_part_of_another_file(site: OpenSite, tmp_path: Path) -> None:
    """A part that an earlier, different output left under the name is not gone on with."""
    here = site(Script(file=[CUT.for_ever]))
    await download(here, made(file_of(here, "other.png"), key="cat"), tmp_path)
    here.script(Script(file=[reply(OTHER, headers=[SECOND])]))
    [path] = (await download(here, made(file_of(here), key="cat"), tmp_path)).well()
    assert OTHER == path.read_bytes()
    assert here.log.of("file")[-1].header("range") is None


# Row 37.

EXPIRED = {status: reply("gone", status=f"{status} Gone") for status in ("403", "404", "410")}


@pytest.mark.parametrize("gone", named(EXPIRED))
async def test_row_37_expired_address(site: OpenSite, tmp_path: Path, gone: Answer) -> None:
    """An output whose address has expired is asked for anew, once, and the download goes on where it stopped."""
    here = site()
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
        before = len(here.log.of("poll"))
        fresh = poll_reply("completed", [f"<<origin>>/files/{prediction.id}.png?signature=fresh"])
        here.script(Script(poll=[fresh.for_ever], file=[CUT, gone, rest()]))
        [path] = (await timed(lambda: client.download(prediction, tmp_path), by=2.0)).well()
    assert PNG == path.read_bytes()
    assert 1 == len(here.log.of("poll")) - before
    last = here.log.of("file")[-1]
    assert last.target.endswith("?signature=fresh")
    assert f"bytes={HALF}-" == last.header("range")


@pytest.mark.parametrize("gone", named(EXPIRED))
async def test_row_37_expired_for_good(site: OpenSite, tmp_path: Path, gone: Answer) -> None:
    """An address that stays expired is an error that keeps the id, after two extra polls at most."""
    here = site()
    async with client_of(here) as client:
        prediction = (await timed(lambda: client.generate(CAT), by=2.0)).well()
        before = len(here.log.of("poll"))
        here.script(Script(file=[gone.for_ever]))
        error = (await timed(lambda: client.download(prediction, tmp_path), by=2.0)).badly(DownloadError)
    assert prediction.id == error.id
    assert 1 <= len(here.log.of("poll")) - before <= 2
    assert [] == listing(tmp_path)
