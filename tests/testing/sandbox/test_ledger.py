"""Money, limits, time and what is written down."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kling_async.testing import Fixed, LogNormal, Sandbox, Uniform
from kling_async.testing.sandbox.state import TokenBucket

pytestmark = pytest.mark.anyio


async def test_a_submission_is_billed_once_however_often_it_is_polled(visit):
    """Polls and downloads cost nothing; the same prompt submitted twice is billed twice."""
    async with visit() as v:
        data = await v.result(await v.image())
        await v.http.get(data["outputs"][0])
        assert v.sandbox.billed("a cat") == 1
        await v.image()
        assert (v.sandbox.billed("a cat"), v.sandbox.billed("a dog"), v.sandbox.billed()) == (2, 0, 2)
        assert (v.sandbox.submits, v.sandbox.polls, v.sandbox.downloads) == (2, 1, 1)


async def test_the_ledger_tells_who_what_when_and_how_much(visit):
    """An entry names provider, model, prompt, moment and amount."""
    async with visit() as v:
        await v.clock.sleep(5)
        id = (await v.image(n=3)).json()["data"]["id"]
        (entry,) = v.sandbox.entries
        assert (entry.id, entry.provider, entry.model, entry.prompt) == (id, "gptproto", "kling-image-o1", "a cat")
        assert (entry.at, entry.amount, entry.answered) == (5, Decimal("0.084"), True)


async def test_the_balance_runs_out(visit):
    """What it does not suffice for is refused and not charged, at both providers."""
    async with visit(balance="0.05") as v:
        assert (await v.image()).status_code == 200
        assert v.sandbox.balance == Decimal("0.022")
        assert (await v.image()).json()["error"]["message"] == "Insufficient balance"
        assert (await v.one()).status_code == 200
        assert (await v.one()).status_code == 402
        assert v.sandbox.spent == Decimal("0.040")


async def test_submissions_above_the_rate_get_429_and_the_seconds_to_wait(visit):
    """A burst passes, the next is refused with Retry-After, and after that many seconds one passes again."""
    async with visit(submit_per_second=0.5, submit_burst=3) as v:
        answers = [await v.image(f"cat {i}") for i in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].headers["retry-after"] == "2"
        assert v.sandbox.billed() == 3
        await v.clock.sleep(2)
        assert [(await v.one(f"dog {i}")).status_code for i in range(2)] == [200, 429]


async def test_polls_have_a_limit_of_their_own(visit):
    """Polls above the rate get 429; submissions do not count there."""
    async with visit(poll_per_second=1) as v:
        id = (await v.image()).json()["data"]["id"]
        await v.image()
        assert [(await v.poll(id)).status_code for _ in range(2)] == [200, 429]
        await v.clock.sleep(1)
        assert (await v.poll(id)).status_code == 200


def test_the_meter_never_lets_more_through_than_burst_and_rate():
    """In any window of W seconds no more than burst + rate x W requests pass, and not many fewer."""
    meter = TokenBucket(3.0, 5)
    passed = [now for now in (i / 100 for i in range(3000)) if not meter.acquire(now)]
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= 5 + 3.0 * (passed[j] - start) + 1e-6
    assert len(passed) >= 5 + 3.0 * 29


async def test_open_tasks_can_be_limited(visit):
    """With max_open the next submission is refused until a task has ended."""
    async with visit(max_open=2, image_latency=Fixed(10)) as v:
        assert [(await v.image(f"{i}")).status_code for i in range(3)] == [200, 200, 429]
        await v.clock.sleep(10)
        assert (await v.image("2")).status_code == 200


async def test_slots_make_tasks_wait_their_turn(visit):
    """With slots everything is accepted, and runs one after the other."""
    async with visit(slots=1, image_latency=Fixed(10)) as v:
        first, second = [(await v.image(f"{i}")).json()["data"]["id"] for i in range(2)]
        assert [v.sandbox.tasks[id].done_at for id in (first, second)] == [10, 20]
        assert (await v.poll(second)).json()["data"]["status"] == "created"
        await v.clock.sleep(11)
        assert (await v.poll(second)).json()["data"]["status"] == "processing"


async def times(visit, prompts, **settings):
    """Return how long each prompt takes."""
    async with visit(**settings) as v:
        for prompt in prompts:
            await v.image(prompt)
        return {task.spec.prompt: task.done_at - task.at for task in v.sandbox.tasks.values()}


async def test_times_depend_on_the_seed_and_not_on_the_order(visit):
    """The same prompt takes the same time in any order; another seed gives other times; the scale multiplies them."""
    base = await times(visit, "abcdef")
    assert await times(visit, "fedcba") == base
    assert await times(visit, "abcdef", seed=1) != base
    scaled = await times(visit, "abcdef", time_scale=0.01)
    assert scaled == pytest.approx({prompt: seconds / 100 for prompt, seconds in base.items()})
    assert len(set(base.values())) == 6


async def test_videos_take_longer_than_images(visit):
    """About eight seconds and about ninety, by default."""
    async with visit() as v:
        for i in range(40):
            await v.image(f"{i}")
            await v.video(prompt=f"{i}")
        by_kind: dict[str, list[float]] = {"image": [], "video": []}
        for task in v.sandbox.tasks.values():
            by_kind[task.spec.kind].append(task.done_at - task.at)
        assert 6 < sorted(by_kind["image"])[20] < 11
        assert 70 < sorted(by_kind["video"])[20] < 120


def test_latencies_are_quantiles():
    """Each distribution gives its median at one half and grows with chance."""
    assert Fixed(3).at(0.9) == 3
    assert Uniform(2, 4).at(0.5) == 3
    assert LogNormal(8).at(0.5) == pytest.approx(8)
    assert LogNormal(8).at(0.9) > LogNormal(8).at(0.1) > 0


@pytest.mark.parametrize(
    "settings", [{"time_scale": 0}, {"submit_per_second": -1}, {"result_shape": "round"}, {"max_open": 0}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    """A sandbox that could never answer is not made."""
    with pytest.raises(ValueError):
        Sandbox(**settings)


async def test_the_log_tells_what_was_sent_and_holds_no_key(visit):
    """Each request is there with its status; the key is nowhere, whether one was sent is."""
    async with visit(key="sk-canary") as v:
        await v.image()
        v.http.headers["authorization"] = "Bearer sk-canary"
        path = "/api/v3/kwaivgi/kling-image-o1/text-to-image"
        id = (await v.http.post(path, json={"prompt": "a cat"})).json()["data"]["id"]
        await v.http.get(f"/api/v3/predictions/{id}/result")
        del v.http.headers["authorization"]
        await v.http.get("/files/nothing-1.png")
        await v.http.get("/nowhere")
        assert [(s.kind, s.status, s.with_key) for s in v.sandbox.log] == [
            ("submit", 401, True),
            ("submit", 200, True),
            ("poll", 200, True),
            ("download", 404, False),
            ("other", 404, False),
        ]
        assert v.sandbox.log[1].sent == {"prompt": "a cat"}
        assert v.sandbox.log[2].id == id
        assert v.sandbox.count("other") == 1
        assert "canary" not in repr(v.sandbox.log)


async def test_the_books_can_be_read_over_http(visit):
    """/ is an index, and /sandbox/ledger has the ledger as JSON."""
    async with visit() as v:
        await v.image("x [[garbled]]")
        ledger = (await v.http.get("/sandbox/ledger")).json()
        assert (ledger["billed"], ledger["spent"], ledger["balance"]) == (1, "0.028", "99.972")
        assert [(e["prompt"], e["answered"]) for e in ledger["entries"]] == [("x [[garbled]]", False)]
        assert "sandbox" in (await v.http.get("/")).text
