"""The promises can fail: each is held against a client that does what many clients do, and catches it."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from kling_async.errors import KlingError

from ..s3 import Bucket
from .answers import CLOSE, RESET, Answer, Script, repeat, reply, send
from .conftest import OpenSite, named
from .promises import (
    CANARY,
    Memory,
    check_key_stayed,
    check_no_key,
    check_no_key_in_files,
    check_paid_once,
    check_whole_files,
    check_whole_objects,
    shown_by,
    timed,
    waited_for_processor,
)

pytestmark = pytest.mark.anyio

PATH = "/api/v3/kwaivgi/kling-image-o1/text-to-image"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
OTHER = PNG[:8] + bytes(len(PNG) - 8)


async def naive_submit(origin: str) -> int:
    """Submit as many clients do: three tries, whatever went wrong."""
    async with httpx.AsyncClient(follow_redirects=True, headers={"X-API-Key": CANARY}, timeout=1.0) as client:
        for _ in range(3):
            try:
                answer = await client.post(origin + PATH, json={"prompt": "a cat"})
                answer.raise_for_status()
                return len(answer.json())
            except (httpx.HTTPError, ValueError):
                continue
    raise KlingError("three tries were not enough")


async def naive_save(url: str, path: Path, *, first: int = 0) -> int:
    """Save as many clients do: under the final name at once, and on from where it stopped."""
    headers = {"Range": f"bytes={first}-"} if first else {}
    try:
        async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers) as answer:
            with path.open("ab") as file:
                async for piece in answer.aiter_raw():
                    file.write(piece)
    except httpx.HTTPError as error:
        raise KlingError("broken off") from error
    return 1


async def naive_upload(url: str, bucket: Bucket) -> int:
    """Upload as many clients do: whatever has arrived, also after a broken connection."""
    content = bytearray()
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient() as client, client.stream("GET", url) as answer:
            async for piece in answer.aiter_raw():
                content += piece
    bucket.put("cat-0-0.png", bytes(content))
    return 1


LOST = {
    "row 4": RESET,
    "row 6": send("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{") + CLOSE,
    "row 8": reply('{"code":200,"data":{"id":"<<id>>"'),
    "row 9": reply("<html>log in</html>"),
    "row 11": reply(status="502 Bad Gateway"),
    "row 17": send("nonsense\r\n\r\n") + CLOSE,
}


@pytest.mark.parametrize("answer", named(LOST))
async def test_paying_twice_is_caught(site: OpenSite, answer: Answer) -> None:
    """A client that repeats a submission whose answer was lost pays twice, and the books tell."""
    here = site(Script(submit=[answer]))
    await timed(lambda: naive_submit(here.origin), by=5.0)
    with pytest.raises(AssertionError, match="submissions by job"):
        check_paid_once(here.log, ["a cat"])


WIRES = {
    "wavespeed": ("/api/v3/kwaivgi/kling-image-o1", {"prompt": "a cat"}, ("data", "urls", "get")),
    "fal": ("/fal-ai/kling-image/o3/text-to-image", {"prompt": "a cat"}, ("status_url",)),
    "fal's result": ("/fal-ai/kling-image/o3/text-to-image", {"prompt": "a cat"}, ("response_url",)),
    "fal's cancellation": ("/fal-ai/kling-image/o3/text-to-image", {"prompt": "a cat"}, ("cancel_url",)),
    "replicate": ("/v1/models/kwaivgi/kling-o1/predictions", {"input": {"prompt": "a cat"}}, ("urls", "get")),
    "replicate's cancellation": (
        "/v1/models/kwaivgi/kling-o1/predictions",
        {"input": {"prompt": "a cat"}},
        ("urls", "cancel"),
    ),
    "openrouter": ("/api/v1/videos", {"prompt": "a cat"}, ("polling_url",)),
}
Wire: TypeAlias = tuple[str, dict[str, Any], tuple[str, ...]]
"""The path of a submission, its body, and where the answer has an address."""


async def test_a_partial_object_is_caught(site: OpenSite, bucket: Bucket) -> None:
    """Row 57: a client that uploads what a broken connection has left names an object that is not whole."""
    here = site(Script(file=[reply(PNG, short=len(PNG) // 2) + CLOSE]))
    await naive_upload(f"{here.origin}/files/one.png", bucket)
    with pytest.raises(AssertionError, match="cat-0-0.png is not whole"):
        check_whole_objects(bucket, PNG)


@pytest.mark.parametrize("wire", named(WIRES))
async def test_following_a_record_is_caught(site: OpenSite, wire: Wire) -> None:
    """Row 52: a client that takes the address in a record takes the key to whatever host it names."""
    path, body, place = wire
    foreign = site()
    here = site(links=foreign.origin)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {CANARY}"}) as client:
        address = (await client.post(here.origin + path, json=body)).json()
        for name in place:
            address = address[name]
        await client.get(address)
    with pytest.raises(AssertionError, match="another host"):
        check_key_stayed(foreign.log)


async def test_another_client_id_is_caught(site: OpenSite) -> None:
    """Rows 51 and 54: a client that repeats a submission under another client id pays twice."""
    here = site(Script(submit=[RESET]))
    async with httpx.AsyncClient() as client:
        for number in range(2):
            body = {"prompt": "a cat", "external_task_id": f"mine-{number}"}
            with suppress(httpx.HTTPError):
                await client.post(f"{here.origin}/v1/images/omni-image", json=body)
    with pytest.raises(AssertionError, match="submissions by job"):
        check_paid_once(here.log, ["a cat"])


async def test_a_submission_that_never_came_is_caught(site: OpenSite) -> None:
    """A job that was not submitted at all is not paid once either."""
    here = site()
    with pytest.raises(AssertionError, match="submissions by job"):
        check_paid_once(here.log, ["a cat"])


async def test_missing_a_deadline_is_caught(site: OpenSite) -> None:
    """Row 15: a client with a time-out for each byte only is held up by a trickle."""
    trickle = send("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n") + repeat("0", times=30, every=0.1)
    here = site(Script(submit=[trickle]))
    with pytest.raises(AssertionError, match="its deadline was 0.1 s"):
        await timed(lambda: naive_submit(here.origin), by=0.1)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not tell who waited for it")
def test_a_busy_machine_is_not_blamed_on_a_call() -> None:
    """Seconds in which another process had the only processor are told, so that no call is late by them."""
    ours, waited = os.sched_getaffinity(0), waited_for_processor()
    busy = "import time\nwhile time.process_time() < 60: pass"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            for process in (0, other.pid):
                os.sched_setaffinity(process, {min(ours)})
            while waited_for_processor() - waited < 0.1:
                pass
        finally:
            os.sched_setaffinity(0, ours)
            other.kill()


async def test_filling_the_memory_is_caught(site: OpenSite) -> None:
    """Row 31: a client that reads whatever comes grows by it."""
    if not Memory().readable:
        pytest.skip("this system does not tell how much memory a process has used at most")
    bomb = send(f"HTTP/1.1 200 OK\r\nContent-Length: {64 << 20}\r\n\r\n") + repeat("0", times=64, times_each=1 << 20)
    here = site(Script(submit=[bomb]))
    with pytest.raises(AssertionError, match="the process grew by"):
        await timed(lambda: naive_submit(here.origin), by=5.0)


async def test_a_key_that_goes_astray_is_caught(site: OpenSite) -> None:
    """Row 32: a client that follows redirects takes a header of its own along."""
    foreign = site()
    away = reply(status="307 Temporary Redirect", headers=[("Location", foreign.origin + PATH)])
    here = site(Script(submit=[away]))
    await timed(lambda: naive_submit(here.origin), by=5.0)
    with pytest.raises(AssertionError, match="another host"):
        check_key_stayed(foreign.log)


async def test_half_a_file_is_caught(site: OpenSite, tmp_path: Path) -> None:
    """Row 6: a client that writes under the final name leaves half a file there."""
    here = site(Script(file=[reply(PNG, short=1000) + CLOSE]))
    await timed(lambda: naive_save(f"{here.origin}/files/one.png", tmp_path / "one.png"), by=5.0)
    with pytest.raises(AssertionError, match="one.png is none of the files"):
        check_whole_files(tmp_path, PNG)


async def test_half_of_two_files_is_caught(site: OpenSite, tmp_path: Path) -> None:
    """Row 36: a client that goes on without If-Range makes one file of two."""
    half = len(PNG) // 2
    rest = reply(OTHER[half:], status="206 Partial Content")
    here = site(Script(file=[reply(PNG, short=len(PNG) - half) + CLOSE, rest]))
    path = tmp_path / "one.png"
    for first in (0, half):
        await timed(partial(naive_save, f"{here.origin}/files/one.png", path, first=first), by=5.0)
    assert len(PNG) == path.stat().st_size
    with pytest.raises(AssertionError, match="one.png is none of the files"):
        check_whole_files(tmp_path, PNG, OTHER)


async def test_foreign_errors_are_caught() -> None:
    """A call that fails with anything but an error of ours has not told what happened."""

    async def fail() -> int:
        raise ValueError("something else")

    with pytest.raises(AssertionError, match="not one of ours"):
        await timed(fail, by=1.0)


async def in_a_local() -> int:
    header = f"Bearer {CANARY}"
    raise KlingError(f"it failed after {len(header)} characters")


async def in_a_cause() -> int:
    raise KlingError("it failed") from ValueError(CANARY)


async def in_the_text() -> int:
    raise KlingError(f"the key {CANARY} was refused")


async def in_an_attribute() -> int:
    raise KlingError("it failed", code=CANARY)


LEAKS: dict[str, Callable[[], Awaitable[int]]] = {
    "local": in_a_local,
    "cause": in_a_cause,
    "text": in_the_text,
    "attribute": in_an_attribute,
}


@pytest.mark.parametrize("leak", named(LEAKS))
async def test_a_key_in_an_error_is_caught(leak: Callable[[], Awaitable[int]]) -> None:
    """Row 38: a key in the text, the locals, the cause or the facts of an error is found."""
    with pytest.raises(AssertionError, match="the key shows"):
        await timed(leak, by=1.0)


def test_a_key_elsewhere_is_caught(tmp_path: Path) -> None:
    """Row 38: a key in a log record, in a pickle or in a file is found."""
    record = logging.LogRecord("x", logging.INFO, "x", 1, "key %s", (CANARY,), None)
    (tmp_path / "notes").write_text(CANARY, encoding="ascii")
    for shown in (record.getMessage(), repr(vars(record)), pickle.dumps([CANARY])):
        with pytest.raises(AssertionError, match="the key shows"):
            check_no_key(shown)
    with pytest.raises(AssertionError, match="the key shows"):
        check_no_key_in_files(tmp_path)
    (tmp_path / "notes").unlink()
    check_no_key(*shown_by(KlingError("nothing")))
