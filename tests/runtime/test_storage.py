"""Outputs in object stores, in the memory and as streams: whole or not at all, fetched once, paid once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from attrs import define

from kling_async import Client, ImageInput, Job, MemoryJournal, Outcome, SqliteJournal, VideoInput
from kling_async.errors import DownloadError, InputError
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.transport import stream_part
from kling_async.transport.object_store import open_store
from kling_async.types.prediction import Output, OutputKind, Prediction, Status

from ..conftest import NO_LIMITS, Serve, read_request, reply
from ..s3 import SECRET, Bucket

pytestmark = pytest.mark.anyio

CAT = ImageInput("a cat")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
CHUNK = stream_part.CHUNK
LONG = PNG[:8] + bytes(2 * CHUNK) + PNG[-12:]
"""Long enough for a multipart upload."""
TAGGED = 'ETag: "one"\r\n'


@define
class Served:
    """A client, and the sandbox that it reaches over a socket: work in threads looks idle to a clock that leaps."""

    client: Client
    sandbox: Sandbox


@asynccontextmanager
async def served(provider: str = "gptproto", **settings: Any) -> AsyncIterator[Served]:
    """Serve a strict sandbox that is quick, and open a client of it."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.02), video_latency=Fixed(0.02))
    with SandboxServer(sandbox) as server:
        key = sandbox.key_for(provider)
        async with Client(provider, api_key=key, base_url=server.url, limits=NO_LIMITS, **settings) as client:
            yield Served(client, sandbox)


def jobs(number: int) -> list[Job]:
    return [Job(ImageInput(f"cat {position}"), key=f"cat-{position}") for position in range(number)]


def made(*urls: str, key: str = "cat") -> Prediction:
    outputs = tuple(Output(url=url, kind=OutputKind.IMAGE) for url in urls)
    return Prediction(
        provider="gptproto", model="kling-image-o1", id="p-1", key=key, status=Status.SUCCEEDED, outputs=outputs
    )


def downloads(at: Served) -> int:
    """Count the downloads that the sandbox has seen."""
    return sum(seen.kind == "download" for seen in at.sandbox.log)


def client_at(origin: str) -> Client:
    """Make a client whose provider is at an origin on this machine."""
    return Client(api_key="sk-1", base_url=origin)


async def run(at: Served, todo: list[Job], **settings: Any) -> list[Outcome]:
    async with at.client.batch(todo, ordered=True, **settings) as batch:
        return [outcome async for outcome in batch]


Place = Callable[[Path], str]
PLACES: dict[str, Place] = {
    "file": lambda directory: (directory / "objects").as_uri(),
    "memory": lambda directory: f"memory:///{directory.name}",
}


async def test_a_batch_saves_into_a_bucket(bucket: Bucket) -> None:
    """Objects have the names of files, outcomes their URLs, and nothing else is in the bucket."""
    async with served() as at:
        outcomes = await run(at, jobs(5), save_to=bucket.url)
    names = [f"cat-{position}-0.png" for position in range(5)]
    assert [(f"{bucket.url}/{name}",) for name in names] == [outcome.files for outcome in outcomes]
    assert names == sorted(bucket.objects())
    assert "image/png" == bucket.type_of(names[0])


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
async def test_other_stores(tmp_path: Path, place: Place) -> None:
    """A local directory and the memory are stores like any other."""
    url = place(tmp_path)
    async with served() as at:
        outcomes = await run(at, jobs(2), save_to=url)
        [again] = await at.client.download(outcomes[0].result(), url)
    assert [(f"{url}/cat-0-0.png",), (f"{url}/cat-1-0.png",)] == [outcome.files for outcome in outcomes]
    assert again == f"{url}/cat-0-0.png"
    assert b"".join(open_store(url).read("cat-0-0.png")).startswith(PNG[:8])


async def test_what_is_there_is_not_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    """A second run of the same jobs sends nothing, fetches nothing and writes nothing; the journal has checksums."""
    async with served() as at:
        journal = tmp_path / "journal.db"
        await run(at, jobs(3), save_to=bucket.url, journal=journal)
        before, sent, paid = downloads(at), bucket.objects(), at.sandbox.billed()
        bucket.log()
        outcomes = await run(at, jobs(3), save_to=bucket.url, journal=journal)
        assert (before, paid) == (downloads(at), at.sandbox.billed())
    assert all(outcome.ok and outcome.files for outcome in outcomes)
    assert {"HEAD", "PUT", "POST"} >= {method for method, _, _ in bucket.log()}
    assert sent == bucket.objects()
    opened = SqliteJournal(journal)
    await opened.open()
    try:
        kept = {one.key: one for one in await opened.submissions()}
    finally:
        await opened.aclose()
    for name, content in sent.items():
        key = name.removesuffix("-0.png")
        assert ((name,), (hashlib.sha256(content).hexdigest(),)) == (kept[key].files, kept[key].checksums)


async def test_what_is_missing_is_fetched_again(bucket: Bucket) -> None:
    """An object that was deleted since is saved again by the next run, and costs nothing."""
    async with served() as at:
        journal = MemoryJournal()
        await run(at, jobs(1), save_to=bucket.url, journal=journal)
        elsewhere = f"{bucket.url}/again"
        [outcome] = await run(at, jobs(1), save_to=elsewhere, journal=journal)
        assert 1 == at.sandbox.submits == at.sandbox.billed()
    assert (f"{elsewhere}/cat-0-0.png",) == outcome.files
    assert {"cat-0-0.png", "again/cat-0-0.png"} == set(bucket.objects())


async def test_a_run_moves_from_a_directory_to_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    """A journal of saved files takes a bucket next time: the files are there, too, and nothing is paid."""
    async with served() as at:
        journal = MemoryJournal()
        await run(at, jobs(1), save_to=tmp_path, journal=journal)
        await run(at, jobs(1), save_to=bucket.url, journal=journal)
        assert 1 == at.sandbox.billed()
    assert {"cat-0-0.png": (tmp_path / "cat-0-0.png").read_bytes()} == bucket.objects()


async def test_another_object_is_not_replaced(bucket: Bucket) -> None:
    """An object of somebody else under the name is an error that keeps the prediction; `overwrite` replaces it."""
    bucket.put("cat-0-0.png", b"theirs")
    async with served() as at:
        [outcome] = await run(at, jobs(1), save_to=bucket.url)
        assert isinstance(outcome.error, DownloadError)
        assert "Another object has the output's name" in str(outcome.error)
        assert "cat-0" == outcome.error.key
        assert b"theirs" == bucket.objects()["cat-0-0.png"]
        assert outcome.prediction is not None
        await at.client.download(outcome.prediction, bucket.url, overwrite=True)
    assert b"theirs" != bucket.objects()["cat-0-0.png"]


@pytest.mark.parametrize("content", [PNG, LONG], ids=["one request", "parts"])
async def test_the_same_object_is_accepted(serve: Serve, bucket: Bucket, content: bytes) -> None:
    """An object that an earlier run wrote before it was killed is taken as it is, if every byte is the same."""
    bucket.put("cat-0.png", content)

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(content, headers=TAGGED))

    async with serve(handle) as origin, client_at(origin) as client:
        assert [f"{bucket.url}/cat-0.png"] == await client.download(made(f"{origin}/1.png"), bucket.url)
        bucket.put("cat-0.png", content[:-13] + b"\1" + content[-12:])
        with pytest.raises(DownloadError, match="Another object has the output's name"):
            await client.download(made(f"{origin}/1.png"), bucket.url)
    assert [] == bucket.uploads()


async def test_long_outputs_go_in_parts(serve: Serve, bucket: Bucket) -> None:
    """More than 8 MiB are a multipart upload; the object is the server's bytes, with its type."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(LONG, headers=TAGGED))

    async with serve(handle) as origin, client_at(origin) as client:
        await client.download(made(f"{origin}/1.png"), bucket.url)
    assert {"cat-0.png": LONG} == bucket.objects()
    assert "image/png" == bucket.type_of("cat-0.png")
    assert any("uploadId=" in target for _, target, _ in bucket.log())


@pytest.mark.parametrize("resumes", [True, False], ids=["resumed", "begun again"])
async def test_a_broken_connection(serve: Serve, bucket: Bucket, resumes: bool) -> None:
    """A download that breaks off in the middle of an upload goes on, or begins again; nothing partial has the name."""
    seen: list[bytes] = []
    half = CHUNK + CHUNK // 2

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        if len(seen) == 1:
            await stream.send(reply(LONG, headers=TAGGED)[: half - len(LONG)])
            return
        assert {} == bucket.objects()
        if resumes:
            first = int(seen[-1].lower().partition(b"range: bytes=")[2].partition(b"-")[0])
            rest = f"{TAGGED}Content-Range: bytes {first}-{len(LONG) - 1}/{len(LONG)}\r\n"
            await stream.send(reply(LONG[first:], status="206 Partial Content", headers=rest))
        else:
            await stream.send(reply(LONG, headers='ETag: "two"\r\n'))

    async with serve(handle) as origin, client_at(origin) as client:
        await client.download(made(f"{origin}/1.png"), bucket.url)
    assert 2 == len(seen)
    assert {"cat-0.png": LONG} == bucket.objects()
    assert [] == bucket.uploads()


async def test_an_output_without_a_length_is_checked_first(serve: Serve, bucket: Bucket) -> None:
    """Where the server declares no length, the end of the output is verified before anything is written."""
    bodies = [LONG[:-12], LONG[:-12], LONG]

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bodies.pop(0))

    async with serve(handle) as origin, client_at(origin) as client:
        bucket.log()
        with pytest.raises(DownloadError, match="truncated"):
            await client.download(made(f"{origin}/1.png"), bucket.url)
        assert [] == bucket.log()
        with pytest.raises(DownloadError, match="truncated"):
            await client.read(made(f"{origin}/1.png"))
        await client.download(made(f"{origin}/1.png"), bucket.url)
    assert {"cat-0.png": LONG} == bucket.objects()


async def test_what_is_no_picture_is_not_written(serve: Serve, bucket: Bucket) -> None:
    """A page in place of a picture reaches neither the bucket nor the caller."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(b"<html>log in, please</html>"))

    async with serve(handle) as origin, client_at(origin) as client:
        wrong = made(f"{origin}/1.png")
        bucket.log()
        with pytest.raises(DownloadError, match="neither an image nor a video"):
            await client.download(wrong, bucket.url)
        with pytest.raises(DownloadError, match="neither an image nor a video"):
            await client.read(wrong)
        with pytest.raises(DownloadError, match="neither an image nor a video"):
            [_ async for _ in client.stream(wrong.outputs[0])]
    assert [] == bucket.log()


async def test_read_returns_every_output(tmp_path: Path) -> None:
    """The bytes are those of the files, in the order of the outputs."""
    async with served() as at:
        prediction = await at.client.generate(ImageInput("a cat", n=3), key="cat")
        paths = await at.client.download(prediction, tmp_path)
        assert 3 == len(paths)
        assert await at.client.read(prediction) == [path.read_bytes() for path in paths if isinstance(path, Path)]


async def test_read_is_bounded(serve: Serve) -> None:
    """All outputs together may have so many bytes; the declared length is enough to refuse."""
    sent = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal sent
        await read_request(stream)
        sent += 1
        await stream.send(reply(PNG, headers=TAGGED))

    async with serve(handle) as origin, client_at(origin) as client:
        two = made(f"{origin}/1.png", f"{origin}/2.png")
        assert [PNG, PNG] == await client.read(two, max_bytes=2 * len(PNG))
        with pytest.raises(DownloadError, match=f"longer than {2 * len(PNG) - 1} bytes") as caught:
            await client.read(two, max_bytes=2 * len(PNG) - 1)
        with pytest.raises(InputError, match="max_bytes"):
            await client.read(two, max_bytes=0)
    assert "client.stream" in str(caught.value)


async def test_read_is_bounded_where_no_length_is_declared(serve: Serve) -> None:
    """An endless output is refused once it has more bytes than that, and not collected first."""
    sent = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal sent
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + PNG[:8])
        while True:
            await stream.send(bytes(65_536))
            sent += 65_536

    async with serve(handle) as origin, client_at(origin) as client:
        with pytest.raises(DownloadError, match="longer than 1000000 bytes"):
            await client.read(made(f"{origin}/1.png"), max_bytes=1_000_000)
    assert sent < 50_000_000


async def test_stream_passes_on_what_is_received(serve: Serve) -> None:
    """The first bytes are there before the last ones are sent; a slow caller is no stalled connection."""
    go_on = anyio.Event()

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        answer = reply(PNG, headers=TAGGED)
        await stream.send(answer[:50_000])
        await go_on.wait()
        await stream.send(answer[50_000:])

    async with serve(handle) as origin, client_at(origin) as client:
        received = bytearray()
        async with aclosing(client.stream(made(f"{origin}/1.png").outputs[0])) as chunks:
            async for chunk in chunks:
                received += chunk
                go_on.set()
    assert PNG == received


async def test_stream_goes_on_where_it_broke_off(serve: Serve) -> None:
    """A connection that breaks is resumed, with no byte twice; a server that begins again is an error."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        first = seen[-1].lower().partition(b"range: bytes=")[2].partition(b"-")[0]
        if not first:
            await stream.send(reply(PNG, headers=TAGGED)[:-50_000])
        elif b"/resumes" in seen[-1]:
            rest = f"{TAGGED}Content-Range: bytes {int(first)}-{len(PNG) - 1}/{len(PNG)}\r\n"
            await stream.send(reply(PNG[int(first) :], status="206 Partial Content", headers=rest))
        else:
            await stream.send(reply(PNG, headers='ETag: "two"\r\n'))

    async with serve(handle) as origin, client_at(origin) as client:
        good, bad = made(f"{origin}/resumes.png", f"{origin}/begins.png").outputs
        assert PNG == b"".join([chunk async for chunk in client.stream(good)])
        with pytest.raises(DownloadError, match="cannot be resumed after [0-9]+ bytes") as caught:
            [_ async for _ in client.stream(bad)]
    assert ("gptproto", "p-1", "cat") == (caught.value.provider, caught.value.id, caught.value.key)
    assert 4 == len(seen)


async def test_stream_can_be_left(serve: Serve) -> None:
    """A caller who leaves early closes the connection, and another output can be read at once."""
    left = anyio.Event()

    async def handle(stream: SocketStream) -> None:
        if b"/slow" not in await read_request(stream):
            await stream.send(reply(PNG, headers=TAGGED))
            return
        await stream.send(reply(PNG, headers=TAGGED)[:50_000])
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        left.set()

    async with serve(handle) as origin, client_at(origin) as client:
        slow, other = made(f"{origin}/slow.png", f"{origin}/2.png").outputs
        async with aclosing(client.stream(slow)) as chunks:
            assert (await anext(chunks)).startswith(PNG[:8])
        with anyio.fail_after(10):
            await left.wait()
        assert PNG == b"".join([chunk async for chunk in client.stream(other)])


async def test_an_output_of_no_prediction_cannot_be_streamed() -> None:
    """It says neither where its key goes nor how to renew it, so it is refused."""
    async with served() as at:
        with pytest.raises(InputError, match="must be one of the outputs of a prediction"):
            [_ async for _ in at.client.stream(Output(url="https://example.com/1.png", kind=OutputKind.IMAGE))]


@pytest.mark.parametrize("status", ["403 Forbidden", "410 Gone"])
async def test_expired_urls_are_renewed(serve: Serve, bucket: Bucket, status: str) -> None:
    """An expired URL is asked for anew, once, whether the output is saved, read or streamed."""
    asked: list[str] = []

    async def handle(stream: SocketStream) -> None:
        target = (await read_request(stream)).split(b" ")[1].decode()
        asked.append(target)
        host = stream.extra(anyio.abc.SocketAttribute.local_address)
        if target.startswith("/old"):
            await stream.send(reply(b"", status=status))
        elif target.startswith("/new"):
            await stream.send(reply(PNG, headers=TAGGED))
        else:
            urls = f'["http://{host[0]}:{host[1]}/new.png"]'
            body = '{"code":200,"data":{"id":"p-1","status":"completed","outputs":' + urls + "}}"
            await stream.send(reply(body.encode(), headers="Content-Type: application/json\r\n"))

    async with serve(handle) as origin, client_at(origin) as client:
        old = made(f"{origin}/old.png")
        assert [f"{bucket.url}/cat-0.png"] == await client.download(old, bucket.url)
        assert [PNG] == await client.read(old)
        assert PNG == b"".join([chunk async for chunk in client.stream(old.outputs[0])])
    assert 3 == asked.count("/old.png") == asked.count("/new.png")
    assert 9 == len(asked)


async def test_outputs_behind_the_api_need_the_key(bucket: Bucket) -> None:
    """OpenRouter's own addresses are asked with the key, at the key's origin, whoever takes the bytes."""
    async with served(provider="openrouter") as at:
        dog = await at.client.generate(VideoInput("a dog [[unsigned]]"), key="dog")
        [content] = await at.client.read(dog)
        assert content == b"".join([chunk async for chunk in at.client.stream(dog.outputs[0])])
        await at.client.download(dog, bucket.url)
        seen = [(seen.path, seen.with_key, seen.status) for seen in at.sandbox.log if seen.kind == "download"]
    assert [(f"/api/v1/videos/{dog.id}/content", True, 200)] * 3 == seen
    assert {"dog-0.mp4": content} == bucket.objects()


async def test_outputs_of_a_journal_are_renewed(serve: Serve, tmp_path: Path) -> None:
    """A journal keeps no signature, so an output from it is asked for anew before it is read or streamed."""
    asked: list[str] = []

    async def handle(stream: SocketStream) -> None:
        asked.append((await read_request(stream)).split(b" ")[1].decode())
        host = stream.extra(anyio.abc.SocketAttribute.local_address)
        if asked[-1].startswith("/1.png"):
            await stream.send(reply(PNG, headers=TAGGED))
            return
        urls = f'["http://{host[0]}:{host[1]}/1.png?signature={len(asked)}"]'
        body = '{"code":200,"data":{"id":"p-1","status":"completed","outputs":' + urls + "}}"
        await stream.send(reply(body.encode(), headers="Content-Type: application/json\r\n"))

    journal = tmp_path / "journal.db"
    async with serve(handle) as origin:
        for _ in range(2):
            async with (
                Client(api_key="sk-1", base_url=origin, journal=journal) as client,
                client.batch([Job(CAT, key="cat")]) as batch,
            ):
                [kept] = [outcome.result() async for outcome in batch]
        assert f"{origin}/1.png" == kept.outputs[0].url
        async with Client(api_key="sk-1", base_url=origin, journal=journal) as client:
            asked.clear()
            assert [PNG] == await client.read(kept)
            assert PNG == b"".join([chunk async for chunk in client.stream(kept.outputs[0])])
    assert ["poll", "/1.png?signature=1", "poll", "/1.png?signature=3"] == [
        target if target.startswith("/1") else "poll" for target in asked
    ]


@pytest.mark.parametrize("url", ["s3://never-made/runs", "denied"])
async def test_a_bucket_that_refuses_costs_nothing(bucket: Bucket, url: str) -> None:
    """A bucket that is missing or refuses is an error before the first job is read."""
    bucket.faults({"method": "PUT", "path": "runs/one", "status": 403, "code": "AccessDenied", "times": 9})
    place = bucket.url if url == "denied" else url
    pulled = 0

    def todo() -> Any:
        nonlocal pulled
        pulled += 1
        yield CAT

    async with served() as at:
        with pytest.raises(InputError, match="save_to=.*cannot be written: (the bucket does not|access is denied)"):
            async with at.client.batch(todo(), save_to=place):
                pytest.fail("it has begun")
        assert (0, 0) == (pulled, at.sandbox.submits)


def test_a_path_that_was_a_url(tmp_path: Path) -> None:
    """`Path("s3://bucket")` has lost a slash: it is refused, and no directory of that name is made."""
    client = Client(api_key="sk-1")
    for place in ("s3://bucket/runs", "memory:///runs"):
        with pytest.raises(InputError, match="must be a str"):
            client.batch([CAT], save_to=Path(place))


def test_a_url_of_no_store() -> None:
    """A URL of another scheme is refused, and no directory of that name is made."""
    client = Client(api_key="sk-1")
    for place in ("s4://bucket/runs", "https://example.com/runs"):
        with pytest.raises(InputError, match="must be s3://bucket/prefix"):
            client.batch([CAT], save_to=place)


async def test_secrets_show_nowhere(bucket: Bucket, tmp_path: Path) -> None:
    """The secret key of the bucket is in no repr of a client, an outcome or an event, and in no journal."""
    shown: list[str] = []
    async with served() as at:
        at.client.add_listener(lambda event: shown.append(f"{event!r}"))
        bucket.faults({"method": "PUT", "skip": 1, "status": 403, "code": "AccessDenied", "message": SECRET})
        outcomes = await run(at, jobs(2), save_to=bucket.url, journal=tmp_path / "journal.db")
        shown += [repr(at.client), repr(vars(at.client)), repr(outcomes), *map(str, (one.error for one in outcomes))]
    assert 1 == sum(outcome.ok for outcome in outcomes)
    assert SECRET not in "".join(shown)
    assert SECRET.encode() not in (tmp_path / "journal.db").read_bytes()
