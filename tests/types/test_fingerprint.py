"""Keys and fingerprints of jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async import ImageInput, Input, Job, Shot, VideoInput
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
