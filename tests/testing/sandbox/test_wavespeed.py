"""The sandbox's wire format of WaveSpeedAI is that of its schemas and documents."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from kling_async.testing import FAULTS, Fixed
from kling_async.testing.sandbox.wavespeed_catalog import ENDPOINTS

from .test_faults import AT_SUBMIT, ended

pytestmark = pytest.mark.anyio

URL, CLIP, SONG = "https://example.com/a.png", "https://example.com/c.mp4", "https://example.com/d.mp3"
KEY = {"authorization": "Bearer sk-sandbox-wavespeed"}
ROOT = "/api/v3/kwaivgi"
IMAGE, VIDEO = "kling-image-o1", "kling-video-o1-std/text-to-video"


async def made(visitor, path=IMAGE, prompt="a cat", **more):
    """Submit to an endpoint; a field of None is left out."""
    body = {name: value for name, value in {"prompt": prompt, **more}.items() if value is not None}
    return await visitor.post(f"{ROOT}/{path}", body, KEY)


async def polled(visitor, id, **headers):
    """Poll a prediction."""
    return await visitor.http.get(f"/api/v3/predictions/{id}/result", headers={**KEY, **headers})


async def result(visitor, created):
    """Wait for a prediction to end, and return its data."""
    assert created.status_code == 200, created.text
    await visitor.clock.sleep(1000)
    return (await polled(visitor, created.json()["data"]["id"])).json()["data"]


async def test_an_image_is_created_processed_and_completed(visit):
    """The envelope is the documented one at every stage: an empty error, a date of ISO 8601, and milliseconds."""
    async with visit(image_latency=Fixed(8)) as v:
        created = (await made(v)).json()
        data = created.pop("data")
        assert created == {"code": 200, "message": "success"}
        id = data.pop("id")
        assert re.fullmatch(r"[0-9a-f]{32}", id)
        assert data == {
            "model": "kwaivgi/kling-image-o1",
            "outputs": [],
            "urls": {"get": f"http://sandbox.test/api/v3/predictions/{id}/result"},
            "status": "created",
            "has_nsfw_contents": [],
            "error": "",
            "created_at": "2026-01-01T00:00:00.000Z",
            "timings": {"inference": 0},
        }
        await v.clock.sleep(4)
        assert (await polled(v, id)).json()["data"]["status"] == "processing"
        await v.clock.sleep(5)
        done = (await polled(v, id)).json()["data"]
        assert (done["status"], done["error"], done["timings"]) == ("completed", "", {"inference": 8000})
        assert done["outputs"] == [f"http://sandbox.test/files/{id}-1.png"]
        assert done["has_nsfw_contents"] == [False]


LEAST = {
    "image-to-video": {"image": URL},
    "reference-to-video": {"images": [URL]},
    "video-edit": {"video": CLIP},
    "video-extend": {"video": CLIP},
    "motion-control": {"image": URL, "video": CLIP},
    "edit": {"images": [URL]},
}


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_every_endpoint_takes_the_least_that_it_needs(visit, path):
    """A prompt and the required media are enough, even where nothing else is allowed."""
    async with visit(strict=True) as v:
        data = await result(v, await made(v, path, **LEAST.get(path.partition("/")[2], {})))
        suffix = "png" if "image-o" in path else "mp4"
        assert (data["status"], data["model"]) == ("completed", f"kwaivgi/{path}")
        assert [url.rpartition(".")[2] for url in data["outputs"]] == [suffix]


@pytest.mark.parametrize("path", [path for path in ENDPOINTS if path.partition("/")[2] in LEAST])
async def test_required_media_are_required(visit, path):
    """An endpoint names the medium that it lacks, and charges nothing."""
    async with visit() as v:
        refused = await made(v, path)
        if path.endswith("reference-to-video") and "v4.0" not in path:
            assert refused.status_code == 200  # the schemas of O1 and O3 require the prompt alone, or nothing
            return
        assert refused.status_code == 400
        assert "required" in refused.json()["message"]
        assert v.sandbox.billed() == 0


V4, V3, TURBO = "kling-v4.0", "kling-v3.0-std", "kling-v3-turbo-std"
O3 = "kling-video-o3-std/text-to-video"


def shots(*seconds, **more):
    """Make a list of shots."""
    return [{"prompt": "a shot", "duration": one, **more} for one in seconds]


@pytest.mark.parametrize(
    ("path", "more", "named"),
    [
        (IMAGE, {"prompt": None}, "prompt is required"),
        (IMAGE, {"num_images": 10}, "num_images must be a whole number from 1 to 9"),
        (IMAGE, {"resolution": "4k"}, "resolution must be one of 1k, 2k"),
        (IMAGE, {"aspect_ratio": "2:1"}, "aspect_ratio"),
        (IMAGE, {"images": [URL] * 11}, "images must hold at most 10"),
        (IMAGE, {"n": 2}, "n is not a known parameter"),
        ("kling-image-o3/text-to-image", {"images": [URL]}, "images is not a known parameter"),
        (VIDEO, {"duration": 7}, "duration must be 5 or 10"),
        (VIDEO, {"duration": "5"}, "duration"),
        (VIDEO, {"sound": True}, "sound is not a known parameter"),
        ("kling-video-o1-std/image-to-video", {"image": URL, "duration": 7}, "duration must be 5 or 10"),
        ("kling-video-o1-std/image-to-video", {"image": URL, "end_image": URL}, "end_image is not a known"),
        ("kling-video-o1/reference-to-video", {"images": [URL] * 8}, "at most 7"),
        ("kling-video-o1/reference-to-video", {"images": [URL] * 5, "video": CLIP}, "at most 4 URLs beside a video"),
        ("kling-video-o1/video-edit", {"video": CLIP, "duration": 5}, "duration is not a known parameter"),
        ("kling-video-o1/video-edit", {"video": "/tmp/c.mp4"}, "video must be an http"),
        (O3, {"prompt": None}, "prompt or multi_prompt is required"),
        (O3, {"multi_prompt": shots(5)}, "prompt and multi_prompt are mutually exclusive"),
        (O3, {"prompt": None, "multi_prompt": shots(2, 3)}, "multi_prompt[0].duration"),
        (O3, {"prompt": None, "multi_prompt": shots("5")}, "multi_prompt[0].duration"),
        (O3, {"prompt": None, "multi_prompt": shots(4)}, "must add up to duration, 5"),
        (O3, {"prompt": None, "multi_prompt": [{"duration": 5}]}, "multi_prompt[0].prompt"),
        (O3, {"prompt": None, "multi_prompt": ["a"]}, "multi_prompt[0].prompt"),
        (O3, {"prompt": None, "duration": 15, "multi_prompt": shots(*[3] * 7)}, "at most 6 shots"),
        (O3, {"shot_type": "intelligence"}, "shot_type must be one of customize, intelligent"),
        ("kling-video-o3-4k/reference-to-video", {"images": [URL], "video": CLIP}, "video is not a known"),
        (
            f"{V3}/image-to-video",
            {"prompt": None, "image": URL, "end_image": URL, "multi_prompt": shots(5)},
            "multi_prompt is not supported with end_image",
        ),
        (f"{V3}/text-to-video", {"cfg_scale": 2}, "cfg_scale must be a number from 0 to 1"),
        (f"{TURBO}/text-to-video", {"prompt": "x" * 2501}, "2500"),
        (f"{TURBO}/text-to-video", {"negative_prompt": "rain"}, "negative_prompt is not a known"),
        (f"{V4}/text-to-video", {"duration": 31}, "from 3 to 30"),
        (f"{V4}/text-to-video", {"sound": True}, "sound is not a known"),
        (f"{V4}/text-to-video", {"dynamic_range": "hdr"}, "dynamic_range requires"),
        (f"{V4}/image-to-video", {"image": URL, "keyframes": [URL] * 9}, "keyframes must hold at most 8"),
        (f"{V4}/reference-to-video", {"audios": [SONG]}, "images or videos is required"),
        (f"{V4}/reference-to-video", {"images": [URL], "keep_original_sound": True}, "requires videos"),
        (
            f"{V4}/reference-to-video",
            {"images": [URL] * 10, "videos": [CLIP] * 5, "audios": [SONG]},
            "at most 15 files",
        ),
        (f"{V4}/video-edit", {"videos": [CLIP], "video": CLIP}, "videos is not a known parameter"),
        (f"{V4}/video-extend", {"video": CLIP, "aspect_ratio": "16:9"}, "aspect_ratio is not a known"),
    ],
)
async def test_what_a_schema_lacks_is_refused(visit, path, more, named):
    """HTTP 400 names the parameter in the form of all refusals, and nothing is charged."""
    async with visit(strict=True) as v:
        refused = await made(v, path, **more)
        assert refused.status_code == 400
        assert named in refused.json()["message"]
        assert refused.json()["error_code"] == "1401"
        assert v.sandbox.billed() == 0


@pytest.mark.parametrize(
    ("path", "more", "amount"),
    [
        (IMAGE, {"num_images": 3, "resolution": "2k"}, "0.084"),
        ("kling-image-o3/text-to-image", {"num_images": 2, "resolution": "4k"}, "0.112"),
        (VIDEO, {"duration": 10}, "0.84"),
        ("kling-video-o1/reference-to-video", {"images": [URL], "video": CLIP}, "0.84"),
        ("kling-video-o1-std/video-edit", {"video": CLIP}, "0.63"),
        (O3, {"prompt": None, "duration": 6, "multi_prompt": shots(3, 3)}, "0.504"),
        (f"{V4}/text-to-video", {}, "0.785"),
        (f"{V4}/text-to-video", {"resolution": "1080p", "duration": 10}, "2.35"),
        (f"{V4}/video-extend", {"video": CLIP, "last_image": URL, "duration": 10}, "1.57"),
    ],
)
async def test_prices_are_the_published_ones(visit, path, more, amount):
    """A submission is charged by the image or by the second, at the price of its resolution."""
    async with visit() as v:
        assert (await made(v, path, **more)).status_code == 200
        (entry,) = v.sandbox.entries
        assert (entry.provider, entry.amount) == ("wavespeed", Decimal(amount))


async def test_shots_have_a_prompt_of_their_own(visit):
    """The prompt of a submission without one is that of its shots."""
    async with visit() as v:
        await made(v, O3, None, duration=6, multi_prompt=shots(3, 3))
        assert v.sandbox.entries[0].prompt == "a shot / a shot"


@pytest.mark.parametrize(("header", "status"), [("Bearer sk-sandbox-wavespeed", 200), ("Bearer no", 401), ("", 401)])
async def test_the_key_is_a_bearer_token(visit, header, status):
    """A path of WaveSpeedAI alone takes its own key, as Bearer; a refusal is a message without a code."""
    async with visit() as v:
        answer = await v.post(f"{ROOT}/{IMAGE}", {"prompt": "x"}, {"authorization": header} if header else {})
        assert answer.status_code == status
        if status == 401:
            assert answer.json() == {"message": "Invalid API key"}


async def test_the_key_tells_the_provider_where_paths_are_the_same(visit):
    """The same path is GPTProto's by one key and WaveSpeedAI's by another, and neither sees the other's predictions."""
    async with visit() as v:
        body = {"prompt": "a dog"}
        theirs = (await v.post(f"{ROOT}/{VIDEO}", body)).json()["data"]
        ours = (await v.post(f"{ROOT}/{VIDEO}", body, KEY)).json()["data"]
        assert ["gptproto", "wavespeed"] == [entry.provider for entry in v.sandbox.entries]
        assert (theirs["error"], ours["error"]) == (None, "")
        assert ((await v.poll(ours["id"])).status_code, (await polled(v, theirs["id"])).status_code) == (404, 404)
        assert ((await v.poll(theirs["id"])).status_code, (await polled(v, ours["id"])).status_code) == (200, 200)


@pytest.mark.parametrize("path", ["kling-v9.0/text-to-video", "kling-image-o1/text-to-image", "kling-v4.0"])
async def test_an_endpoint_of_another_provider_is_an_html_page(visit, path):
    """A path that WaveSpeedAI has not is not found by its key, even where GPTProto has it."""
    async with visit() as v:
        answer = await made(v, path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


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


@pytest.mark.parametrize("name", AT_SUBMIT)
async def test_each_fault_of_a_submission_has_its_form(visit, name):
    """A fault has its status, charges what the table says, holds no id, and is over."""
    async with visit() as v:
        answer = await ended(v.clock, made(v, prompt=f"a cat [[{name}]]"))
        if name in STATUSES:
            assert answer.status_code == STATUSES[name]
            assert all(entry.id not in answer.text for entry in v.sandbox.entries)
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert v.sandbox.billed() == int(FAULTS[name].billed)
        if not FAULTS[name].permanent:
            assert (await made(v, prompt=f"a cat [[{name}]]")).status_code == 200


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("poll_")])
async def test_a_fault_of_a_poll_is_over_and_the_prediction_is_there(visit, name):
    """The prediction can be read afterwards, and was charged once."""
    async with visit(image_latency=Fixed(1)) as v:
        id = (await made(v, prompt=f"a cat [[{name}]]")).json()["data"]["id"]
        await v.clock.sleep(5)
        answer = await ended(v.clock, polled(v, id))
        assert answer in ("hang", "reset") or "completed" not in answer.text
        assert (await polled(v, id)).json()["data"]["status"] == "completed"
        assert v.sandbox.billed() == 1


async def test_a_failed_task_has_a_code_and_is_refunded(visit):
    """The reason is in data.code and data.error, under HTTP 200 and code 200, and the charge comes back."""
    async with visit() as v:
        created = await made(v, prompt="x [[failed:bad weather]]")
        assert v.sandbox.billed() == 1
        data = await result(v, created)
        assert (data["status"], data["code"], data["error"]) == ("failed", 1405, "bad weather")
        assert (v.sandbox.billed(), v.sandbox.spent) == (0, 0)


async def test_other_ends_have_the_words_of_the_sdk(visit):
    """A task may be cancelled, be flagged, or complete without outputs."""
    async with visit() as v:
        assert (await result(v, await made(v, prompt="x [[cancelled]]")))["status"] == "cancelled"
        flagged = await result(v, await made(v, prompt="x [[flagged]]", num_images=2))
        assert (len(flagged["outputs"]), flagged["has_nsfw_contents"]) == (2, [True, True])
        assert (await result(v, await made(v, prompt="x [[empty]]")))["outputs"] == []


async def test_sync_mode_waits_and_gives_up_with_5004(visit):
    """A short generation is answered when it is finished; a long one while it goes on, with the code 5004."""
    async with visit(image_latency=Fixed(8), video_latency=Fixed(200)) as v:
        data = (await made(v, enable_sync_mode=True)).json()["data"]
        assert (v.clock.now(), data["status"], len(data["outputs"])) == (8, "completed", 1)
        late = (await made(v, VIDEO, enable_sync_mode=True)).json()["data"]
        assert (v.clock.now(), late["status"], late["code"]) == (98, "processing", 5004)
        assert "Sync mode timed out" in late["error"]
        await v.clock.sleep(120)
        assert (await polled(v, late["id"])).json()["data"]["status"] == "completed"


async def test_the_index_names_the_routes(visit):
    """The index page tells how to reach WaveSpeedAI's wire."""
    async with visit() as v:
        page = (await v.http.get("/")).text
        assert "WaveSpeedAI POST http://sandbox.test/api/v3/kwaivgi/{model}/{scene}" in page
        assert "-wavespeed" in page


QUOTES = {
    "an image": (IMAGE, {"prompt": "x", "num_images": 3}, 0.084),
    "a video": (VIDEO, {"prompt": "x", "duration": 10}, 0.84),
    "no inputs": (VIDEO, {}, 0.42),
    "4.0, whose resolution decides": ("kling-v4.0/text-to-video", {"prompt": "x", "resolution": "1080p"}, 1.175),
}


@pytest.mark.parametrize(("path", "inputs", "price"), QUOTES.values(), ids=list(QUOTES))
async def test_a_price_charges_nothing(visit, path, inputs, price):
    """The price of a submission is told in advance, for the key alone; without inputs it is the lowest."""
    async with visit() as v:
        body = {"model_id": f"kwaivgi/{path}", "inputs": inputs}
        told = await v.post("/api/v3/model/price", body, KEY)
        assert (told.status_code, told.json()["code"], told.json()["message"]) == (200, 200, "success")
        assert told.json()["data"] == {
            "model_id": f"kwaivgi/{path}",
            "price": price,
            "discounted_price": price,
            "currency": "USD",
        }
        assert (await v.post("/api/v3/model/price", body, {})).status_code == 401
        assert (await v.http.get("/api/v3/model/price", headers=KEY)).status_code == 405
        assert (v.sandbox.billed(), v.sandbox.submits) == (0, 0)
        if inputs:
            assert (await made(v, path, **inputs)).status_code == 200
            assert float(v.sandbox.spent) == price


async def test_a_price_is_of_a_model(visit):
    """A model that is not here, and inputs that are no object, are refused, as is a body that is not JSON."""
    async with visit() as v:
        for body in ({"model_id": "kwaivgi/kling-9", "inputs": {}}, {"model_id": f"kwaivgi/{IMAGE}"}, {}, []):
            assert (await v.post("/api/v3/model/price", body, KEY)).status_code == 400
        assert (await v.http.post("/api/v3/model/price", content=b"{", headers=KEY)).status_code == 400


async def test_the_balance_is_that_of_the_ledger(visit):
    """The balance falls by what is charged, and rises again by what is refunded; GPTProto has no such path."""

    async def balance():
        told = (await v.http.get("/api/v3/balance", headers=KEY)).json()
        assert (told["code"], told["message"]) == (200, "success")
        return told["data"]["balance"]

    async with visit(balance="10") as v:
        assert await balance() == 10
        await made(v)
        assert await balance() == float(v.sandbox.balance) == 9.972
        await result(v, await made(v, prompt="x [[failed]]"))
        assert await balance() == 9.972
        assert (await v.http.get("/api/v3/balance")).status_code == 401
        assert (await v.http.get("/api/v3/balance", headers={"authorization": "sk-sandbox"})).status_code == 404


async def test_models_are_listed(visit):
    """Each endpoint is listed with its schema and the price of five seconds, and so is a model of another maker."""
    async with visit() as v:
        told = (await v.http.get("/api/v3/models", headers=KEY)).json()
        assert (told["code"], told["message"]) == (200, "success")
        by_id = {one["model_id"]: one for one in told["data"]}
        assert {f"kwaivgi/{path}" for path in ENDPOINTS} < set(by_id)
        [run] = by_id[f"kwaivgi/{VIDEO}"]["api_schema"]["api_schemas"]
        assert (run["api_path"], by_id[f"kwaivgi/{VIDEO}"]["base_price"]) == (f"{ROOT}/{VIDEO}", 0.42)
        assert set(run["request_schema"]["properties"]) == {"prompt", "aspect_ratio", "duration"}
        assert run["request_schema"]["required"] == ["prompt"]
        assert (await v.http.get("/api/v3/models")).status_code == 401


@pytest.mark.parametrize("path", list(ENDPOINTS))
async def test_a_listed_schema_is_the_one_that_is_checked(visit, path):
    """A strict sandbox knows every listed field, and asks for every required one."""
    async with visit(strict=True) as v:
        listed = (await v.http.get("/api/v3/models", headers=KEY)).json()["data"]
        [schema] = [one["api_schema"]["api_schemas"][0] for one in listed if one["model_id"] == f"kwaivgi/{path}"]
        fields, required = schema["request_schema"]["properties"], schema["request_schema"]["required"]
        refused = (await v.post(f"{ROOT}/{path}", {**dict.fromkeys(fields), "zzz": 1}, KEY)).json()["message"]
        assert re.findall(r"(\w+) is not a known parameter", refused) == ["zzz"]
        refused = (await v.post(f"{ROOT}/{path}", {}, KEY)).json().get("message", "")
        assert set(required) <= set(re.findall(r"(\w+) is required", refused))
