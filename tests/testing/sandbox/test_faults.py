"""Everything that can be made to go wrong, in the three ways of asking for it."""

from __future__ import annotations

import json

import anyio
import pytest

from kling_async.testing import FAULTS, FaultStage, Fixed

pytestmark = pytest.mark.anyio

SUBMITTERS = ["image", "one"]
STATUSES = {
    "rate_limited": (429, 429),
    "unauthorized": (401, 401),
    "forbidden": (403, 403),
    "no_balance": (403, 402),
    "refused": (400, 400),
    "bad_request": (400, 400),
    "error_500": (500, 500),
    "error_502": (502, 502),
    "error_503": (503, 503),
    "error_504": (504, 504),
    "html": (200, 200),
    "garbled": (200, 200),
    "no_id": (200, 200),
}
AT_SUBMIT = [name for name, note in FAULTS.items() if note.stage is FaultStage.SUBMIT]


async def ended(clock, call):
    """Return the result of a call, or the word for how it broke off."""
    answer = None
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def late() -> None:
                await clock.sleep(600)
                scope.cancel()

            tasks.start_soon(late)
            try:
                answer = await call
            except ConnectionResetError:
                answer = "reset"
            tasks.cancel_scope.cancel()
    return "hang" if scope.cancelled_caught else answer


def test_every_fault_of_a_submission_is_tested_here():
    """A new fault needs a line in the table above."""
    assert set(AT_SUBMIT) == STATUSES.keys() | {"lost", "dropped", "hang"}


@pytest.mark.parametrize("how", ["marker", "header", "script"])
@pytest.mark.parametrize("name", AT_SUBMIT)
@pytest.mark.parametrize("submitter", SUBMITTERS)
async def test_a_fault_strikes_once_and_is_billed_as_the_table_says(visit, submitter, name, how):
    """Each fault has its documented response on both wires, its charge, and its number of injections."""
    async with visit() as v:
        prompt = f"a cat [[{name}]]" if how == "marker" else "a cat"
        if how == "header":
            v.http.headers["x-sandbox-fault"] = name
        if how == "script":
            v.sandbox.script([name, None])
        answer = await ended(v.clock, getattr(v, submitter)(prompt))
        if name in STATUSES:
            assert answer.status_code == STATUSES[name][SUBMITTERS.index(submitter)]
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert v.sandbox.billed(prompt) == int(FAULTS[name].billed)
        assert v.sandbox.submits == 1
        assert [entry.answered for entry in v.sandbox.entries] == [False] * v.sandbox.billed()
        assert v.sandbox.log[0].fault == name
        if not (how == "header" or (how == "marker" and FAULTS[name].permanent)):
            assert (await getattr(v, submitter)(prompt)).status_code == 200
            assert v.sandbox.billed(prompt) == int(FAULTS[name].billed) + 1


async def test_a_marker_can_strike_several_times(visit):
    """[[rate_limited:3]] refuses the first three submissions of that prompt, and no other prompt's."""
    async with visit() as v:
        statuses = [(await v.image("x [[rate_limited:3]]")).status_code for _ in range(5)]
        assert statuses == [429, 429, 429, 200, 200]
        assert (await v.image("y")).status_code == 200
        assert v.sandbox.billed("x [[rate_limited:3]]") == 2


async def test_several_markers_strike_one_after_the_other(visit):
    """What passes strikes first and once, what concerns the task stays with it."""
    async with visit() as v:
        prompt = "x [[rate_limited]] [[error_503]] [[failed]]"
        assert [(await v.image(prompt)).status_code for _ in range(2)] == [429, 503]
        assert (await v.result(await v.image(prompt)))["status"] == "failed"


@pytest.mark.parametrize("value", ["1", "0", "-1", "1e9", "Thu, 01 Jan 2026 00:00:09 GMT", None])
async def test_retry_after_is_sent_as_it_was_set(visit, value):
    """Odd values of the header can be had, and none."""
    async with visit(retry_after=value) as v:
        assert (await v.image("[[rate_limited]]")).headers.get("retry-after") == value


async def test_the_content_policy_is_503_inside_a_400(visit):
    """As the error table says: the body's code differs from the actual status."""
    async with visit() as v:
        refused = await v.image("[[refused]]")
        message = "Input may not meet the guidelines. Please adjust and try again."
        assert refused.status_code == 400
        assert refused.json() == {"error": {"message": message, "type": "503"}}


async def test_an_empty_balance_and_a_forbidden_key_differ_in_text_only(visit):
    """GPTProto answers both with 403."""
    async with visit() as v:
        assert (await v.image("[[no_balance]]")).json() == {"error": {"message": "Insufficient balance", "type": "403"}}
        assert (await v.image("[[forbidden]]")).json() == {
            "error": {
                "message": "Insufficient permissions",
                "type": "permission_error",
                "code": "insufficient_permissions",
            }
        }


@pytest.mark.parametrize("submitter", SUBMITTERS)
async def test_unusable_answers_hold_no_id(visit, submitter):
    """A garbled response, and one without an id, do not contain the id."""
    async with visit(seed=3) as v:
        for fault in ("garbled", "no_id"):
            answer = await getattr(v, submitter)(f"a cat [[{fault}]]")
            assert v.sandbox.entries[-1].id not in answer.text
        assert json.loads(answer.text)
        with pytest.raises(ValueError):
            json.loads((await getattr(v, submitter)("a dog [[garbled]]")).text)


@pytest.mark.parametrize("name", ["[[rate_limted]]", "[[rate_limited:x]]", "[[slow:fast]]", "[[shape:round]]"])
async def test_a_marker_nobody_knows_is_refused_and_named(visit, name):
    """A typing error in a marker is no silent success."""
    async with visit() as v:
        refused = await v.image(name)
        assert refused.status_code == 400
        assert name.strip("[]").split(":")[0] in refused.json()["error"]["message"]


async def test_a_script_is_checked_when_it_is_written(visit):
    """Unknown names, and names of another moment, raise at once."""
    async with visit() as v:
        for bad in ("nonsense", "poll_lost"):
            with pytest.raises(ValueError):
                v.sandbox.script([bad])
        with pytest.raises(ValueError):
            v.sandbox.script_polls(["failed"])
        with pytest.raises(ValueError):
            v.sandbox.script_downloads(["poll_lost"])


async def test_a_script_can_hold_faults_of_the_task(visit):
    """The next submission is accepted, and its work fails."""
    async with visit() as v:
        v.sandbox.script([None, "failed"])
        first, second = await v.image("a"), await v.image("b")
        assert [(await v.result(made))["status"] for made in (first, second)] == ["completed", "failed"]


POLLED = {name: status for name, (status, _) in STATUSES.items() if f"poll_{name}" in FAULTS} | {"not_found": 404}


@pytest.mark.parametrize("how", ["marker", "header", "script"])
@pytest.mark.parametrize("name", [name.removeprefix("poll_") for name in FAULTS if name.startswith("poll_")])
async def test_a_fault_of_a_poll_passes_and_the_prediction_is_there(visit, name, how):
    """The prediction can be read afterwards, and was paid for once."""
    async with visit(image_latency=Fixed(1)) as v:
        prompt = f"a cat [[poll_{name}]]" if how == "marker" else "a cat"
        id = (await v.image(prompt)).json()["data"]["id"]
        await v.clock.sleep(5)
        if how == "script":
            v.sandbox.script_polls([name])
        headers = {"x-sandbox-fault": name} if how == "header" else {}
        answer = await ended(v.clock, v.poll(id, **headers))
        if name in POLLED:
            assert answer.status_code == POLLED[name]
            assert "completed" not in answer.text
        else:
            assert answer == ("hang" if name == "hang" else "reset")
        assert (await v.poll(id)).json()["data"]["status"] == "completed"
        assert (v.sandbox.billed(), v.sandbox.polls) == (1, 2)


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("file_")])
async def test_a_fault_of_a_download_passes(visit, name):
    """The file can be had afterwards, whole."""
    async with visit() as v:
        for prompt, script in ((f"a cat [[{name}]]", []), ("a dog", [name])):
            url = (await v.result(await v.image(prompt)))["outputs"][0]
            v.sandbox.script_downloads(script)
            answer = await ended(v.clock, v.http.get(url))
            statuses = {"file_gone": 410, "file_rate_limited": 429, "file_html": 200}
            if name in {"file_lost", "file_hang"}:
                assert answer == ("hang" if name == "file_hang" else "reset")
            else:
                expected = statuses.get(name) or int(name.removeprefix("file_error_"))
                assert answer.status_code == expected
                assert not answer.content.startswith(b"\x89PNG")
            assert (await v.http.get(url)).content.startswith(b"\x89PNG")


async def test_a_failed_prediction_tells_why(visit):
    """The reason is text in data.error, and the marker can choose it."""
    async with visit() as v:
        data = await v.result(await v.image("x [[failed:bad weather]]"))
        assert (data["status"], data["error"], data["outputs"]) == ("failed", "bad weather", [])
        assert v.sandbox.billed() == 1


async def test_empty_cancelled_and_flagged_are_ways_to_end(visit):
    """Completed without outputs, cancelled, and completed but marked unsafe."""
    async with visit() as v:
        empty = await v.result(await v.image("x [[empty]]"))
        assert (empty["status"], empty["outputs"]) == ("completed", [])
        assert (await v.result(await v.image("x [[cancelled]]")))["status"] == "cancelled"
        flagged = await v.result(await v.image("x [[flagged]]", n=2))
        assert (len(flagged["outputs"]), flagged["has_nsfw_contents"]) == (2, [True, True])


async def test_slow_takes_ten_times_as_long_or_as_told(visit):
    """The factor multiplies the time that the seed gave."""
    async with visit(image_latency=Fixed(8), time_scale=0.5) as v:
        for prompt, seconds in (("x", 4), ("x [[slow]]", 40), ("x [[slow:2.5]]", 10)):
            id = (await v.image(prompt)).json()["data"]["id"]
            task = v.sandbox.tasks[id]
            assert task.done_at - task.at == seconds


async def test_an_unknown_status_is_seen_while_it_runs_only(visit):
    """The status is an undocumented word; the end is the usual one."""
    async with visit() as v:
        for prompt, word in (("x [[unknown_status]]", "warming_up"), ("x [[unknown_status:ON_HOLD]]", "ON_HOLD")):
            created = await v.image(prompt)
            assert (await v.poll(created.json()["data"]["id"])).json()["data"]["status"] == word
            assert (await v.result(created))["status"] == "completed"


async def test_jpeg_comes_under_the_name_of_a_png(visit):
    """The address promises a PNG and the bytes are a JPEG."""
    async with visit() as v:
        url = (await v.result(await v.image("x [[jpeg]]")))["outputs"][0]
        file = await v.http.get(url)
        assert url.endswith(".png")
        assert file.content.startswith(b"\xff\xd8\xff")
        assert file.content.endswith(b"\xff\xd9")


async def test_addresses_can_be_gone_at_once_or_after_a_while(visit):
    """A new poll tells a fresh address where addresses expire."""
    async with visit() as v:
        gone = (await v.result(await v.image("x [[gone]]")))["outputs"][0]
        assert (await v.http.get(gone)).status_code == 410
        created = await v.image("x [[gone:30]]")
        url = (await v.result(created))["outputs"][0]
        assert (await v.http.get(url)).status_code == 200
        assert (await v.http.get(url.partition("?")[0])).status_code == 410
        await v.clock.sleep(31)
        assert (await v.http.get(url)).status_code == 410
        assert (await v.http.get((await v.result(created))["outputs"][0])).status_code == 200
    async with visit(output_ttl=10) as v:
        url = (await v.result(await v.image()))["outputs"][0]
        await v.clock.sleep(9)
        assert (await v.http.get(url)).status_code == 200
        await v.clock.sleep(2)
        assert (await v.http.get(url)).status_code == 410


async def test_an_unknown_fault_in_a_header_is_refused_at_every_door(visit):
    """A typing error in the header is HTTP 400 for submissions, polls and downloads."""
    async with visit() as v:
        created = await v.image()
        url = (await v.result(created))["outputs"][0]
        v.http.headers["x-sandbox-fault"] = "nonsense"
        id = created.json()["data"]["id"]
        for answer in (await v.image(), await v.poll(id), await v.http.get(url)):
            assert answer.status_code == 400
            assert "nonsense" in answer.text
        v.http.headers["x-sandbox-fault"] = "file_gone"
        assert (await v.poll(id)).status_code == 200


async def test_the_other_wire_has_the_same_ways_to_run_and_end(visit):
    """API in One shows unknown words, and both of its forms can lack an id."""
    async with visit() as v:
        id = (await v.one("x [[unknown_status]]")).json()["data"]["task_id"]
        assert (await v.poll_one(id)).json()["data"]["status"] == "WARMING_UP"
        assert "id" not in (await v.one("x [[no_id]] [[shape:flat]]")).json()
