"""Object stores by URL: whole objects or none, and errors that say what is wrong and repeat no secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_async.errors import InputError
from kling_async.transport.object_errors import ObjectExists, StorageError
from kling_async.transport.object_store import ObjectStore, open_store

from ..s3 import PATIENCE, SECRET, Bucket

PART = 8 * 1024 * 1024

Opening = Callable[[], ObjectStore]


@pytest.fixture(params=["s3", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Open an empty place in a store of each kind that this machine can have."""
    if request.param == "s3":
        return open_store(request.getfixturevalue("bucket").url)
    if request.param == "file":
        return open_store((tmp_path / "runs").as_uri())
    return open_store(f"memory:///{tmp_path.name}/{request.node.name}")


def test_a_whole_object_is_written_and_read(store: ObjectStore) -> None:
    """What is put under a name is what is read under it; its URL is the store's with the name."""
    assert store.size_of("cat-0.png") is None
    store.put("cat-0.png", b"meow", mime="image/png")
    assert 4 == store.size_of("cat-0.png")
    assert b"meow" == b"".join(store.read("cat-0.png"))
    assert f"{store.url}/cat-0.png" == store.url_of("cat-0.png")


def test_an_object_is_not_replaced_unless_asked(store: ObjectStore) -> None:
    """A name that is taken is an error of its own, and the object stays as it is."""
    store.put("cat-0.png", b"meow")
    with pytest.raises(ObjectExists):
        store.put("cat-0.png", b"bark", overwrite=False)
    assert b"meow" == b"".join(store.read("cat-0.png"))
    store.put("cat-0.png", b"bark")
    assert b"bark" == b"".join(store.read("cat-0.png"))


def test_parts_become_one_object_at_the_end(store: ObjectStore) -> None:
    """While it is written it has no name; afterwards all its bytes have."""
    with store.writer("cat-0.mp4", mime="video/mp4") as write:
        for number in range(3):
            write(bytes([number]) * PART)
        assert store.size_of("cat-0.mp4") is None
    assert 3 * PART == store.size_of("cat-0.mp4")
    assert b"\0\1\2" == b"".join(store.read("cat-0.mp4"))[::PART]


def test_an_error_leaves_no_part(store: ObjectStore, request: pytest.FixtureRequest) -> None:
    """An error in the middle aborts the upload: no object, and at S3 no upload that goes on costing."""

    def fail() -> None:
        with store.writer("cat-0.mp4") as write:
            write(bytes(3 * PART))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.size_of("cat-0.mp4") is None
    if store.url.startswith("s3:"):
        assert [] == request.getfixturevalue("bucket").uploads()


def test_a_check_leaves_nothing(bucket: Bucket) -> None:
    """The check of a store writes, since that is what will be done, and takes it away again."""
    open_store(bucket.url).check()
    assert ["PUT", "POST"] == [method for method, _, _ in bucket.log()]
    assert {} == bucket.objects("")


def test_the_type_is_kept(bucket: Bucket) -> None:
    """S3 is told what an object is, in one request and in parts."""
    store = open_store(bucket.url)
    store.put("a.png", b"1", mime="image/png")
    with store.writer("b.mp4", mime="video/mp4") as write:
        write(bytes(2 * PART))
    assert ("image/png", "video/mp4") == (bucket.type_of("a.png"), bucket.type_of("b.mp4"))


def test_a_signed_url_opens_an_object(bucket: Bucket) -> None:
    """Whoever has it can read the object without a key; the plain URL of the object does not hold the signature."""
    store = open_store(bucket.url)
    store.put("cat 0.png", b"meow")
    signed = store.presign("cat 0.png", expires_in=60)
    assert "X-Amz-Signature=" in signed
    assert "X-Amz-Expires=60" in signed
    assert b"meow" == httpx.get(signed, timeout=PATIENCE).content
    assert f"{bucket.url}/cat 0.png" == store.url_of("cat 0.png")


def test_a_signed_url_takes_an_object(bucket: Bucket) -> None:
    """One for writing lets somebody put the object there."""
    store = open_store(bucket.url)
    there = store.presign("up.png", expires_in=60, method="PUT")
    assert httpx.put(there, content=b"meow", timeout=PATIENCE).is_success
    assert b"meow" == b"".join(store.read("up.png"))


def test_local_urls_are_not_signed(tmp_path: Path) -> None:
    """A file of this machine has its own URL, whoever asks."""
    store = open_store(tmp_path.as_uri())
    assert store.url_of("a.png") == store.presign("a.png", expires_in=60)


def denied(bucket: Bucket) -> ObjectStore:
    bucket.faults({"method": "PUT", "status": 403, "code": "AccessDenied", "message": SECRET, "times": 99})
    return open_store(bucket.url)


def gone(bucket: Bucket) -> ObjectStore:
    return open_store("s3://never-made/runs")


def failing(bucket: Bucket) -> ObjectStore:
    bucket.faults({"method": "PUT", "status": 400, "code": "TeaPot", "message": SECRET, "times": 99})
    return open_store(bucket.url)


WRONG: dict[str, tuple[Callable[[Bucket], ObjectStore], str]] = {
    "denied": (denied, "access is denied (AccessDenied)"),
    "missing": (gone, "the bucket does not exist (NoSuchBucket)"),
    "another error": (failing, "the store answered HTTP 400, TeaPot"),
}


def shown(error: BaseException) -> str:
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([*trace.format(), repr(error), repr(vars(error))])


@pytest.mark.parametrize(("opened", "says"), WRONG.values(), ids=list(WRONG))
def test_a_refusal_is_told_without_secrets(bucket: Bucket, opened: Callable[[Bucket], ObjectStore], says: str) -> None:
    """The error says in a few words what is wrong; what the store repeats, and the request, are not in it."""
    with pytest.raises(StorageError) as caught:
        opened(bucket).check()
    assert says == str(caught.value)
    assert caught.value.__context__ is None
    assert SECRET not in shown(caught.value)


def test_an_unreachable_store_is_told_soon(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """Where nothing listens, the check ends within its ten seconds, and says so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match="it cannot be reached"):
        open_store(bucket.url).check()


URLS = {
    "no bucket": "s3:///prefix",
    "no directory": "file:///",
    "a host": "file://host/prefix",
    "another scheme": "ftp://host/prefix",
    "a name and a password": f"s3://name:{SECRET}@bucket/prefix",
    "a signature": f"s3://bucket/prefix?X-Amz-Signature={SECRET}",
    "a fragment": f"s3://bucket/prefix#{SECRET}",
    "a way out": "s3://bucket/../prefix",
    "a hidden way out": "s3://bucket/%2e%2e/prefix",
    "a control code": "s3://bucket/pre\nfix",
    "brackets": "s3://[bucket/prefix",
}


@pytest.mark.parametrize("url", URLS.values(), ids=list(URLS))
def test_a_wrong_url_is_refused(url: str) -> None:
    """It is refused before anything is sent, and a secret in it is not repeated."""
    with pytest.raises(InputError) as caught:
        open_store(url)
    assert SECRET not in "".join([str(caught.value), repr(caught.value), repr(caught.value.faults)])


def test_plain_http_needs_a_word(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """An endpoint on another machine is asked over https only, unless the environment permits http."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:1")
    with pytest.raises(StorageError, match="set AWS_ALLOW_HTTP=true"):
        open_store(bucket.url).check()


def test_a_repr_shows_the_url_alone(bucket: Bucket) -> None:
    """Neither the keys nor the library's own objects are in it."""
    assert f"ObjectStore(url={bucket.url!r})" == repr(open_store(f"{bucket.url}/"))


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library is an error that names the extra."""
    import sys  # noqa: PLC0415

    blocked: Any = None
    monkeypatch.setitem(sys.modules, "obstore.store", blocked)
    with pytest.raises(InputError, match="kling-async\\[storage\\]"):
        open_store("memory:///a")
