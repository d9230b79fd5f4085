"""The sandbox's wire format of fal is that of its documents."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, FaultStage, Fixed

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Key sk-sandbox-fal"}
URL, CLIP = "https://example.com/a.png", "https://example.com/a.mp4"
V = "fal-ai/kling-video"


async def submit(v, endpoint=f"{V}/o3/standard/text-to-video", **body):
    """Submit to an endpoint."""
    return await v.post(f"/{endpoint}", {"prompt": "a dog", **body}, KEY)


async def image(v, **body):
    """Submit an image."""
    return await submit(v, "fal-ai/kling-image/o3/text-to-image", **body)


async def get(v, url):
    """Follow an address of a response, as fal's own clients do."""
    return await v.http.get(url, headers=KEY)


async def test_an_endpoint_has_a_public_page(visit):
    """The page is Markdown, and asks for no key; another endpoint has none."""
    async with visit() as v:
        page = await v.http.get(f"/models/{V}/o3/4k/text-to-video/llms.txt")
        assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/plain")
        assert "- **`aspect_ratio`** (`Enum`, _optional_):" in page.text
        assert (await v.http.get(f"/models/{V}/o9/llms.txt")).status_code == 404


async def test_a_video_is_queued_runs_and_is_completed(visit):
    """The bodies, the words and the HTTP statuses are the documented ones, and the result has no envelope."""
    async with visit(video_latency=Fixed(90), slots=1) as v:
        await submit(v)
        queued = (await submit(v)).json()
        id = queued["request_id"]
        url = f"http://sandbox.test/{V}/requests/{id}"
        assert queued == {
            "status": "IN_QUEUE",
            "request_id": id,
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
            "logs": None,
            "queue_position": 0,
        }
        waits = await get(v, queued["status_url"])
        assert (waits.status_code, waits.json()["status"], waits.json()["queue_position"]) == (202, "IN_QUEUE", 0)
        await v.clock.sleep(90)
        runs = await get(v, queued["status_url"])
        assert (runs.status_code, runs.json()["status"]) == (202, "IN_PROGRESS")
        early = await get(v, queued["response_url"])
        assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
        await v.clock.sleep(90)
        done = await get(v, queued["status_url"])
        assert (done.status_code, done.json()["status"]) == (200, "COMPLETED")
        assert done.json()["metrics"] == {"inference_time": 90}
        result = await get(v, queued["response_url"])
        assert result.json() == {
            "video": {
                "url": f"http://sandbox.test/files/{id}-1.mp4",
                "content_type": "video/mp4",
                "file_name": "output.mp4",
            }
        }
        assert (await v.http.get(result.json()["video"]["url"])).headers["content-type"] == "video/mp4"
        assert v.sandbox.spent == Decimal("0.84")


async def test_images_are_a_list(visit):
    """Each image has an address and a size; with sync_mode it is a data URI."""
    async with visit(image_latency=Fixed(8)) as v:
        created = (await image(v, num_images=2, resolution="2K", aspect_ratio="1:1")).json()
        inline = (await image(v, sync_mode=True)).json()
        await v.clock.sleep(8)
        images = (await get(v, created["response_url"])).json()["images"]
        assert [one["url"].rpartition("-")[2] for one in images] == ["1.png", "2.png"]
        assert {(one["width"], one["height"], one["content_type"]) for one in images} == {(640, 640, "image/png")}
        (one,) = (await get(v, inline["response_url"])).json()["images"]
        assert one["url"].startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    ("marker", "status", "type", "message"),
    [
        ("failed", 422, "no_media_generated", "The model could not generate the requested media"),
        ("failed:no luck", 422, "no_media_generated", "no luck"),
        (
            "failed:content_policy_violation",
            422,
            "content_policy_violation",
            "The content was flagged by a content checker.",
        ),
    ],
)
async def test_a_failure_is_completed_and_only_its_result_has_the_error(visit, marker, status, type, message):
    """The status says COMPLETED as ever; the result is HTTP 422 with a list, and says that a repetition is no use."""
    async with visit() as v:
        created = (await submit(v, prompt=f"x [[{marker}]]")).json()
        await v.clock.sleep(1000)
        body = (await get(v, created["status_url"])).json()
        assert (body["status"], body.get("error"), body.get("error_type")) == ("COMPLETED", None, None)
        result = await get(v, created["response_url"])
        assert (result.status_code, result.headers["x-fal-retryable"]) == (status, "false")
        (error,) = result.json()["detail"]
        assert (error["type"], error["msg"], error["loc"][0]) == (type, message, "body")
        assert v.sandbox.billed() == 1


@pytest.mark.parametrize(("type", "status"), [("request_timeout", 504), ("runner_disconnected", 503)])
async def test_a_failure_of_the_infrastructure_stands_beside_the_status(visit, type, status):
    """It has a type, in the status, in the body of the result, and in its header."""
    async with visit() as v:
        created = (await submit(v, prompt=f"x [[failed:{type}]]")).json()
        await v.clock.sleep(1000)
        body = (await get(v, created["status_url"])).json()
        assert (body["status"], body["error_type"]) == ("COMPLETED", type)
        result = await get(v, created["response_url"])
        assert (result.status_code, result.headers["x-fal-error-type"]) == (status, type)
        assert result.json()["error_type"] == type


async def test_a_request_is_cancelled_before_it_is_finished(visit):
    """PUT to the address for it: asked for, known as too late, or unknown."""
    async with visit() as v:
        first, second = (await submit(v)).json(), (await submit(v)).json()
        answer = await v.http.put(first["cancel_url"], headers=KEY)
        assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
        assert (await get(v, first["status_url"])).json()["status"] == "CANCELED"
        assert (await get(v, first["response_url"])).status_code == 400
        await v.clock.sleep(1000)
        late = await v.http.put(second["cancel_url"], headers=KEY)
        assert (late.status_code, late.json()) == (400, {"status": "ALREADY_COMPLETED"})
        assert (await v.http.put(f"/{V}/requests/nobody/cancel", headers=KEY)).status_code == 404
        assert (await v.http.get(first["cancel_url"], headers=KEY)).status_code == 405


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Key sk-sandbox-fal", 200),
        ("Bearer sk-sandbox-fal", 401),
        ("sk-sandbox-fal", 401),
        ("Key sk-sandbox", 401),
        ("", 401),
    ],
)
async def test_the_key_follows_the_word_key(visit, header, status):
    """A Bearer token is not accepted, nor the key of another provider."""
    async with visit() as v:
        answer = await v.post(
            f"/{V}/o3/pro/text-to-video", {"prompt": "a"}, {"authorization": header} if header else {}
        )
        assert answer.status_code == status
        if status == 401:
            assert "Authentication is required" in answer.json()["detail"]


STATUSES = {
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "no_balance": 403,
    "refused": 422,
    "bad_request": 422,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "html": 200,
    "garbled": 200,
    "no_id": 200,
}


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
async def test_every_fault_of_a_submission(visit, name, status):
    """Each fault has fal's response, and its charge; errors of its own are in `detail`."""
    async with visit() as v:
        answer = await image(v, prompt=f"a cat [[{name}]]")
        assert answer.status_code == status
        assert v.sandbox.billed() == int(FAULTS[name].billed)
        if name in {"error_500", "error_503"}:
            assert answer.headers["x-fal-error-type"] == answer.json()["error_type"]
        elif name in STATUSES.keys() - {"error_502", "error_504", "html", "garbled", "no_id"}:
            assert answer.json()["detail"]
        if name == "no_id":
            assert answer.json() == {"status": "IN_QUEUE", "logs": None, "queue_position": 0}


def test_every_answered_fault_of_a_submission_is_above():
    """A new fault needs a line in the table."""
    at_submit = {name for name, note in FAULTS.items() if note.stage is FaultStage.SUBMIT}
    assert at_submit == STATUSES.keys() | {"lost", "dropped", "hang"}


async def test_a_locked_account_says_why(visit):
    """An empty balance and a lock by an administrator differ in text only."""
    async with visit(balance=0) as v:
        assert "Exhausted balance" in (await image(v)).json()["detail"]
        assert "Admin lock" in (await image(v, prompt="[[forbidden]]")).json()["detail"]


@pytest.mark.parametrize("fault", ["poll_error_500", "poll_error_502", "poll_not_found", "poll_unauthorized"])
async def test_a_result_can_fail_like_a_status(visit, fault):
    """A fault of a poll may strike the status or the result."""
    async with visit() as v:
        created = (await submit(v)).json()
        await v.clock.sleep(1000)
        v.sandbox.script_polls([None, fault, None])
        assert (await get(v, created["status_url"])).status_code == 200
        assert (await get(v, created["response_url"])).status_code in {500, 502, 404, 401}
        assert (await get(v, created["response_url"])).status_code == 200
        assert v.sandbox.polls == 3


async def test_only_owner_and_app_lead_to_a_request(visit):
    """The whole endpoint, another app, and an unknown id are not found."""
    async with visit() as v:
        id = (await submit(v)).json()["request_id"]
        for path in (f"/fal-ai/kling-image/requests/{id}/status", f"/{V}/requests/nobody/status"):
            answer = await v.http.get(path, headers=KEY)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Request not found"})
        assert (await v.http.get(f"/{V}/o3/standard/requests/{id}", headers=KEY)).status_code == 404


async def test_a_completed_request_may_be_empty(visit):
    """A result without media is null, or an empty list."""
    async with visit() as v:
        film, still = (await submit(v, prompt="[[empty]]")).json(), (await image(v, prompt="[[empty]]")).json()
        await v.clock.sleep(1000)
        assert (await get(v, film["response_url"])).json() == {"video": None}
        assert (await get(v, still["response_url"])).json() == {"images": []}


async def test_an_unknown_status_can_be_had(visit):
    """A word that nobody documented stands in the status while it runs."""
    async with visit() as v:
        created = (await submit(v, prompt="x [[unknown_status:THINKING]]")).json()
        assert (await get(v, created["status_url"])).json()["status"] == "THINKING"


PRO = f"{V}/v2.6/pro"
SHOT = {"prompt": "it sits", "duration": "5"}
WRONG = {
    "no prompt": (f"{PRO}/text-to-video", {"prompt": None}, "prompt is required"),
    "a number": (f"{PRO}/text-to-video", {"duration": 5}, "duration must be one of 5, 10"),
    "7 seconds": (f"{PRO}/text-to-video", {"duration": "7"}, "duration must be one of 5, 10"),
    "text for a number": ("kling/v4/text-to-video", {"duration": "5"}, "duration must be a whole number from 3 to 30"),
    "no first frame": (f"{V}/o3/pro/image-to-video", {}, "image_url is required"),
    "the other name": (f"{V}/v3/pro/image-to-video", {"image_url": URL}, "start_image_url is required"),
    "no images": ("fal-ai/kling-image/o1", {}, "image_urls is required"),
    "eight references": (f"{V}/o1/reference-to-video", {"image_urls": [URL] * 8}, "at most 7"),
    "five beside a video": (
        f"{V}/o1/video-to-video/edit",
        {"video_url": CLIP, "image_urls": [URL] * 5},
        "at most 4",
    ),
    "nothing to say": (f"{V}/v3/pro/text-to-video", {"prompt": None}, "prompt or multi_prompt is required"),
    "both": (f"{V}/v3/pro/text-to-video", {"multi_prompt": [SHOT]}, "exclude each other"),
    "a number in a shot": (
        f"{V}/v3/pro/text-to-video",
        {"prompt": None, "multi_prompt": [{"prompt": "a", "duration": 5}]},
        "multi_prompt.0.duration must be text",
    ),
    "text in a shot": ("kling/v4/text-to-video", {"multi_prompt": [SHOT]}, "multi_prompt.0.duration must be a number"),
    "a shot without a prompt": (
        f"{V}/v3/pro/text-to-video",
        {"prompt": None, "multi_prompt": [{"duration": "5"}]},
        "multi_prompt.0.prompt is required",
    ),
    "a sum": (
        f"{V}/v3/pro/text-to-video",
        {"prompt": None, "multi_prompt": [SHOT], "duration": "6"},
        "must sum to 6",
    ),
    "lower case": ("fal-ai/kling-image/o3/text-to-image", {"resolution": "1k"}, "resolution must be one of 1K, 2K, 4K"),
    "no orientation": (
        f"{V}/v3/pro/motion-control",
        {"image_url": URL, "video_url": CLIP},
        "character_orientation is required",
    ),
    "sound": (f"{V}/o3/pro/text-to-video", {"generate_audio": "on"}, "generate_audio must be true or false"),
    "a long prompt": (f"{V}/o3/pro/text-to-video", {"prompt": "x" * 2501}, "2500"),
    "an unknown field": (f"{V}/v3/turbo/pro/text-to-video", {"generate_audio": True}, "not a known parameter"),
}


@pytest.mark.parametrize(("endpoint", "body", "named"), WRONG.values(), ids=list(WRONG))
async def test_a_wrong_parameter_is_named(visit, endpoint, body, named):
    """HTTP 422 in the documented form names the parameter, and nothing is charged."""
    async with visit(strict=True) as v:
        answer = await submit(v, endpoint, **body)
        assert answer.status_code == 422
        (error,) = answer.json()["detail"]
        assert named in error["msg"]
        assert v.sandbox.billed() == 0


PRICES = {
    "image": ("fal-ai/kling-image/v3/text-to-image", {"num_images": 3}, "0.084"),
    "image in 4K": ("fal-ai/kling-image/o3/text-to-image", {"resolution": "4K"}, "0.056"),
    "o3": (f"{V}/o3/standard/text-to-video", {}, "0.42"),
    "o3 with sound": (f"{V}/o3/pro/text-to-video", {"generate_audio": True, "duration": "10"}, "1.4"),
    "v3, whose default is sound": (f"{V}/v3/standard/text-to-video", {}, "0.63"),
    "v3 silent": (f"{V}/v3/standard/text-to-video", {"generate_audio": False}, "0.42"),
    "4.0": ("kling/v4/text-to-video", {"duration": 30, "resolution": "1080p"}, "7.05"),
    "4.0 with a video": ("kling/v4/reference-to-video", {"video_urls": [CLIP]}, "0.94"),
    "4.0, edit in 1080p": ("kling/v4/video-to-video/edit", {"video_url": CLIP, "resolution": "1080p"}, "1.41"),
}


@pytest.mark.parametrize(("endpoint", "body", "price"), PRICES.values(), ids=list(PRICES))
async def test_prices_are_those_of_the_pages(visit, endpoint, body, price):
    """By image, or by second; with a video, Kling 4.0 counts input and output."""
    async with visit() as v:
        assert (await submit(v, endpoint, **body)).status_code == 200
        assert v.sandbox.spent == Decimal(price)


async def test_the_index_names_the_routes(visit):
    """The page at / lists fal with its four routes."""
    async with visit() as v:
        page = (await v.http.get("/")).text
        assert len(re.findall(r"\{app\}/requests/\{id\}", page)) == 3
        assert "fal " in page
