"""The sandbox's wire format of GPTProto is that of its documents."""

from __future__ import annotations

import base64
import re

import pytest

from kling_async.testing import Fixed

pytestmark = pytest.mark.anyio

URL = "https://example.com/a.png"


async def test_an_image_is_created_processed_and_completed(visit):
    """The envelope is the documented one at every stage, and the poll is the address it tells."""
    async with visit(image_latency=Fixed(8)) as v:
        created = (await v.image()).json()
        assert (created["code"], created["message"]) == (200, "success")
        data = created["data"]
        assert data["status"] == "created"
        assert data["outputs"] == data["has_nsfw_contents"] == []
        assert data["error"] is None
        assert data["urls"] == {"get": f"http://sandbox.test/api/v3/predictions/{data['id']}/result"}
        assert re.fullmatch(r"[0-9a-f]{32}", data["id"])
        assert data["created_at"] == "2026-01-01 00:00:00"
        await v.clock.sleep(7.9)
        assert (await v.poll(data["id"])).json()["data"]["status"] == "processing"
        await v.clock.sleep(0.2)
        done = (await v.poll(data["id"])).json()["data"]
        assert done["status"] == "completed"
        assert done["outputs"] == [f"http://sandbox.test/files/{data['id']}-1.png"]
        assert done["executionTime"] == done["timings"]["inference"] == 8000
        assert done["has_nsfw_contents"] == [False]


@pytest.mark.parametrize(
    ("scene", "more"),
    [
        ("text-to-video", {"duration": 10, "aspect_ratio": "9:16"}),
        ("image-to-video", {"image": URL}),
        ("image-to-video", {"image": URL, "last_image": URL, "duration": 7}),
        ("reference-to-video", {"images": [URL] * 10, "duration": 3}),
        ("video-to-video", {"video": URL, "images": [URL] * 4, "keep_original_sound": False}),
        ("text-to-video", {"multi_prompt": [{"index": 1, "prompt": "a", "duration": "5"}]}),
    ],
)
async def test_every_scene_of_video_o1_gives_a_film(visit, scene, more):
    """Text-, image-, reference- and video-to-video end with one MP4."""
    async with visit() as v:
        for model in ("kling-video-o1-std", "kling-video-o1-pro"):
            data = await v.result(await v.video(scene, model, **more))
            assert data["status"] == "completed"
            assert [url.rpartition(".")[2] for url in data["outputs"]] == ["mp4"]


async def test_image_to_image_takes_references_or_none(visit):
    """The table says that images are optional there too, at most ten."""
    async with visit() as v:
        path = "/api/v3/kwaivgi/kling-image-o1/image-to-image"
        assert (await v.post(path, {"prompt": "x"})).status_code == 200
        assert (await v.post(path, {"prompt": "x", "images": [URL] * 10, "n": 9})).status_code == 200
        assert (await v.post(path, {"prompt": "x", "images": [URL] * 11})).status_code == 400


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"prompt": None}, "prompt is required"),
        ({"prompt": 5}, "prompt must be a string"),
        ({"prompt": " "}, "prompt must have"),
        ({"aspect_ratio": "21:9"}, "aspect_ratio"),
        ({"resolution": "1K"}, "resolution"),
        ({"n": 0}, "n must"),
        ({"n": 10}, "n must"),
        ({"n": "1"}, "n must"),
        ({"n": True}, "n must"),
        ({"images": URL}, "images must be an array"),
        ({"images": ["data:image/png;base64,AA"]}, "images must hold http"),
        ({"enable_sync_mode": "false"}, "enable_sync_mode"),
    ],
)
async def test_a_wrong_image_parameter_is_named(visit, more, named):
    """HTTP 400 names the parameter, and nothing is charged."""
    async with visit() as v:
        refused = await v.image(**more)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert named in error["message"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_parameters")
        assert v.sandbox.billed() == 0


@pytest.mark.parametrize(
    ("scene", "more", "named"),
    [
        ("text-to-video", {"prompt": "x" * 2501}, "prompt must have"),
        ("text-to-video", {"duration": 7}, "5 or 10"),
        ("image-to-video", {}, "image is required"),
        ("image-to-video", {"image": URL, "duration": 7}, "5 or 10"),
        ("reference-to-video", {"duration": 2}, "3 to 10"),
        ("reference-to-video", {"duration": 11}, "3 to 10"),
        ("reference-to-video", {"duration": "5"}, "duration"),
        ("reference-to-video", {"last_image": URL}, "last_image needs image"),
        ("reference-to-video", {"images": [URL] * 5, "video": URL}, "at most 4"),
        ("reference-to-video", {"images": [URL] * 11}, "at most 10"),
        ("video-to-video", {}, "video is required"),
        ("video-to-video", {"video": "/tmp/a.mp4"}, "video must be an http"),
        ("text-to-video", {"aspect_ratio": "4:3"}, "aspect_ratio"),
        ("text-to-video", {"keep_original_sound": 1}, "keep_original_sound"),
    ],
)
async def test_a_wrong_video_parameter_is_named(visit, scene, more, named):
    """The limits of each scene hold, and the error names what they are."""
    async with visit() as v:
        refused = await v.video(scene, **more)
        assert refused.status_code == 400
        assert named in refused.json()["error"]["message"]


def shot(index: object = 1, prompt: object = "a", duration: object = "5") -> dict[str, object]:
    """Make one entry of multi_prompt."""
    return {"index": index, "prompt": prompt, "duration": duration}


@pytest.mark.parametrize(
    ("shots", "named"),
    [
        ([shot(0)], "[0].index must be 1"),
        ([shot(1, "a", "2"), shot(1, "b", "3")], "[1].index must be 2"),
        ([shot(duration=5)], "string of whole seconds"),
        ([shot(duration="0"), shot(2)], "[0].duration"),
        ([shot(duration="4")], "sum to 5"),
        ([shot(prompt="")], "[0].prompt"),
        ([shot(prompt="x" * 513)], "512"),
        (["a"], "must be an object"),
        ([shot(i + 1, "a", "1") for i in range(7)], "at most 6"),
    ],
)
async def test_shots_have_an_index_from_one_and_add_up(visit, shots, named):
    """multi_prompt is checked entry by entry."""
    async with visit() as v:
        refused = await v.video("text-to-video", multi_prompt=shots)
        assert refused.status_code == 400
        assert named in refused.json()["error"]["message"]


async def test_all_faults_come_in_one_message(visit):
    """Two errors in a submission are both reported."""
    async with visit() as v:
        message = (await v.image(n=0, resolution="4k")).json()["error"]["message"]
        assert "n must" in message
        assert "resolution must" in message


async def test_unknown_parameters_pass_unless_it_is_strict(visit):
    """The documents' names only are taken by a strict sandbox."""
    async with visit() as v:
        assert (await v.image(num_images=2)).status_code == 200
    async with visit(strict=True) as v:
        assert "num_images is not a known" in (await v.image(num_images=2)).json()["error"]["message"]
        assert (await v.image(n=2, images=[URL], resolution="2k")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"prompt": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_refused(visit, body):
    """Anything but a JSON object is HTTP 400."""
    async with visit() as v:
        path = "/api/v3/kwaivgi/kling-image-o1/text-to-image"
        refused = await v.http.post(path, content=body, headers={"authorization": "sk-sandbox"})
        assert refused.status_code == 400
        assert "JSON" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("header", "status"),
    [("sk-sandbox", 200), ("Bearer sk-sandbox", 200), ("bearer sk-sandbox", 200), ("Bearer no", 401), ("", 401)],
)
async def test_the_key_is_taken_bare_and_as_bearer(visit, header, status):
    """Both forms of the header that the documents show are accepted, and no other key is."""
    async with visit() as v:
        path = "/api/v3/kwaivgi/kling-image-o1/text-to-image"
        answer = await v.post(path, {"prompt": "x"}, {"authorization": header} if header else {})
        assert answer.status_code == status
        if status == 401:
            assert answer.json() == {"error": {"message": "Invalid signature", "type": "401"}}
            assert (await v.http.get("/api/v3/predictions/abc/result")).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/kwaivgi/kling-image-o2/text-to-image",
        "/api/v3/kwaivgi/kling-image-o1/text-to-video",
        "/api/v3/kwaivgi/kling-image-o1",
        "/api/v4/images",
    ],
)
async def test_an_unknown_path_is_an_html_page(visit, path):
    """A wrong model, scene or path gives an HTML page and no JSON."""
    async with visit() as v:
        answer = await v.post(path, {"prompt": "x"})
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


async def test_an_unknown_prediction_is_not_found(visit):
    """An unknown id is not found, nor is one of the other provider."""
    async with visit() as v:
        assert (await v.poll("abc")).status_code == 404
        id = (await v.one()).json()["data"]["task_id"]
        assert (await v.poll(id)).status_code == 404
        assert (await v.http.post("/api/v3/predictions/abc/result")).status_code == 405


async def test_sync_mode_answers_with_the_finished_prediction(visit):
    """A short generation is waited for, and its answer needs no poll."""
    async with visit(image_latency=Fixed(8)) as v:
        data = (await v.image(enable_sync_mode=True)).json()["data"]
        assert v.clock.now() == 8
        assert data["status"] == "completed"
        assert len(data["outputs"]) == 1


async def test_sync_mode_gives_up_after_its_limit_and_the_work_goes_on(visit):
    """A long generation is answered after 90 seconds, still processing, with code 5004."""
    async with visit(video_latency=Fixed(200)) as v:
        answer = await v.video(enable_sync_mode=True)
        data = answer.json()["data"]
        assert (answer.status_code, v.clock.now()) == (200, 90)
        assert (data["status"], data["code"]) == ("processing", 5004)
        assert "timed out after 90 seconds" in data["error"]
        assert (await v.result(answer))["status"] == "completed"
        assert v.sandbox.billed("a dog") == 1


async def test_base64_outputs_are_the_bytes_of_the_picture(visit):
    """enable_base64_output gives raw base64, without the prefix of a data URI."""
    async with visit() as v:
        data = await v.result(await v.image(enable_base64_output=True, n=2))
        assert len(data["outputs"]) == 2
        assert all(base64.b64decode(output, validate=True).startswith(b"\x89PNG") for output in data["outputs"])


@pytest.mark.parametrize(
    ("model", "scene", "more", "status"),
    [
        ("kling-v2.1-pro", "start-end-frame", {"image": URL, "last_image": URL}, 200),
        ("kling-v2.1-pro", "start-end-frame", {"image": URL}, 400),
        ("kling-v2.5-turbo-std", "image-to-video", {"image": URL, "negative_prompt": ""}, 200),
        ("kling-v2.5-turbo-std", "image-to-video", {"image": URL, "duration": 3}, 400),
        ("kling-v2.6-pro", "motion-control", {"prompt": None, "image": URL, "video": URL}, 200),
        ("kling-v2.6-pro", "motion-control", {"image": URL}, 400),
        ("kling-v3.0-std", "text-to-video", {"duration": 15, "guidance_scale": 0.5, "sound": False}, 200),
        ("kling-v3.0-std", "text-to-video", {"guidance_scale": 1.5}, 400),
        ("kling-v3.0-std", "text-to-video", {"guidance_scale": "0.5"}, 400),
        ("kling-v3-omni-pro", "video-to-video", {"video": URL, "duration": 16}, 400),
    ],
)
async def test_the_other_kling_models_have_their_own_limits(visit, model, scene, more, status):
    """Frames, durations and the parameters of later versions are checked by model and scene."""
    async with visit() as v:
        assert (await v.video(scene, model, **more)).status_code == status
