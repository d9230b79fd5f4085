"""Keys and fingerprints of jobs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kling_async import (
    ImageInput,
    Input,
    InputError,
    Job,
    MediaFile,
    Output,
    OutputKind,
    Prediction,
    Shot,
    Status,
    VideoInput,
)
from kling_async.types.jobs import JobKeyGenerator, fingerprint

URL = "https://x.test/a.png"


def test_jobs_are_named_after_what_they_ask_for() -> None:
    """A job without a key gets one from its input and from how many of the same came before; its own key stays."""
    names = JobKeyGenerator()
    found = [names.with_key(Job(ImageInput(prompt))).key for prompt in ("a", "a", "b", "a")]
    a, b = fingerprint(ImageInput("a"))[:12], fingerprint(ImageInput("b"))[:12]
    assert [f"{a}-0", f"{a}-1", f"{b}-0", f"{a}-2"] == found
    assert "mine" == names.with_key(Job(ImageInput("a"), key="mine")).key


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=1&X-Amz-Date=2",
        "Expires=1&GoogleAccessId=2&Signature=3",
        "sv=1&se=2&sr=b&sp=r&sig=3",
        "OSSAccessKeyId=1&Expires=2&Signature=3",
        "x-oss-signature=1",
        "q-sign-algorithm=sha1&q-ak=2",
        "Policy=1&Signature=2&Key-Pair-Id=3",
    ],
)
def test_signatures_do_not_count(query: str) -> None:
    """A URL signed again is the same URL; other parameters of its query count."""
    assert fingerprint(ImageInput("a", images=(URL,))) == fingerprint(ImageInput("a", images=(f"{URL}?{query}",)))
    assert fingerprint(VideoInput("a", image=URL)) == fingerprint(VideoInput("a", image=f"{URL}?{query}"))
    kept = fingerprint(ImageInput("a", images=(f"{URL}?version=2",)))
    assert kept == fingerprint(ImageInput("a", images=(f"{URL}?version=2&{query}",)))
    assert kept != fingerprint(ImageInput("a", images=(URL,)))


def test_a_fingerprint_is_the_same_everywhere() -> None:
    """The hash of an input depends on nothing but its fields, today and tomorrow."""
    assert "b7907747" == fingerprint(ImageInput("a cat"))[:8]
    assert fingerprint(ImageInput("a cat", extra={"a": 1, "b": 2})) == fingerprint(
        ImageInput("a cat", extra={"b": 2, "a": 1})
    )


DIFFERENT: list[Input] = [
    ImageInput("a"),
    VideoInput("a"),
    ImageInput("b"),
    ImageInput("\ud800"),
    ImageInput("a", model="m"),
    ImageInput("a", images=(URL,)),
    ImageInput("a", aspect_ratio="1:1"),
    ImageInput("a", resolution="2k"),
    ImageInput("a", n=2),
    ImageInput("a", multi_shot=True),
    ImageInput("a", extra={"n": 2}),
    VideoInput("a", image=URL),
    VideoInput("a", last_image=URL),
    VideoInput("a", images=(URL,)),
    VideoInput("a", images=(URL, URL)),
    VideoInput("a", video=URL),
    VideoInput("a", duration=10),
    VideoInput("a", shots=(Shot("b", 5),)),
    VideoInput("a", keep_original_sound=False),
    VideoInput("a", scene="text-to-video"),
    VideoInput("a", videos=(URL, URL)),
    VideoInput("a", keyframes=(URL,)),
    VideoInput("a", audios=(URL,)),
    VideoInput("a", resolution="4k"),
    VideoInput("a", sound=True),
    VideoInput("a", sound=False),
    VideoInput("a", negative_prompt=""),
    VideoInput("a", extra={"sound": True}),
]


def test_every_field_counts_in_a_fingerprint() -> None:
    """Inputs that differ in any field have different hashes."""
    assert len(DIFFERENT) == len({fingerprint(input) for input in DIFFERENT})


RECORDED = json.loads((Path(__file__).parents[1] / "samples/disk/0.1/fingerprints.json").read_text())
"""Inputs of 0.1 with the fingerprints that its own code made of them."""


@pytest.mark.parametrize("recorded", RECORDED, ids=range(len(RECORDED)))
def test_an_input_of_0_1_keeps_its_fingerprint(recorded: Any) -> None:
    """Fields that came after 0.1 count only where they are given, so no finished job seems to be another one."""
    kind, fields = ImageInput if recorded["kind"] == "image" else VideoInput, recorded["fields"]
    shots = {"shots": [Shot(*shot) for shot in fields["shots"]]} if "shots" in fields else {}
    assert recorded["fingerprint"] == fingerprint(kind(**{**fields, **shots}))


def test_one_video_is_the_same_video() -> None:
    """`video` is short for `videos` with one."""
    assert fingerprint(VideoInput("a", video=URL)) == fingerprint(VideoInput("a", videos=(URL,)))
    assert (URL,) == VideoInput("a", video=URL).all_videos == VideoInput("a", videos=(URL,)).all_videos


@pytest.mark.parametrize("name", ["keyframes", "videos", "audios"])
def test_signatures_in_lists_do_not_count(name: str) -> None:
    """A signed URL in any list is the same one when it is signed again."""
    signed: dict[str, Any] = {name: (f"{URL}?Signature=1", URL)}
    assert fingerprint(VideoInput("a", **{name: (URL, URL)})) == fingerprint(VideoInput("a", **signed))


@given(st.text())
def test_any_prompt_has_a_fingerprint(prompt: str) -> None:
    """No text is too strange to be hashed."""
    assert 64 == len(fingerprint(ImageInput(prompt)))


PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(9)
FILE = MediaFile(name="a.png", sha256=hashlib.sha256(PIXELS).hexdigest(), size=17, mime="image/png")
MADE = Prediction(
    provider="fal",
    model="m",
    id="p-1",
    key="k",
    status=Status.SUCCEEDED,
    outputs=(Output(url="https://x.test/0.png?sig=1", kind=OutputKind.IMAGE),),
)


def test_local_media_count_by_their_content() -> None:
    """Bytes, and a file with the same content under any name, are one input, and another content is another."""
    digest = fingerprint(VideoInput("a", image=PIXELS))
    assert digest == fingerprint(VideoInput("a", image=FILE))
    assert digest == fingerprint(VideoInput("a", image=evolve(FILE, name="b.png", source=Path("b.png"))))
    assert digest != fingerprint(VideoInput("a", image=PIXELS + b"1"))
    assert digest != fingerprint(VideoInput("a", last_image=PIXELS))


def test_an_output_counts_by_its_prediction() -> None:
    """A prediction with one output, that output, and the same under a fresh URL are one input."""
    fresh = evolve(MADE, outputs=(Output(url="https://y.test/0.png?sig=2", kind=OutputKind.IMAGE),))
    digests = {fingerprint(VideoInput("a", image=one)) for one in (MADE, MADE.outputs[0], fresh)}
    assert len(digests) == 1
    assert digests != {fingerprint(VideoInput("a", image=evolve(MADE, id="p-2", outputs=_plain(MADE))))}
    assert digests != {fingerprint(VideoInput("a", image="https://x.test/0.png"))}


def _plain(prediction: Prediction) -> tuple[Output, ...]:
    return tuple(Output(url=one.url, kind=one.kind) for one in prediction.outputs)


def test_a_data_uri_counts_by_its_text_as_in_0_1() -> None:
    """An input with a `data:` URI keeps the digest that 0.1 gave it."""
    assert "e88d77e5" == fingerprint(ImageInput("a", images=("data:image/png;base64,AAAA",)))[:8]


def test_a_file_that_was_not_read_has_no_fingerprint() -> None:
    """A path says nothing about a content: nobody may plan a job by it."""
    with pytest.raises(InputError, match="was not read yet"):
        fingerprint(VideoInput("a", image=Path("a.png")))
