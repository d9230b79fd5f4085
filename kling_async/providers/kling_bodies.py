"""Bodies of submissions to Kling's own API, of a model's standard."""

from __future__ import annotations

from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json
from .codec.kling_legacy import build_legacy_body
from .codec.kling_tasks import build_task_body, shots_prompt
from .kling_legacy_models import LEGACY_PATHS
from .spec import ModelSpec, value_of
from .validation import build_body

__all__ = ["build_kling_body", "is_omni"]


def build_kling_body(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Build the body that submits an input in a scene."""
    values = build_body(spec, input, scene)
    if spec.name in LEGACY_PATHS:
        return build_legacy_body(values, model_name=spec.wire_name)
    only_prompt = scene is Scene.TEXT_TO_VIDEO and not is_omni(spec)
    return build_task_body(_task_values(spec, input, scene, values), only_prompt=only_prompt)


def is_omni(spec: ModelSpec) -> bool:
    """Return whether a model has one endpoint for all of its scenes."""
    return Scene.REFERENCE_TO_VIDEO in spec.scenes


def _task_values(spec: ModelSpec, input: Input, scene: Scene, values: dict[str, Json]) -> dict[str, Json]:
    """Return the values of a submission under the names that the new standard has for them in this scene."""
    keep, sound = values.pop("keep_original_sound", None), values.pop("audio", None)
    if isinstance(keep, bool) and value_of(input, "video"):
        values["audio"] = "original" if keep else "off"
    elif isinstance(sound, bool):
        values["audio"] = "native" if sound else "off"
    if scene is Scene.MOTION_CONTROL:
        values["image"] = values.pop("first_frame")
        values.setdefault("character_orientation", "video")
    elif scene is Scene.REFERENCE_TO_VIDEO and "base_video" in values:
        values["feature_video"] = values.pop("base_video")
    elif scene is Scene.VIDEO_EDIT and spec.parameter("multi_shot"):
        values["multi_shot"] = False
    if isinstance(input, VideoInput) and values.pop("shots", None):
        values["prompt"] = shots_prompt(input.shots)
        if spec.parameter("multi_shot"):
            values["multi_shot"] = True
    if is_omni(spec) and not values.keys() & {"first_frame", "feature_video", "base_video"}:
        # Required without a first frame and a video, though the table gives it a default.
        values.setdefault("aspect_ratio", "16:9")
    return values
