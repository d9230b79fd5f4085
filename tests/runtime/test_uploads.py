"""Local media on their way to each provider: uploaded once, before anything is paid, or sent inside the request."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import (
    Client,
    Event,
    EventKind,
    ImageInput,
    InputError,
    Job,
    Limits,
    MediaFile,
    MemoryJournal,
    NotSent,
    VideoInput,
)
from kling_async.errors import AuthenticationError, KlingError
from kling_async.runtime.media_library import MediaLibrary
from kling_async.testing import Fixed, Sandbox, SandboxServer, VirtualClock
from kling_async.testing.sandbox.media import draw_png

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio

PNG = draw_png("a cat", width=320, height=300)
UPLOADING = ("wavespeed", "fal", "replicate")
INPUT = VideoInput("a dog", image=PNG, model="kling-o1-std", duration=5)
FAST = {"image_latency": Fixed(1.0), "video_latency": Fixed(1.0)}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write a picture."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    return path


@asynccontextmanager
async def on_a_socket(
    provider: str, *, limits: Limits | None = None, request_timeout: float = 5.0
) -> AsyncIterator[tuple[Client, Sandbox]]:
    """Open a client in front of a sandbox on a socket: a journal's thread needs real time."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.02), video_latency=Fixed(0.02))) as server:
        key = server.sandbox.key_for(provider)
        given = limits or Limits(submit_per_second=None, poll_per_second=None, max_open=None)
        async with Client(
            provider, api_key=key, base_url=server.url, limits=given, request_timeout=request_timeout
        ) as client:
            yield client, server.sandbox


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    """Return the contents of files by their names."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def sent_texts(sandbox: Any) -> str:
    """Return all bodies of submissions."""
    return json.dumps([request.sent for request in sandbox.log if request.kind == "submit"])


@pytest.mark.parametrize(
    ("provider", "model"), [*((name, "kling-o1-std") for name in UPLOADING), ("atlascloud", "kling-3.0-std")]
)
async def test_a_file_is_uploaded_and_its_address_is_submitted(
    open_client: OpenClient, provider: str, model: str, picture: Path
) -> None:
    """The provider gets the content first, and its own address of it in the submission; the key goes to it alone."""
    async with open_client(provider=provider, **FAST) as here:
        prediction = await here.client.generate(VideoInput("a dog", image=picture, model=model))
    assert prediction.succeeded
    [stored] = here.sandbox.uploads.contents.values()
    assert (PNG, "image/png") == (stored.content, stored.mime)
    kinds = [request.kind for request in here.sandbox.log]
    assert kinds.index("upload") < kinds.index("submit")
    assert "cat.png" not in sent_texts(here.sandbox)
    [address] = here.sandbox.uploads.contents
    assert address in sent_texts(here.sandbox)
    puts = [request for request in here.sandbox.log if request.method == "PUT" and request.kind == "upload"]
    assert [] == [request for request in puts if request.with_key]
    assert 1 == here.sandbox.billed()


@pytest.mark.parametrize(("provider", "model"), [("kling", "kling-o1-std"), ("comfy", "kling-o1-std")])
async def test_an_image_is_sent_inside_the_request(
    open_client: OpenClient, provider: str, model: str, picture: Path
) -> None:
    """Where there is no upload, and base64 is documented, the submission holds the content, bare."""
    async with open_client(provider=provider, **FAST) as here:
        await here.client.generate(VideoInput("a dog", image=picture, model=model))
    assert f'"{b64encode(PNG).decode()}"' in sent_texts(here.sandbox)
    assert 0 == here.sandbox.count("upload")
    assert 1 == here.sandbox.billed()


async def test_images_of_kling_are_base64_as_well(open_client: OpenClient) -> None:
    """The legacy standard takes base64 beside URLs in one list."""
    async with open_client(provider="kling", **FAST) as here:
        input = ImageInput(
            "a cat", images=[PNG, "https://x.test/a.png", f"data:image/png;base64,{b64encode(PNG).decode()}"]
        )
        await here.client.generate(input)
    [body] = [request.sent for request in here.sandbox.log if request.kind == "submit"]
    assert isinstance(body, dict)
    content = b64encode(PNG).decode()
    assert [content, "https://x.test/a.png", content] == [one["image"] for one in body["image_list"]]


@pytest.mark.parametrize("provider", UPLOADING)
async def test_one_content_is_uploaded_once(open_client: OpenClient, provider: str, picture: Path) -> None:
    """Concurrent jobs with the same content, as a file or as bytes, share one upload, and later ones need none."""
    async with open_client(provider=provider, **FAST) as here:
        jobs = [VideoInput(f"dog {n}", image=picture if n % 2 else PNG, model="kling-o1-std") for n in range(6)]
        outcomes = await here.client.map(jobs)
        assert all(outcome.ok for outcome in outcomes)
        uploads = here.sandbox.count("upload")
        await here.client.generate(VideoInput("one more", image=picture, model="kling-o1-std"))
        assert uploads == here.sandbox.count("upload") == (1 if provider == "replicate" else 2)
    assert 7 == here.sandbox.billed()


async def test_an_upload_takes_neither_a_slot_nor_a_token() -> None:
    """While an upload hangs, another job is submitted at once, though there is one slot and one submission an hour."""
    limits = Limits(submit_per_second=1 / 3600, submit_burst=1, max_open=1)
    async with on_a_socket("wavespeed", limits=limits, request_timeout=0.7) as (client, sandbox):
        sandbox.script_uploads(["hang"])
        async with anyio.create_task_group() as group:

            async def slow() -> None:
                with pytest.raises(NotSent):
                    await client.generate(INPUT, wait_timeout=1.0)

            group.start_soon(slow)
            while not sandbox.count("upload"):
                await anyio.sleep(0.01)
            assert (await client.generate(VideoInput("free", model="kling-o1-std"))).succeeded
            assert 1 == sandbox.count("upload")
    assert ["free"] == [charge.prompt for charge in sandbox.entries]


@pytest.mark.parametrize("provider", UPLOADING)
@pytest.mark.parametrize("fault", ["error_503", "error_500", "html", "rate_limited", "lost"])
async def test_an_upload_is_tried_again(open_client: OpenClient, provider: str, fault: str) -> None:
    """What passes is tried again, since an upload costs nothing; the job is paid once."""
    async with open_client(provider=provider, request_timeout=1.0, **FAST) as here:
        here.sandbox.script_uploads([fault])
        assert (await here.client.generate(INPUT)).succeeded
    assert 1 == here.sandbox.billed() == here.sandbox.submits


@pytest.mark.parametrize("provider", UPLOADING)
async def test_an_upload_without_an_answer_is_tried_again(provider: str) -> None:
    """A provider that never answers is asked again after its time, and the job is paid once."""
    async with on_a_socket(provider, request_timeout=0.5) as (client, sandbox):
        sandbox.script_uploads(["hang"])
        assert (await client.generate(INPUT)).succeeded
        assert 1 == sandbox.billed() == sandbox.submits


@pytest.mark.parametrize("provider", UPLOADING)
@pytest.mark.parametrize("fault", ["error_503", "lost", "html"])
async def test_an_upload_that_never_succeeds_costs_nothing(open_client: OpenClient, provider: str, fault: str) -> None:
    """After a few attempts the job fails as one that was not submitted, and a later run takes it up."""
    async with open_client(provider=provider, journal=MemoryJournal(), **FAST) as here:
        here.sandbox.script_uploads([fault] * 4)
        with pytest.raises(NotSent, match="could not be uploaded in 4 attempts") as caught:
            await here.client.generate(INPUT, key="k")
        assert ("upload", "k", False) == (caught.value.reason, caught.value.key, caught.value.may_be_billed)
        assert 0 == here.sandbox.submits
        assert (await here.client.generate(INPUT, key="k")).succeeded
    assert 1 == here.sandbox.billed()


@pytest.mark.parametrize("provider", UPLOADING)
@pytest.mark.parametrize(
    ("fault", "error"), [("bad_request", KlingError), ("too_large", KlingError), ("unauthorized", AuthenticationError)]
)
async def test_a_refused_upload_is_final(
    open_client: OpenClient, provider: str, fault: str, error: type[KlingError]
) -> None:
    """A refusal of the content or of the key is not tried again, and nothing is submitted."""
    async with open_client(provider=provider, **FAST) as here:
        here.sandbox.script_uploads([fault])
        with pytest.raises(error) as caught:
            await here.client.generate(INPUT, key="k")
        assert 1 == here.sandbox.count("upload")
    assert ("k", False) == (caught.value.key, caught.value.may_be_billed)
    assert 0 == here.sandbox.submits


async def test_a_content_that_is_refused_where_it_is_put_is_final(open_client: OpenClient) -> None:
    """HTTP 413 of the place that a ticket names is about the content."""
    async with open_client(provider="wavespeed", **FAST) as here:
        here.sandbox.script_uploads([None, "too_large"])
        with pytest.raises(InputError, match="HTTP 413"):
            await here.client.generate(INPUT)
        assert 2 == here.sandbox.count("upload")
    assert 0 == here.sandbox.submits


async def test_uploads_are_reported(open_client: OpenClient) -> None:
    """Each upload is an event with its name and how far it is, before the submission."""
    events: list[Event] = []
    async with open_client(provider="fal", **FAST) as here:
        here.client.add_listener(events.append)
        await here.client.generate(VideoInput("a dog", image=PNG + bytes(3_000_000), model="kling-o1-std"), key="k")
    uploads = [event.upload for event in events if event.kind is EventKind.UPLOADING and event.upload is not None]
    size = len(PNG) + 3_000_000
    assert [True] * len(uploads) == [one.size == size for one in uploads]
    assert (0, size) == (uploads[0].sent, uploads[-1].sent)
    assert len(uploads) >= 4
    assert [EventKind.UPLOADING, EventKind.SUBMITTED] == list(dict.fromkeys(event.kind for event in events))[:2]


async def test_a_job_that_is_given_up_gives_its_upload_up(open_client: OpenClient) -> None:
    """A caller that leaves during an upload leaves nothing behind: no submission follows."""
    async with open_client(provider="wavespeed", request_timeout=0.5, **FAST) as here:
        here.sandbox.script_uploads(["hang"])

        async def generate() -> None:
            with suppress(NotSent):  # the clock of this test may reach the time-out first, which is the same
                await here.client.generate(INPUT)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(generate)
                while not here.sandbox.count("upload"):
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
        await anyio.sleep(1.0)
        assert 1 == here.sandbox.count("upload")
        assert 0 == here.sandbox.submits


async def test_a_bad_file_fails_its_own_job_only(open_client: OpenClient, picture: Path, tmp_path: Path) -> None:
    """In a batch a missing file is the outcome of its job; the others go on. A map refuses all before the first."""
    jobs = [
        Job(VideoInput("good", image=picture, model="kling-o1-std"), key="good"),
        Job(VideoInput("bad", image=tmp_path / "no.png", model="kling-o1-std"), key="bad"),
        VideoInput("good, too", image=PNG, model="kling-o1-std"),
    ]
    async with open_client(provider="fal", **FAST) as here:
        async with here.client.batch(jobs, ordered=True) as batch:
            outcomes = [outcome async for outcome in batch]
        assert [True, False, True] == [outcome.ok for outcome in outcomes]
        assert isinstance(outcomes[1].error, InputError)
        assert "does not exist" in str(outcomes[1].error)
        with pytest.raises(InputError, match="Job 1: "):
            await here.client.map(jobs)
    assert 2 == here.sandbox.billed()


async def test_a_finished_job_needs_no_media(picture: Path, tmp_path: Path) -> None:
    """A rerun of a finished run works with the files deleted: it sends nothing, and changes no file."""
    jobs = [
        VideoInput("a dog", image=picture, model="kling-o1-std"),
        Job(VideoInput("b", image=picture, model="kling-o1-std"), key="b"),
    ]
    files: list[dict[str, bytes]] = []
    for _ in range(2):
        async with (
            on_a_socket("fal") as (client, sandbox),
            client.batch(jobs, journal=tmp_path / "j.db", save_to=tmp_path / "out") as batch,
        ):
            assert [True, True] == [outcome.ok async for outcome in batch]
        remove(picture)
        files.append(contents(tmp_path, "j.db.media") | contents(tmp_path / "out", "*"))
    assert [] == [request.kind for request in sandbox.log]
    assert files[0] == files[1]


async def test_an_unfinished_job_without_its_file_fails_alone(picture: Path, tmp_path: Path) -> None:
    """A file that is gone before its job was submitted is a clear error of that job; the journal stays usable."""
    journal = tmp_path / "j.db"
    jobs = [VideoInput("a dog", image=picture, model="kling-o1-std"), ImageInput("b", images=["https://x.test/a.png"])]
    async with on_a_socket("fal") as (client, sandbox):
        sandbox.script_uploads(["bad_request"])
        async with client.batch(jobs, journal=journal) as batch:
            assert 1 == sum([outcome.ok async for outcome in batch])
    remove(picture)
    async with on_a_socket("fal") as (client, sandbox), client.batch(jobs, journal=journal, ordered=True) as batch:
        lost, done = [outcome async for outcome in batch]
    assert done.ok
    assert isinstance(lost.error, InputError)
    assert "is gone since it was read" in str(lost.error)
    assert 0 == sandbox.submits


async def test_an_upload_is_remembered_by_a_later_run(picture: Path, tmp_path: Path) -> None:
    """With a journal the address is used again by a later client, as the file beside it says, without a signature."""
    jobs = [INPUT], [VideoInput("b", image=picture, model="kling-o1-std")]
    with SandboxServer(Sandbox(video_latency=Fixed(0.02))) as server:
        for some in jobs:
            key = server.sandbox.key_for("wavespeed")
            async with (
                Client("wavespeed", api_key=key, base_url=server.url) as client,
                client.batch(some, journal=tmp_path / "j.db") as batch,
            ):
                assert [True] == [outcome.ok async for outcome in batch]
            assert 2 == server.sandbox.count("upload")
    assert 2 == server.sandbox.billed()
    known = (tmp_path / "j.db.media").read_text(encoding="ascii")
    assert "/media/" in known
    assert "signature" not in known


async def test_no_secret_is_written(picture: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a ticket, nor the content, nor the key is in an error, a log, the journal or the file beside it."""
    async with on_a_socket("wavespeed") as (client, sandbox):
        sandbox.script_uploads([None, "lost", None, "error_500", None, "forbidden", None, "html"])
        sandbox.script_uploads([None, "error_503"])
        jobs = [VideoInput("a dog", image=picture, model="kling-o1-std"), VideoInput("b", image=PNG + b"1")]
        async with client.batch(jobs, journal=tmp_path / "j.db") as batch:
            outcomes = [outcome async for outcome in batch]
    written = [*contents(tmp_path, "j.db*").values()]
    assert len(written) >= 2
    for secret in (b"signature=", b64encode(PNG)[:40], sandbox.key.encode()):
        told = f"{[f'{one.error!r} {one.error}' for one in outcomes]} {caplog.text}"
        assert secret.decode() not in told
        assert [] == [text for text in written if secret in text]


async def test_the_hash_names_the_content(open_client: OpenClient, picture: Path) -> None:
    """The same content from a file and from bytes is the same job, and another content under its key is refused."""
    async with open_client(provider="fal", journal=MemoryJournal(), **FAST) as here:
        first = await here.client.generate(VideoInput("a", image=picture, model="kling-o1-std"), key="k")
        again = await here.client.generate(VideoInput("a", image=PNG, model="kling-o1-std"), key="k")
        assert first.id == again.id
        with pytest.raises(InputError, match="differs"):
            await here.client.generate(VideoInput("a", image=PNG + b"1", model="kling-o1-std"), key="k")
    assert 1 == here.sandbox.billed()


async def test_addresses_are_not_used_to_their_end() -> None:
    """A tenth of its lifetime, and an hour at least, before a content is removed its address counts as gone."""
    async with VirtualClock() as clock:
        library = MediaLibrary(clock)
        file = MediaFile(name="a", sha256="ab", size=1, mime="image/png")
        await library.keep("fal x", file, "https://x.test/a", seconds=7 * 86_400.0)
        assert library.address("fal y", file) is None
        await clock.sleep(6.2 * 86_400)
        assert "https://x.test/a" == library.address("fal x", file)
        await clock.sleep(0.2 * 86_400)
        assert library.address("fal x", file) is None
