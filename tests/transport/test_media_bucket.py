"""A bucket of the user's for local media, against S3 over HTTP on this machine."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import httpx
import pytest

from kling_async import Client, InputError, Limits, VideoInput
from kling_async.errors import KlingError
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png
from kling_async.transport.media_bucket import open_media_bucket

from ..s3 import SECRET, Bucket

pytestmark = pytest.mark.anyio

PNG = draw_png("a cat", width=320, height=300)


async def test_a_content_is_stored_and_fetched_by_its_address(bucket: Bucket) -> None:
    """A content is put under its key and prefix, and the signed address fetches it, with its type."""
    media = open_media_bucket(bucket.url)
    await media.put("a.png", iter([PNG[:10], PNG[10:]]), mime="image/png")
    address = await media.presign("a.png", 60.0)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(address)
    assert (PNG, "image/png") == (answer.content, answer.headers["content-type"])
    assert f"/{bucket.name}/runs/one/a.png?" in address
    assert SECRET not in f"{address} {media!r}"


@pytest.mark.parametrize("provider", ["gptproto", "kling"])
async def test_a_provider_without_an_upload_gets_a_signed_address(bucket: Bucket, provider: str) -> None:
    """Local media reach a provider without any way by the user's bucket, once for all jobs with the same content."""
    clip = b"\0\0\0\x18ftypisom" + bytes(1000)
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None)
    model, fields = (
        ("kling-video-o1-std", {"image": PNG}) if provider == "gptproto" else ("kling-o1-std", {"video": clip})
    )
    if provider == "kling":
        fields |= {"scene": "video-edit"}
    with SandboxServer(Sandbox(video_latency=Fixed(0.02))) as server:
        key = server.sandbox.key_for(provider)
        async with Client(provider, api_key=key, base_url=server.url, limits=limits, storage=bucket.url) as client:
            for prompt in ("a", "b"):
                assert (await client.generate(VideoInput(prompt, model=model, **fields))).succeeded
        bodies = [str(one.sent) for one in server.sandbox.log if one.kind == "submit"]
    addresses = {part for body in bodies for part in body.split("'") if "X-Amz-Signature" in part}
    assert len(addresses) == 1
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(addresses.pop())).content in (PNG, clip)


@pytest.mark.usefixtures("bucket")
async def test_a_bucket_that_is_missing_is_an_error_without_secrets() -> None:
    """A bucket that does not exist is an error of the setting, which no repetition mends; it shows no key."""
    says = "storage='s3://no-such-bucket/x': the bucket does not exist"
    with pytest.raises(InputError, match=says) as caught:
        await open_media_bucket("s3://no-such-bucket/x").put("a.png", iter([PNG]), mime="image/png")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_an_error_of_the_content_is_its_own(bucket: Bucket) -> None:
    """A file that was changed since it was read is no failure of the bucket, and nothing of it is stored."""

    def broken() -> Iterator[bytes]:
        yield b"1"
        raise InputError("was changed")

    with pytest.raises(KlingError, match="was changed") as caught:
        await open_media_bucket(bucket.url).put("a.png", broken(), mime="image/png")
    assert isinstance(caught.value, InputError)
    assert {} == bucket.objects()


@pytest.mark.parametrize(
    "url", ["bucket", "http://x.test/b", "s3://", f"s3://key:{SECRET}@bucket", "file:///tmp/x", "memory:///x"]
)
def test_other_places_are_refused(url: str) -> None:
    """Only a bucket of a store that signs addresses is one: no provider reaches this machine."""
    with pytest.raises(InputError, match="cannot be used") as caught:
        Client(api_key="k", storage=url)
    assert SECRET not in str(caught.value)
