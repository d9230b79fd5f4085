"""The sandbox's wire format of API in One is that of its documents."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from kling_async.testing import RESULT_SHAPES, Fixed

pytestmark = pytest.mark.anyio

URL = "https://example.com/a.png"


async def test_an_image_is_in_progress_and_then_completed(visit):
    """The answers to the submission and to the polls carry the documented envelope and words."""
    async with visit(image_latency=Fixed(8)) as v:
        created = (await v.one()).json()
        id = created["data"]["task_id"]
        assert created == {"code": 200, "message": "success", "data": {"task_id": id, "status": "IN_PROGRESS"}}
        assert re.fullmatch(r"n49[0-9a-f]+_kio1", id)
        assert (await v.poll_one(id)).json()["data"] == {"task_id": id, "status": "IN_PROGRESS"}
        await v.clock.sleep(8)
        done = (await v.poll_one(id)).json()["data"]
        assert done["status"] == "completed"
        assert done["output"] == {"images": [f"http://sandbox.test/files/{id}-1.png"]}


FINISHED = {
    "data.output": lambda b: b["data"]["output"]["images"],
    "data.outputs": lambda b: b["data"]["outputs"],
    "data.images": lambda b: [image["url"] for image in b["data"]["images"]],
    "data.result": lambda b: [image["url"] for image in b["data"]["result"]["images"]],
    "flat": lambda b: b["output"]["images"],
}
FILMED = {
    "data.output": lambda b: b["data"]["output"]["video_url"],
    "data.outputs": lambda b: b["data"]["outputs"][0],
    "data.images": lambda b: b["data"]["video_url"],
    "data.result": lambda b: b["data"]["result"]["videos"][0]["url"],
    "flat": lambda b: b["output"]["video_url"],
}


@pytest.mark.parametrize("shape", RESULT_SHAPES)
async def test_the_finished_body_can_be_had_in_every_shape(visit, shape):
    """A setting chooses the shape, and a marker in the prompt does so too."""
    async with visit(result_shape=shape) as v:
        body = await v.result_one(await v.one(num_images=3))
        assert len(FINISHED[shape](body)) == 3
        assert FILMED[shape](await v.result_one(await v.one_video())).endswith(".mp4")
    async with visit() as v:
        assert len(FINISHED[shape](await v.result_one(await v.one(f"x [[shape:{shape}]]")))) == 1


async def test_the_flat_shape_is_that_of_the_older_manual(visit):
    """It has an id and no envelope from the beginning."""
    async with visit(result_shape="flat") as v:
        body = (await v.one_video()).json()
        id = body.pop("id")
        assert body == {"status": "pending", "model": "kling-3", "created_at": "2026-01-01T00:00:00Z"}
        assert (await v.poll_one(id)).json()["id"] == id


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"model": None}, "model is required"),
        ({"model": "kling-3"}, "unknown model"),
        ({"prompt": None}, "prompt is required"),
        ({"prompt": "ab"}, "prompt must have 3"),
        ({"prompt": "x" * 5001}, "5000"),
        ({"type": "text-to-image"}, "type must be one of"),
        ({"aspect_ratio": "2:1"}, "aspect_ratio"),
        ({"resolution": "4k"}, "resolution"),
        ({"num_images": 10}, "num_images"),
        ({"images": [URL] * 11}, "at most 10"),
    ],
)
async def test_a_wrong_image_parameter_is_named(visit, more, named):
    """HTTP 400 in the documented form names the parameter, and nothing is charged."""
    async with visit() as v:
        refused = await v.one(**more)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert named in error["message"]
        assert (error["code"], error["type"]) == (400, "invalid_request")
        assert v.sandbox.billed() == 0


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"prompt": None}, "prompt is required"),
        ({"prompt": "x" * 2501}, "2500"),
        ({"mode": "master"}, "mode must be one of"),
        ({"duration": 2}, "3 to 15"),
        ({"duration": 16}, "3 to 15"),
        ({"aspect_ratio": "4:3"}, "aspect_ratio"),
        ({"sound": "yes"}, "sound"),
        ({"multi_shots": True}, "multi_prompt is required"),
        ({"multi_prompt": [{"duration": 3}]}, "[0].prompt"),
        ({"multi_prompt": [{"prompt": "a", "duration": "3"}]}, "[0].duration"),
    ],
)
async def test_a_wrong_video_parameter_is_named(visit, more, named):
    """The limits of kling-3 hold."""
    async with visit() as v:
        refused = await v.one_video(**more)
        assert refused.status_code == 400
        assert named in refused.json()["error"]["message"]


async def test_shots_can_stand_in_for_the_prompt(visit):
    """With multi_shots the prompt may be missing."""
    async with visit() as v:
        shots = [{"prompt": "one", "duration": 3}, {"prompt": "two", "duration": 2}]
        assert (await v.one_video(prompt=None, multi_shots=True, multi_prompt=shots)).status_code == 200
        assert v.sandbox.entries[0].prompt == "one / two"


@pytest.mark.parametrize(("header", "status"), [("Bearer sk-sandbox", 200), ("sk-sandbox", 401), ("", 401)])
async def test_the_key_is_a_bearer_token_only(visit, header, status):
    """A bare key, which GPTProto would take, is refused here."""
    async with visit() as v:
        body = {"model": "kling-image-o1", "prompt": "a cat"}
        answer = await v.post("/api/v1/images/generations", body, {"authorization": header} if header else {})
        assert answer.status_code == status
        if status == 401:
            error = answer.json()["error"]
            assert (error["code"], error["message"]) == (401, "Invalid API key")


@pytest.mark.parametrize(
    ("more", "price"),
    [
        ({}, "3.00"),
        ({"duration": 3, "sound": False}, "1.20"),
        ({"duration": 15, "mode": "pro"}, "12.00"),
    ],
)
async def test_kling_3_costs_what_is_published(visit, more, price):
    """The default and both published ends of the price are met."""
    async with visit() as v:
        await v.one_video(**more)
        assert v.sandbox.spent == Decimal(price)


async def test_images_cost_by_type(visit):
    """Six credits and sixteen, whatever the number of images."""
    async with visit() as v:
        await v.one(num_images=9)
        await v.one("a dog", type="ai-multi-shot")
        assert [entry.amount for entry in v.sandbox.entries] == [Decimal("0.012"), Decimal("0.032")]


async def test_an_unknown_task_is_not_found(visit):
    """An unknown id is not found."""
    async with visit() as v:
        answer = await v.poll_one("n49_kio1")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 404)


async def test_failed_work_is_paid_back(visit):
    """It bills successful requests only: money returns when the task has failed, and not before."""
    async with visit(image_latency=Fixed(8), balance=1) as v:
        created = await v.one("x [[failed:no luck]]")
        assert v.sandbox.billed() == 1
        assert v.sandbox.balance == Decimal("0.988")
        body = await v.result_one(created)
        assert body["data"] == {"task_id": body["data"]["task_id"], "status": "failed", "error": "no luck"}
        assert v.sandbox.billed() == v.sandbox.spent == 0
        assert v.sandbox.balance == 1
        assert v.sandbox.entries[0].refunded
