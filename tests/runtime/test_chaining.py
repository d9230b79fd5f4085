"""Outputs of predictions as media of further jobs: by address while it is fresh, asked for again, or from the file."""

from __future__ import annotations

import gc
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from kling_async import (
    Client,
    ImageInput,
    InputError,
    Job,
    Limits,
    MediaFile,
    Output,
    OutputKind,
    Prediction,
    VideoInput,
)
from kling_async.runtime.media_library import MediaLibrary
from kling_async.runtime.saved_files import SavedObject
from kling_async.runtime.stored_outputs import StoredOutputs
from kling_async.system.clock import SystemClock
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png
from kling_async.transport.object_store import open_store
from kling_async.types.jobs import fingerprint

from ..conftest import OpenClient
from ..s3 import Bucket

pytestmark = pytest.mark.anyio

FAST = {"image_latency": Fixed(1.0), "video_latency": Fixed(1.0)}
OPEN = Limits(submit_per_second=None, poll_per_second=None, max_open=None)


async def test_an_image_becomes_the_first_frame(open_client: OpenClient) -> None:
    """A prediction with one output is given as it is, and its address is submitted, without another request."""
    async with open_client(provider="fal", **FAST) as here:
        image = await here.client.generate(ImageInput("a cat", model="kling-image-o3"))
        video = await here.client.generate(VideoInput("it wakes", image=image, model="kling-o1-std"))
        assert video.succeeded
        [submitted] = [one.sent for one in here.sandbox.log if one.kind == "submit" and one.prompt == "it wakes"]
        assert isinstance(submitted, dict)
        assert image.outputs[0].url == submitted["start_image_url"]
        assert 0 == here.sandbox.count("upload")


async def test_one_of_several_outputs_is_picked(open_client: OpenClient) -> None:
    """Of several outputs one is picked; the prediction itself is refused before anything is sent."""
    async with open_client(provider="fal", **FAST) as here:
        image = await here.client.generate(ImageInput("a cat", model="kling-image-o3", n=2))
        with pytest.raises(InputError, match="exactly one output"):
            VideoInput("it wakes", image=image)
        first, second = (VideoInput("it wakes", image=one, model="kling-o1-std") for one in image.outputs)
        assert fingerprint(first) != fingerprint(second)
        assert (await here.client.generate(second)).succeeded


async def test_a_stale_address_is_asked_for_once(tmp_path: Path) -> None:
    """A result that a journal has told has no signature: one poll brings a fresh address for all jobs that need it."""
    sandbox = Sandbox(image_latency=Fixed(0.01), video_latency=Fixed(0.01), output_ttl=3600.0)
    with SandboxServer(sandbox) as server:
        key = server.sandbox.key_for("fal")
        predictions: list[Prediction] = []
        for _ in range(2):
            async with (
                Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client,
                client.batch(
                    [Job(ImageInput("a cat", model="kling-image-o3"), key="cat")], journal=tmp_path / "j"
                ) as b,
            ):
                predictions += [outcome.result() async for outcome in b]
        fresh, stored = predictions
        assert "expires=" in fresh.outputs[0].url
        assert "expires=" not in stored.outputs[0].url
        polls = server.sandbox.polls
        async with Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client:
            jobs = [VideoInput(f"wake {n}", image=stored, model="kling-o1-std") for n in range(3)]
            assert fingerprint(jobs[0]) == fingerprint(VideoInput("wake 0", image=fresh, model="kling-o1-std"))
            for job in jobs:
                await client.submit(job)
        # Status and result.
        assert polls + 2 == server.sandbox.polls
    sent = [one.sent for one in server.sandbox.log if one.prompt.startswith("wake")]
    assert [True] * 3 == ["expires=" in str(one) for one in sent if one is not None]


async def test_a_stored_result_is_read_without_its_journal(tmp_path: Path) -> None:
    """An address that a journal has cut is not asked for: the provider gives a whole one, also with no journal open."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.01), output_ttl=3600.0)) as server:
        key = server.sandbox.key_for("fal")
        job = Job(ImageInput("a cat", model="kling-image-o3"), key="cat")
        stored = Prediction(provider="", model="", id="")
        for _ in range(2):
            async with (
                Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client,
                client.batch([job], journal=tmp_path / "j") as batch,
            ):
                [stored] = [outcome.result() async for outcome in batch]
        assert not stored.outputs[0].is_fetchable
        polls = server.sandbox.polls
        async with Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client:
            [content] = await client.read(stored)
            assert content == b"".join([piece async for piece in client.stream(stored.outputs[0])])
        assert [200, 200] == [one.status for one in server.sandbox.log if one.kind == "download"]
        # Status and result, for each.
        assert polls + 4 == server.sandbox.polls


async def test_the_saved_file_is_the_last_resort(tmp_path: Path) -> None:
    """Where the provider has no record any more, the file that was saved in this run is uploaded in its place."""
    cat = Job(ImageInput("a cat", model="kling-image-o3"), key="cat")
    with SandboxServer(Sandbox(image_latency=Fixed(0.01), video_latency=Fixed(0.01))) as server:
        key, sandbox = server.sandbox.key_for("fal"), server.sandbox
        async with Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client:
            async with client.batch([cat], journal=tmp_path / "j.db", save_to=tmp_path / "out") as batch:
                [made] = [outcome.result() async for outcome in batch]
            stale = evolve(made.outputs[0], is_fetchable=False)
            del sandbox.tasks[made.id]
            assert (await client.generate(VideoInput("wake", image=stale, model="kling-o1-std"))).succeeded
            [content] = sandbox.uploads.contents.values()
            assert (tmp_path / "out" / "cat-0.png").read_bytes() == content.content
            unsaved = Prediction(
                provider="fal", model="kling-image-o3", id="unknown", outputs=(evolve(stale, source=None),)
            )
            with pytest.raises(InputError, match="has no fresh address .* and was not saved in this run"):
                await client.generate(VideoInput("wake", image=unsaved, model="kling-o1-std"))
        assert 2 == sandbox.billed()


async def submitted_after_removal(place: str, *, provider: str = "fal") -> tuple[str, bytes, Sandbox]:
    """Save an image at a place, let the provider forget it, and make a video of it.

    Returns:
        the address of the first frame that was submitted, the image's bytes, and the sandbox.
    """
    cat = Job(ImageInput("a cat", model="kling-image-o3"), key="cat")
    with SandboxServer(Sandbox(image_latency=Fixed(0.01), video_latency=Fixed(0.01))) as server:
        key, sandbox = server.sandbox.key_for("fal"), server.sandbox
        async with Client("fal", api_key=key, base_url=server.url, limits=OPEN) as client:
            async with client.batch([cat], save_to=place) as batch:
                [made] = [outcome.result() async for outcome in batch]
            [content] = await client.read(made)
            del sandbox.tasks[made.id]
            stale = evolve(made.outputs[0], is_fetchable=False)
            video = VideoInput("wake", image=stale, model="kling-o1-std")
            assert (await client.generate(video)).succeeded
        assert 2 == sandbox.billed()
        [sent] = [one.sent for one in sandbox.log if one.kind == "submit" and one.prompt == "wake"]
    assert isinstance(sent, dict)
    return str(sent["start_image_url"]), content, sandbox


async def test_an_object_is_given_by_a_signed_address(bucket: Bucket) -> None:
    """What was saved into a bucket in this run reaches the next job by a signed URL, without another copy of it."""
    address, content, sandbox = await submitted_after_removal(bucket.url)
    assert f"/{bucket.name}/runs/one/cat-0.png?" in address
    assert "X-Amz-Expires=86400" in address
    assert 0 == sandbox.count("upload")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert content == (await http.get(address)).content


async def test_an_object_that_cannot_be_signed_is_uploaded(tmp_path: Path) -> None:
    """Where a store signs no URL, its object is read back, and uploaded to the provider."""
    for place in ("memory:///chained", f"file://{tmp_path}/out"):
        address, content, sandbox = await submitted_after_removal(place)
        [uploaded] = sandbox.uploads.contents.values()
        assert content == uploaded.content
        assert address.startswith("http")


async def test_a_copy_is_removed_with_its_client() -> None:
    """What was read back from a store is in a directory of its own, which does not stay behind."""
    store = open_store("memory:///copies")
    store.put("cat-0.png", draw_png("a cat", width=320, height=300))
    stored = StoredOutputs(SystemClock())
    found = await stored.media_of(SavedObject(store, "cat-0.png"))
    assert isinstance(found, MediaFile)
    assert isinstance(found.source, Path)
    directory = found.source.parent
    assert ["cat-0.png"] == [path.name for path in directory.iterdir()]
    del stored
    gc.collect()
    assert not directory.exists()


async def test_an_object_that_is_gone_costs_nothing(bucket: Bucket) -> None:
    """An object that was deleted since is an error that names it, and nothing is submitted."""
    library = MediaLibrary(SystemClock())
    made = Prediction(provider="fal", model="m", id="p", outputs=(Output(url="data:,", kind=OutputKind.IMAGE),))
    store = open_store(bucket.url)
    library.remember_saved(made, [f"{bucket.url}/gone-0.png"], store)
    saved = library.saved(made.outputs[0])
    assert isinstance(saved, SavedObject)
    with pytest.raises(InputError, match="gone-0.png': is not there any more"):
        await StoredOutputs(SystemClock()).media_of(saved)


async def test_chains_cross_providers(open_client: OpenClient) -> None:
    """An image of one provider becomes a video at another, by its address."""
    async with open_client(provider="wavespeed", **FAST) as here:
        image = await here.client.generate(ImageInput("a cat"))
        video = await here.client.generate(VideoInput("wakes", image=image, model="kling-o1-std"), provider="kling")
    assert video.succeeded
    assert ["wavespeed", "kling"] == [charge.provider for charge in here.sandbox.entries]
