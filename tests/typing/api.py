"""The public API as type checkers see it. This file is checked by mypy and pyright, and never run.

A wrong use carries an ignore, which both honour: should either stop noticing, it reports the ignore as unneeded.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path, PurePath
from typing import assert_type

import kling_async
from kling_async import (
    AnswerLost,
    Batch,
    Client,
    ContentRejected,
    DownloadError,
    Estimate,
    Event,
    EventKind,
    Failure,
    FailureKind,
    Gallery,
    ImageInput,
    Input,
    InputError,
    InputFault,
    Job,
    KlingError,
    Limits,
    Media,
    NotSent,
    Outcome,
    Output,
    OutputKind,
    Prediction,
    PredictionFailed,
    Progress,
    QueueStatus,
    RateLimited,
    Refused,
    Scene,
    Shot,
    Status,
    Timings,
    UnexpectedReply,
    VideoInput,
    WaitTimeout,
    gallery,
    matrix,
    rows,
    show_progress,
)
from kling_async.providers import PROVIDERS, Provider, provider_named
from kling_async.runs.display import ProgressDisplay
from kling_async.testing import Sandbox, SandboxApp, VirtualClock
from kling_async.types.prediction import Json


async def the_example_of_the_page() -> None:
    """The first thing that anybody does."""
    async with Client() as client:
        assert_type(client, Client)
        prediction = await client.generate(ImageInput(prompt="a cat"))
        assert_type(prediction, Prediction)
        assert_type(await client.download(prediction, "out"), list[Path | str])


def no_provider() -> Client:
    """A client may leave open which provider it uses, or say so."""
    return Client(provider=None, api_keys={"kling": "sk"})


def every_setting() -> Client:
    """A client takes mappings by provider."""
    return Client(
        "apiinone",
        api_keys={"apiinone": "aio"},
        base_urls={"gptproto": "https://gptproto.com"},
        request_timeout=10,
        auth_schemes={"gptproto": "bare"},
        allow_http=False,
        limits={
            "apiinone": Limits(
                submit_per_second=2, submit_burst=4, poll_per_second=None, max_open=None, max_submitting=8
            )
        },
        timings={"version": 1, "kinds": []},
    )


def reword(input: Input, error: ContentRejected) -> Input | None:
    """Return other words, or none."""
    return ImageInput("a cat") if error.part == "prompt" else None


async def reword_later(input: Input, error: ContentRejected) -> Input:
    """Return other words after a while."""
    return input


async def refusals(client: Client) -> None:
    """A function for refusals is plain or asynchronous, and takes the input and the error."""
    assert_type(await client.generate(ImageInput("a"), on_refused=reword), Prediction)
    async with client.batch([ImageInput("a")], on_refused=reword_later) as batch:
        async for outcome in batch:
            assert_type(outcome.refused, Input | None)
    await client.map([ImageInput("a")], on_refused=lambda input, error: None)
    await client.generate(ImageInput("a"), on_refused=len)  # type: ignore[arg-type]


async def every_batch(client: Client, later: AsyncIterator[Job], soon: Iterator[ImageInput]) -> None:
    """A batch takes jobs and inputs from anything, and gives outcomes, progress and events."""
    async with client.batch(
        [Job(ImageInput("a"), key="a"), VideoInput("b")],
        provider=["gptproto", "apiinone"],
        save_to=Path("out"),
        max_open=100,
        max_cost=Decimal(5),
        prices={"kling-image-o1": 0.03, "kling-video-o1-std": Decimal("0.4")},
        ordered=True,
        wait_timeout=600,
        stop_after=3,
    ) as batch:
        assert_type(batch, Batch)
        batch.add_listener(hear)
        async for outcome in batch:
            assert_type(outcome, Outcome)
        every_count(batch.progress)
    client.batch(later, provider="gptproto", save_to="out", max_cost=1.5)
    client.batch(soon)
    client.batch(())
    assert_type(Client(timings=client.export_timings()), Client)


def hear(event: Event) -> None:
    """An event says what happened to which job."""
    assert_type(event.kind, EventKind)
    assert_type(event.at, float)
    assert_type(event.provider, str)
    assert_type(event.key, str | None)
    assert_type(event.prediction, Prediction | None)
    assert_type(event.error, KlingError | None)
    assert_type(event.retry_in, float | None)


def every_count(progress: Progress) -> None:
    """Counts are known; speed, time to go and the total may not be."""
    assert_type(progress.total, int | None)
    assert_type(progress.pulled, int)
    assert_type(progress.done, int)
    assert_type(progress.per_second, float | None)
    assert_type(progress.remaining, float | None)
    assert_type(progress.spent, Decimal)


async def every_call(client: Client, prediction: Prediction) -> None:
    """The face, call by call."""
    assert_type(await client.submit(ImageInput("a"), provider="gptproto", key="a"), Prediction)
    assert_type(await client.refresh(prediction), Prediction)
    assert_type(await client.wait(prediction, wait_timeout=60), Prediction)
    assert_type(await client.generate(VideoInput("a"), provider=None, key=None, wait_timeout=60.0), Prediction)
    assert_type(await client.map([ImageInput("a"), VideoInput("b")], provider="gptproto"), list[Outcome])
    assert_type(await client.map(ImageInput(word) for word in ("a", "b")), list[Outcome])
    assert_type(await client.download(prediction, Path("out"), overwrite=True), list[Path])
    assert_type(await client.read(prediction, max_bytes=1), list[bytes])
    assert_type(client.stream(prediction.outputs[0]), AsyncGenerator[bytes])
    assert_type(client.estimate([ImageInput("a")]), Estimate)
    assert_type(client.queue("a"), QueueStatus)
    assert_type(await client.quote([ImageInput("a")]), Estimate)
    await client.aclose()


def every_input(url: str) -> None:
    """Inputs take lists and tuples, and keep tuples."""
    image = ImageInput(
        "a",
        model="kling-image-o1",
        images=[url],
        aspect_ratio="16:9",
        resolution="2k",
        n=4,
        multi_shot=True,
        extra={"seed": 7, "nested": [1, None, {"a": 1.5}]},
    )
    video = VideoInput(
        "a",
        model="kling-video-o1-pro",
        image=url,
        last_image=url,
        images=(url,),
        video=url,
        aspect_ratio=None,
        duration=10,
        shots=[Shot("b", 5), Shot("c", duration=5)],
        keep_original_sound=False,
        scene=Scene.IMAGE_TO_VIDEO,
        extra={},
    )
    assert_type(image.images, tuple[Media, ...])
    ImageInput("a", images=[Path("a.png"), b"", url])
    VideoInput("a", image=Path("a.png"), last_image=Output(url=url, kind=OutputKind.IMAGE))
    assert_type(video.shots, tuple[Shot, ...])
    assert_type(video.scene, str | None)
    assert_type(image.extra, Mapping[str, Json])
    both: list[Input] = [image, video]
    assert_type(Job(both[0], key="a", provider="gptproto").input, ImageInput | VideoInput)
    assert_type(Job(video).key, str | None)


def every_field(prediction: Prediction, outcome: Outcome, estimate: Estimate) -> None:
    """Records say what they know, and what they may not know."""
    assert_type(prediction.provider, str)
    assert_type(prediction.model, str)
    assert_type(prediction.id, str)
    assert_type(prediction.key, str | None)
    assert_type(prediction.status, Status)
    assert_type(prediction.status.is_terminal, bool)
    assert_type(prediction.native_status, str)
    assert_type(prediction.outputs, tuple[Output, ...])
    assert_type(prediction.failure, Failure | None)
    assert_type(prediction.nsfw, bool | None)
    assert_type(prediction.created_at, datetime | None)
    assert_type(prediction.timings, Timings)
    assert_type(prediction.timings.inference_seconds, float | None)
    assert_type(prediction.cost, Decimal | None)
    for output in prediction.outputs:
        assert_type(output.url, str)
        assert_type(output.kind, OutputKind)
    if prediction.failure is not None:
        assert_type(prediction.failure.kind, FailureKind)
        assert_type(prediction.failure.code, str | None)
        assert_type(prediction.failure.message, str)
    assert_type(outcome.job, Job)
    assert_type(outcome.prediction, Prediction | None)
    assert_type(outcome.files, tuple[PurePath | str, ...])
    assert_type(outcome.cost, Decimal | None)
    assert_type(outcome.sent_at, datetime | None)
    assert_type(outcome.finished_at, datetime | None)
    assert_type(outcome.took, float | None)
    assert_type(prediction.prompt, str | None)
    assert_type(outcome.error, KlingError | None)
    assert_type(outcome.ok, bool)
    assert_type(estimate.low, Decimal)
    assert_type(estimate.known, bool)
    assert_type(estimate.unpriced, tuple[str, ...])


def every_error(error: KlingError) -> None:
    """Errors carry their facts in typed fields."""
    assert_type(error.provider, str | None)
    assert_type(error.key, str | None)
    assert_type(error.id, str | None)
    assert_type(error.http_status, int | None)
    assert_type(error.code, str | None)
    assert_type(error.may_be_billed, bool)
    assert_type(error.message, str)
    assert_type(error.advice, str)
    if isinstance(error, InputError):
        assert_type(error.faults, tuple[InputFault, ...])
        assert_type(error.faults[0].field, str)
    elif isinstance(error, NotSent):
        assert_type(error.reason, str)
    elif isinstance(error, Refused):
        assert_type(error.retry_after, float | None)
    elif isinstance(error, (AnswerLost, UnexpectedReply)):
        assert_type(error.excerpt, str)
    elif isinstance(error, (PredictionFailed, WaitTimeout)):
        assert_type(error.prediction, Prediction)
    elif isinstance(error, DownloadError):
        assert_type(error.url, str | None)


def every_refusal_is_one(error: RateLimited) -> Refused:
    """Each kind of refusal is caught with the others."""
    return error


def names_of_the_package() -> None:
    """What is loaded on first use has its type all the same."""
    assert_type(kling_async.Client, type[Client])
    assert_type(kling_async.ImageInput("a").prompt, str)
    assert_type(provider_named("gptproto"), Provider)
    assert_type(PROVIDERS, Mapping[str, Provider])
    assert_type(PROVIDERS["gptproto"].cost(ImageInput("a")), Decimal | None)


async def without_a_network() -> None:
    """The sandbox and the clock fit where the client takes a transport and a clock."""
    async with VirtualClock() as clock:
        app = SandboxApp(Sandbox(), clock=clock)
        assert_type(app, SandboxApp)
        Client(clock=clock)


async def matrices_and_panels(batch: Batch, estimate: Estimate) -> None:
    """A matrix takes any values, and a panel stands around a batch."""
    template = Job(VideoInput("{animal} at {speed}"), key="run")
    assert_type(matrix(template, animal=["cat", "dog"], speed=(0.5, 1), loud=[True]), list[Job])
    assert_type(matrix(ImageInput("{a}"), zip=True, a=iter("xyz")), list[Job])
    async with show_progress(batch, mode="plain", total=5, estimate=estimate) as panel:
        assert_type(panel, ProgressDisplay)


async def results(client: Client, inputs: list[ImageInput], prediction: Prediction) -> None:
    """Outcomes become dicts, and a gallery takes predictions beside them."""
    outcomes = await client.map(inputs)
    assert_type(rows(outcomes), list[dict[str, object]])
    assert_type(gallery([*outcomes, prediction]), Gallery)
    assert_type(Job(inputs[0], labels={"a": "b"}).labels, Mapping[str, str])


async def wrong_uses(client: Client, prediction: Prediction) -> None:
    """What type checkers must not let pass."""
    Client(5)  # type: ignore[arg-type]
    Client("gptproto", "sk")  # type: ignore[call-arg]
    Client(api_keys={"gptproto": 7})  # type: ignore[dict-item]
    Client(transport=object())  # type: ignore[arg-type]
    ImageInput()  # type: ignore[call-arg]
    ImageInput("a", "kling-image-o1")  # type: ignore[call-arg]
    client.webhooks(5)  # type: ignore[arg-type]
    ImageInput("a", n="2")  # type: ignore[arg-type]
    ImageInput("a", duration=5)  # type: ignore[call-arg]
    ImageInput("a", images=[5])  # type: ignore[list-item]
    ImageInput("a", extra={"a": {1, 2}})  # type: ignore[dict-item]
    VideoInput("a", shots=["b"])  # type: ignore[list-item]
    VideoInput("a", image=5)  # type: ignore[arg-type]
    Shot("a")  # type: ignore[call-arg]
    Job("a")  # type: ignore[arg-type]
    Job(ImageInput("a"), "key")  # type: ignore[call-arg]
    Client(limits={"gptproto": 5})  # type: ignore[dict-item]
    Limits(2.0)  # type: ignore[call-arg]
    Limits(max_open="9")  # type: ignore[arg-type]
    client.batch(["a cat"])  # type: ignore[list-item]
    matrix("{a} cat", a=["one"])  # type: ignore[arg-type]
    matrix(ImageInput("{a}"), a=[None])  # type: ignore[list-item]
    matrix(ImageInput("{a}"), a=5)  # type: ignore[arg-type]
    show_progress(client)  # type: ignore[arg-type]
    show_progress(client.batch([]), mode="loud")  # type: ignore[arg-type]
    client.batch([], max_open="9")  # type: ignore[arg-type]
    client.batch([], "out")  # type: ignore[call-arg]
    client.batch([]).progress.pulled = 3  # type: ignore[misc]
    await client.submit("a cat")  # type: ignore[arg-type]
    await client.generate([ImageInput("a")])  # type: ignore[arg-type]
    await client.generate(ImageInput("a"), "gptproto")  # type: ignore[call-arg]
    await client.wait("abc")  # type: ignore[arg-type]
    await client.download(prediction)  # type: ignore[call-overload]
    prediction.status = Status.FAILED  # type: ignore[misc]
    prediction.outputs[0].path  # type: ignore[attr-defined]  # noqa: B018
    prediction.failure.message  # type: ignore[union-attr]  # noqa: B018
    KlingError("a", job="b")  # type: ignore[call-arg]
