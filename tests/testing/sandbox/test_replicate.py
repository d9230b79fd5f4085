"""The sandbox's wire format of Replicate is that of its documents, and of the traffic that its client recorded."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, FaultStage, Fixed

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer sk-sandbox-replicate"}
IMAGE, CLIP = "https://example.com/a.png", "https://example.com/a.mp4"


async def submit(v, prompt="a dog", model="kling-o1", headers=KEY, **more):
    """Submit a video; a field that is None is left out."""
    given = {name: value for name, value in {"prompt": prompt, **more}.items() if value is not None}
    return await v.post(f"/v1/models/kwaivgi/{model}/predictions", {"input": given}, headers)


async def poll(v, id, headers=KEY):
    """Poll a prediction."""
    return await v.http.get(f"/v1/predictions/{id}", headers=headers)


async def cancel(v, id, headers=KEY):
    """Cancel a prediction."""
    return await v.http.post(f"/v1/predictions/{id}/cancel", headers=headers)


async def test_a_video_starts_is_processed_and_succeeds(visit):
    """The prediction is flat; its output is one URL, without a list; its echo of the version is hidden."""
    async with visit(video_latency=Fixed(8), slots=1) as v:
        assert (await submit(v, "first")).status_code == 201
        created = await submit(v)
        body = created.json()
        id = body["id"]
        assert re.fullmatch(r"[0-9a-z]{26}", id)
        assert (created.status_code, body["status"], body["output"], body["error"]) == (201, "starting", None, None)
        assert body["urls"]["get"] == f"http://sandbox.test/v1/predictions/{id}"
        assert (body["model"], body["version"], body["data_removed"]) == ("kwaivgi/kling-o1", "hidden", False)
        assert (await poll(v, id)).json()["status"] == "starting"
        await v.clock.sleep(8)
        assert (await poll(v, id)).json()["status"] == "processing"
        await v.clock.sleep(8)
        done = (await poll(v, id)).json()
        assert (done["status"], done["output"]) == ("succeeded", f"http://sandbox.test/files/{id}-1.mp4")
        assert done["metrics"] == {"predict_time": 8.0, "total_time": 16.0}
        assert (await v.http.get(done["output"])).content[4:8] == b"ftyp"


async def test_everything_is_removed_an_hour_after_the_end(visit):
    """The record stays, without input, output and logs, and the file is gone."""
    async with visit(video_latency=Fixed(8)) as v:
        id = (await submit(v)).json()["id"]
        await v.clock.sleep(8 + 3599)
        kept = (await poll(v, id)).json()
        assert kept["output"]
        assert (await v.http.get(kept["output"])).status_code == 200
        await v.clock.sleep(1)
        removed = (await poll(v, id)).json()
        assert (removed["status"], removed["output"], removed["data_removed"]) == ("succeeded", None, True)
        assert (removed["input"], removed["logs"]) == ({}, None)
        assert (await v.http.get(kept["output"])).status_code == 404


async def test_a_prediction_is_cancelled_once_and_stays_charged(visit):
    """A running prediction ends as canceled, and is charged; a finished one stays as it is."""
    async with visit(video_latency=Fixed(8)) as v:
        id, other = [(await submit(v, prompt)).json()["id"] for prompt in ("a dog", "a cat")]
        await v.clock.sleep(4)
        answer = await cancel(v, id)
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
        assert (await poll(v, id)).json()["status"] == "canceled"
        await v.clock.sleep(8)
        late = await cancel(v, other)
        assert (late.status_code, late.json()["status"]) == (200, "succeeded")
        assert v.sandbox.billed() == 2
        assert v.sandbox.count("cancel") == 2
        assert (await cancel(v, "unknown")).status_code == 404


@pytest.mark.parametrize(
    ("header", "status"),
    [("Bearer sk-sandbox-replicate", 201), ("Bearer sk-sandbox", 401), ("Token sk-sandbox-replicate", 401), ("", 401)],
)
async def test_the_key_is_a_bearer_token_of_its_own(visit, header, status):
    """Another provider's key is none here; the refusal is a problem, as recorded."""
    async with visit() as v:
        answer = await submit(v, headers={"authorization": header} if header else {})
        assert answer.status_code == status
        if status == 401:
            detail = "You did not pass a valid authentication token"
            assert answer.json() == {"title": "Unauthenticated", "detail": detail, "status": 401}
            assert answer.headers["content-type"] == "application/problem+json"


STATUSES = {
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "no_balance": 402,
    "refused": 422,
    "bad_request": 422,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "html": 200,
    "garbled": 201,
    "no_id": 200,
}


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
async def test_a_fault_of_a_submission(visit, name, status):
    """Each fault has its HTTP status, and is charged as the table of faults says."""
    async with visit(retry_after=None) as v:
        answer = await submit(v, f"a dog [[{name}]]")
        assert answer.status_code == status
        assert v.sandbox.billed() == int(FAULTS[name].billed)
        if name == "no_id":
            assert "id" not in answer.json()
        if name == "rate_limited":
            assert answer.json()["detail"] == "Request was throttled. Your rate limit resets in ~30s."
            assert "retry-after" not in answer.headers


def test_every_fault_of_a_submission_is_tested_here():
    """A new fault needs a line in the table above, unless it is one without an answer."""
    names = {name for name, spec in FAULTS.items() if spec.stage is FaultStage.SUBMIT}
    assert names == STATUSES.keys() | {"lost", "dropped", "hang"}


ANSWERED = [
    name for name, spec in FAULTS.items() if spec.stage is FaultStage.POLL and name not in {"poll_lost", "poll_hang"}
]


@pytest.mark.parametrize("name", ANSWERED)
async def test_a_fault_of_a_poll_passes(visit, name):
    """Each strikes one poll, and the next one is answered."""
    async with visit() as v:
        id = (await submit(v, f"a dog [[{name}]]")).json()["id"]
        struck = await poll(v, id)
        assert struck.status_code != 200 or "json" not in struck.headers["content-type"] or b"}" not in struck.content
        assert (await poll(v, id)).json()["status"] == "processing"


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("[[failed:no luck]]", {"status": "failed", "error": "no luck", "output": None}),
        ("[[failed]]", {"status": "failed", "error": "Prediction failed."}),
        ("[[cancelled]]", {"status": "canceled", "error": None, "output": None}),
        ("[[empty]]", {"status": "succeeded", "output": None, "data_removed": False}),
    ],
)
async def test_a_fault_of_a_task(visit, marker, expected):
    """Each ends as its name says."""
    async with visit(video_latency=Fixed(8)) as v:
        id = (await submit(v, f"a dog {marker}")).json()["id"]
        await v.clock.sleep(8)
        body = (await poll(v, id)).json()
        assert {name: body[name] for name in expected} == expected
        assert v.sandbox.billed() == 1


async def test_an_unknown_word_stands_while_it_runs(visit):
    """The word is undocumented, or the one that is asked for."""
    async with visit(video_latency=Fixed(8)) as v:
        ids = [(await submit(v, f"x [[unknown_status{arg}]]")).json()["id"] for arg in ("", ":warming")]
        assert [(await poll(v, id)).json()["status"] for id in ids] == ["booting", "warming"]


SHOTS = json.dumps([{"prompt": "it sits", "duration": 2}, {"prompt": "it runs", "duration": 3}])
VALID = {
    "o1 by default pro": ("kling-o1", {}, "0.56"),
    "o1 std": ("kling-o1", {"mode": "std"}, "0.42"),
    "o1 with both ends": ("kling-o1", {"start_image": IMAGE, "end_image": IMAGE}, "0.56"),
    "o1 with references": ("kling-o1", {"reference_images": [IMAGE] * 7, "duration": 3}, "0.336"),
    "o1 with a video": ("kling-o1", {"mode": "std", "reference_video": CLIP, "duration": 4}, "0.504"),
    "o1 edits": (
        "kling-o1",
        {"reference_video": CLIP, "video_reference_type": "base", "reference_images": [IMAGE] * 4},
        "0.84",
    ),
    "omni": ("kling-v3-omni-video", {"mode": "standard", "duration": 15, "generate_audio": True}, "3.36"),
    "omni in shots": ("kling-v3-omni-video", {"multi_prompt": SHOTS}, "1.12"),
    "3.0": ("kling-v3-video", {"negative_prompt": "", "mode": "standard", "keep": None}, "0.84"),
    "3.0 in 4k": ("kling-v3-video", {"mode": "4k", "generate_audio": True}, "2.1"),
    "2.6 with sound by default": ("kling-v2.6", {"start_image": IMAGE}, "0.7"),
    "2.6 silent": ("kling-v2.6", {"generate_audio": False, "duration": 10}, "0.7"),
    "2.5 turbo": ("kling-v2.5-turbo-pro", {"aspect_ratio": "1:1"}, "0.35"),
    "2.1 master": ("kling-v2.1-master", {}, "1.4"),
    "2.1 standard": ("kling-v2.1", {"start_image": IMAGE}, "0.25"),
    "2.1 pro with both ends": ("kling-v2.1", {"mode": "pro", "start_image": IMAGE, "end_image": IMAGE}, "0.45"),
}


@pytest.mark.parametrize(("model", "given", "price"), VALID.values(), ids=list(VALID))
async def test_inputs_are_taken_and_priced(visit, model, given, price):
    """What a schema allows is accepted, and charged by the tier, the sound, the video and the seconds."""
    async with visit(strict=True) as v:
        assert (await submit(v, model=model, **given)).status_code == 201
        assert v.sandbox.spent == Decimal(price)


WRONG = {
    "no prompt": ("kling-o1", {"prompt": None}, "prompt is required"),
    "a long prompt": ("kling-v3-video", {"prompt": "x" * 2501}, "prompt must have"),
    "another provider's mode": ("kling-v3-video", {"mode": "std"}, "mode must be one of standard, pro, 4k"),
    "a ratio": ("kling-o1", {"aspect_ratio": "21:9"}, "aspect_ratio must be"),
    "seven seconds of text": ("kling-o1", {"duration": 7}, "duration must be 5 or 10"),
    "text for a number": ("kling-v3-video", {"duration": "5"}, "duration must be"),
    "a last frame alone": ("kling-o1", {"end_image": IMAGE}, "end_image requires start_image"),
    "a last frame of an edit": (
        "kling-o1",
        {"start_image": IMAGE, "end_image": IMAGE, "reference_video": CLIP, "video_reference_type": "base"},
        "end_image is not supported",
    ),
    "eight references": ("kling-o1", {"reference_images": [IMAGE] * 8}, "at most 7 URLs"),
    "five beside a video": (
        "kling-o1",
        {"reference_images": [IMAGE] * 5, "reference_video": CLIP},
        "at most 4 URLs when a video is given",
    ),
    "sound beside a video": (
        "kling-v3-omni-video",
        {"reference_video": CLIP, "generate_audio": True},
        "mutually exclusive",
    ),
    "a video in 4k": ("kling-v3-omni-video", {"mode": "4k", "reference_video": CLIP}, "not supported in 4k"),
    "no first frame": ("kling-v2.1", {}, "start_image is required"),
    "a last frame in standard": ("kling-v2.1", {"start_image": IMAGE, "end_image": IMAGE}, "for the mode pro only"),
    "shots that are a list": ("kling-v3-video", {"multi_prompt": [{}]}, "multi_prompt must be a string"),
    "shots that are no JSON": ("kling-v3-video", {"multi_prompt": "[{"}, "must be a JSON array"),
    "shots that are no array": ("kling-v3-video", {"multi_prompt": "{}"}, "must be a JSON array of 1 to 6 shots"),
    "seven shots": (
        "kling-v3-video",
        {"duration": 7, "multi_prompt": json.dumps([{"prompt": "x", "duration": 1}] * 7)},
        "1 to 6 shots",
    ),
    "shots with faults": (
        "kling-v3-video",
        {"multi_prompt": json.dumps(["x", {"prompt": " ", "duration": "2"}])},
        "multi_prompt[1].prompt is required; multi_prompt[1].duration must be",
    ),
    "shots of another length": ("kling-v3-video", {"duration": 6, "multi_prompt": SHOTS}, "must sum to 6"),
    "an unknown field": ("kling-v2.6", {"end_image": IMAGE}, "end_image is not a known parameter"),
}


@pytest.mark.parametrize(("model", "given", "detail"), WRONG.values(), ids=list(WRONG))
async def test_inputs_are_refused_with_a_problem(visit, model, given, detail):
    """What a schema forbids is a 422 that says why, and is not charged."""
    async with visit(strict=True) as v:
        answer = await submit(v, model=model, **given)
        assert answer.status_code == 422
        assert answer.json()["title"] == "Input validation failed"
        assert detail in answer.json()["detail"]
        assert v.sandbox.billed() == 0


async def test_bodies_without_an_input_are_refused(visit):
    """The fields belong inside `input`, and nothing else beside it but the webhook."""
    async with visit() as v:
        path = "/v1/models/kwaivgi/kling-o1/predictions"
        assert (await v.post(path, {"prompt": "a dog"}, KEY)).json()["detail"] == "input is required"
        more = await v.post(path, {"input": {"prompt": "a dog"}, "model": "x"}, KEY)
        assert (more.status_code, more.json()["detail"]) == (422, "Additional property model is not allowed")
        hook = {"input": {"prompt": "a dog"}, "webhook": "https://x.test/", "webhook_events_filter": ["completed"]}
        assert (await v.post(path, hook, KEY)).status_code == 201


async def test_paths_that_are_not_there(visit):
    """An unknown model has no address, and an address has one method."""
    async with visit() as v:
        assert (await submit(v, model="kling-v9")).status_code == 404
        assert (await v.http.get("/v1/models/kwaivgi/kling-o1/predictions", headers=KEY)).status_code == 405
        assert (await poll(v, "unknown")).json()["detail"] == "The requested resource could not be found."
        page = (await v.http.get("/")).text
        assert "POST http://sandbox.test/v1/models/kwaivgi/{model}/predictions" in page
