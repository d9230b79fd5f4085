"""The sandbox's wire formats of Kling are those of its pages."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from decimal import Decimal

import pytest

from kling_async.testing import Fixed

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer sk-sandbox-kling"}
A, C = "https://example.com/a.png", "https://example.com/c.mp4"
OMNI_IMAGE = "/v1/images/omni-image"
CAT = {"model_name": "kling-image-o1", "prompt": "a cat"}
DOG = {"prompt": "a dog"}
T2V = "/text-to-video/kling-3.0"
PROMPT = {"type": "prompt", "text": "a dog"}
FIRST = {"type": "first_frame", "url": A}


def token(*, access_key: str = "sk-sandbox-kling", secret_key: str = "sk-sandbox-kling", alg: str = "HS256") -> str:
    """Sign a token, as the page about authentication does."""
    parts = ({"alg": alg, "typ": "JWT"}, {"iss": access_key, "exp": 2_000_000_000, "nbf": 0})
    signed = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    signature = hmac.digest(secret_key.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


async def get(v, path, headers=KEY):
    """Get a path with the key."""
    return await v.http.get(path, headers=headers)


async def test_an_image_is_submitted_and_succeeds(visit):
    """The legacy standard has task_id, task_status and task_result, and times in milliseconds."""
    async with visit(image_latency=Fixed(8)) as v:
        created = (await v.post(OMNI_IMAGE, {**CAT, "n": 2, "external_task_id": "mine"}, KEY)).json()
        id = created["data"]["task_id"]
        record = {
            "task_id": id,
            "task_status": "submitted",
            "task_info": {"external_task_id": "mine"},
            "created_at": 1_767_225_600_000,
            "updated_at": 1_767_225_600_000,
        }
        assert {**created, "request_id": ""} == {"code": 0, "message": "SUCCEED", "request_id": "", "data": record}
        processing = (await get(v, f"{OMNI_IMAGE}/{id}")).json()["data"]
        assert processing == {**record, "task_status": "processing", "task_status_msg": ""}
        await v.clock.sleep(8)
        done = (await get(v, f"{OMNI_IMAGE}/{id}")).json()["data"]
        assert (done["task_status"], done["updated_at"]) == ("succeed", 1_767_225_608_000)
        urls = [f"http://sandbox.test/files/{id}-{number}.png" for number in (1, 2)]
        assert done["task_result"] == {"images": [{"index": 0, "url": urls[0]}, {"index": 1, "url": urls[1]}]}


async def test_a_video_is_submitted_and_succeeds(visit):
    """The new standard has id, status and outputs, and its poll a list."""
    async with visit(video_latency=Fixed(8)) as v:
        body = {**DOG, "settings": {"duration": 4}, "options": {"external_task_id": "mine"}}
        created = (await v.post(T2V, body, KEY)).json()["data"]
        assert (created["status"], created["external_id"]) == ("submitted", "mine")
        await v.clock.sleep(8)
        [done] = (await get(v, f"/tasks?task_ids={created['id']}")).json()["data"]
        [output] = done["outputs"]
        assert (done["status"], done["message"]) == ("succeeded", "")
        assert (output["type"], output["duration"]) == ("video", "4")
        assert output["url"] == f"http://sandbox.test/files/{created['id']}-1.mp4"
        [charge] = done["billing"]
        assert (charge["charge_type"], charge["amount"], charge["currency"]) == ("cash", "0.336", "USD")


async def test_one_poll_asks_for_several(visit):
    """Ids are separated by commas; an unknown one is left out, wherever it stands, and 21 are too many."""
    async with visit() as v:
        first, second = [(await v.post(T2V, DOG, KEY)).json()["data"]["id"] for _ in range(2)]
        answer = (await get(v, f"/tasks?task_ids=unknown,{second},{first},{first}")).json()
        assert [record["id"] for record in answer["data"]] == [second, first]
        assert (await get(v, "/tasks?task_ids=unknown")).json()["data"] == []
        refused = await get(v, "/tasks?task_ids=" + ",".join([first] * 21))
        assert (refused.status_code, refused.json()["code"]) == (400, 1201)
        refused = await get(v, f"/tasks?task_ids={first}&external_task_ids=mine")
        assert (refused.status_code, refused.json()["code"]) == (400, 1201)


async def test_a_client_id_finds_the_task(visit):
    """On both standards a task is found by the caller's own id; on the new one only where that is asked for."""
    async with visit() as v:
        image = (await v.post(OMNI_IMAGE, {**CAT, "external_task_id": "cat"}, KEY)).json()["data"]["task_id"]
        video = (await v.post(T2V, {**DOG, "options": {"external_task_id": "dog"}}, KEY)).json()["data"]["id"]
        assert (await get(v, f"{OMNI_IMAGE}/cat")).json()["data"]["task_id"] == image
        assert [one["id"] for one in (await get(v, "/tasks?external_task_ids=dog")).json()["data"]] == [video]
        assert (await get(v, "/tasks?task_ids=dog")).json()["data"] == []
        assert (await get(v, "/tasks?external_task_ids=mouse")).json()["data"] == []
        unknown = await get(v, f"{OMNI_IMAGE}/mouse")
        assert (unknown.status_code, unknown.json()["code"]) == (400, 1201)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (OMNI_IMAGE, {**CAT, "external_task_id": "mine"}),
        (T2V, {**DOG, "options": {"external_task_id": "mine"}}),
    ],
)
async def test_a_client_id_is_taken_once(visit, path, body):
    """A second submission with the same id is refused with 1201, and billed once, even if the answer was lost."""
    async with visit() as v:
        v.sandbox.script(["error_504"])
        assert (await v.post(path, body, KEY)).status_code == 504
        refused = await v.post(path, body, KEY)
        assert (refused.status_code, refused.json()["code"]) == (400, 1201)
        assert "external_task_id already exists" in refused.json()["message"]
        assert v.sandbox.billed() == 1


async def test_a_task_is_known_at_its_own_product(visit):
    """Another product does not know the id, and neither does GPTProto."""
    async with visit() as v:
        id = (await v.post(OMNI_IMAGE, CAT, KEY)).json()["data"]["task_id"]
        for path in (f"/v1/images/generations/{id}", f"{OMNI_IMAGE}/unknown"):
            answer = await get(v, path)
            assert (answer.status_code, answer.json()["code"]) == (400, 1201)
            assert answer.json()["message"] == "Task not found by id/external id"
        assert (await v.poll(id)).status_code == 404


@pytest.mark.parametrize(
    ("header", "legacy", "new"),
    [
        ("Bearer sk-sandbox-kling", 200, 200),
        ("sk-sandbox-kling", 401, 401),
        ("Bearer sk-sandbox", 401, 401),
        ("", 401, 401),
        (f"Bearer {token()}", 200, 401),
        (f"Bearer {token(secret_key='another')}", 401, 401),
        (f"Bearer {token(access_key='another')}", 401, 401),
        (f"Bearer {token(alg='none')}", 401, 401),
        ("Bearer a.b.c", 401, 401),
    ],
)
async def test_a_token_is_for_the_legacy_standard(visit, header, legacy, new):
    """An API key is valid for both standards; a token signed by the secret key is not for the new one."""
    async with visit() as v:
        headers = {"authorization": header} if header else {}
        answers = [await v.post(OMNI_IMAGE, CAT, headers), await v.post(T2V, DOG, headers)]
        assert [answer.status_code for answer in answers] == [legacy, new]
        assert {answer.json()["code"] for answer in answers} <= {0, 1002}


REFUSALS = {
    "unauthorized": (401, 1002),
    "forbidden": (403, 1103),
    "no_balance": (429, 1102),
    "refused": (400, 1301),
    "bad_request": (400, 1201),
    "rate_limited": (429, 1302),
    "error_500": (500, 5000),
    "error_503": (503, 5001),
}


@pytest.mark.parametrize(("fault", "expected"), REFUSALS.items(), ids=list(REFUSALS))
@pytest.mark.parametrize(("path", "body"), [(OMNI_IMAGE, CAT), (T2V, DOG)], ids=["legacy", "new"])
async def test_faults_have_documented_codes(visit, fault, expected, path, body):
    """Each refusal has the HTTP status and the code of the page about errors, and charges nothing."""
    async with visit() as v:
        v.sandbox.script([fault])
        refused = await v.post(path, body, KEY)
        assert (refused.status_code, refused.json()["code"]) == expected
        assert "data" not in refused.json()
        assert v.sandbox.billed() == 0


async def test_images_occupy_slots(visit):
    """An image task counts as often as it makes images, and one too many is refused with 1303."""
    async with visit(max_open=4) as v:
        assert (await v.post(OMNI_IMAGE, {**CAT, "n": 3}, KEY)).status_code == 200
        refused = await v.post(OMNI_IMAGE, {**CAT, "n": 2}, KEY)
        assert (refused.status_code, refused.json()["code"]) == (429, 1303)
        assert (await v.post(OMNI_IMAGE, CAT, KEY)).status_code == 200
        assert v.sandbox.billed() == 2


async def test_a_failure_is_paid_back(visit):
    """A failed task has its reason as text, on both standards, and costs nothing."""
    async with visit() as v:
        image = (await v.post(OMNI_IMAGE, {**CAT, "prompt": "x [[failed:no luck]]"}, KEY)).json()["data"]["task_id"]
        video = (await v.post(T2V, {"prompt": "x [[failed:bad luck]]"}, KEY)).json()["data"]["id"]
        cancelled = (await v.post(T2V, {"prompt": "x [[cancelled]]"}, KEY)).json()["data"]["id"]
        await v.clock.sleep(1000)
        record = (await get(v, f"{OMNI_IMAGE}/{image}")).json()["data"]
        assert (record["task_status"], record["task_status_msg"]) == ("failed", "no luck")
        records = (await get(v, f"/tasks?task_ids={video},{cancelled}")).json()["data"]
        told = [(record["status"], record["message"]) for record in records]
        assert told == [("failed", "bad luck"), ("failed", "The task was cancelled")]
        assert v.sandbox.spent == 0


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (OMNI_IMAGE, {**CAT, "prompt": None}, "prompt is required"),
        (OMNI_IMAGE, {**CAT, "prompt": "x" * 2501}, "2500"),
        (OMNI_IMAGE, {**CAT, "model_name": "kling-v3"}, "model_name must be one of"),
        (OMNI_IMAGE, {**CAT, "resolution": "4k"}, "resolution"),
        (OMNI_IMAGE, {**CAT, "n": 10}, "n must be"),
        (OMNI_IMAGE, {**CAT, "image_list": [A]}, "image_list"),
        (OMNI_IMAGE, {**CAT, "watermark_info": True}, "watermark_info must be an object"),
        ("/v1/images/generations", {"model_name": "kling-v3", "prompt": "a", "aspect_ratio": "auto"}, "aspect_ratio"),
        (
            "/v1/images/generations",
            {"model_name": "kling-v3", "prompt": "a", "image": A, "negative_prompt": "b"},
            "negative_prompt",
        ),
        ("/v1/videos/image2video", {"model_name": "kling-v2-1", "duration": 5, "image": A}, "duration"),
        ("/v1/videos/image2video", {"model_name": "kling-v2-1"}, "image is required"),
        (T2V, {}, "prompt is required"),
        (T2V, {**DOG, "settings": {"duration": 2}}, "settings.duration must be"),
        (T2V, {**DOG, "settings": {"duration": "5"}}, "settings.duration must be"),
        (T2V, {**DOG, "settings": {"audio": "original"}}, "settings.audio"),
        (T2V, {**DOG, "settings": 5}, "settings must be an object"),
        ("/text-to-video/kling-2.6", {**DOG, "settings": {"audio": "native"}}, "must be 1080p"),
        ("/image-to-video/kling-3.0", {"contents": [PROMPT]}, "first_frame is required"),
        ("/image-to-video/kling-3.0", {"contents": [FIRST]}, "prompt is required"),
        ("/image-to-video/kling-3.0-turbo", {"contents": [PROMPT, FIRST, {**FIRST, "type": "last_frame"}]}, "[2].type"),
        ("/image-to-video/kling-3.0", {"contents": [PROMPT, FIRST, FIRST]}, "given once"),
        ("/image-to-video/kling-3.0", {"contents": [PROMPT, {"type": "first_frame"}]}, "url is required"),
        ("/omni-video/kling-o1", {"contents": [PROMPT, {**FIRST, "type": "last_frame"}]}, "only a last frame"),
        (
            "/omni-video/kling-o1",
            {"contents": [PROMPT, FIRST, {"type": "base_video", "url": C}]},
            "no frames with base_video",
        ),
        (
            "/omni-video/kling-o1",
            {"contents": [PROMPT, *({"type": "refer_image", "url": A, "id": "one"} for _ in range(2))]},
            "duplicated",
        ),
        ("/omni-video/kling-o1", {"contents": [PROMPT, *({"type": "refer_image", "url": A},) * 8]}, "too many"),
        (
            "/omni-video/kling-3.0-omni",
            {"contents": [PROMPT, {"type": "feature_video", "url": C}], "settings": {"audio": "native"}},
            "audio must not be native",
        ),
        (
            "/motion-control/kling-3.0",
            {"contents": [PROMPT, {"type": "image", "url": A}, {"type": "video", "url": C}]},
            "character_orientation is required",
        ),
    ],
)
async def test_a_wrong_parameter_is_named(visit, path, body, named):
    """1201 names the parameter, and nothing is charged."""
    async with visit() as v:
        refused = await v.post(path, body, KEY)
        assert (refused.status_code, refused.json()["code"]) == (400, 1201)
        assert named in refused.json()["message"]
        assert v.sandbox.billed() == 0


async def test_an_unknown_parameter_is_refused_if_strict(visit):
    """It is named with the part of the body where it stands."""
    async with visit(strict=True) as v:
        refused = await v.post(T2V, {**DOG, "seed": 1, "settings": {"mode": "pro"}}, KEY)
        assert "seed is not a known parameter; settings.mode is not a known parameter" in refused.json()["message"]
    async with visit() as v:
        assert (await v.post(T2V, {**DOG, "seed": 1}, KEY)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "price"),
    [
        (OMNI_IMAGE, {**CAT, "n": 3}, "0.084"),
        (OMNI_IMAGE, {**CAT, "model_name": "kling-v3-omni", "resolution": "4k"}, "0.056"),
        ("/v1/images/generations", {"model_name": "kling-v2-1", "prompt": "a"}, "0.014"),
        (T2V, DOG, "0.42"),
        (T2V, {**DOG, "settings": {"resolution": "1080p", "audio": "native", "duration": 10}}, "1.68"),
        ("/omni-video/kling-o1", {"contents": [PROMPT, {"type": "feature_video", "url": C}]}, "0.63"),
        ("/text-to-video/kling-3.0-turbo", {**DOG, "settings": {"resolution": "1080p"}}, "0.7"),
    ],
)
async def test_prices_are_the_published_ones(visit, path, body, price):
    """By image or by second, as the pages about prices say."""
    async with visit() as v:
        assert (await v.post(path, body, KEY)).status_code == 200
        assert v.sandbox.spent == Decimal(price)


async def test_the_index_names_the_paths(visit):
    """The page at the root shows where Kling's standards are."""
    async with visit() as v:
        page = (await v.http.get("/")).text
        assert "http://sandbox.test/tasks?task_ids={id}" in page
        assert "http://sandbox.test/v1/{images,videos}/{product}" in page
