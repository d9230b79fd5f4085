"""Webhooks from the submission to the result, against the sandbox, with all that can happen to them on the way."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import define, evolve, field

from kling_async import (
    Client,
    ImageInput,
    InputError,
    JobStatus,
    MemoryJournal,
    Prediction,
    Status,
    VideoInput,
    WebhookAction,
    WebhookReceiver,
    WebhookResult,
)
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, VirtualClock
from kling_async.testing.sandbox.sender import send_webhooks
from kling_async.types.inputs import Input
from kling_async.types.jobs import fingerprint

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio

URL = "https://my.app/hooks"
INPUTS: Mapping[str, Input] = {
    "wavespeed": ImageInput("a cat"),
    "fal": ImageInput("a cat"),
    "replicate": VideoInput("a cat"),
    "openrouter": VideoInput("a cat"),
    "kling": VideoInput("a cat"),
    "apiinone": VideoInput("a cat"),
    "atlascloud": VideoInput("a cat"),
}
every_provider = pytest.mark.parametrize("provider", INPUTS)


@define
class Hooked:
    """A client that receives webhooks, and what was delivered to it."""

    client: Client
    sandbox: Sandbox
    clock: VirtualClock
    receiver: WebhookReceiver
    results: list[WebhookResult] = field(factory=list[WebhookResult])
    sent: list[tuple[str, dict[str, str], bytes]] = field(factory=list[tuple[str, dict[str, str], bytes]])

    @property
    def actions(self) -> list[WebhookAction]:
        return [one.action for one in self.results]

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """Deliver what the sandbox sends, as a server would."""
        name = url.removeprefix(f"{URL}/")
        self.sent.append((name, dict(headers), body))
        result = await self.receiver.handle(headers, body, provider=name)
        self.results.append(result)
        return result.status


OpenHooked = Callable[..., Any]


@pytest.fixture
def hooked(open_client: OpenClient) -> OpenHooked:
    """Open a client that receives the webhooks of its sandbox."""

    @asynccontextmanager
    async def opening(
        *, provider: str, secrets: Mapping[str, str] | None = None, signed: bool = True, **settings: Any
    ) -> AsyncIterator[Hooked]:
        settings = {"image_latency": Fixed(30.0), "video_latency": Fixed(30.0), **settings}
        async with open_client(provider=provider, **settings) as at:
            if secrets is None:
                own = {name: at.sandbox.webhook_secret(name) for name in PROVIDERS if PROVIDERS[name].webhook_env}
                secrets = own if signed else {}
            receiver = at.client.webhooks(URL, secrets=secrets)
            opened = Hooked(at.client, at.sandbox, at.clock, receiver)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_with(at.sandbox, at.clock, opened.post))
                yield opened
                tasks.cancel_scope.cancel()

    return opening


def send_with(sandbox: Sandbox, clock: VirtualClock, post: Any) -> Callable[[], Awaitable[None]]:
    async def sending() -> None:
        await send_webhooks(sandbox, clock=clock, post=post)

    return sending


def alike(prediction: Prediction) -> tuple[object, ...]:
    """Return what must not depend on how the end became known; URLs hold the time of the request."""
    urls = [output.url.partition("?")[0] for output in prediction.outputs]
    return prediction.status, prediction.model, prediction.cost, prediction.failure, prediction.nsfw, urls


@every_provider
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("fault", ["", "failed:out of ink", "cancelled"])
async def test_a_webhook_ends_a_wait_as_a_poll_would(
    hooked: OpenHooked, open_client: OpenClient, provider: str, signed: bool, fault: str
) -> None:
    """Whether a webhook tells the end or a poll does, the prediction is the same, and it is known at once."""
    input = INPUTS[provider]
    prompt = f"a cat [[{fault}]]" if fault else "a cat"
    input = ImageInput(prompt) if isinstance(input, ImageInput) else VideoInput(prompt)
    latency = {"image_latency": Fixed(30.0), "video_latency": Fixed(30.0)}
    async with open_client(provider=provider, **latency) as at:
        polled = await at.client.wait(await at.client.submit(input, key="cat"))
    async with hooked(provider=provider, signed=signed) as hook:
        accepted = await hook.client.submit(input, key="cat")
        began = hook.clock.now()
        told = await hook.client.wait(accepted)
        assert hook.clock.now() - began <= 30.5
        await anyio.lowlevel.checkpoint()
    assert alike(polled) == alike(told)
    assert (1, 1) == (hook.sandbox.submits, len(hook.sandbox.tasks))
    proved = signed and provider not in ("openrouter", "apiinone", "atlascloud") and not (provider == "fal" and fault)
    proved = proved or (provider == "fal" and not fault)  # its keys are public
    assert (WebhookAction.FINISHED if proved else WebhookAction.POLLING) in hook.actions


@every_provider
async def test_the_callback_is_no_part_of_the_job(hooked: OpenHooked, provider: str) -> None:
    """The URL names the provider and holds no secret, and neither the key nor the fingerprint of a job knows it."""
    journal = MemoryJournal()
    async with hooked(provider=provider, journal=journal) as hook:
        await hook.client.generate(INPUTS[provider], key="cat")
    known = await journal.find("cat")
    assert known is not None
    assert known.status is JobStatus.SUCCEEDED
    assert fingerprint(evolve(INPUTS[provider], model=known.model)) == known.fingerprint
    assert URL not in repr(known)
    assert {provider} == {name for name, _, _ in hook.sent}


async def test_an_inputs_own_callback_is_kept(hooked: OpenHooked) -> None:
    """An input that names a callback of its own is submitted with that one, and is polled as without webhooks."""
    mine = "https://mine.test/hook"
    async with hooked(provider="kling") as hook:
        await hook.client.generate(VideoInput("a cat", extra={"callback_url": mine}))
        [sent] = [one.sent for one in hook.sandbox.log if one.kind == "submit"]
    assert mine == sent["options"]["callback_url"]


FAULTS = ("webhook_lost", "webhook_late:20", "webhook_doubled", "webhook_forged", "webhook_reordered")


@every_provider
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_happens_to_a_webhook_changes_nothing_but_time(
    hooked: OpenHooked, provider: str, fault: str
) -> None:
    """A webhook that is lost, late, doubled, forged or overtaken leaves each job with its one result and one charge."""
    kind = ImageInput if isinstance(INPUTS[provider], ImageInput) else VideoInput
    async with hooked(provider=provider) as hook:
        hook.sandbox.script_webhooks([fault] * 3)
        done = [await hook.client.generate(kind(f"cat {number}"), wait_timeout=300.0) for number in range(3)]
        await hook.clock.sleep(200.0)
    assert [Status.SUCCEEDED] * 3 == [one.status for one in done]
    assert (3, 3) == (hook.sandbox.submits, hook.sandbox.billed())
    statuses = {one.status for one in hook.results}
    if fault == "webhook_forged" and provider != "apiinone":
        assert 401 in statuses
    else:
        assert statuses <= {200}


async def test_a_repeated_delivery_is_recognised(hooked: OpenHooked) -> None:
    """A delivery that was taken is not taken again, and is answered so that the provider does not send it once more."""
    async with hooked(provider="wavespeed") as hook:
        await hook.client.generate(ImageInput("a cat [[webhook_doubled]]"))
        await hook.clock.sleep(1.0)
    assert [WebhookAction.FINISHED, WebhookAction.REPEATED] == hook.actions
    assert [200, 200] == [one.status for one in hook.results]


async def test_a_delivery_about_an_unknown_prediction_is_no_error(hooked: OpenHooked) -> None:
    """A delivery about a prediction that is finished, or of another program, is answered with 200 and ignored."""
    async with hooked(provider="wavespeed") as hook:
        await hook.client.generate(ImageInput("a cat [[webhook_late:400]]"), wait_timeout=300.0)
        await hook.clock.sleep(500.0)
    assert [WebhookAction.UNKNOWN] == hook.actions


@pytest.mark.parametrize(
    ("provider", "body", "status"),
    [
        ("wavespeed", b"{", 401),
        ("nobody", b"{}", 404),
        ("gptproto", b"{}", 404),
        ("apiinone", b"{", 400),
        ("apiinone", b"{}", 400),
        ("wavespeed", b" " * (4 * 1024 * 1024 + 1), 413),
    ],
)
async def test_what_is_no_webhook_is_refused(hooked: OpenHooked, provider: str, body: bytes, status: int) -> None:
    """What is not signed, no JSON, too long, or for no provider is refused, and the reason repeats nothing of it."""
    async with hooked(provider="wavespeed") as hook:
        result = await hook.receiver.handle({"Webhook-Id": "x"}, body, provider=provider)
    assert (status, WebhookAction.REFUSED) == (result.status, result.action)
    assert result.reason
    assert provider not in result.reason


async def test_a_wrong_secret_is_logged_once(hooked: OpenHooked, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs end without webhooks, too, so that a log is all that tells of a wrong secret; it is logged once."""
    async with hooked(provider="wavespeed", secrets={"wavespeed": "whsec_b3RoZXI="}) as hook:
        for _ in range(2):
            await hook.client.generate(ImageInput("a cat"))
        await hook.clock.sleep(100.0)
    assert len(hook.results) > 1
    [message] = [one.getMessage() for one in caplog.records if "webhook" in one.getMessage()]
    assert "WAVESPEED_WEBHOOK_SECRET" in message


async def test_a_stale_delivery_is_refused(hooked: OpenHooked) -> None:
    """A delivery that somebody has recorded is refused five minutes later, also once its id is forgotten."""
    async with hooked(provider="wavespeed") as hook:
        await hook.client.generate(ImageInput("a cat"))
        _, headers, body = hook.sent[0]
        await hook.clock.sleep(301.0)
        result = await hook.receiver.handle(headers, body, provider="wavespeed")
    assert (400, WebhookAction.REFUSED) == (result.status, result.action)


async def test_the_memory_of_deliveries_is_bounded(hooked: OpenHooked) -> None:
    """However many deliveries come, 10,000 are remembered."""
    async with hooked(provider="wavespeed") as hook:
        for number in range(10_050):
            hook.receiver._seen["wavespeed", str(number)] = None
        await hook.client.generate(ImageInput("a cat"))
        assert len(hook.receiver._seen) <= 10_000
        assert [WebhookAction.FINISHED] == hook.actions


async def test_a_hint_is_followed_a_few_times_only(hooked: OpenHooked) -> None:
    """Deliveries that prove nothing, repeated without end, cost a few polls of a prediction and no more."""
    async with hooked(provider="apiinone") as hook, anyio.create_task_group() as tasks:
        accepted = await hook.client.submit(VideoInput("a cat"))
        tasks.start_soon(hook.client.wait, accepted)
        await hook.clock.sleep(0.1)
        before = hook.sandbox.polls
        body = b'{"task_id": "%s", "status": "completed"}' % accepted.id.encode()
        actions = set()
        for _ in range(200):
            actions.add((await hook.receiver.handle({}, body, provider="apiinone")).action)
            await hook.clock.sleep(0.1)
        assert hook.sandbox.polls - before <= 6 + 8
        assert {WebhookAction.POLLING, WebhookAction.NOTED} == actions


async def test_a_closed_client_takes_no_webhook(hooked: OpenHooked) -> None:
    """After the end a delivery is answered with 503, so that the provider sends it again, to the next process."""
    async with hooked(provider="wavespeed") as hook:
        await hook.client.generate(ImageInput("a cat"))
    _, headers, body = hook.sent[0]
    result = await hook.receiver.handle(headers, body, provider="wavespeed")
    assert (503, WebhookAction.UNAVAILABLE) == (result.status, result.action)


async def test_each_end_is_recorded_before_it_is_told(hooked: OpenHooked) -> None:
    """What a webhook tells is in the journal before the caller hears of it, and the next run asks for nothing."""
    journal = MemoryJournal()
    async with hooked(provider="wavespeed", journal=journal) as hook:
        done = await hook.client.generate(ImageInput("a cat"), key="cat")
        known = await journal.find("cat")
    assert known is not None
    assert (JobStatus.SUCCEEDED, done.id) == (known.status, known.prediction and known.prediction.id)


async def test_public_keys_are_read_once_and_when_they_change(hooked: OpenHooked) -> None:
    """Fal's keys are fetched once, again when none of them has signed, and then not for five minutes."""

    def read(hook: Hooked) -> int:
        return sum(one.path == "/.well-known/jwks.json" for one in hook.sandbox.log)

    async with hooked(provider="fal") as hook:
        await hook.client.generate(ImageInput("a cat"))
        await hook.client.generate(ImageInput("a dog"))
        assert 1 == read(hook)
        for _ in range(5):
            forged = {name: value.replace("a", "b") for name, value in hook.sent[0][1].items()}
            assert 401 == (await hook.receiver.handle(forged, hook.sent[0][2], provider="fal")).status
        assert read(hook) <= 2
        await hook.clock.sleep(301.0)
        assert 401 == (await hook.receiver.handle(forged, b"{}", provider="fal")).status
        assert 2 == read(hook)


async def test_without_the_library_fals_webhooks_are_hints(hooked: OpenHooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can check an Ed25519 signature, nothing is believed: a poll confirms each webhook."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    async with hooked(provider="fal") as hook:
        assert (await hook.client.generate(ImageInput("a cat"))).succeeded
        assert [WebhookAction.POLLING] == hook.actions
        assert not any(one.path == "/.well-known/jwks.json" for one in hook.sandbox.log)


async def test_no_key_is_sent_for_public_keys(hooked: OpenHooked) -> None:
    """The request for public keys carries no API key."""
    async with hooked(provider="fal") as hook:
        await hook.client.generate(ImageInput("a cat"))
        assert [False] == [one.with_key for one in hook.sandbox.log if one.path == "/.well-known/jwks.json"]


async def test_secrets_show_nowhere(
    hooked: OpenHooked, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret is in a repr, an error, a traceback with locals, a log or the journal, wherever it was found."""
    caplog.set_level(logging.DEBUG)
    secret, journal = "whsec_Y2FuYXJ5IGNhbmFyeQ==", MemoryJournal()
    async with hooked(provider="wavespeed", journal=journal, secrets={"wavespeed": secret}) as hook:
        await hook.client.generate(ImageInput("a cat"), key="cat", wait_timeout=600.0)
        await hook.clock.sleep(60.0)
        shown = [repr(hook.receiver), repr(vars(hook.receiver)), repr(hook.results), repr(vars(hook.client))]
    assert {401} == {one.status for one in hook.results}
    malformed = "whsec_not base64 canary"
    with pytest.raises(InputError) as given:
        Client("kling", api_key="sk-1234").webhooks(URL, secrets={"kling": malformed})
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", malformed)
    with pytest.raises(InputError) as found:
        Client("kling", api_key="sk-1234").webhooks(URL)
    frames = [frame for one in (given, found) for frame in one.traceback if "kling_async" in frame.path.parts[-3:-1]]
    texts = [
        *shown,
        caplog.text,
        str(given.value),
        repr(given.value),
        str(found.value),
        repr(await journal.find("cat")),
    ]
    texts += [repr(frame.frame.f_locals) for frame in frames]
    assert [] == [text for text in texts if "canary" in text or secret[6:] in text]


@pytest.mark.parametrize(
    "url",
    [
        "http://my.app/hooks",
        "my.app",
        "",
        "https://",
        "https://u:p@my.app/",
        "https://my.app/?token=canary",
        "https://a b/",
    ],
)
def test_a_url_that_no_provider_can_call_is_refused(url: str) -> None:
    """The URL is https, or on this machine, and can hold no secret; the error repeats no query."""
    with pytest.raises(InputError, match="url") as caught:
        Client("kling", api_key="sk-1234").webhooks(url)
    assert "canary" not in str(caught.value)


def test_a_client_has_one_receiver() -> None:
    """A second receiver would take the deliveries of the first: it is misuse."""
    client = Client("kling", api_key="sk-1234")
    assert "https://my.app/hooks" == client.webhooks("https://my.app/hooks/").url
    with pytest.raises(RuntimeError, match="already"):
        client.webhooks(URL)


def test_a_secret_that_has_no_use_is_refused() -> None:
    """A secret for a provider that signs with none is a mistake, which would otherwise go unnoticed."""
    for name in ("fal", "apiinone", "gptproto"):
        with pytest.raises(InputError, match="no use"):
            Client("kling", api_key="sk-1234").webhooks(URL, secrets={name: "whsec_x"})
