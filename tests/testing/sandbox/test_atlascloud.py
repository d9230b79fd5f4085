"""The sandbox's wire format of Atlas Cloud is that of its documents."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, Fixed

from .test_faults import AT_SUBMIT

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer sk-sandbox-atlascloud"}
URL = "https://example.com/a.png"
V30 = "kwaivgi/kling-v3.0-std/text-to-video"
O3 = "kwaivgi/kling-video-o3-pro"
STATUSES = {
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "no_balance": 402,
    "refused": 400,
    "bad_request": 400,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "html": 200,
    "garbled": 200,
    "no_id": 200,
}


async def submit(v, prompt="a dog", model=V30, headers=KEY, **more):
    return await v.post("/api/v1/model/generateVideo", {"model": model, "prompt": prompt, **more}, headers)


async def poll(v, id):
    return await v.http.get(f"/api/v1/model/prediction/{id}", headers=KEY)


async def finished(v, prompt="a dog", **more):
    created = await submit(v, prompt, **more)
    assert created.status_code == 200, created.text
    await v.clock.sleep(1000)
    return (await poll(v, created.json()["data"]["id"])).json()["data"]


async def test_a_video_is_processing_and_then_completed(visit):
    """Records are enveloped with the code 200, and have the documented words; the price follows from the seconds."""
    async with visit(video_latency=Fixed(60)) as v:
        created = (await submit(v, duration=10)).json()
        assert 200 == created["code"]
        id = created["data"]["id"]
        assert ("processing", []) == (created["data"]["status"], created["data"]["outputs"])
        assert "processing" == (await poll(v, id)).json()["data"]["status"]
        await v.clock.sleep(60)
        done = (await poll(v, id)).json()["data"]
        assert ("completed", [f"http://sandbox.test/files/{id}-1.mp4"]) == (done["status"], done["outputs"])
        assert Decimal("0.71") == v.sandbox.spent


async def test_a_failure_is_free_and_has_a_code(visit):
    """HTTP 200 with the reason and the code inside, as the page of errors has it; the amount is released."""
    async with visit() as v:
        done = await finished(v, "x [[failed]]")
        assert ("failed", 1000) == (done["status"], done["error_code"])
        assert Decimal(0) == v.sandbox.spent


@pytest.mark.parametrize("fault", sorted(AT_SUBMIT & STATUSES.keys()))
async def test_each_fault_has_its_status(visit, fault):
    """Each fault of a submission is a refusal in the documented form, and only some of them are paid."""
    async with visit() as v:
        answer = await submit(v, f"x [[{fault}]]")
        assert STATUSES[fault] == answer.status_code
        assert FAULTS[fault].billed is bool(v.sandbox.billed())


async def test_a_refusal_is_code_and_msg(visit):
    """The body of a refusal is {code, msg, request_id, data: null}; a wrong key is 401."""
    async with visit() as v:
        refused = await submit(v, headers={"authorization": "Bearer sk-wrong"})
        assert (401, {"code", "msg", "request_id", "data"}) == (refused.status_code, set(refused.json()))
        assert refused.json()["data"] is None
        assert 404 == (await poll(v, "nothing")).status_code


WRONG = {
    "no model": ({"model": ""}, "model is required"),
    "another model": ({"model": "kwaivgi/kling-v9/text-to-video"}, "model not found"),
    "a scene that it lacks": ({"model": "kwaivgi/kling-v3.0-std/video-edit"}, "model not found"),
    "a length between": ({"duration": 7}, "duration"),
    "no image": ({"model": f"{O3}/image-to-video"}, "image"),
    "no video": ({"model": f"{O3}/video-edit"}, "video"),
    "too many images": ({"model": f"{O3}/reference-to-video", "images": [URL] * 8}, "images"),
    "the sound of another endpoint": ({"model": f"{O3}/image-to-video", "image": URL, "sound": True}, "sound"),
}


@pytest.mark.parametrize(("more", "text"), WRONG.values(), ids=list(WRONG))
async def test_what_no_node_sends_is_refused(visit, more, text):
    """HTTP 400, whose message names the field; nothing is paid."""
    async with visit(strict=True) as v:
        refused = await submit(v, **more)
        assert 400 == refused.status_code
        assert text in refused.json()["msg"]
        assert 0 == v.sandbox.billed()


async def test_the_balance_is_what_is_left(visit):
    """Six digits behind the point, in US dollars, and only for a valid key."""
    async with visit() as v:
        path = "/public/v1/balance"
        assert 401 == (await v.http.get(path)).status_code
        told = (await v.http.get(path, headers=KEY)).json()["available"]
        assert {"value": f"{v.sandbox.balance:.6f}", "currency": "usd"} == told
