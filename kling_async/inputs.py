"""What a user asks for, and the rules that are true at every provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TypeAlias, TypeGuard

from attrs import field, frozen

from .errors import InputError, InputFault
from .prediction import Json

__all__ = ["ImageInput", "Input", "Job", "Scene", "Shot", "VideoInput", "common_faults"]


class Scene(StrEnum):
    """What is made of what; providers put it into the address or the body of a submission."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    MULTI_SHOT = "ai-multi-shot"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    START_END_FRAME = "start-end-frame"
    REFERENCE_TO_VIDEO = "reference-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    MOTION_CONTROL = "motion-control"


def _as_tuple(values: Iterable[str]) -> tuple[str, ...]:
    # A string or anything else that is no list is kept as it is, for the type check to name.
    return tuple(values) if isinstance(values, (list, tuple)) else values  # type: ignore[return-value]


def _as_shots(values: Iterable[Shot]) -> tuple[Shot, ...]:
    return tuple(values) if isinstance(values, (list, tuple)) else values  # type: ignore[return-value]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _optional_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _texts(value: object) -> bool:
    return _tuple(value) and all(isinstance(item, str) for item in value)


def _shots(value: object) -> bool:
    return _tuple(value) and all(isinstance(item, Shot) for item in value)


def _mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _labels(value: object) -> bool:
    return _mapping(value) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _object(value: object) -> bool:
    if not _mapping(value) or not all(isinstance(name, str) for name in value):
        return False
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_Kinds: TypeAlias = Mapping[str, tuple[Callable[[object], bool], str]]

_SHARED: _Kinds = {
    "prompt": (_text, "must be text"),
    "model": (_text, "must be the name of a model"),
    "images": (_texts, "must be a list of addresses"),
    "aspect_ratio": (_optional_text, "must be text such as '16:9', or None"),
    "extra": (_object, "must be a mapping from names to values that JSON can say"),
}
_IMAGE: _Kinds = {
    **_SHARED,
    "resolution": (_text, "must be text such as '1k'"),
    "n": (_whole, "must be a whole number"),
    "multi_shot": (_flag, "must be True or False"),
}
_VIDEO: _Kinds = {
    **_SHARED,
    "image": (_optional_text, "must be an address, or None"),
    "last_image": (_optional_text, "must be an address, or None"),
    "video": (_optional_text, "must be an address, or None"),
    "duration": (_whole, "must be a whole number of seconds"),
    "shots": (_shots, "must be a list of Shot"),
    "keep_original_sound": (_flag, "must be True or False"),
    "scene": (_optional_text, "must be the name of a scene, or None"),
}
_SHOT: _Kinds = {"prompt": _SHARED["prompt"], "duration": _VIDEO["duration"]}


def _require(value: object, kinds: _Kinds) -> None:
    faults = [
        InputFault(name, getattr(value, name), allowed)
        for name, (holds, allowed) in kinds.items()
        if not holds(getattr(value, name))
    ]
    if faults:
        raise InputError.of(f"{type(value).__name__} cannot be made", faults)


@frozen
class Shot:
    """One part of a video: what it shows, and for how many seconds. Its index is its position, from 1."""

    prompt: str
    duration: int

    def __attrs_post_init__(self) -> None:
        _require(self, _SHOT)


@frozen
class ImageInput:
    """Ask for images.

    Attributes:
        prompt: what to draw.
        model: a model's name, as `kling-async models` lists them.
        images: addresses of reference images.
        aspect_ratio: such as "16:9"; None leaves it to the provider.
        resolution: "1k" or "2k".
        n: how many images.
        multi_shot: keep one character over several shots (API in One).
        extra: further fields of the provider's body, passed through as they are.

    Raises:
        InputError: a field has the wrong type.
    """

    prompt: str
    model: str = field(default="kling-image-o1", kw_only=True)
    images: tuple[str, ...] = field(default=(), converter=_as_tuple, kw_only=True)
    aspect_ratio: str | None = field(default=None, kw_only=True)
    resolution: str = field(default="1k", kw_only=True)
    n: int = field(default=1, kw_only=True)
    multi_shot: bool = field(default=False, kw_only=True)
    extra: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        _require(self, _IMAGE)


@frozen
class VideoInput:
    """Ask for a video.

    Attributes:
        prompt: what to show.
        model: a model's name, as `kling-async models` lists them.
        image: address of the first frame.
        last_image: address of the last frame; needs `image`.
        images: addresses of reference images.
        video: address of a video to refer to or to edit.
        aspect_ratio: such as "16:9"; None leaves it to the provider.
        duration: seconds.
        shots: parts of the video in order; their durations add up to `duration`.
        keep_original_sound: keep the sound of `video`.
        scene: what is made of what; None follows from the other fields.
        extra: further fields of the provider's body, passed through as they are.

    Raises:
        InputError: a field has the wrong type.
    """

    prompt: str
    model: str = field(default="kling-video-o1-std", kw_only=True)
    image: str | None = field(default=None, kw_only=True)
    last_image: str | None = field(default=None, kw_only=True)
    images: tuple[str, ...] = field(default=(), converter=_as_tuple, kw_only=True)
    video: str | None = field(default=None, kw_only=True)
    aspect_ratio: str | None = field(default=None, kw_only=True)
    duration: int = field(default=5, kw_only=True)
    shots: tuple[Shot, ...] = field(default=(), converter=_as_shots, kw_only=True)
    keep_original_sound: bool = field(default=True, kw_only=True)
    scene: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        _require(self, _VIDEO)


Input: TypeAlias = ImageInput | VideoInput


@frozen
class Job:
    """An input with a name.

    Attributes:
        input: what is asked for.
        key: names the job in messages and in its files; None names it after its input and position.
        provider: who shall do it; None leaves it to the client.
        labels: what else to tell of it, such as its value on each axis of a matrix; the journal and the report keep it.

    Raises:
        InputError: the key is empty, longer than 200 characters, or holds control characters, or a label is no text.
    """

    input: Input
    key: str | None = field(default=None, kw_only=True)
    provider: str | None = field(default=None, kw_only=True)
    labels: Mapping[str, str] = field(factory=dict[str, str], kw_only=True, eq=False)

    def __attrs_post_init__(self) -> None:
        if not _labels(self.labels):
            raise InputError.of("The job cannot be made", [InputFault("labels", self.labels, "must be texts by name")])
        if self.key is not None and not (_text(self.key) and 0 < len(self.key) <= 200 and self.key.isprintable()):
            fault = InputFault("key", self.key, "must be 1 to 200 printable characters")
            raise InputError.of("The job cannot be named", [fault])


def common_faults(input: Input) -> Iterator[InputFault]:
    """Yield what is wrong with an input whoever gets it."""
    if not isinstance(input, VideoInput):
        return
    if input.last_image is not None and input.image is None:
        yield InputFault("last_image", input.last_image, "needs image, the first frame")
    for shot in input.shots:
        if not shot.prompt.strip():
            yield InputFault("shots", shot, "each shot needs a prompt")
        if shot.duration < 1:
            yield InputFault("shots", shot, "each shot lasts at least 1 second")
    total = sum(shot.duration for shot in input.shots)
    if input.shots and total != input.duration:
        yield InputFault("shots", total, f"the shots' durations must add up to duration, {input.duration}")
