"""Validation before paying: every rule, the words in which it is said, and that nothing wrong gets through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kling_async.errors import InputError, InputFault
from kling_async.providers import PROVIDERS
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput

GPT, ONE = PROVIDERS["gptproto"], PROVIDERS["apiinone"]
A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
LONG = "x" * 2501

ADDRESS = "must be an http or https URL; a local file is given as a pathlib.Path, and not as text"
PNG = "data:image/png;base64,iVBORw0KGgo="
NO_WAY = (
    "is on this machine, and none of three ways leads to GPTProto: an upload, which GPTProto does not document; base64 "
    "inside the request, which GPTProto does not document; and a bucket of yours, which is not given "
    "(storage='s3://bucket/prefix', or --storage). Or put the image where it can be fetched, and give its URL"
)
ADDRESSES = "takes at most 10, and each must be an http or https URL"
NO_UPLOAD = ADDRESS.removeprefix("must be an http or https URL")
RATIOS = "must be one of 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3, 2:1, auto"
RATIOS_ONE = "must be one of 1:1, 16:9, 9:16, 4:3, 3:4, 3:2, 2:3, 21:9, auto"
VIDEO_RATIOS = "must be one of 16:9, 1:1, 9:16"
IMAGE_FIELDS = "prompt, aspect_ratio, n, resolution, images"
KLING_3_FIELDS = "prompt, image, aspect_ratio, duration, shots, sound"
V25_FIELDS = "prompt, image, duration, negative_prompt, aspect_ratio"
O1_FIELDS = "prompt, image, last_image, images, video, aspect_ratio, duration, shots, keep_original_sound"
O1_SCENES = "text-to-video, image-to-video, reference-to-video, video-to-video"


def image(**fields: Any) -> Input:
    """Shorten the tables."""
    return ImageInput(**{"prompt": "a cat", **fields})


def video(**fields: Any) -> Input:
    """Shorten the tables."""
    return VideoInput(**{"prompt": "a dog", **fields})


def shots(*durations: int, prompt: str = "it sits") -> tuple[Shot, ...]:
    """Shorten the tables."""
    return tuple(Shot(prompt, duration) for duration in durations)


Fault = tuple[str, object, str]
AT_GPTPROTO: Mapping[str, tuple[Input, list[Fault]]] = {
    # enums
    "an aspect ratio": (image(aspect_ratio="5:4"), [("aspect_ratio", "5:4", RATIOS)]),
    "the ratio of another provider": (
        image(aspect_ratio="21:9"),
        [("aspect_ratio", "21:9", RATIOS)],
    ),
    "a ratio with a typo": (
        image(aspect_ratio="16x9"),
        [("aspect_ratio", "16x9", RATIOS + "; did you mean 16:9?")],
    ),
    "a blank ratio": (image(aspect_ratio=""), [("aspect_ratio", "", RATIOS)]),
    "a video's ratio": (video(aspect_ratio="4:3"), [("aspect_ratio", "4:3", VIDEO_RATIOS)]),
    "a resolution": (image(resolution="4k"), [("resolution", "4k", "must be one of 1k, 2k")]),
    "a resolution in capitals": (
        image(resolution="1K"),
        [("resolution", "1K", "must be one of 1k, 2k; did you mean 1k?")],
    ),
    # ranges
    "no images asked for": (image(n=0), [("n", 0, "must be a whole number from 1 to 9")]),
    "ten images asked for": (image(n=10), [("n", 10, "must be a whole number from 1 to 9")]),
    # prompts
    "a blank prompt": (image(prompt=" \n"), [("prompt", " \n", "must be text, and not blank")]),
    "a video without a prompt": (video(prompt=""), [("prompt", "", "must be text of 1 to 2,500 characters")]),
    "a long prompt": (video(prompt=LONG), [("prompt", LONG, "must be text of 1 to 2,500 characters")]),
    # counts of images
    "eleven images": (image(images=(A,) * 11), [("images", (A,) * 11, ADDRESSES)]),
    "eleven references": (video(images=(A,) * 11), [("images", (A,) * 11, ADDRESSES)]),
    "five images beside a video": (
        video(images=(A,) * 5, video=C),
        [("images", (A,) * 5, "takes at most 4 when a video is given")],
    ),
    "five images beside an edited video": (
        video(images=(A,) * 5, video=C, scene="video-to-video"),
        [("images", (A,) * 5, "takes at most 4 when a video is given")],
    ),
    # durations
    "7 seconds of text": (video(duration=7), [("duration", 7, "must be one of 5, 10 in text-to-video")]),
    "7 seconds after a first frame": (
        video(image=A, duration=7),
        [("duration", 7, "must be one of 5, 10 when only the first frame is given")],
    ),
    "2 seconds of references": (
        video(images=(A,), duration=2),
        [("duration", 2, "must be a whole number from 3 to 10")],
    ),
    "11 seconds of editing": (video(video=C, duration=11), [("duration", 11, "must be a whole number from 3 to 10")]),
    "2 seconds between two frames": (
        video(image=A, last_image=B, duration=2),
        [("duration", 2, "must be a whole number from 3 to 10")],
    ),
    "7 seconds of v2.6": (
        video(model="kling-v2.6-pro", duration=7),
        [("duration", 7, "must be one of 5, 10")],
    ),
    "16 seconds of v3.0": (
        video(model="kling-v3.0-std", duration=16),
        [("duration", 16, "must be a whole number from 3 to 15")],
    ),
    # shots
    "shots that do not add up": (
        video(images=(A,), shots=shots(2, 2)),
        [("shots", 4, "the shots' durations must add up to duration, 5")],
    ),
    "seven shots": (
        video(images=(A,), duration=7, shots=shots(*[1] * 7)),
        [
            (
                "shots",
                shots(*[1] * 7),
                "takes at most 6 shots, and the prompt of each must be text of 1 to 512 characters",
            )
        ],
    ),
    "a shot that says too much": (
        video(shots=shots(5, prompt="x" * 513)),
        [
            (
                "shots",
                shots(5, prompt="x" * 513),
                "takes at most 6 shots, and the prompt of each must be text of 1 to 512 characters",
            )
        ],
    ),
    "a shot of no length": (
        video(shots=shots(5, 0)),
        [("shots", Shot("it sits", 0), "each shot lasts at least 1 second")],
    ),
    # frames
    "a last frame alone": (
        video(last_image=B),
        [
            ("last_image", B, "needs image, the first frame"),
            ("image", None, "is needed for image-to-video"),
        ],
    ),
    "a last frame where there is none": (
        video(model="kling-v2.1-standard", image=A, last_image=B),
        [
            (
                "last_image",
                B,
                "kling-v2.1-standard has no such field here; it takes prompt, image, duration, negative_prompt",
            )
        ],
    ),
    # what is where the provider fetches it
    "a local path": (video(image="./first.png"), [("image", "./first.png", ADDRESS)]),
    "a Windows path": (video(video=r"C:\dog.mp4"), [("video", r"C:\dog.mp4", ADDRESS)]),
    "a data URI": (video(image=PNG), [("image", PNG, NO_WAY)]),
    "a file": (video(image=Path("first.png")), [("image", "first.png", NO_WAY)]),
    "bytes among images": (image(images=(A, b"\x89PNG\r\n\x1a\n")), [("images[1]", "<8 bytes>", NO_WAY)]),
    "a file address": (video(image="file:///a.png"), [("image", "file:///a.png", ADDRESS)]),
    "an address without a host": (video(image="https:///a.png"), [("image", "https:///a.png", ADDRESS)]),
    "an address with a blank": (video(image="https://x.test/a b"), [("image", "https://x.test/a b", ADDRESS)]),
    "a local path among images": (image(images=(A, "b.png")), [("images", (A, "b.png"), ADDRESSES + NO_UPLOAD)]),
    # fields that this provider or this model lacks
    "multi-shot": (
        image(multi_shot=True),
        [("multi_shot", True, f"kling-image-o1 has no such field here; it takes {IMAGE_FIELDS}")],
    ),
    "references for a model of one frame": (
        video(model="kling-v2.5-turbo-std", images=(A,)),
        [
            (
                "scene",
                "reference-to-video",
                "follows from the fields given, but kling-v2.5-turbo-std has the scenes text-to-video, image-to-video",
            ),
            (
                "images",
                (A,),
                f"kling-v2.5-turbo-std has no such field here; it takes {V25_FIELDS}",
            ),
        ],
    ),
    "the sound of no video": (
        video(model="kling-v2.6-pro", keep_original_sound=False),
        [("keep_original_sound", False, "has no place in text-to-video")],
    ),
    # scenes
    "an unknown scene": (
        video(scene="text-2-video"),
        [
            (
                "scene",
                "text-2-video",
                f"kling-video-o1-std has the scenes {O1_SCENES}; did you mean text-to-video?",
            )
        ],
    ),
    "the scene of another model": (
        video(image=A, video=C, scene="motion-control"),
        [("scene", "motion-control", f"kling-video-o1-std has the scenes {O1_SCENES}")],
    ),
    "a first frame beside references": (
        video(image=A, images=(B,)),
        [
            (
                "scene",
                None,
                f"is not clear from the fields given: set it; kling-video-o1-std has the scenes {O1_SCENES}",
            )
        ],
    ),
    "a scene without its material": (
        video(scene="video-to-video"),
        [("video", None, "is needed for video-to-video")],
    ),
    "motion control without a video": (
        video(model="kling-v2.6-pro", scene="motion-control"),
        [("image", None, "is needed for motion-control"), ("video", None, "is needed for motion-control")],
    ),
    "material without a place": (
        video(scene="text-to-video", image=A, images=(B,)),
        [("image", A, "has no place in text-to-video"), ("images", (B,), "has no place in text-to-video")],
    ),
    # the wrong kind of input
    "a video of an image model": (
        video(model="kling-image-o1"),
        [("model", "kling-image-o1", "makes images; use ImageInput")],
    ),
    "an image of a video model": (
        image(model="kling-video-o1-std"),
        [("model", "kling-video-o1-std", "makes videos; use VideoInput")],
    ),
    # extra
    "extra in place of a field": (
        image(extra={"n": 3}),
        [("extra['n']", 3, "may not replace a field; use n=")],
    ),
    "extra in place of shots": (
        video(extra={"multi_prompt": []}),
        [("extra['multi_prompt']", [], "may not replace a field; use shots=")],
    ),
    "extra in place of the model": (
        image(extra={"model": "kling-v9"}),
        [("extra['model']", "kling-v9", "may not replace a field; use model=")],
    ),
    "a known extra out of range": (
        video(model="kling-v3.0-std", extra={"guidance_scale": 1.5}),
        [("extra['guidance_scale']", 1.5, "must be from 0 to 1")],
    ),
    "a known extra of another type": (
        video(model="kling-v2.6-pro", extra={"sound": "yes"}),
        [("extra['sound']", "yes", "must be True or False")],
    ),
    "a known extra beside its field": (
        video(model="kling-v2.6-pro", sound=True, extra={"sound": False}),
        [("extra['sound']", False, "may not replace a field; use sound=")],
    ),
    "two videos where one is taken": (
        video(videos=(C, C)),
        [("videos", (C, C), "kling-video-o1-std takes one video")],
    ),
    "the same video twice over": (
        video(video=C, videos=(C,)),
        [("video", C, "is short for one of videos; give one of the two")],
    ),
    "keyframes before the first": (
        video(keyframes=(A,)),
        [
            ("keyframes", (A,), "need image, the first frame"),
            ("image", None, "is needed for image-to-video"),
            ("keyframes", (A,), f"kling-video-o1-std has no such field here; it takes {O1_FIELDS}"),
        ],
    ),
    "a voice without a speaker": (
        video(audios=(A,)),
        [
            ("audios", (A,), "need images or videos to belong to"),
            ("images", (), "is needed for reference-to-video"),
            ("audios", (A,), f"kling-video-o1-std has no such field here; it takes {O1_FIELDS}"),
        ],
    ),
    "a resolution where there is none": (
        video(resolution="4k"),
        [("resolution", "4k", f"kling-video-o1-std has no such field here; it takes {O1_FIELDS}")],
    ),
    "sound where there is none": (
        video(sound=True),
        [("sound", True, f"kling-video-o1-std has no such field here; it takes {O1_FIELDS}")],
    ),
    "a known extra with a typo": (
        video(model="kling-v2.6-pro", image=A, video=C, extra={"character_orientation": "images"}),
        [("extra['character_orientation']", "images", "must be one of image, video; did you mean image?")],
    ),
    # all of it together
    "several faults": (
        image(prompt="", n=10, resolution="8k", aspect_ratio="7:1", images=("a.png",), extra={"prompt": "b"}),
        [
            ("prompt", "", "must be text, and not blank"),
            ("images", ("a.png",), ADDRESSES + NO_UPLOAD),
            ("aspect_ratio", "7:1", RATIOS),
            ("resolution", "8k", "must be one of 1k, 2k"),
            ("n", 10, "must be a whole number from 1 to 9"),
            ("extra['prompt']", "b", "may not replace a field; use prompt="),
        ],
    ),
}
AT_API_IN_ONE: Mapping[str, tuple[Input, list[Fault]]] = {
    "an aspect ratio": (
        image(aspect_ratio="2:1"),
        [("aspect_ratio", "2:1", RATIOS_ONE)],
    ),
    "a resolution": (image(resolution="2 k"), [("resolution", "2 k", "must be one of 1k, 2k; did you mean 2k?")]),
    "a count": (image(n=10), [("n", 10, "must be a whole number from 1 to 9")]),
    "a short prompt": (image(prompt="ab "), [("prompt", "ab ", "must be text of 3 to 5,000 characters")]),
    "a long prompt": (
        image(prompt="x" * 5001),
        [("prompt", "x" * 5001, "must be text of 3 to 5,000 characters")],
    ),
    "eleven images": (image(images=(A,) * 11), [("images", (A,) * 11, ADDRESSES)]),
    "a local path": (image(images=("~/a.png",)), [("images", ("~/a.png",), ADDRESSES + NO_UPLOAD)]),
    "multi-shot of nothing": (image(multi_shot=True), [("images", (), "is needed for ai-multi-shot")]),
    "a video that says nothing": (
        video(model="kling-3", prompt=""),
        [("prompt", "", "must be text, and not blank, unless shots are given")],
    ),
    "a long video prompt": (
        video(model="kling-3", prompt=LONG),
        [("prompt", LONG, "must be text of 0 to 2,500 characters")],
    ),
    "2 seconds": (
        video(model="kling-3", duration=2),
        [("duration", 2, "must be a whole number from 3 to 15")],
    ),
    "16 seconds": (
        video(model="kling-3", duration=16),
        [("duration", 16, "must be a whole number from 3 to 15")],
    ),
    "a video's ratio": (
        video(model="kling-3", aspect_ratio="auto"),
        [("aspect_ratio", "auto", VIDEO_RATIOS)],
    ),
    "shots that do not add up": (
        video(model="kling-3", shots=shots(3, 3)),
        [("shots", 6, "the shots' durations must add up to duration, 5")],
    ),
    "a last frame": (
        video(model="kling-3", image=A, last_image=B),
        [("last_image", B, f"kling-3 has no such field here; it takes {KLING_3_FIELDS}")],
    ),
    "the sound of a video": (
        video(model="kling-3", keep_original_sound=False),
        [("keep_original_sound", False, f"kling-3 has no such field here; it takes {KLING_3_FIELDS}")],
    ),
    "a video to edit": (
        video(model="kling-3", video=C),
        [
            (
                "scene",
                "video-to-video",
                "follows from the fields given, but kling-3 has the scenes text-to-video, image-to-video",
            ),
            ("video", C, f"kling-3 has no such field here; it takes {KLING_3_FIELDS}"),
        ],
    ),
    "a known extra": (
        video(model="kling-3", extra={"mode": "Pro"}),
        [("extra['mode']", "Pro", "must be one of std, pro; did you mean pro?")],
    ),
    "a known extra that is an address": (
        video(model="kling-3", extra={"callback_url": "localhost"}),
        [("extra['callback_url']", "localhost", ADDRESS)],
    ),
    "extra in place of a field, by the provider's name for it": (
        image(extra={"num_images": 3, "type": "ai-multi-shot"}),
        [
            ("extra['num_images']", 3, "may not replace a field; use n="),
            ("extra['type']", "ai-multi-shot", "may not replace a field; use multi_shot="),
        ],
    ),
    "extra in place of the model": (
        image(extra={"model": "flux-2"}),
        [("extra['model']", "flux-2", "may not replace a field; use model=")],
    ),
    "extra in place of what follows from shots": (
        video(model="kling-3", extra={"multi_shots": True}),
        [("extra", {"multi_shots": True}, "may not hold multi_shots, which follows from shots=")],
    ),
}


def faults_at(provider: Any, input: Input) -> list[Fault]:
    """Return what a provider finds, after looking at what it says besides."""
    with pytest.raises(InputError) as caught:
        provider.check(input, key="job-1")
    error = caught.value
    assert (provider.name, "job-1", False) == (error.provider, error.key, error.may_be_billed)
    assert f"{provider.title} cannot take this input" == error.message
    assert str(error).startswith(f"{error.message} [provider {provider.name}, job job-1]:")
    assert "Nothing was sent." in str(error)
    assert [] == [one for one in error.faults if one.field not in str(error) or one.allowed not in str(error)]
    return [(one.field, one.value, one.allowed) for one in error.faults]


@pytest.mark.parametrize(("input", "faults"), AT_GPTPROTO.values(), ids=list(AT_GPTPROTO))
def test_gptproto_refuses(input: Input, faults: list[Fault]) -> None:
    """Each fault is named with its field, its value and what is allowed, all of them in one error."""
    assert faults == faults_at(GPT, input)


@pytest.mark.parametrize(("input", "faults"), AT_API_IN_ONE.values(), ids=list(AT_API_IN_ONE))
def test_api_in_one_refuses(input: Input, faults: list[Fault]) -> None:
    """Each fault is named with its field, its value and what is allowed, all of them in one error."""
    assert faults == faults_at(ONE, input)


def test_a_blank_shot_is_refused_twice_over() -> None:
    """A shot without words is named by the rule of all providers and by that of this one."""
    found = faults_at(GPT, video(shots=shots(5, prompt=" ")))
    assert ("shots", Shot(" ", 5), "each shot needs a prompt") == found[0]


ALLOWED: Mapping[str, tuple[str, Input]] = {
    "the longest prompt": ("gptproto", video(prompt="x" * 2500)),
    "ten images": ("gptproto", image(images=(A,) * 10)),
    "four images beside a video": ("gptproto", video(images=(A,) * 4, video=C)),
    "six shots": ("gptproto", video(images=(A,), duration=6, shots=shots(*[1] * 6))),
    "7 seconds between two frames": ("gptproto", video(image=A, last_image=B, duration=7)),
    "7 seconds of references": ("gptproto", video(images=(A,), duration=7)),
    "a video as the only reference": ("gptproto", video(video=C, scene="reference-to-video", duration=7)),
    "a port, a query and a name beyond ASCII": ("gptproto", video(image="http://x.test:81/ä.png?k=1#f")),
    "an extra that nobody knows": ("gptproto", image(extra={"enable_sync_mode": True, "x": {"y": [None, 1.5]}})),
    "a known extra at its bound": ("gptproto", video(model="kling-v3.0-std", extra={"guidance_scale": 1})),
    "an extra of 0.1 that is a field now": ("gptproto", video(model="kling-v2.6-pro", extra={"sound": True})),
    "one of several videos": ("gptproto", video(videos=(C,), images=(A,), scene="video-to-video")),
    "one of several videos as the only reference": ("gptproto", video(videos=(C,), scene="reference-to-video")),
    "shots alone": ("apiinone", video(model="kling-3", prompt="", shots=shots(5))),
    "the shortest prompt": ("apiinone", image(prompt="cat")),
    "a ratio of its own": ("apiinone", image(aspect_ratio="21:9")),
}


@pytest.mark.parametrize(("provider", "input"), ALLOWED.values(), ids=list(ALLOWED))
def test_what_is_allowed_passes(provider: str, input: Input) -> None:
    """What stands just inside the rules is not refused."""
    PROVIDERS[provider].check(input)
    assert PROVIDERS[provider].build_submit(input).body


@pytest.mark.parametrize(
    ("provider", "model", "hint"),
    [
        ("gptproto", "kling-image-01", "; did you mean kling-image-o1?"),
        ("gptproto", "Kling-V2.6-Pro", "; did you mean kling-v2.6-pro?"),
        ("gptproto", "sora", ""),
        ("apiinone", "kling-3.0", "; did you mean kling-3?"),
    ],
)
def test_an_unknown_model_is_refused(provider: str, model: str, hint: str) -> None:
    """An unknown model is named with those that exist at this provider, and the one that was probably meant."""
    with pytest.raises(InputError) as caught:
        PROVIDERS[provider].check(image(model=model))
    names = ", ".join(PROVIDERS[provider].models)
    expected = InputFault("model", model, f"{PROVIDERS[provider].title} has {names}{hint}")
    assert (expected,) == caught.value.faults
    assert provider == caught.value.provider
