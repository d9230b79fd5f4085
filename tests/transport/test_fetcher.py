"""Outputs become complete files, or none: over real sockets, with real disks."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio.abc import SocketStream

from kling_async.errors import DownloadError
from kling_async.providers.authorizers import KeyAuthorizer
from kling_async.system.clock import SystemClock
from kling_async.testing import VirtualClock
from kling_async.transport.addresses import resolve_public
from kling_async.transport.credentials import Credential
from kling_async.transport.fetcher import OutputFetcher
from kling_async.transport.tls import LazySSLContext
from kling_async.types.prediction import Output, OutputKind

from ..conftest import Serve, read_request, reply

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000) + b"\xff\xd9"
TAGGED = 'ETag: "one"\r\n'

Handle = Callable[[SocketStream], Awaitable[None]]


class Quick(SystemClock):
    """Real time, except that pauses between tries take no time."""

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()


async def save(
    url: str, directory: Path, *, overwrite: bool = False, loopback: bool = True, stem: str = "cat-0"
) -> Path:
    files = OutputFetcher(clock=Quick(), tls=LazySSLContext())
    output = Output(url=url, kind=OutputKind.IMAGE)
    return await files.save(output, directory, stem, overwrite=overwrite, loopback=loopback)


def answering(*answers: bytes) -> tuple[Handle, list[bytes]]:
    """Answer one request after another, a connection each, the last one for ever; an answer may be cut short."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        await stream.send(answers[min(len(seen), len(answers)) - 1])

    return handle, seen


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_a_file_is_saved_whole_and_alone(serve: Serve, tmp_path: Path) -> None:
    """The bytes are the server's, the suffix is what they are, and nothing else is left in the folder."""
    handle, seen = answering(reply(PNG, headers=TAGGED))
    async with serve(handle) as origin:
        path = await save(f"{origin}/made/by/them.bin?sig=1", tmp_path)
    assert tmp_path / "cat-0.png" == path
    assert PNG == path.read_bytes()
    assert ["cat-0.png"] == listing(tmp_path)
    assert b"authorization" not in seen[0].lower()
    assert b"cookie" not in seen[0].lower()


async def test_the_suffix_follows_the_bytes(serve: Serve, tmp_path: Path) -> None:
    """JPEG under a URL that ends in .png, declared as image/png, is saved as .jpg."""
    handle, _ = answering(reply(JPEG, headers="Content-Type: image/png\r\n"))
    async with serve(handle) as origin:
        assert tmp_path / "cat-0.jpg" == await save(f"{origin}/cat.png", tmp_path)


@pytest.mark.parametrize("body", [b"<html>log in</html>", b'{"error":1}', b"", b"\x89PN"])
async def test_what_is_no_media_is_refused(serve: Serve, tmp_path: Path, body: bytes) -> None:
    """A page, JSON or nothing in place of an image leaves no file."""
    handle, _ = answering(reply(body))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="neither an image nor a video"):
            await save(f"{origin}/cat.png", tmp_path)
    assert [] == listing(tmp_path)


async def test_a_cut_download_goes_on_where_it_stopped(serve: Serve, tmp_path: Path) -> None:
    """After a cut the rest is asked for by Range, bound to the validator by If-Range."""
    half = len(PNG) // 2
    rest = reply(
        PNG[half:], status="206 Partial Content", headers=f"Content-Range: bytes {half}-{len(PNG) - 1}/{len(PNG)}\r\n"
    )
    handle, seen = answering(reply(PNG, headers=TAGGED)[: -len(PNG) + half], rest)
    async with serve(handle) as origin:
        path = await save(f"{origin}/cat.png", tmp_path)
    assert PNG == path.read_bytes()
    assert f"Range: bytes={half}-\r\n".encode() in seen[1]
    assert b'If-Range: "one"\r\n' in seen[1]


WHOLE = reply(PNG, headers=TAGGED)
HALF = len(PNG) // 2
CUT = WHOLE[: -len(PNG) + HALF]


@pytest.mark.parametrize(
    "second",
    [
        WHOLE,
        reply(PNG, headers='ETag: "two"\r\n'),
        reply(PNG[10:], status="206 Partial Content", headers=f"Content-Range: bytes 10-{len(PNG) - 1}/{len(PNG)}\r\n"),
        reply(PNG[HALF:], status="206 Partial Content", headers=f"Content-Range: bytes {HALF}-9/{len(PNG) + 5}\r\n"),
        reply(PNG[HALF:], status="206 Partial Content"),
        reply(b"", status="416 Range Not Satisfiable"),
    ],
    ids=["range ignored", "file changed", "other range", "other length", "no range declared", "416"],
)
async def test_a_server_that_cannot_go_on_starts_anew(serve: Serve, tmp_path: Path, second: bytes) -> None:
    """Whatever a server answers to a Range, the bytes in the end are those of one whole file."""
    handle, _ = answering(CUT, second, WHOLE)
    async with serve(handle) as origin:
        path = await save(f"{origin}/cat.png", tmp_path)
    assert PNG == path.read_bytes()


async def test_a_weak_validator_is_not_trusted(serve: Serve, tmp_path: Path) -> None:
    """A weak ETag promises no bytes, so a cut download restarts."""
    handle, seen = answering(reply(PNG, headers='ETag: W/"one"\r\n')[: -len(PNG) + HALF], WHOLE)
    async with serve(handle) as origin:
        assert PNG == (await save(f"{origin}/cat.png", tmp_path)).read_bytes()
    assert b"Range" not in seen[1]


async def test_a_later_run_goes_on_too(serve: Serve, tmp_path: Path) -> None:
    """A download that one call left unfinished is resumed by the next for the same URL, whatever its signature."""
    rest = reply(
        PNG[HALF:], status="206 Partial Content", headers=f"Content-Range: bytes {HALF}-{len(PNG) - 1}/{len(PNG)}\r\n"
    )
    handle, seen = answering(CUT, *[reply(b"", status="503 Unavailable")] * 4, rest)
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="did not arrive"):
            await save(f"{origin}/cat.png?signature=first", tmp_path)
        assert ["cat-0.part", "cat-0.part.json"] == listing(tmp_path)
        assert "signature" not in (tmp_path / "cat-0.part.json").read_text()
        path = await save(f"{origin}/cat.png?signature=second", tmp_path)
    assert PNG == path.read_bytes()
    assert f"Range: bytes={HALF}-".encode() in seen[5]
    assert ["cat-0.png"] == listing(tmp_path)


@pytest.mark.parametrize("notes", ["", "[]", "{}", '{"source": 1, "validator": 2, "length": "x"}'])
async def test_spoilt_notes_are_no_notes(serve: Serve, tmp_path: Path, notes: str) -> None:
    """Without a valid state file a partial file is restarted."""
    (tmp_path / "cat-0.part").write_bytes(b"something else entirely")
    (tmp_path / "cat-0.part.json").write_text(notes)
    handle, seen = answering(WHOLE)
    async with serve(handle) as origin:
        assert PNG == (await save(f"{origin}/cat.png", tmp_path)).read_bytes()
    assert b"Range" not in seen[0]


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "410 Gone"])
async def test_an_expired_address_is_told_at_once(serve: Serve, tmp_path: Path, status: str) -> None:
    """A permanent error is not retried."""
    handle, seen = answering(reply(b"no", status=status))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError) as caught:
            await save(f"{origin}/cat.png?signature=secret", tmp_path)
    assert int(status[:3]) == caught.value.http_status
    assert "secret" not in str(caught.value)
    assert 1 == len(seen)
    assert [] == listing(tmp_path)


async def test_a_length_that_lies_is_caught(serve: Serve, tmp_path: Path) -> None:
    """Fewer bytes than declared are never a file, however often it is tried."""
    handle, seen = answering(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PNG) + 1}\r\n\r\n".encode() + PNG)
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="did not arrive"):
            await save(f"{origin}/cat.png", tmp_path)
    assert 5 == len(seen)
    assert [] == listing(tmp_path)


@pytest.mark.parametrize(("body", "whole"), [(PNG, True), (PNG[:-8], False), (JPEG, True), (JPEG[:-3], False)])
async def test_without_a_length_the_end_is_looked_at(serve: Serve, tmp_path: Path, body: bytes, whole: bool) -> None:
    """A body that ends with its connection is a file only if it ends as its kind does."""
    handle, _ = answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
    async with serve(handle) as origin:
        if whole:
            assert body == (await save(f"{origin}/cat", tmp_path)).read_bytes()
            return
        with pytest.raises(DownloadError, match="truncated"):
            await save(f"{origin}/cat", tmp_path)
    assert [] == listing(tmp_path)


async def test_compression_is_refused(serve: Serve, tmp_path: Path) -> None:
    """Compression that was not requested may be a bomb."""
    handle, _ = answering(reply(PNG, headers="Content-Encoding: gzip\r\n"))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="compressed"):
            await save(f"{origin}/cat.png", tmp_path)


async def test_another_file_is_never_replaced_unasked(serve: Serve, tmp_path: Path) -> None:
    """A taken name is an error that keeps the other file; the same bytes are as good; overwrite=True replaces."""
    handle, _ = answering(WHOLE)
    other = tmp_path / "cat-0.png"
    async with serve(handle) as origin:
        other.write_bytes(b"mine")
        with pytest.raises(DownloadError, match="has the output's name") as caught:
            await save(f"{origin}/cat.png", tmp_path)
        assert str(other) == caught.value.path
        assert b"mine" == other.read_bytes()
        await save(f"{origin}/cat.png", tmp_path, overwrite=True)
        assert PNG == other.read_bytes()
        assert other == await save(f"{origin}/cat.png", tmp_path)


async def test_planted_links_are_not_followed(serve: Serve, tmp_path: Path) -> None:
    """Neither the part nor the file is written through a symlink."""
    handle, _ = answering(WHOLE)
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    folder = tmp_path / "out"
    folder.mkdir()
    async with serve(handle) as origin:
        (folder / "cat-0.png").symlink_to(outside)
        with pytest.raises(DownloadError):
            await save(f"{origin}/cat.png", folder)
        (folder / "cat-0.png").unlink()
        (folder / "cat-0.part").unlink(missing_ok=True)
        (folder / "cat-0.part").symlink_to(outside)
        with pytest.raises(DownloadError, match="cannot be saved"):
            await save(f"{origin}/cat.png", folder)
    assert b"untouched" == outside.read_bytes()


async def test_redirects_are_followed_by_hand(serve: Serve, tmp_path: Path) -> None:
    """A redirect is followed, and each target is checked as the first was."""
    target, _ = answering(WHOLE)
    async with serve(target) as end:
        handle, _ = answering(reply(b"", status="302 Found", headers=f"Location: {end}/cat.png\r\n"))
        async with serve(handle) as origin:
            assert PNG == (await save(f"{origin}/cat.png", tmp_path)).read_bytes()


async def test_redirects_end(serve: Serve, tmp_path: Path) -> None:
    """A redirect that leads in circles is given up after three."""
    handle, seen = answering(reply(b"", status="302 Found", headers="Location: /cat.png\r\n"))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="redirects more than 3 times"):
            await save(f"{origin}/cat.png", tmp_path)
    assert 4 == len(seen)


FORBIDDEN = [
    "http://example.com/a.png",
    "ftp://example.com/a.png",
    "file:///etc/passwd",
    "https://user:pass@example.com/a.png",
    "https://127.0.0.1/a.png",
    "https://10.0.0.1/a.png",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/a.png",
    "https://[::ffff:127.0.0.1]/a.png",
    "https://[64:ff9b::7f00:1]/a.png",
    "https://224.0.0.1/a.png",
    "https://2130706433/a.png",
    "https://0x7f.1/a.png",
    "https://localhost/a.png",
    "https:///a.png",
    "https://exa mple.com/a.png",
]


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_an_output_cannot_point_into_the_users_network(tmp_path: Path, url: str) -> None:
    """A provider's text opens no connection but to the public internet, by https."""
    with pytest.raises(DownloadError):
        await save(url, tmp_path, loopback=False)
    assert [] == listing(tmp_path)


PRIVATE = [
    url for url in FORBIDDEN if not any(own in url for own in ("localhost", "127.0.0.1", "::1]", "2130", "0x7f"))
]


@pytest.mark.parametrize("url", PRIVATE)
async def test_a_sandbox_opens_this_machine_only(tmp_path: Path, url: str) -> None:
    """With a provider on this machine, this machine is allowed, and still nothing else that is private."""
    with pytest.raises(DownloadError):
        await save(url, tmp_path, loopback=True)
    assert [] == listing(tmp_path)


async def test_a_redirect_into_the_network_is_refused(serve: Serve, tmp_path: Path) -> None:
    """The check holds for every hop."""
    handle, _ = answering(reply(b"", status="302 Found", headers="Location: https://10.0.0.1/cat.png\r\n"))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="public internet"):
            await save(f"{origin}/cat.png", tmp_path)


async def test_names_are_looked_up_and_pinned() -> None:
    """A name is resolved once; this machine's addresses are returned only where permitted."""
    assert "127.0.0.1" in await resolve_public("localhost", 80, loopback=True)


async def test_data_uris_are_saved_without_a_request(tmp_path: Path) -> None:
    """An output that is its own bytes becomes a file."""
    path = await save("data:image/png;base64,iVBORw0KGgoAAAAASUVORK5CYII=", tmp_path)
    assert path.name == "cat-0.png"
    assert path.read_bytes().startswith(b"\x89PNG")


async def test_a_data_uri_that_is_none_is_refused(tmp_path: Path) -> None:
    """Broken base64 leaves no file."""
    with pytest.raises(DownloadError):
        await save("data:image/png;base64,A", tmp_path)
    assert [] == listing(tmp_path)


async def test_a_place_that_takes_no_files_is_told(serve: Serve) -> None:
    """An error of the disk names the file, and leaves nothing behind."""
    handle, _ = answering(WHOLE)
    async with serve(handle) as origin:
        files = OutputFetcher(clock=Quick(), tls=LazySSLContext())
        with pytest.raises(DownloadError, match="cannot be saved") as caught:
            await files.save(
                Output(url=f"{origin}/cat.png", kind=OutputKind.IMAGE),
                Path("/proc/self"),
                "cat-0",
                overwrite=False,
                loopback=True,
            )
    assert "/proc/self/cat-0.part" == caught.value.path


async def test_a_transport_of_ones_own_carries_downloads(tmp_path: Path) -> None:
    """With a transport passed in nothing else connects, and private addresses are refused all the same."""
    async with VirtualClock() as clock:
        mock = httpx.MockTransport(lambda _: httpx.Response(200, content=PNG))
        files = OutputFetcher(clock=clock, tls=LazySSLContext(), shared=mock)

        async def saving(url: str) -> Path:
            output = Output(url=url, kind=OutputKind.IMAGE)
            return await files.save(output, tmp_path, "cat-0", overwrite=False, loopback=False)

        assert PNG == (await saving("https://example.com/cat.png")).read_bytes()
        with pytest.raises(DownloadError, match="public internet"):
            await saving("https://10.0.0.1/cat.png")


async def test_a_server_in_trouble_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    """429 and 5xx pass, so the output is asked for again, a bounded number of times."""
    busy = reply(b"", status="429 Too Many Requests")
    handle, seen = answering(busy, reply(b"", status="502 Bad Gateway"), WHOLE)
    async with serve(handle) as origin:
        assert PNG == (await save(f"{origin}/cat.png", tmp_path)).read_bytes()
    assert 3 == len(seen)


async def test_four_connections_to_a_host_and_no_more(serve: Serve, tmp_path: Path) -> None:
    """However many are saved at once, a host sees four connections; waiting for a slot costs no time budget."""
    open_now, most = 0, 0

    async def handle(stream: SocketStream) -> None:
        nonlocal open_now, most
        await read_request(stream)
        open_now += 1
        most = max(most, open_now)
        await anyio.sleep(0.2)
        open_now -= 1
        await stream.send(WHOLE)

    async with serve(handle) as origin:
        # Six rounds of four take 1.2 s in all: more than the deadline of each.
        files = OutputFetcher(clock=Quick(), tls=LazySSLContext(), deadline=1.0)

        async def saving(number: int) -> None:
            output = Output(url=f"{origin}/{number}.png", kind=OutputKind.IMAGE)
            await files.save(output, tmp_path, f"cat-{number}", overwrite=False, loopback=True)

        async with anyio.create_task_group() as group:
            for number in range(24):
                group.start_soon(saving, number)
    assert 4 == most
    assert 24 == len(listing(tmp_path))


async def test_a_trickle_has_a_deadline(serve: Serve, tmp_path: Path) -> None:
    """A byte now and then extends no deadline, and the received bytes can be resumed."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(WHOLE[: -len(PNG)])
        for at in range(len(PNG) - 1):
            await stream.send(PNG[at : at + 1])
            await anyio.sleep(0.02)

    async with serve(handle) as origin:
        files = OutputFetcher(clock=Quick(), tls=LazySSLContext(), deadline=0.5)
        output = Output(url=f"{origin}/cat.png", kind=OutputKind.IMAGE)
        with pytest.raises(DownloadError, match="did not arrive within 0.5 s"):
            await files.save(output, tmp_path, "cat-0", overwrite=False, loopback=True)
    assert ["cat-0.part", "cat-0.part.json"] == listing(tmp_path)


async def test_a_part_of_another_version_is_not_put_behind(serve: Serve, tmp_path: Path) -> None:
    """A server that resumes with a changed file, despite If-Range, does not make one file of two."""
    other = PNG[:-HALF] + bytes(HALF)
    span = f'Content-Range: bytes {HALF}-{len(PNG) - 1}/{len(PNG)}\r\nETag: "two"\r\n'
    handle, seen = answering(CUT, reply(other[HALF:], status="206 Partial Content", headers=span), WHOLE)
    async with serve(handle) as origin:
        assert PNG == (await save(f"{origin}/cat.png", tmp_path)).read_bytes()
    assert 3 == len(seen)


async def test_what_is_declared_too_long_is_not_begun(serve: Serve, tmp_path: Path) -> None:
    """A file that is declared longer than any video is refused before a byte of it is taken."""
    handle, seen = answering(f"HTTP/1.1 200 OK\r\nContent-Length: {10**13}\r\n\r\n".encode() + PNG)
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="longer than"):
            await save(f"{origin}/cat.png", tmp_path)
    assert 1 == len(seen)
    assert [] == listing(tmp_path)


@pytest.mark.parametrize("location", ["http://[::1/", "https://0177.0.0.1/", "http://a:b/"])
async def test_a_malformed_redirect_is_refused(serve: Serve, tmp_path: Path, location: str) -> None:
    """A redirect to a malformed URL is an error of ours, which a traceback with locals can show."""
    handle, _ = answering(reply(b"", status="302 Found", headers=f"Location: {location}\r\n"))
    async with serve(handle) as origin:
        with pytest.raises(DownloadError, match="malformed") as caught:
            await save(f"{origin}/cat.png", tmp_path)
    traceback.TracebackException.from_exception(caught.value, capture_locals=True)


KEY = "sk-secret-of-the-api"


async def save_with_key(origin: str, directory: Path) -> Path:
    credential = Credential(key=KEY, origin=origin, authorizer=KeyAuthorizer(KEY, scheme="bearer"))
    files = OutputFetcher(clock=Quick(), tls=LazySSLContext())
    output = Output(url=f"{origin}/content?index=0", kind=OutputKind.IMAGE)
    return await files.save(output, directory, "cat-0", overwrite=False, loopback=True, credential=credential)


async def test_a_url_that_asks_for_the_key_gets_it(serve: Serve, tmp_path: Path) -> None:
    """Each attempt carries the key, and asks for the rest of the file as ever."""
    handle, seen = answering(reply(PNG, headers=TAGGED)[:5000], reply(PNG, headers=TAGGED))
    async with serve(handle) as origin:
        assert PNG == (await save_with_key(origin, tmp_path)).read_bytes()
    assert [True, True] == [f"Authorization: Bearer {KEY}".encode() in request for request in seen]
    assert b"Range: bytes=" in seen[1]


async def test_a_redirect_is_followed_without_the_key(serve: Serve, tmp_path: Path) -> None:
    """Not even a redirect to the same origin takes the key along."""
    handle, seen = answering(reply(b"", status="302 Found", headers="Location: /store.png\r\n"), reply(PNG))
    async with serve(handle) as origin:
        assert PNG == (await save_with_key(origin, tmp_path)).read_bytes()
    assert [True, False] == [b"authorization" in request.lower() for request in seen]


async def test_a_key_is_not_sent_to_another_origin(tmp_path: Path) -> None:
    """A URL elsewhere together with a key is a bug, and stops before anything is sent."""
    credential = Credential(key=KEY, origin="https://a.test", authorizer=KeyAuthorizer(KEY, scheme="bearer"))
    files = OutputFetcher(clock=Quick(), tls=LazySSLContext())
    output = Output(url="https://b.test/content", kind=OutputKind.IMAGE)
    with pytest.raises(RuntimeError, match="an origin that is not its own"):
        await files.save(output, tmp_path, "cat-0", overwrite=False, loopback=True, credential=credential)


BROKEN = {
    "refused": reply(f"Bearer {KEY}".encode(), status="401 Unauthorized"),
    "cut short": reply(PNG)[:500],
    "no HTTP": f"Bearer {KEY}\r\n\r\n".encode(),
    "a bad redirect": reply(b"", status="302 Found", headers=f"Location: https://{KEY}@[::\r\n"),
    "no picture": reply(b"no picture"),
    "an outage": reply(b"", status="503 No"),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=list(BROKEN))
async def test_an_error_with_a_key_does_not_show_it(serve: Serve, tmp_path: Path, answer: bytes) -> None:
    """Neither the error nor its traceback with all local variables holds the key."""
    handle, _ = answering(answer)
    async with serve(handle) as origin:
        with pytest.raises(DownloadError) as caught:
            await save_with_key(origin, tmp_path)
    # The frame of this test knows the key; those below it belong to the package.
    error = caught.value.with_traceback(caught.value.__traceback__ and caught.value.__traceback__.tb_next.tb_next)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert KEY not in "".join([str(error), repr(error), repr(vars(error)), *trace.format()])
