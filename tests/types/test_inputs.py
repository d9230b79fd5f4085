"""Inputs: defaults, types, and rules of every provider."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError

from kling_async.errors import InputError
from kling_async.types.inputs import ImageInput, Input, Scene, Shot, VideoInput, validate_common
from kling_async.types.jobs import Job

URL = "https://x.test/a.png"


def test_defaults_of_images() -> None:
    """An image needs a prompt only."""
    expected = ImageInput(
        "a cat",
        model=None,
        images=(),
        aspect_ratio=None,
        resolution="1k",
        n=1,
        multi_shot=False,
        extra={},
    )
    assert expected == ImageInput("a cat")


def test_defaults_of_videos() -> None:
    """A video needs a prompt only."""
    expected = VideoInput(
        "a dog",
        model=None,
        image=None,
        last_image=None,
        images=(),
        video=None,
        aspect_ratio=None,
        duration=5,
        shots=(),
        keep_original_sound=True,
        scene=None,
        extra={},
    )
    assert expected == VideoInput("a dog")


@pytest.mark.parametrize("kind", [ImageInput, VideoInput])
def test_all_but_the_prompt_is_named(kind: Any) -> None:
    """Only the prompt may be given by its position."""
    assert "a cat" == kind("a cat").prompt
    with pytest.raises(TypeError):
        kind("a cat", "kling-image-o1")


@pytest.mark.parametrize("value", [ImageInput("a"), VideoInput("a"), Shot("a", 1), Job(ImageInput("a"))])
def test_inputs_do_not_change(value: Any) -> None:
    """An input is a value: no field of it can be set."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(type(value))[0].name, "b")


@pytest.mark.parametrize(
    ("input", "kind", "slots"),
    [(ImageInput("a"), "image", 1), (ImageInput("a", n=4), "image", 4), (VideoInput("a", duration=10), "video", 1)],
)
def test_kind_and_slots(input: Input, kind: str, slots: int) -> None:
    """An input knows its kind, and how many slots its job occupies: one per image, one for a video."""
    assert (kind, slots) == (input.kind, input.slots)


def test_lists_become_tuples() -> None:
    """A list may be given, and is kept as a tuple, so that the input can be hashed."""
    one = ImageInput("a", images=[URL])  # type: ignore[arg-type]
    two = VideoInput("a", images=[URL], shots=[Shot("b", 5)])  # type: ignore[arg-type]
    assert ((URL,), (URL,), (Shot("b", 5),)) == (one.images, two.images, two.shots)
    assert 2 == len({one, two, evolve(one), evolve(two)})


def test_extra_may_be_any_mapping() -> None:
    """Further fields come as any mapping with JSON-serializable values, down to the last list."""
    extra = MappingProxyType({"seed": 1, "a": [None, True, 1.5, {"b": "c"}]})
    assert extra == ImageInput("a", extra=extra).extra


TEXT = "must be text"
MODEL = "must be the name of a model, or None"
MEDIA = "must be a URL, a Path, bytes, an output such as prediction.outputs[0], or a prediction with exactly one output"
ADDRESSES = f"must be a list, and each {MEDIA}"
RATIO = "must be text such as '16:9', or None"
EXTRA = "must be a JSON-serializable mapping with str keys"
FRAME = f"{MEDIA}, or None"
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
WRONG: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "no prompt": (ImageInput, {"prompt": None}, "prompt", TEXT),
    "bytes for a prompt": (VideoInput, {"prompt": b"a"}, "prompt", TEXT),
    "a number for a model": (ImageInput, {"model": 1}, "model", MODEL),
    "one URL for images": (ImageInput, {"images": URL}, "images", ADDRESSES),
    "a set for images": (ImageInput, {"images": {URL}}, "images", ADDRESSES),
    "None for images": (VideoInput, {"images": None}, "images", ADDRESSES),
    "a number among images": (ImageInput, {"images": [URL, 7]}, "images", ADDRESSES),
    "a ratio in numbers": (ImageInput, {"aspect_ratio": 1.5}, "aspect_ratio", RATIO),
    "a resolution in numbers": (ImageInput, {"resolution": 1}, "resolution", "must be text such as '1k'"),
    "a count in text": (ImageInput, {"n": "3"}, "n", "must be a whole number"),
    "a truth for a count": (ImageInput, {"n": True}, "n", "must be a whole number"),
    "a fraction for a count": (ImageInput, {"n": 1.0}, "n", "must be a whole number"),
    "a number for a truth": (ImageInput, {"multi_shot": 1}, "multi_shot", "must be True or False"),
    "a list for extra": (ImageInput, {"extra": ["a"]}, "extra", EXTRA),
    "None for extra": (ImageInput, {"extra": None}, "extra", EXTRA),
    "a number for a name in extra": (ImageInput, {"extra": {1: 2}}, "extra", EXTRA),
    "a set in extra": (ImageInput, {"extra": {"a": {1}}}, "extra", EXTRA),
    "bytes in extra": (VideoInput, {"extra": {"a": [b"b"]}}, "extra", EXTRA),
    "NaN in extra": (ImageInput, {"extra": {"a": float("nan")}}, "extra", EXTRA),
    "a circle in extra": (ImageInput, {"extra": {"a": CIRCLE}}, "extra", EXTRA),
    "a list for a frame": (VideoInput, {"image": [URL]}, "image", FRAME),
    "a number for a frame": (VideoInput, {"last_image": 7}, "last_image", FRAME),
    "a list for a video": (VideoInput, {"video": (URL,)}, "video", FRAME),
    "a duration in text": (VideoInput, {"duration": "5"}, "duration", "must be a whole number of seconds"),
    "a fraction for a duration": (VideoInput, {"duration": 5.5}, "duration", "must be a whole number of seconds"),
    "texts for shots": (VideoInput, {"shots": ["a"]}, "shots", "must be a list of Shot"),
    "one shot for shots": (VideoInput, {"shots": Shot("a", 5)}, "shots", "must be a list of Shot"),
    "text for a truth": (VideoInput, {"keep_original_sound": "no"}, "keep_original_sound", "must be True or False"),
    "a number for a scene": (VideoInput, {"scene": 1}, "scene", "must be the name of a scene, or None"),
    "a shot without a prompt": (Shot, {"prompt": None, "duration": 1}, "prompt", TEXT),
    "a shot with a duration in text": (Shot, {"duration": "1"}, "duration", "must be a whole number of seconds"),
}


@pytest.mark.parametrize(("kind", "given_fields", "field", "allowed"), WRONG.values(), ids=list(WRONG))
def test_wrong_types_are_named(kind: Any, given_fields: dict[str, Any], field: str, allowed: str) -> None:
    """A field of the wrong type is refused when the input is made, by its name, its value and what is allowed."""
    with pytest.raises(InputError) as caught:
        kind(**{"prompt": "a", **given_fields})
    assert [(field, allowed)] == [(one.field, one.allowed) for one in caught.value.faults]
    value = given_fields[field]
    kept = tuple(value) if isinstance(value, list) and field in ("images", "shots") else value
    assert kept == caught.value.faults[0].value
    assert f"Invalid {kind.__name__}: {field}=" in str(caught.value)
    assert not caught.value.may_be_billed


def test_all_wrong_types_come_in_one_error() -> None:
    """Several wrong fields make one error."""
    with pytest.raises(InputError) as caught:
        ImageInput(None, n="3", images=URL)  # type: ignore[arg-type]
    assert ["prompt", "images", "n"] == [one.field for one in caught.value.faults]


def test_a_generator_is_not_eaten() -> None:
    """Something that can be read only once is refused instead of being read in part."""
    texts = iter([URL])
    with pytest.raises(InputError):
        ImageInput("a", images=texts)  # type: ignore[arg-type]
    assert [URL] == list(texts)


@pytest.mark.parametrize("key", ["a", "x" * 200, "猫", "a/b", "..", "con", None])
def test_keys_of_jobs(key: str | None) -> None:
    """A job's key is any printable text; its file name is derived elsewhere."""
    assert key == Job(ImageInput("a"), key=key).key


@pytest.mark.parametrize("key", ["", "x" * 201, "a\n", "a\0b", "\ud800", "\u202e", 7, b"a"])
def test_malformed_keys(key: Any) -> None:
    """A key that is empty, long, or would break a line is refused by name."""
    with pytest.raises(InputError) as caught:
        Job(ImageInput("a"), key=key)
    assert [("key", key, "must be 1 to 200 printable characters")] == list(caught.value.faults)


FAULTS: dict[str, tuple[Input, list[tuple[str, object, str]]]] = {
    "an image": (ImageInput("", n=-1), []),
    "a video": (VideoInput(""), []),
    "both frames": (VideoInput("a", image=URL, last_image=URL), []),
    "a last frame alone": (VideoInput("a", last_image=URL), [("last_image", URL, "needs image, the first frame")]),
    "shots that add up": (VideoInput("a", shots=(Shot("b", 2), Shot("c", 3))), []),
    "shots that do not": (
        VideoInput("a", shots=(Shot("b", 2), Shot("c", 2))),
        [("shots", 4, "the shots' durations must add up to duration, 5")],
    ),
    "a shot that says and lasts nothing": (
        VideoInput("a", shots=(Shot(" ", 0), Shot("c", 5))),
        [
            ("shots", Shot(" ", 0), "each shot needs a prompt"),
            ("shots", Shot(" ", 0), "each shot lasts at least 1 second"),
        ],
    ),
}


@pytest.mark.parametrize(("input", "faults"), FAULTS.values(), ids=list(FAULTS))
def test_rules_of_every_provider(input: Input, faults: list[tuple[str, object, str]]) -> None:
    """Faults that are faults at every provider are found without one."""
    assert faults == [tuple(one) for one in validate_common(input)]


def test_scenes_are_their_words() -> None:
    """A scene is the text of its segment in a path."""
    assert "text-to-image" == f"{Scene.TEXT_TO_IMAGE}" == Scene.TEXT_TO_IMAGE
