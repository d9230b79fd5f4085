"""The sandbox's wire format of Comfy Router is that of its documents."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, Fixed

from .test_faults import AT_SUBMIT, ended

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer sk-sandbox-comfy"}
URL = "https://example.com/a.png"
BASE = "/v2/models/kling"
O1 = "kling-video-o1"
STATUSES = {
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "no_balance": 402,
    "refused": 400,
    "bad_request": 422,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "html": 200,
    "garbled": 201,
    "no_id": 200,
}


async def submit(v, prompt="a dog", model=O1, key="", headers=KEY, **more):
    named = {"idempotency-key": key} if key else {}
    return await v.post(f"{BASE}/{model}/requests", {"prompt": prompt, **more}, {**headers, **named})


async def read(v, id, action="", model=O1, headers=KEY):
    return await v.http.get(f"{BASE}/{model}/requests/{id}{action}", headers=headers)


async def finished(v, prompt="a dog", model=O1, **more):
    created = await submit(v, prompt, model, **more)
    assert created.status_code == 201, created.text
    await v.clock.sleep(1000)
    return await read(v, created.json()["request_id"], model=model)


async def test_a_request_is_queued_running_and_completed(visit):
    """The handle, the statuses and the result have the documented form, and the addresses name the caller's host."""
    async with visit(video_latency=Fixed(60), slots=1) as v:
        await submit(v)
        created = await submit(v, "a cat")
        handle = created.json()
        id = handle["request_id"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id)
        assert created.headers["x-comfy-request-id"] == id
        url = f"http://sandbox.test{BASE}/{O1}/requests/{id}"
        urls = {"status_url": f"{url}/status", "response_url": url, "cancel_url": f"{url}/cancel"}
        assert handle == {"request_id": id, "status": "IN_QUEUE", "queue_position": 0, **urls}
        waiting = await read(v, id, "/status")
        assert (waiting.status_code, waiting.json()["status"], waiting.headers["retry-after"]) == (200, "IN_QUEUE", "1")
        early = await read(v, id)
        assert (early.status_code, early.json()["status"]) == (202, "IN_QUEUE")
        await v.clock.sleep(70)
        assert (await read(v, id, "/status")).json()["status"] == "IN_PROGRESS"
        await v.clock.sleep(60)
        assert (await read(v, id, "/status")).json() == {"request_id": id, "status": "COMPLETED", **urls}
        done = await read(v, id)
        data = done.json()["data"]
        assert (done.status_code, data["task_status"], done.headers["x-comfy-credits-used"]) == (
            200,
            "succeed",
            "118.16",
        )
        [video] = data["task_result"]["videos"]
        assert (await v.http.get(video["url"])).status_code == 200


async def test_the_new_standard_has_its_own_record(visit):
    """A model of Kling's new standard has a list of tasks as its result."""
    async with visit() as v:
        body = {"contents": [{"type": "prompt", "text": "a dog"}, {"type": "first_frame", "url": URL}]}
        created = await v.post(f"{BASE}/kling-4.0/requests", {**body, "settings": {"duration": 3}}, KEY)
        await v.clock.sleep(1000)
        done = (await read(v, created.json()["request_id"], model="kling-4.0")).json()
        [task] = done["data"]
        assert (task["status"], task["outputs"][0]["type"]) == ("succeeded", "video")
        image = (await finished(v, model="kling-image-o1", n=2)).json()
        assert len(image["data"]["task_result"]["images"]) == 2


async def test_a_repeated_key_is_answered_with_the_first_handle(visit):
    """The same body under the same key starts nothing, costs nothing, and says that it was replayed."""
    async with visit() as v:
        first = await submit(v, key="k-1")
        again = await submit(v, key="k-1")
        assert (again.status_code, again.json()) == (201, first.json())
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert v.sandbox.billed() == 1
        await v.clock.sleep(1000)
        assert (await submit(v, key="k-1")).json() == first.json()
        other = await submit(v, key="k-2")
        assert other.json()["request_id"] != first.json()["request_id"]
        assert (await submit(v)).json()["request_id"] != (await submit(v)).json()["request_id"]
        assert v.sandbox.billed() == 4


async def test_a_key_of_another_request_is_a_conflict(visit):
    """Another body or another model under the key is refused with 409, and changes nothing."""
    async with visit() as v:
        await submit(v, key="k-1")
        for refused in (await submit(v, "a cat", key="k-1"), await submit(v, model="kling-v3", key="k-1")):
            assert (refused.status_code, refused.headers["x-comfy-error-type"]) == (409, "invalid_input")
            assert "retry-after" not in refused.headers
        assert v.sandbox.billed() == 1


async def test_a_key_waits_while_the_first_request_is_admitted(visit):
    """Until then a repeat is told to wait, without an id; afterwards it gets the first handle."""
    async with visit(admission_seconds=5) as v:
        first = await submit(v, key="k-1")
        early = await submit(v, key="k-1")
        assert (early.status_code, early.headers["x-comfy-error-type"]) == (409, "concurrency_limit_exceeded")
        assert early.headers["retry-after"] == "5"
        assert first.json()["request_id"] not in early.text
        await v.clock.sleep(5)
        assert (await submit(v, key="k-1")).json() == first.json()
        assert v.sandbox.billed() == 1


async def test_a_key_ends_after_a_day(visit):
    """A repeat does not extend the 24 hours, after which the key starts anew, and costs anew."""
    async with visit() as v:
        first = await submit(v, key="k-1")
        await v.clock.sleep(80_000)
        await submit(v, key="k-1")
        await v.clock.sleep(6_400)
        assert (await submit(v, key="k-1")).json()["request_id"] != first.json()["request_id"]
        assert v.sandbox.billed() == 2


async def test_a_refusal_releases_the_key(visit):
    """What was refused before anything was queued may be sent again with its key."""
    async with visit() as v:
        assert (await submit(v, "", key="k-1")).status_code == 422
        assert (await submit(v, "x [[no_balance]]", key="k-1")).status_code == 402
        assert (await submit(v, key="k-1")).status_code == 201


async def test_a_lost_answer_can_be_collected(visit):
    """The faults that charge and lose the answer leave the key with its handle, as often as they are asked for."""
    async with visit() as v:
        assert await ended(v.clock, submit(v, "x [[lost:2]]", key="k-1")) == "reset"
        assert await ended(v.clock, submit(v, "x [[lost:2]]", key="k-1")) == "reset"
        found = await submit(v, "x [[lost:2]]", key="k-1")
        assert found.headers["idempotent-replayed"] == "true"
        assert [entry.id for entry in v.sandbox.entries] == [found.json()["request_id"]]


ENDS = {
    "[[failed:bad weather]]": ("provider_error", 502, "bad weather"),
    "[[failed]]": ("provider_error", 502, "provider_error"),
    "[[failed:content_policy_violation]]": ("content_policy_violation", 400, "content_policy_violation"),
    "[[failed:queue_timeout]]": ("queue_timeout", 504, "queue_timeout"),
    "[[cancelled]]": ("cancelled", 409, "cancelled"),
}


@pytest.mark.parametrize(("fault", "end"), ENDS.items(), ids=list(ENDS))
async def test_ways_to_end(visit, fault, end):
    """A failure is COMPLETED with its error type, and the request for the result is answered with the error."""
    error_type, status, words = end
    async with visit() as v:
        id = (await submit(v, f"x {fault}")).json()["request_id"]
        await v.clock.sleep(1000)
        told = (await read(v, id, "/status")).json()
        assert (told["status"], told["error_type"]) == ("COMPLETED", error_type)
        result = await read(v, id)
        assert (result.status_code, result.headers["x-comfy-error-type"]) == (status, error_type)
        assert result.json()["error_type"] == error_type
        assert words in result.json()["detail"]


async def test_no_outputs_and_an_unknown_status(visit):
    """A result may be empty, and a status may be a word that no document has."""
    async with visit() as v:
        assert (await finished(v, "x [[empty]]")).json()["data"]["task_result"] == {"videos": []}
        for prompt, word in (("x [[unknown_status]]", "WARMING_UP"), ("x [[unknown_status:on_hold]]", "on_hold")):
            id = (await submit(v, prompt)).json()["request_id"]
            assert (await read(v, id, "/status")).json()["status"] == word


async def test_a_request_is_kept_for_a_day(visit):
    """Status and result are 410 a day after the end."""
    async with visit(video_latency=Fixed(60)) as v:
        id = (await submit(v)).json()["request_id"]
        await v.clock.sleep(86_400 + 59)
        assert (await read(v, id)).status_code == 200
        await v.clock.sleep(2)
        assert [(await read(v, id, action)).status_code for action in ("", "/status")] == [410, 410]


async def test_a_cancellation(visit):
    """It is asked for with PUT; one that has ended is HTTP 409."""
    async with visit(video_latency=Fixed(60)) as v:
        path = f"{BASE}/{O1}/requests/{(await submit(v)).json()['request_id']}"
        asked = await v.http.put(f"{path}/cancel", headers=KEY)
        assert (asked.status_code, asked.json()["status"]) == (202, "CANCELLATION_REQUESTED")
        assert (await v.http.get(f"{path}/status", headers=KEY)).json()["error_type"] == "cancelled"
        late = await v.http.put(f"{path}/cancel", headers=KEY)
        assert (late.status_code, late.json()["status"]) == (409, "ALREADY_COMPLETED")
        assert (await v.post(f"{path}/cancel", {}, KEY)).status_code == 405
        assert v.sandbox.billed() == 1


async def test_a_request_belongs_to_its_model(visit):
    """An id under another model, and one that nobody has, are unknown; a model that is not here has no path."""
    async with visit() as v:
        id = (await submit(v)).json()["request_id"]
        for answer in (await read(v, id, "/status", "kling-v3"), await read(v, "nothing", "/status")):
            assert (answer.status_code, answer.json()["error_type"]) == (404, "request_not_found")
        assert (await submit(v, model="kling-9")).status_code == 404
        assert (await v.post(f"{BASE}/{O1}", {"prompt": "x"}, KEY)).status_code == 404


ESTIMATES = {
    "O1": (O1, {}, {"source": "exact", "amount": 0.56}),
    "image": ("kling-image-o1", {"n": 2, "resolution": "4k"}, {"source": "exact", "amount": 0.112}),
    "4.0": ("kling-4.0", {"settings": {}}, {"source": "unknown", "reason": "no rate is published"}),
}


@pytest.mark.parametrize(("model", "more", "expected"), ESTIMATES.values(), ids=list(ESTIMATES))
async def test_an_estimate_charges_nothing(visit, model, more, expected):
    """The price of a body is told in advance, where a page has it, for the key alone."""
    async with visit() as v:
        path = f"{BASE}/{model}/estimate"
        told = await v.post(path, {"prompt": "x", **more}, KEY)
        assert told.status_code == 200
        assert {name: told.json()[name] for name in expected} == expected
        assert (await v.post(path, {"prompt": ""}, KEY)).status_code == 422
        assert (await v.post(path, {"prompt": "x"}, {})).status_code == 401
        assert (v.sandbox.billed(), v.sandbox.submits) == (0, 0)


async def test_a_schema_has_a_tag(visit):
    """The document of a model is not sent again for the tag that it has."""
    async with visit() as v:
        path = f"{BASE}/{O1}/openapi.json"
        first = await v.http.get(path, headers=KEY)
        assert first.json()["x-comfy-router-model-id"] == f"kling/{O1}"
        same = await v.http.get(path, headers={**KEY, "if-none-match": first.headers["etag"]})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await v.http.get(path, headers={**KEY, "if-none-match": '"other"'})).status_code == 200
        assert (await v.http.get(path)).status_code == 401


async def test_models_are_listed_in_pages(visit):
    """The catalogue has every id once, for the key alone; at most 100 are on a page, and a cursor must be its own."""
    async with visit() as v:
        seen, query = [], "limit=4"
        while query:
            page = (await v.http.get(f"/v2/models?{query}", headers=KEY)).json()
            seen += [one["id"] for one in page["data"]]
            query = f"limit=4&cursor={page['next_cursor']}" if page["has_more"] else ""
        assert {"bfl/flux-2-pro", f"kling/{O1}"} < set(seen)
        assert len(seen) == len(set(seen)) == len((await v.http.get("/v2/models", headers=KEY)).json()["data"])
        assert (await v.http.get("/v2/models?limit=999", headers=KEY)).json()["limit"] == 100
        assert (await v.http.get("/v2/models?cursor=mine", headers=KEY)).status_code == 400
        assert (await v.http.get("/v2/models")).status_code == 401


WRONG = {
    "no prompt": (O1, {"prompt": None}, "prompt is required"),
    "mode": (O1, {"mode": "4k"}, "mode must be one of"),
    "number of seconds": (O1, {"duration": 5}, "duration must be one of"),
    "ratio": (O1, {"aspect_ratio": "4:3"}, "aspect_ratio"),
    "image without a URL": (O1, {"image_list": [{"type": "first_frame"}]}, "image_list[0].image_url is required"),
    "image of another kind": (O1, {"image_list": [{"image_url": URL, "type": "middle"}]}, "image_list[0].type"),
    "video": (O1, {"video_list": [{"video_url": URL, "refer_type": "x"}]}, "video_list[0].refer_type"),
    "sound": ("kling-v3", {"sound": True}, "sound must be one of"),
    "seconds of 2.6": ("kling-v2-6", {"duration": "7"}, "duration must be one of 5, 10"),
    "image list": ("kling-image-o1", {"image_list": [URL]}, "image_list must hold objects"),
    "images": ("kling-image-o1", {"n": 10}, "n must be a whole number"),
    "text seconds": ("kling-3.0-turbo", {"settings": {"duration": "5"}}, "settings.duration"),
    "contents": ("kling-4.0", {"contents": [{"type": "image", "url": URL}]}, "contents[0].type must be one of"),
    "frame": ("kling-4.0", {"contents": [{"type": "first_frame"}]}, "contents[0].url is required"),
    "middle frame": ("kling-4.0", {"contents": [{"type": "middle_frame", "url": URL}]}, "a middle frame needs"),
    "too many": ("kling-4.0", {"contents": [{"type": "refer_image", "url": URL}] * 17}, "at most 15 inputs"),
    "8k": ("kling-image-4.0", {"settings": {"resolution": "1k"}}, "settings.resolution must be one of 2k"),
    "unknown": (O1, {"seed": 1}, "seed is not a known parameter"),
}


@pytest.mark.parametrize(("model", "more", "named"), WRONG.values(), ids=list(WRONG))
async def test_a_wrong_parameter_is_named(visit, model, more, named):
    """HTTP 422 has a list in `detail`, its type in a header alone, and nothing is charged."""
    async with visit(strict=True) as v:
        refused = await submit(v, model=model, **more)
        assert (refused.status_code, refused.headers["x-comfy-error-type"]) == (422, "invalid_input")
        assert refused.json().keys() == {"detail"}
        assert named in refused.json()["detail"][0]["msg"]
        assert v.sandbox.billed() == 0


PRICES = {
    "O1 pro": (O1, {}, "0.56"),
    "O1 std": (O1, {"mode": "std"}, "0.42"),
    "an edit": (O1, {"mode": "std", "duration": "9", "video_list": [{"video_url": URL}]}, "0.63"),
    "omni with sound": ("kling-v3-omni", {"sound": "on"}, "0.7"),
    "3.0": ("kling-v3", {"duration": "10"}, "0.84"),
    "2.6 with sound": ("kling-v2-6", {"mode": "pro", "sound": "on"}, "0.7"),
    "turbo": ("kling-3.0-turbo", {"settings": {"resolution": "1080p"}}, "0.7"),
    "4k": ("kling-image-o1", {"resolution": "4k", "n": 3}, "0.168"),
}


@pytest.mark.parametrize(("model", "more", "price"), PRICES.values(), ids=list(PRICES))
async def test_prices_are_those_of_the_pages(visit, model, more, price):
    """What is charged is Kling's list price, and the result names it in credits."""
    async with visit() as v:
        done = await finished(v, model=model, **more)
        assert v.sandbox.spent == Decimal(price)
        assert Decimal(done.headers["x-comfy-credits-used"]) == (Decimal(price) * 211).quantize(Decimal("0.01"))


@pytest.mark.parametrize(
    ("header", "status"),
    [("Bearer sk-sandbox-comfy", 201), ("sk-sandbox-comfy", 401), ("Bearer sk-sandbox", 401), ("", 401)],
)
async def test_the_key_is_a_bearer_token_of_its_own(visit, header, status):
    """A bare key, and the key of another provider, are refused."""
    async with visit() as v:
        assert (await submit(v, headers={"authorization": header} if header else {})).status_code == status


def test_every_fault_of_a_submission_is_tested_here():
    """A new fault needs a line in the table above."""
    assert set(AT_SUBMIT) == STATUSES.keys() | {"lost", "dropped", "hang"}


@pytest.mark.parametrize("name", [*STATUSES, "lost", "dropped", "hang"])
async def test_a_fault_of_a_submission_is_billed_as_the_table_says(visit, name):
    """Each fault has its documented response, its charge, and passes unless it lasts."""
    async with visit() as v:
        prompt = f"a dog [[{name}]]"
        answer = await ended(v.clock, submit(v, prompt))
        if name in STATUSES:
            assert answer.status_code == STATUSES[name]
            assert all(entry.id not in answer.text for entry in v.sandbox.entries)
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert v.sandbox.billed(prompt) == int(FAULTS[name].billed)
        if not FAULTS[name].permanent:
            assert (await submit(v, prompt)).status_code == 201


@pytest.mark.parametrize("name", [name.removeprefix("poll_") for name in FAULTS if name.startswith("poll_")])
async def test_a_fault_of_a_poll_passes(visit, name):
    """The request can be read afterwards, and was paid for once."""
    async with visit(video_latency=Fixed(1)) as v:
        id = (await submit(v, f"a dog [[poll_{name}]]")).json()["request_id"]
        await v.clock.sleep(5)
        answer = await ended(v.clock, read(v, id, "/status"))
        expected = {**STATUSES, "garbled": 200, "not_found": 404}
        if name in expected:
            assert answer.status_code == expected[name]
            assert "COMPLETED" not in answer.text
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert (await read(v, id, "/status")).json()["status"] == "COMPLETED"
        assert v.sandbox.billed() == 1


REFUSALS = {
    "no_balance": "insufficient_credits",
    "forbidden": "forbidden",
    "refused": "content_policy_violation",
    "rate_limited": "rate_limited",
    "unauthorized": "unauthorized",
    "error_500": "internal_error",
    "error_503": "service_unavailable",
}


@pytest.mark.parametrize(("name", "error_type"), REFUSALS.items(), ids=list(REFUSALS))
async def test_refusals_have_the_documented_form(visit, name, error_type):
    """An error has words and a type, which a header repeats."""
    async with visit() as v:
        answer = await submit(v, f"a dog [[{name}]]")
        error = json.loads(answer.text)
        assert error["error_type"] == answer.headers["x-comfy-error-type"] == error_type
        assert error["detail"]
        assert answer.headers.get("retry-after") == ("1" if name == "rate_limited" else None)


async def test_the_index_names_the_routes(visit):
    """The page at / lists Comfy Router with its six routes."""
    async with visit() as v:
        page = (await v.http.get("/")).text
        assert page.count("/v2/models/kling/{model}/") == 6
