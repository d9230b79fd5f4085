"""The reprs of values: short, with what differs, and without what opens anything."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kling_async import (
    Estimate,
    Failure,
    FailureKind,
    ImageInput,
    InputError,
    Job,
    Outcome,
    Output,
    OutputKind,
    Prediction,
    Shot,
    Status,
    VideoInput,
)

SIGNED = "https://files.example/1.png?X-Amz-Signature=0123456789abcdef"
IMAGES = tuple(Output(url=SIGNED, kind=OutputKind.IMAGE) for _ in range(4))
DONE = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="id-1",
    key="fox",
    status=Status.SUCCEEDED,
    native_status="completed",
    outputs=IMAGES,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    cost=Decimal("0.120"),
    raw={"token": "secret-in-raw"},
)
FAILED = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="id-2",
    status=Status.FAILED,
    failure=Failure(kind=FailureKind.FAILED, message="no luck"),
)
PLACE = "provider='gptproto', model='kling-image-o1'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ImageInput("a fox"), "ImageInput('a fox')"),
        (ImageInput("a fox", n=4, extra={"seed": 7}), "ImageInput('a fox', n=4, extra={'seed': 7})"),
        (VideoInput("a river", shots=[Shot("one", 5)]), "VideoInput('a river', shots=(Shot('one', 5),))"),
        (VideoInput(image="https://x.example/a.png"), "VideoInput(image='https://x.example/a.png')"),
        (
            Job(ImageInput("a fox"), key="fox", labels={"animal": "fox"}),
            "Job(ImageInput('a fox'), key='fox', labels={'animal': 'fox'})",
        ),
        (DONE, f"Prediction({PLACE}, id='id-1', key='fox', status=succeeded, outputs=4 images, cost=$0.12)"),
        (FAILED, f"Prediction({PLACE}, id='id-2', status=failed, failure={FAILED.failure!r})"),
        (
            Outcome(job=Job(ImageInput("x")), files=tuple(map(Path, "abcd")), cost=Decimal("1.2")),
            "Outcome(job=Job(ImageInput('x')), files=(a, b, +2), cost=$1.20)",
        ),
        (Estimate(low=Decimal("1.200"), high=Decimal("1.200"), priced=10), "Estimate($1.20)"),
        (
            Estimate(low=Decimal("1.2"), high=Decimal(3), priced=2, live=2),
            "Estimate($1.20 to $3.00, 2 of the prices live)",
        ),
    ],
)
def test_a_repr_shows_what_differs(value: object, text: str) -> None:
    """Fields at their default are left out, and money is written as money."""
    assert text == repr(value)


def test_long_texts_are_cut() -> None:
    """A hundred jobs with long prompts, negative prompts and labels are a line of moderate length each."""
    long = "a paper boat on a very long river " * 50
    shots = [Shot(long, 5)]
    job = Job(VideoInput(long, negative_prompt=long, shots=shots), key="k", labels={"a": long, "b": long})
    assert len(repr(job)) < 500
    assert long[:50] in repr(job)
    assert len(repr([Job(ImageInput(long), key=f"k{number}") for number in range(100)])) < 10_000


@pytest.mark.parametrize(
    "value",
    [
        DONE,
        IMAGES[0],
        ImageInput("x", images=[SIGNED]),
        ImageInput("x", images=[IMAGES[0]]),
        ImageInput("x", extra={"callback_url": f"https://me.example/?token={SIGNED}", "deep": {"token": SIGNED}}),
        VideoInput(image=SIGNED, videos=[SIGNED]),
        Outcome(job=Job(ImageInput("x", images=[SIGNED])), prediction=DONE),
    ],
)
def test_a_repr_opens_nothing(value: object) -> None:
    """The signature of a URL, and whatever `extra` and the raw response hold, is in no repr."""
    assert "0123456789abcdef" not in repr(value)
    assert "secret-in-raw" not in repr(value)


class Odd:
    """A value that cannot be compared, as an array of numbers is."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None


@pytest.mark.parametrize("wrong", [Odd(), 7, b"x" * 1000, {"a": Odd()}])
@pytest.mark.parametrize("name", ["prompt", "n", "images", "extra", "aspect_ratio", "model"])
def test_a_wrong_value_can_be_shown(name: str, wrong: Any) -> None:
    """A traceback that prints locals shows the value whose check has failed, whatever it holds."""
    with pytest.raises(InputError) as caught:
        ImageInput(**{"prompt": "x", "multi_shot": "maybe"} | {name: wrong})
    trace, seen = caught.tb, 0
    while trace is not None:
        for local in trace.tb_frame.f_locals.values():
            if isinstance(local, ImageInput):
                seen += bool(repr(local))
        trace = trace.tb_next
    assert seen
