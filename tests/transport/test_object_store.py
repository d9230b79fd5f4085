"""A bucket of the user's for local media, against S3 over HTTP on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from kling_async import Client, InputError, Limits, VideoInput
from kling_async.errors import KlingError
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png
from kling_async.transport.object_store import ObjectStore

pytest.importorskip("obstore")
moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.anyio

PNG = draw_png("a cat", width=320, height=300)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve S3 with one bucket, and give its URL with a prefix."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    origin = f"http://{host}:{port}"
    for name, value in (
        ("AWS_ENDPOINT_URL", origin),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "very-secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    httpx.put(f"{origin}/media", trust_env=False).raise_for_status()
    yield "s3://media/for kling/x".replace(" ", "-")
    server.stop()


async def test_a_content_is_stored_and_fetched_by_its_address(bucket: str) -> None:
    """A content is put under its key and prefix, and the signed address fetches it, with its type."""
    store = ObjectStore(bucket)
    await store.put("a.png", iter([PNG[:10], PNG[10:]]), mime="image/png")
    address = await store.presign("a.png", 60.0)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(address)
    assert (PNG, "image/png") == (answer.content, answer.headers["content-type"])
    assert "/media/for-kling/x/a.png?" in address
    assert "very-secret" not in f"{address} {store!r}"


@pytest.mark.parametrize("provider", ["gptproto", "kling"])
async def test_a_provider_without_an_upload_gets_a_signed_address(bucket: str, provider: str) -> None:
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
        async with Client(provider, api_key=key, base_url=server.url, limits=limits, storage=bucket) as client:
            for prompt in ("a", "b"):
                assert (await client.generate(VideoInput(prompt, model=model, **fields))).succeeded
        bodies = [str(one.sent) for one in server.sandbox.log if one.kind == "submit"]
    addresses = {part for body in bodies for part in body.split("'") if "X-Amz-Signature" in part}
    assert len(addresses) == 1
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(addresses.pop())).content in (PNG, clip)


async def test_a_bucket_that_is_missing_is_an_error_without_secrets(bucket: str) -> None:
    """A bucket that does not exist is an error that names it, and no key."""
    store = ObjectStore("s3://no-such-bucket/x")
    with pytest.raises(KlingError, match="cannot be stored in s3://no-such-bucket/x") as caught:
        await store.put("a.png", iter([PNG]), mime="image/png")
    assert "very-secret" not in str(caught.value)
    assert bucket


async def test_an_error_of_the_content_is_its_own(bucket: str) -> None:
    """A file that was changed since it was read is not taken for a failure of the bucket."""

    def broken() -> Iterator[bytes]:
        yield b"1"
        raise InputError("was changed")

    with pytest.raises(InputError, match="was changed"):
        await ObjectStore(bucket).put("a.png", broken(), mime="image/png")


@pytest.mark.parametrize("url", ["bucket", "http://x.test/b", "s3://", "s3://key:secret@bucket", "file:///tmp"])
def test_other_places_are_refused(url: str) -> None:
    """Only a bucket of a store that signs addresses is one."""
    with pytest.raises(InputError, match="must be the URL of a bucket") as caught:
        ObjectStore(url)
    assert "secret" not in str(caught.value)
