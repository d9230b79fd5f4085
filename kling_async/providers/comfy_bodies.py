"""Bodies of submissions to Comfy Router: Kling's own, of a model's standard, without the model's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ..types.inputs import Input, Scene, Shot, VideoInput
from ..types.prediction import Json
from .codec.kling_legacy import build_legacy_body
from .codec.kling_tasks import build_task_body, shots_prompt
from .spec import ModelSpec
from .validation import build_body

__all__ = ["NEW_STANDARD", "build_comfy_body"]

NEW_STANDARD: Final = ("kling-3.0-turbo", "kling-4.0", "kling-4.0-flash", "kling-image-4.0")
"""Models on Kling's new standard, by their names in paths; all others are on the legacy one."""
_TYPED_FRAMES: Final = {"first_frame": "first_frame", "last_frame": "end_frame"}


def build_comfy_body(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Build the body that submits an input in a scene."""
    values = build_body(spec, input, scene)
    shots = input.shots if isinstance(input, VideoInput) else ()
    if not input.prompt.strip():
        del values["prompt"]
    if spec.wire_name not in NEW_STANDARD:
        return _legacy_body(spec, values, scene, shots)
    if values.pop("shots", None):
        values["prompt"] = shots_prompt(shots)
    if scene is Scene.VIDEO_EDIT:
        [values["base_video"]] = _listed(values.pop("feature_video"))
    if isinstance(input, VideoInput):
        # Required by the schema of 4.0, and the default of the others.
        values.setdefault("resolution", "720p")
    return build_task_body(values, only_prompt=scene is Scene.TEXT_TO_VIDEO)


def _legacy_body(spec: ModelSpec, values: dict[str, Json], scene: Scene, shots: Iterable[Shot]) -> dict[str, Json]:
    if isinstance(sound := values.get("sound"), bool):
        values["sound"] = "on" if sound else "off"
    if values.pop("shots", None):
        values |= {"multi_shot": True, "shot_type": "customize"}
        values["multi_prompt"] = [
            {"index": number, "prompt": shot.prompt, "duration": str(shot.duration)}
            for number, shot in enumerate(shots, 1)
        ]
    if spec.parameter("video") and scene is not Scene.VIDEO_EDIT and "first_frame" not in values:
        values.setdefault("aspect_ratio", "16:9")  # required there, without a default
    media = _omni_media(values, scene)
    body = build_legacy_body(values, model_name=spec.wire_name) | media
    del body["model_name"]  # the path has it
    return body


def _omni_media(values: dict[str, Json], scene: Scene) -> dict[str, Json]:
    """Return the media of an omni model, and remove them among the values."""
    images: list[Json] = [
        {"image_url": values.pop(name), "type": kind} for name, kind in _TYPED_FRAMES.items() if name in values
    ]
    images += [{"image_url": url} for url in _listed(values.pop("refer_image", None))]
    media: dict[str, Json] = {"image_list": images} if images else {}
    keep, video = values.pop("keep_original_sound", True), values.pop("base_video", None)
    if video is not None:
        refer_type = "base" if scene is Scene.VIDEO_EDIT else "feature"
        one: Mapping[str, Json] = {"video_url": video, "refer_type": refer_type}
        media["video_list"] = [{**one, "keep_original_sound": "yes" if keep else "no"}]
    return media


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
