"""Inputs for images and videos, and the rules that hold at every provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Literal, TypeAlias, TypeGuard

from attrs import field, frozen

from .errors import InputError, InputFault
from .prediction import Json

__all__ = ["ImageInput", "Input", "Scene", "Shot", "VideoInput", "is_str_map", "validate_common"]


class Scene(StrEnum):
    """Generation mode, such as text-to-image; providers put it into the path or the body of a submission."""

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
    # Any other type, a string too, is kept as it is, for the type check to name.
    return tuple(values) if isinstance(values, (list, tuple)) else values  # type: ignore[return-value]


def _as_shots(values: Iterable[Shot]) -> tuple[Shot, ...]:
    return tuple(values) if isinstance(values, (list, tuple)) else values  # type: ignore[return-value]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_str(value: object) -> bool:
    return isinstance(value, str)


def _is_optional_str(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _are_str(value: object) -> bool:
    return _is_tuple(value) and all(isinstance(item, str) for item in value)


def _are_shots(value: object) -> bool:
    return _is_tuple(value) and all(isinstance(item, Shot) for item in value)


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def is_str_map(value: object) -> bool:
    """Return whether a value is a mapping of str to str."""
    return _is_mapping(value) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _is_json_object(value: object) -> bool:
    if not _is_mapping(value) or not all(isinstance(name, str) for name in value):
        return False
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_FieldChecks: TypeAlias = Mapping[str, tuple[Callable[[object], bool], str]]

_SHARED: _FieldChecks = {
    "prompt": (_is_str, "must be text"),
    "model": (_is_optional_str, "must be the name of a model, or None"),
    "images": (_are_str, "must be a list of URLs"),
    "aspect_ratio": (_is_optional_str, "must be text such as '16:9', or None"),
    "extra": (_is_json_object, "must be a JSON-serializable mapping with str keys"),
}
_IMAGE: _FieldChecks = {
    **_SHARED,
    "resolution": (_is_str, "must be text such as '1k'"),
    "n": (_is_int, "must be a whole number"),
    "multi_shot": (_is_bool, "must be True or False"),
}
_VIDEO: _FieldChecks = {
    **_SHARED,
    "image": (_is_optional_str, "must be a URL, or None"),
    "last_image": (_is_optional_str, "must be a URL, or None"),
    "video": (_is_optional_str, "must be a URL, or None"),
    "duration": (_is_int, "must be a whole number of seconds"),
    "shots": (_are_shots, "must be a list of Shot"),
    "keep_original_sound": (_is_bool, "must be True or False"),
    "scene": (_is_optional_str, "must be the name of a scene, or None"),
}
_SHOT: _FieldChecks = {"prompt": _SHARED["prompt"], "duration": _VIDEO["duration"]}


def _validate(value: object, checks: _FieldChecks) -> None:
    faults = [
        InputFault(name, getattr(value, name), allowed)
        for name, (is_valid, allowed) in checks.items()
        if not is_valid(getattr(value, name))
    ]
    if faults:
        raise InputError.of(f"Invalid {type(value).__name__}", faults)


@frozen
class Shot:
    """One part of a video: its prompt, and its duration in seconds. Its index is its position, from 1."""

    prompt: str
    duration: int

    def __attrs_post_init__(self) -> None:
        _validate(self, _SHOT)


@frozen
class ImageInput:
    """A request for images.

    Attributes:
        prompt: description of the images.
        model: a model's name, as `kling-async models` lists them; None is the provider's default for the kind.
        images: URLs of reference images.
        aspect_ratio: such as "16:9"; None is the provider's default.
        resolution: "1k" or "2k".
        n: number of images.
        multi_shot: keep one character over several shots, where the model can.
        extra: further fields of the request body, passed through unchanged.

    Raises:
        InputError: a field has the wrong type.
    """

    prompt: str
    model: str | None = field(default=None, kw_only=True)
    images: tuple[str, ...] = field(default=(), converter=_as_tuple, kw_only=True)
    aspect_ratio: str | None = field(default=None, kw_only=True)
    resolution: str = field(default="1k", kw_only=True)
    n: int = field(default=1, kw_only=True)
    multi_shot: bool = field(default=False, kw_only=True)
    extra: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        _validate(self, _IMAGE)

    @property
    def kind(self) -> Literal["image"]:
        """The kind of output."""
        return "image"

    @property
    def slots(self) -> int:
        """Slots of `Limits.max_open` that the job occupies: one per image."""
        return self.n


@frozen
class VideoInput:
    """A request for a video.

    Attributes:
        prompt: description of the video.
        model: a model's name, as `kling-async models` lists them; None is the provider's default for the kind.
        image: URL of the first frame.
        last_image: URL of the last frame; needs `image`.
        images: URLs of reference images.
        video: URL of a video to refer to or to edit.
        aspect_ratio: such as "16:9"; None is the provider's default.
        duration: seconds.
        shots: parts of the video in order; their durations add up to `duration`.
        keep_original_sound: keep the sound of `video`.
        scene: generation mode, as in `Scene`; None infers it from the other fields.
        extra: further fields of the request body, passed through unchanged.

    Raises:
        InputError: a field has the wrong type.
    """

    prompt: str
    model: str | None = field(default=None, kw_only=True)
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
        _validate(self, _VIDEO)

    @property
    def kind(self) -> Literal["video"]:
        """The kind of output."""
        return "video"

    @property
    def slots(self) -> int:
        """Slots of `Limits.max_open` that the job occupies."""
        return 1


Input: TypeAlias = ImageInput | VideoInput


def validate_common(input: Input) -> Iterator[InputFault]:
    """Yield the faults of an input that are faults at every provider."""
    if input.kind != "video":
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
