"""Inputs for images and videos, and the rules that hold at every provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Literal, TypeAlias

from attrs import field, frozen

from .errors import InputFault
from .field_checks import (
    FieldChecks,
    check_fields,
    is_boolean,
    is_json_object,
    is_optional_boolean,
    is_optional_text,
    is_text,
    is_tuple,
    is_whole_number,
)
from .media_values import Media, are_media, as_media, as_media_list, is_optional_media, show_media
from .prediction import Json
from .reprs import short_repr, show_json

__all__ = ["ImageInput", "Input", "Scene", "Shot", "VideoInput", "validate_common"]


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
    VIDEO_EDIT = "video-edit"
    VIDEO_EXTEND = "video-extend"
    MOTION_CONTROL = "motion-control"


def _as_media(value: Media | None) -> Media | None:
    return as_media(value)


def _as_media_list(values: Iterable[Media]) -> tuple[Media, ...]:
    return as_media_list(values)


def _as_shots(values: Iterable[Shot]) -> tuple[Shot, ...]:
    # Any other type is kept as it is, for the type check to name.
    return tuple(values) if isinstance(values, (list, tuple)) else values  # type: ignore[return-value]


def _are_shots(value: object) -> bool:
    return is_tuple(value) and all(isinstance(item, Shot) for item in value)


_MEDIA = (
    "must be a URL, a Path, bytes, an output such as prediction.outputs[0], or a prediction with exactly one output"
)
_MEDIA_LIST = f"must be a list, and each {_MEDIA}"
_SHARED: FieldChecks = {
    "prompt": (is_text, "must be text"),
    "model": (is_optional_text, "must be the name of a model, or None"),
    "images": (are_media, _MEDIA_LIST),
    "aspect_ratio": (is_optional_text, "must be text such as '16:9', or None"),
    "extra": (is_json_object, "must be a JSON-serializable mapping with str keys"),
}
_IMAGE: FieldChecks = {
    **_SHARED,
    "resolution": (is_text, "must be text such as '1k'"),
    "n": (is_whole_number, "must be a whole number"),
    "multi_shot": (is_boolean, "must be True or False"),
}
_VIDEO: FieldChecks = {
    **_SHARED,
    "image": (is_optional_media, f"{_MEDIA}, or None"),
    "last_image": (is_optional_media, f"{_MEDIA}, or None"),
    "video": (is_optional_media, f"{_MEDIA}, or None"),
    "keyframes": (are_media, _MEDIA_LIST),
    "videos": (are_media, _MEDIA_LIST),
    "audios": (are_media, _MEDIA_LIST),
    "resolution": (is_optional_text, "must be text such as '1080p', or None"),
    "sound": (is_optional_boolean, "must be True, False or None"),
    "negative_prompt": (is_optional_text, "must be text, or None"),
    "duration": (is_whole_number, "must be a whole number of seconds"),
    "shots": (_are_shots, "must be a list of Shot"),
    "keep_original_sound": (is_boolean, "must be True or False"),
    "scene": (is_optional_text, "must be the name of a scene, or None"),
}
_SHOT: FieldChecks = {"prompt": _SHARED["prompt"], "duration": _VIDEO["duration"]}


@frozen
class Shot:
    """One part of a video: its prompt, and its duration in seconds. Its index is its position, from 1."""

    prompt: str
    duration: int

    def __attrs_post_init__(self) -> None:
        check_fields(self, _SHOT)

    def __repr__(self) -> str:
        return short_repr(self)


@frozen
class ImageInput:
    """A request for images.

    Media are a URL, a `pathlib.Path`, bytes, a `data:` URI, an `Output`, or a `Prediction` with exactly one.

    Attributes:
        prompt: description of the images.
        model: a model's name, as `kling-async models` lists them; None is the provider's default for the kind.
        images: reference images.
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
    images: tuple[Media, ...] = field(default=(), converter=_as_media_list, kw_only=True, repr=show_media)
    aspect_ratio: str | None = field(default=None, kw_only=True)
    resolution: str = field(default="1k", kw_only=True)
    n: int = field(default=1, kw_only=True)
    multi_shot: bool = field(default=False, kw_only=True)
    extra: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True, hash=False, repr=show_json)

    def __attrs_post_init__(self) -> None:
        check_fields(self, _IMAGE)

    def __repr__(self) -> str:
        return short_repr(self)

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

    Media are a URL, a `pathlib.Path`, bytes, a `data:` URI, an `Output`, or a `Prediction` with exactly one.

    Attributes:
        prompt: description of the video; may be empty where shots say enough.
        model: a model's name, as `kling-async models` lists them; None is the provider's default for the kind.
        image: the first frame.
        last_image: the last frame; needs `image`, or the scene `video-extend`.
        keyframes: the frames between the first and the last one, in order; they need `image`.
        images: reference images.
        video: a video to refer to, to edit or to extend; shorthand for `videos` with one.
        videos: several of them.
        audios: reference audios.
        aspect_ratio: such as "16:9"; None is the provider's default.
        duration: seconds.
        resolution: such as "1080p"; None is the provider's default.
        shots: parts of the video in order; their durations add up to `duration`.
        sound: whether the video has sound; None is the provider's default.
        negative_prompt: description of what the video must not show; None for nothing.
        keep_original_sound: keep the sound of `video`.
        scene: generation mode, as in `Scene`; None infers it from the other fields.
        extra: further fields of the request body, passed through unchanged.

    Raises:
        InputError: a field has the wrong type.
    """

    prompt: str = ""
    model: str | None = field(default=None, kw_only=True)
    image: Media | None = field(default=None, converter=_as_media, kw_only=True, repr=show_media)
    last_image: Media | None = field(default=None, converter=_as_media, kw_only=True, repr=show_media)
    keyframes: tuple[Media, ...] = field(default=(), converter=_as_media_list, kw_only=True, repr=show_media)
    images: tuple[Media, ...] = field(default=(), converter=_as_media_list, kw_only=True, repr=show_media)
    video: Media | None = field(default=None, converter=_as_media, kw_only=True, repr=show_media)
    videos: tuple[Media, ...] = field(default=(), converter=_as_media_list, kw_only=True, repr=show_media)
    audios: tuple[Media, ...] = field(default=(), converter=_as_media_list, kw_only=True, repr=show_media)
    aspect_ratio: str | None = field(default=None, kw_only=True)
    duration: int = field(default=5, kw_only=True)
    resolution: str | None = field(default=None, kw_only=True)
    shots: tuple[Shot, ...] = field(default=(), converter=_as_shots, kw_only=True)
    sound: bool | None = field(default=None, kw_only=True)
    negative_prompt: str | None = field(default=None, kw_only=True)
    keep_original_sound: bool = field(default=True, kw_only=True)
    scene: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True, hash=False, repr=show_json)

    def __attrs_post_init__(self) -> None:
        check_fields(self, _VIDEO)

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def all_videos(self) -> tuple[Media, ...]:
        """The videos that are given, as `video` or as `videos`."""
        return self.videos if self.video is None else (self.video, *self.videos)

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
    if input.kind == "video":
        yield from _media_faults(input)
        yield from _shot_faults(input)


def _media_faults(input: VideoInput) -> Iterator[InputFault]:
    if input.image is None and input.last_image is not None and input.scene != Scene.VIDEO_EXTEND:
        yield InputFault("last_image", input.last_image, "needs image, the first frame")
    if input.image is None and input.keyframes:
        yield InputFault("keyframes", input.keyframes, "need image, the first frame")
    if input.video is not None and input.videos:
        yield InputFault("video", input.video, "is short for one of videos; give one of the two")
    if input.audios and not (input.images or input.all_videos):
        yield InputFault("audios", input.audios, "need images or videos to belong to")


def _shot_faults(input: VideoInput) -> Iterator[InputFault]:
    for shot in input.shots:
        if not shot.prompt.strip():
            yield InputFault("shots", shot, "each shot needs a prompt")
        if shot.duration < 1:
            yield InputFault("shots", shot, "each shot lasts at least 1 second")
    total = sum(shot.duration for shot in input.shots)
    if input.shots and total != input.duration:
        yield InputFault("shots", total, f"the shots' durations must add up to duration, {input.duration}")
