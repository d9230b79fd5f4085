"""Limits of the media that fal's Kling models take, as the schemas of their endpoints have them.

Endpoints whose schema has none are not here, although Kling behind them may have some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from ..types.inputs import Scene
from .fal_facts import TYPES, page
from .kling_media import kling_images, orientation_rule
from .media_rules import MP4_OR_MOV, MediaLimits, MediaRules
from .spec import ModelSpec

__all__ = ["with_media_limits"]

_I2I, _I2V, _R2V = Scene.IMAGE_TO_IMAGE, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO
_EDIT, _MOTION = Scene.VIDEO_EDIT, Scene.MOTION_CONTROL

_IMAGE: Final = MediaLimits(max_bytes=10_000_000, min_side=300, max_ratio=2.5, source=TYPES)
_O1_VIDEO: Final = MediaLimits(
    types=MP4_OR_MOV, max_bytes=200_000_000, min_side=720, max_side=2160, seconds=(3, 10), source=TYPES
)
_O3_VIDEO: Final = evolve(_O1_VIDEO, max_side=3840, seconds=(3, 15))
_V4_VIDEO: Final = MediaLimits(
    max_bytes=300_000_000,
    min_side=700,
    max_side=4553,
    max_ratio=2.5,
    seconds=(3, 30),
    source=page("kling/v4/video-to-video/edit"),
)

_O1: Final[Mapping[Scene, MediaRules]] = {
    _I2V: {"image": _IMAGE},
    _R2V: {"video": _O1_VIDEO},
    _EDIT: {"video": _O1_VIDEO},
}
_O3: Final[Mapping[Scene, MediaRules]] = {_R2V: {"video": _O3_VIDEO}, _EDIT: {"video": _O3_VIDEO}}
_TURBO: Final[Mapping[Scene, MediaRules]] = {_I2V: {"image": kling_images(50_000_000, TYPES)}}
_MOVED: Final[Mapping[Scene, MediaRules]] = {_MOTION: {"video": MediaLimits(seconds=(0, 30), source=TYPES)}}
_LIMITS: Final[Mapping[str, Mapping[Scene, MediaRules]]] = {
    "kling-image-3.0": {_I2I: {"image": _IMAGE}},
    "kling-o1-std": _O1,
    "kling-o1-pro": _O1,
    "kling-3.0-omni-std": _O3,
    "kling-3.0-omni-pro": _O3,
    "kling-3.0-turbo-std": _TURBO,
    "kling-3.0-turbo-pro": _TURBO,
    "kling-4.0": {_EDIT: {"video": _V4_VIDEO}},
}


def with_media_limits(spec: ModelSpec) -> ModelSpec:
    """Return a model with the limits of its media."""
    limits = _LIMITS.get(spec.canonical, {})
    if _MOTION not in spec.scenes:
        return evolve(spec, scene_media=limits)
    rules = (*spec.cross_field_rules, orientation_rule(TYPES))
    return evolve(spec, scene_media={**limits, **_MOVED}, cross_field_rules=rules)
