"""Limits of the media that Kling's models take, at Kling itself and where its models are relayed."""

from __future__ import annotations

from typing import Final

from ..types.sources import Certainty, Source
from .kling_rules import O1_PAGE, V30_PAGE
from .media_rules import JPEG_OR_PNG, MP4_OR_MOV, MediaLimits, MediaRules

__all__ = ["NEW_MEDIA", "kling_images"]

_LIKE_30: Final = Source(Certainty.INFERRED, f"those of 3.0 and O1, whose limits are the same: {V30_PAGE.where}")


def kling_images(max_bytes: int, source: Source) -> MediaLimits:
    """Return the limits of images; those of sides and ratio are the same on every page of Kling that has any."""
    return MediaLimits(types=JPEG_OR_PNG, max_bytes=max_bytes, min_side=300, max_ratio=2.5, source=source)


NEW_MEDIA: Final[MediaRules] = {
    "image": kling_images(50_000_000, _LIKE_30),
    # Sides of 700 to 2160 pixels and 3 to 10 seconds are left to Kling: no header at a known place tells them.
    "video": MediaLimits(types=MP4_OR_MOV, max_bytes=200_000_000, source=O1_PAGE),
}
"""Limits of the models of videos on Kling's new standard."""
