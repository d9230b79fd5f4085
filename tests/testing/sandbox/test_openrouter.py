"""The sandbox's wire format of OpenRouter is that of its documents."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, Fixed

from .test_faults import AT_SUBMIT, ended

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer sk-sandbox-openrouter"}
URL = "https://example.com/a.png"
VIDEOS = "/api/v1/videos"
STATUSES = {
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "no_balance": 402,
    "refused": 403,
    "bad_request": 400,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "html": 200,
    "garbled": 202,
    "no_id": 200,
}


def frame(kind, url=URL):
    return {"type": "image_url", "image_url": {"url": url}, "frame_type": kind}


async def submit(v, prompt="a dog", headers=KEY, **more):
    return await v.post(VIDEOS, {"model": "kwaivgi/kling-v3.0-std", "prompt": prompt, **more}, headers)


async def poll(v, id):
    return await v.http.get(f"{VIDEOS}/{id}", headers=KEY)


async def finished(v, prompt="a dog", **more):
    created = await submit(v, prompt, **more)
    assert created.status_code == 202, created.text
    await v.clock.sleep(1000)
    return (await poll(v, created.json()["id"])).json()


async def test_a_video_is_pending_and_then_completed(visit):
    """The answers to the submission and to the polls are flat records with the documented words."""
    async with visit(video_latency=Fixed(60), slots=1) as v:
        created, waiting = (await submit(v)), (await submit(v, "a cat")).json()
        id = created.json()["id"]
        url = f"http://sandbox.test{VIDEOS}/{id}"
        assert created.status_code == 202
        assert created.json() == {"id": id, "polling_url": url, "status": "pending"}
        assert re.fullmatch(r"gen-vid-1767225600-[0-9a-f]{20}", id)
        assert (await poll(v, id)).json() == {"id": id, "polling_url": url, "status": "in_progress"}
        assert (await poll(v, waiting["id"])).json()["status"] == "pending"
        await v.clock.sleep(60)
        assert (await poll(v, id)).json() == {
            "id": id,
            "polling_url": url,
            "status": "completed",
            "generation_id": id,
            "unsigned_urls": [f"{url}/content?index=0"],
            "urls": [f"http://sandbox.test/files/{id}-1.mp4"],
            "expires_at": 1767225600 + 60 + 86400,
            "usage": {"cost": 0.63, "is_byok": False},
        }


async def test_the_signed_copy_needs_no_key_and_the_content_does(visit):
    """Both are the same film; without the key the content endpoint answers 401 in the documented form."""
    async with visit() as v:
        done = await finished(v)
        (signed,), (content,) = done["urls"], done["unsigned_urls"]
        film = (await v.http.get(signed)).content
        assert film[4:8] == b"ftyp"
        refused = await v.http.get(content)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, 401)
        answer = await v.http.get(content, headers={**KEY, "range": "bytes=0-99"})
        assert (answer.status_code, answer.content) == (200, film)
        assert (await v.http.get(content.partition("?")[0], headers=KEY)).content == film
        assert [seen.with_key for seen in v.sandbox.log if seen.kind == "download"] == [False, False, True, True]


async def test_content_that_there_is_not_is_refused(visit):
    """Another index, an unknown job, a job of another provider and one that still runs have none."""
    async with visit(video_latency=Fixed(60)) as v:
        id = (await submit(v)).json()["id"]
        other = (await v.one_video()).json()["data"]["task_id"]

        async def status(path):
            return (await v.http.get(f"{VIDEOS}/{path}", headers=KEY)).status_code

        assert await status(f"{id}/content") == 409
        await v.clock.sleep(1000)
        paths = (f"{id}/content?index=1", f"{id}/content?index=x", "nothing/content", f"{other}/content")
        assert [await status(path) for path in paths] == [400, 400, 404, 404]
        assert await status(other) == 404


async def test_signed_urls_may_be_missing_or_gone(visit):
    """A fault leaves the content endpoint alone, and URLs that expire do not end it."""
    async with visit(output_ttl=10) as v:
        done = await finished(v, "x [[unsigned]]")
        assert "urls" not in done
        assert "expires_at" not in done
        done = await finished(v)
        await v.clock.sleep(11)
        assert (await v.http.get(done["urls"][0])).status_code == 410
        assert (await v.http.get(done["unsigned_urls"][0], headers=KEY)).status_code == 200
    async with visit() as v:
        done = await finished(v, "x [[gone]] [[unsigned]]")
        assert (await v.http.get(done["unsigned_urls"][0], headers=KEY)).status_code == 410
        done = await finished(v, "x [[file_error_503]]")
        assert [(await v.http.get(done["unsigned_urls"][0], headers=KEY)).status_code for _ in "ab"] == [503, 200]
        unknown = {**KEY, "x-sandbox-fault": "nonsense"}
        assert (await v.http.get(done["unsigned_urls"][0], headers=unknown)).status_code == 400


async def test_ways_to_end(visit):
    """Failed, cancelled and empty are told as the documents tell them."""
    async with visit() as v:
        failed = await finished(v, "x [[failed:bad weather]]")
        assert (failed["status"], failed["error"]) == ("failed", "bad weather")
        assert (await finished(v, "x [[failed]]"))["error"] == "The generation failed"
        cancelled = await finished(v, "x [[cancelled]]")
        assert (cancelled["status"], cancelled["error"]) == ("cancelled", "Job was cancelled")
        empty = await finished(v, "x [[empty]]")
        assert (empty["status"], empty["unsigned_urls"]) == ("completed", [])
        assert "urls" not in empty
        assert v.sandbox.billed() == 4


async def test_an_unknown_status_is_seen_while_it_runs(visit):
    """The word can be chosen."""
    async with visit() as v:
        for prompt, word in (("x [[unknown_status]]", "uploading"), ("x [[unknown_status:on_hold]]", "on_hold")):
            id = (await submit(v, prompt)).json()["id"]
            assert (await poll(v, id)).json()["status"] == word


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"model": None}, "model is required"),
        ({"model": "kling-3"}, "kling-3 is not a valid model ID"),
        ({"model": ["kling"]}, "is not a valid model ID"),
        ({"prompt": None}, "prompt is required"),
        ({"prompt": "x" * 2501}, "2500"),
        ({"duration": 2}, "3 to 15"),
        ({"duration": 7, "model": "kwaivgi/kling-video-o1"}, "5 or 10"),
        ({"aspect_ratio": "4:3"}, "aspect_ratio"),
        ({"resolution": "1080p"}, "resolution"),
        ({"size": "1920x1080"}, "size"),
        ({"generate_audio": "yes"}, "generate_audio"),
        ({"callback_url": "here"}, "callback_url"),
        ({"provider": []}, "provider must be an object"),
        ({"frame_images": [URL]}, "frame_images[0].url is required"),
        ({"frame_images": [{"image_url": URL, "frame_type": "first_frame"}]}, "[0].image_url must be an object"),
        ({"frame_images": [frame("first_frame", "data:image/png;base64,AA")]}, "[0].url must be an http or https URL"),
        ({"frame_images": [frame("middle_frame")]}, "[0].frame_type must be one of"),
        ({"frame_images": [{"type": "image_url", "image_url": {"url": URL}}]}, "[0].frame_type is required"),
        ({"frame_images": [frame("last_frame"), frame("last_frame")]}, "each frame once"),
    ],
)
async def test_a_wrong_parameter_is_named(visit, more, named):
    """HTTP 400 in the documented form names the parameter, and nothing is charged."""
    async with visit() as v:
        refused = await submit(v, **more)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert named in error["message"]
        assert error["code"] == 400
        assert v.sandbox.billed() == 0


async def test_documented_parameters_are_taken(visit):
    """A strict sandbox takes all that is documented, and nothing else."""
    async with visit(strict=True) as v:
        frames = [frame("first_frame"), frame("last_frame")]
        more = {"provider": {"options": {}}, "callback_url": "https://example.com/hook", "size": "720x720"}
        assert (await submit(v, frame_images=frames, generate_audio=False, **more)).status_code == 202
        assert (await submit(v, negative_prompt="rain")).status_code == 400
        assert v.sandbox.tasks[v.sandbox.entries[0].id].spec.scene == "image-to-video"


@pytest.mark.parametrize(
    ("more", "price"),
    [
        ({}, "0.630"),
        ({"generate_audio": False}, "0.420"),
        ({"model": "kwaivgi/kling-v3.0-pro", "duration": 10}, "1.680"),
        ({"model": "kwaivgi/kling-video-o1", "duration": 10}, "1.120"),
    ],
)
async def test_videos_cost_what_is_published(visit, more, price):
    """A second has a price, and a higher one with sound; the record tells the whole."""
    async with visit() as v:
        done = await finished(v, **more)
        assert v.sandbox.spent == Decimal(price) == Decimal(str(done["usage"]["cost"])).quantize(Decimal("0.001"))


@pytest.mark.parametrize(
    ("header", "status"),
    [("Bearer sk-sandbox-openrouter", 202), ("sk-sandbox-openrouter", 401), ("Bearer sk-sandbox", 401), ("", 401)],
)
async def test_the_key_is_a_bearer_token_of_its_own(visit, header, status):
    """A bare key, and the key of another provider, are refused."""
    async with visit() as v:
        assert (await submit(v, headers={"authorization": header} if header else {})).status_code == status


async def test_a_path_of_two_providers_belongs_to_the_key(visit):
    """API in One submits at a path that reads like a job here: the key tells them apart."""
    async with visit() as v:
        path = f"{VIDEOS}/generations"
        assert (await v.one_video()).status_code == 200
        assert (await v.post(path, {}, KEY)).status_code == 405
        assert (await v.http.get(path, headers=KEY)).status_code == 404
        assert (await v.http.delete(f"{VIDEOS}/x", headers=KEY)).status_code == 405


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
            assert (await submit(v, prompt)).status_code == 202


@pytest.mark.parametrize("name", [name.removeprefix("poll_") for name in FAULTS if name.startswith("poll_")])
async def test_a_fault_of_a_poll_passes(visit, name):
    """The job can be read afterwards, and was paid for once."""
    async with visit(video_latency=Fixed(1)) as v:
        id = (await submit(v, f"a dog [[poll_{name}]]")).json()["id"]
        await v.clock.sleep(5)
        answer = await ended(v.clock, poll(v, id))
        expected = {**STATUSES, "garbled": 200, "not_found": 404}
        if name in expected:
            assert answer.status_code == expected[name]
            assert "completed" not in answer.text
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert (await poll(v, id)).json()["status"] == "completed"
        assert v.sandbox.billed() == 1


REFUSALS = {
    "no_balance": ("Insufficient credits", None),
    "forbidden": ("This key may not", "error_type"),
    "refused": ("Input flagged", "reasons"),
    "rate_limited": ("Rate limit exceeded", "error_type"),
    "error_500": ("Internal Server Error", "error_type"),
    "error_503": ("No available model provider", None),
}


@pytest.mark.parametrize(("name", "facts"), REFUSALS.items(), ids=list(REFUSALS))
async def test_refusals_have_the_documented_form(visit, name, facts):
    """An error has a code, that of HTTP, a message, and metadata where the documents show some."""
    async with visit() as v:
        answer = await submit(v, f"a dog [[{name}]]")
        error = json.loads(answer.text)["error"]
        assert error["code"] == answer.status_code
        assert error["message"].startswith(facts[0])
        assert facts[1] in error["metadata"] if facts[1] else "metadata" not in error
        assert answer.headers.get("retry-after") == ("1" if name == "rate_limited" else None)


async def test_models_are_listed(visit):
    """The models are listed for the key alone, with one of another maker; no job has that path."""
    async with visit() as v:
        told = await v.http.get(f"{VIDEOS}/models", headers=KEY)
        assert {"google/veo-3.1", "kwaivgi/kling-v3.0-std"} < {one["id"] for one in told.json()["data"]}
        assert (await v.http.get(f"{VIDEOS}/models")).status_code == 401
        assert v.sandbox.polls == 0
