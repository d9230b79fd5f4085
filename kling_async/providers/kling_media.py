"""Limits of the media that Kling's models take, at Kling itself and where its models are relayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..types.inputs import Scene
from ..types.sources import Certainty, Source
from .kling_rules import O1_PAGE, OMNI_PAGE, V26_MOTION_PAGE, V30_MOTION_PAGE, V30_PAGE
from .media_rules import JPEG_OR_PNG, MP4_OR_MOV, MediaLimits, MediaRules, videos_last_at_most
from .spec import CrossFieldRule

__all__ = ["NEW_MEDIA", "O1_VIDEO", "OMNI_VIDEO", "SCENE_MEDIA", "kling_images", "orientation_rule"]

_LIKE_30: Final = Source(Certainty.INFERRED, f"those of 3.0 and O1, whose limits are the same: {V30_PAGE.where}")
_SHORT_MOTION: Final = 10
"""Seconds of a video whose motion a character follows that stays turned as in its image."""


def kling_images(max_bytes: int, source: Source) -> MediaLimits:
    """Return the limits of images; those of sides and ratio are the same on every page of Kling that has any."""
    return MediaLimits(types=JPEG_OR_PNG, max_bytes=max_bytes, min_side=300, max_ratio=2.5, source=source)


def orientation_rule(source: Source) -> CrossFieldRule:
    """Return the rule of motion control for a character that is turned as in its image."""
    return CrossFieldRule(
        "video",
        f"may last at most {_SHORT_MOTION} s when character_orientation is image",
        lambda input, scene: (
            scene is not Scene.MOTION_CONTROL
            or input.extra.get("character_orientation") != "image"
            or videos_last_at_most(input, _SHORT_MOTION)
        ),
        source,
    )


NEW_MEDIA: Final[MediaRules] = {"image": kling_images(50_000_000, _LIKE_30)}
"""Limits of the models of videos on Kling's new standard."""

O1_VIDEO: Final = MediaLimits(
    types=MP4_OR_MOV, max_bytes=200_000_000, min_side=700, max_side=2160, seconds=(3, 10), source=O1_PAGE
)
# The page has 0.4 to 2 for the ratio of width to height, and fal's schema of the same limits 0.4 to 2.5, the same both
# ways as everywhere else: the wider one refuses nothing wrongly.
OMNI_VIDEO: Final = MediaLimits(
    types=MP4_OR_MOV,
    max_bytes=200_000_000,
    min_side=700,
    max_side=4553,
    max_pixels=8_294_400,
    max_ratio=2.5,
    seconds=(3, 15.5),
    source=OMNI_PAGE,
)


def _of_videos(limits: MediaLimits) -> Mapping[Scene, MediaRules]:
    return {scene: {"video": limits} for scene in (Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT)}


def _of_motion(source: Source) -> Mapping[Scene, MediaRules]:
    limits = MediaLimits(
        types=MP4_OR_MOV, max_bytes=100_000_000, min_side=340, max_side=3850, seconds=(3, 30), source=source
    )
    return {Scene.MOTION_CONTROL: {"video": limits}}


SCENE_MEDIA: Final[Mapping[str, Mapping[Scene, MediaRules]]] = {
    "kling-o1": _of_videos(O1_VIDEO),
    "kling-3.0-omni": _of_videos(OMNI_VIDEO),
    "kling-2.6": _of_motion(V26_MOTION_PAGE),
    "kling-3.0": _of_motion(V30_MOTION_PAGE),
}
"""Limits of videos, by the name of a model on Kling's new standard and by scene."""
