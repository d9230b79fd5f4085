"""The public calls of a client: one key, one origin, opening, listeners, default models, `map` with jobs."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from attrs import evolve

from kling_async import (
    BudgetExceeded,
    Client,
    Event,
    EventKind,
    ImageInput,
    InputError,
    Job,
    JobStatus,
    Limits,
    MemoryJournal,
    MissingAPIKey,
    PredictionFailed,
    Submission,
    VideoInput,
)
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.types.inputs import Input
from kling_async.types.jobs import fingerprint

from ..conftest import ORIGIN, OpenClient

pytestmark = pytest.mark.anyio

FREE = Limits(submit_per_second=None, poll_per_second=None, max_open=None)


def transport_of(sandbox: Sandbox, clock: VirtualClock) -> httpx.ASGITransport:
    """Reach a sandbox in the process."""
    return httpx.ASGITransport(SandboxApp(sandbox, clock))


INPUTS: dict[str, Input] = {"image": ImageInput("a cat"), "video": VideoInput("a dog")}
"""The least input of each kind; not every provider has models of both."""


async def test_one_key_one_origin_and_bare_limits_are_the_default_provider_s() -> None:
    """`api_key`, `base_url` and bare `Limits` belong to the default provider, whichever that is."""
    for name, provider in PROVIDERS.items():
        input = INPUTS[min(provider.default_models)]
        sandbox = Sandbox(strict=True)
        async with (
            VirtualClock() as clock,
            Client(
                name,
                api_key=sandbox.key_for(name),
                base_url=ORIGIN,
                limits=FREE,
                transport=transport_of(sandbox, clock),
                clock=clock,
            ) as client,
        ):
            assert (await client.generate(input)).provider == name
        assert 1 == sandbox.submits


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "sk-one", "api_keys": {"gptproto": "sk-two"}},
        {"base_url": ORIGIN, "base_urls": {"gptproto": ORIGIN}},
    ],
)
def test_a_setting_that_is_given_twice_is_refused(settings: dict[str, Any]) -> None:
    """The singular and the plural for one provider are a mistake, and no error shows a key."""
    with pytest.raises(InputError, match="given twice") as caught:
        Client(**settings)
    assert "sk-" not in str(caught.value)


async def test_a_missing_key_is_found_when_the_client_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key for its default provider a client does not open; the error, a ValueError, names the variable."""
    with pytest.raises(MissingAPIKey, match="APIINONE_API_KEY") as caught:
        await Client("apiinone").open()
    assert isinstance(caught.value, ValueError)
    monkeypatch.setenv("APIINONE_API_KEY", "sk-from-the-environment")
    client = await Client("apiinone").open()
    await client.aclose()


async def test_a_client_is_opened_without_a_block() -> None:
    """`open` and `aclose` do what `async with` does, for notebooks; a second opening is a mistake."""
    sandbox = Sandbox(strict=True)
    async with VirtualClock() as clock:
        client = await Client(api_key=sandbox.key, transport=transport_of(sandbox, clock), clock=clock).open()
        assert (await client.generate(ImageInput("a cat"))).succeeded
        with pytest.raises(RuntimeError, match="opened once"):
            await client.open()
        await client.aclose()
        with pytest.raises(RuntimeError, match="not open"):
            await client.submit(ImageInput("a cat"))


# Listeners.


async def test_a_client_s_listener_gets_the_events_of_every_job(open_client: OpenClient, tmp_path: Any) -> None:
    """Single calls and batches alike, with saved files; facts only, each with the status since and before."""
    events: list[Event] = []
    async with open_client() as at:
        at.client.add_listener(events.append)
        await at.client.generate(ImageInput("a fox"), key="fox")
        async with at.client.batch([Job(ImageInput("a cat"), key="cat")], save_to=tmp_path) as batch:
            assert [True] == [outcome.ok async for outcome in batch]
    for key, kinds in {
        "fox": [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED],
        "cat": [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED, EventKind.SAVED],
    }.items():
        assert kinds == [event.kind for event in events if event.key == key and event.kind is not EventKind.STATUS]
    first, accepted, *_, last = [event for event in events if event.key == "fox"]
    assert (JobStatus.PLANNED, JobStatus.SUBMITTING) == (first.previous, first.status)
    assert (JobStatus.SUBMITTING, JobStatus.ACCEPTED) == (accepted.previous, accepted.status)
    assert (JobStatus.ACCEPTED, JobStatus.SUCCEEDED) == (last.previous, last.status)
    assert not [name for name in dir(first) if "ticket" in name]


async def test_a_joined_job_has_one_set_of_events_and_an_end_for_each_call(open_client: OpenClient) -> None:
    """A client's listener hears of a submission once, however many calls have joined it."""
    events: list[Event] = []
    async with open_client(image_latency=Fixed(9.0)) as at, anyio.create_task_group() as group:
        at.client.add_listener(events.append)
        for _ in range(3):
            group.start_soon(lambda: at.client.generate(ImageInput("a cat"), key="cat"))
    kinds = Counter(event.kind for event in events)
    assert (1, 1, 3) == (kinds[EventKind.SUBMITTED], kinds[EventKind.ACCEPTED], kinds[EventKind.FINISHED])
    assert 1 == at.sandbox.submits


async def test_events_are_iterated_over(open_client: OpenClient) -> None:
    """`batch.events()` gives each event once, to each iterator, in order, and ends with the last outcome."""
    seen: list[list[Event]] = [[], []]

    async def read(batch: Any, into: list[Event]) -> None:
        into.extend([event async for event in batch])

    jobs = [Job(ImageInput(f"cat {n}"), key=f"cat-{n}") for n in range(5)]
    heard: list[Event] = []
    async with open_client() as at, at.client.batch(jobs) as batch, anyio.create_task_group() as group:
        batch.add_listener(heard.append)
        for into in seen:
            group.start_soon(read, batch.events(), into)
        assert 5 == len([outcome async for outcome in batch])
    assert heard == seen[0] == seen[1]
    assert 5 == sum(event.kind is EventKind.FINISHED for event in heard)


async def test_a_client_s_listener_that_fails_harms_nothing(open_client: OpenClient) -> None:
    """What a listener raises is logged, and the job goes on."""
    async with open_client() as at:
        at.client.add_listener(lambda _: 1 / 0)
        assert (await at.client.generate(ImageInput("a cat"))).succeeded


# Default models.


async def test_the_default_model_follows_the_provider_and_the_kind(open_client: OpenClient) -> None:
    """An input without a model gets each provider's own; the resolved name is priced, journalled and shown."""
    for name, provider in PROVIDERS.items():
        journal = MemoryJournal()
        async with open_client(provider=name, journal=journal) as at:
            for input in (INPUTS[kind] for kind in provider.default_models):
                prediction = await at.client.generate(input, key=input.kind)
                assert provider.resolve(input).model == prediction.model
                known = await journal.find(input.kind)
                assert isinstance(known, Submission)
                assert prediction.model == known.model == known.input["model"]
                again = await at.client.generate(input, key=input.kind)
                assert prediction.id == again.id
            assert len({spec.kind for spec in provider.models.values()}) == at.sandbox.submits


def test_an_input_without_a_model_keeps_its_fingerprint_of_0_1() -> None:
    """Keys and fingerprints of 0.1, which hashed its default models, are the same byte for byte."""
    image, video = ImageInput("a red fox"), VideoInput("a red fox", duration=10)
    assert "3dbeda6fe8443fbba7cf5d1c3e35b9a148794f0cd6aa90d1af4d74e228240709" == fingerprint(image)
    assert "b1adfebbf940e12b32d10065efd66f2e87d213d021c47a42dae27cef2dd0f7d7" == fingerprint(video)
    assert fingerprint(evolve(image, model="kling-image-o1")) == fingerprint(image)
    assert fingerprint(evolve(video, model="kling-video-o1-std")) == fingerprint(video)


# `map`.


async def test_map_takes_jobs_and_what_a_batch_takes(open_client: OpenClient, tmp_path: Any) -> None:
    """Jobs and inputs are mixed, in their order; files are saved, labels kept, and the budget holds."""
    async with open_client(provider="apiinone") as at:
        jobs = [Job(ImageInput("a cat"), key="first", labels={"colour": "red"}), ImageInput("a dog")]
        first, second = await at.client.map(jobs, save_to=tmp_path)
        assert ("first", {"colour": "red"}, "a dog") == (first.job.key, dict(first.job.labels), second.job.input.prompt)
        assert first.files[0].name == "first-0.png"
        assert first.result().key == "first"
        with pytest.raises(BudgetExceeded):
            await at.client.map([ImageInput(f"cat {n}") for n in range(5)], max_cost=Decimal("0.03"))
    assert 4 == at.sandbox.submits


async def test_map_without_a_journal_of_its_own_buys_anew(open_client: OpenClient) -> None:
    """Each call makes new jobs of its inputs, also with the client's journal; with its own it resumes."""
    async with open_client(journal=MemoryJournal()) as at:
        for _ in range(2):
            await at.client.map([ImageInput("a cat")])
        assert 2 == at.sandbox.submits
        own = MemoryJournal()
        for _ in range(2):
            [outcome] = await at.client.map([ImageInput("a cat")], journal=own)
            assert outcome.ok
        assert 3 == at.sandbox.submits


async def test_the_result_of_a_failed_outcome_is_raised(open_client: OpenClient) -> None:
    """`Outcome.result()` raises the outcome's own error."""
    async with open_client() as at:
        [outcome] = await at.client.map([ImageInput("a cat [[failed]]")])
        with pytest.raises(PredictionFailed) as caught:
            outcome.result()
        assert caught.value is outcome.error


# Reads of the journal.


class CountedJournal(MemoryJournal):
    """A journal that counts how often it is asked for a job."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def find(self, key: str) -> Submission | None:
        self.reads += 1
        return await super().find(key)


async def test_a_job_of_a_batch_is_read_once(open_client: OpenClient, tmp_path: Any) -> None:
    """From admission to its saved files a job costs one read of the journal, and one when it is replayed."""
    journal = CountedJournal()
    for _ in range(2):
        journal.reads = 0
        async with (
            open_client() as at,
            at.client.batch(
                [Job(ImageInput(f"cat {n}"), key=f"cat-{n}") for n in range(20)], journal=journal, save_to=tmp_path
            ) as batch,
        ):
            assert 20 == len([outcome.result() async for outcome in batch])
        assert 20 == journal.reads


async def test_a_call_and_its_download_are_read_once(open_client: OpenClient, tmp_path: Any) -> None:
    """`generate` and `download` together cost one read of the journal."""
    journal = CountedJournal()
    async with open_client(journal=journal) as at:
        await at.client.download(await at.client.generate(ImageInput("a cat"), key="cat"), tmp_path)
        assert 1 == journal.reads
        known = await journal.find("cat")
        assert known is not None
        assert ("cat-0.png",) == known.files
