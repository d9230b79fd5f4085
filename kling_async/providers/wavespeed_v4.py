"""Kling 4.0 at WaveSpeedAI: five endpoints, of which the pages describe the fields and the prices."""

from __future__ import annotations

import math
from typing import Final

from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .media_rules import MediaLimits
from .parameter_rules import Boolean, OneOf, Range, Text, Url, UrlList
from .spec import ModelSpec, Parameter
from .wavespeed_rules import per_second, prompt_rule, video_rule

__all__ = ["V4"]

_T2V, _I2V, _R2V = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO
_EDIT, _EXTEND = Scene.VIDEO_EDIT, Scene.VIDEO_EXTEND

_PAGES = "https://wavespeed.ai/models/kwaivgi/kling-v4.0"
_TEXT = Source(
    Certainty.DOCUMENTED,
    "kling-v4.0, text-to-video: https://wavespeed.ai/docs/docs-api/kwaivgi/kling-v4.0/text-to-video",
)
_IMAGE = Source(Certainty.DOCUMENTED, f"kling-v4.0, image-to-video: {_PAGES}/image-to-video")
_REFERENCE = Source(Certainty.DOCUMENTED, f"kling-v4.0, reference-to-video: {_PAGES}/reference-to-video")
_EXTENDING = Source(Certainty.DOCUMENTED, f"kling-v4.0, video-extend: {_PAGES}/video-extend")
_FIVE = Source(
    Certainty.DOCUMENTED,
    "the five endpoints of Kling 4.0: "
    "https://wavespeed.ai/blog/zh-CN/ai-news/kling-4-0-is-coming-what-we-know-and-how-to-prepare-on-wavespeedai/",
)
_HDR = Source(
    Certainty.DOCUMENTED, "4k and HDR of Kling 4.0: https://wavespeed.ai/blog/zh-CN/ai-news/kling-4-0-release-date/"
)
_AUDIOS = Source(
    Certainty.INFERRED, f"the page has the maximum, and not the name of the field: {_PAGES}/reference-to-video"
)
_LENGTH = Source(
    Certainty.ANALOGY,
    "Comfy's copy of Kling's rules, since WaveSpeedAI states no maximum: "
    "https://docs.comfy.org/built-in-nodes/Kling4TextToVideoNode.md",
)
_ONE_VIDEO = {_EDIT: UrlList(1), _EXTEND: UrlList(1)}
_MAX_FILES = 15

_PARAMETERS = (
    Parameter("prompt", Text(26_000, 0), _LENGTH),
    Parameter("image", Url(), _IMAGE, scenes=(_I2V,)),
    Parameter("last_image", Url(), _IMAGE, scenes=(_I2V, _EXTEND)),
    Parameter("keyframes", UrlList(8), _IMAGE, scenes=(_I2V,)),
    Parameter("images", UrlList(10), _REFERENCE, scenes=(_R2V, _EDIT)),
    # The endpoints that take one name it `video`.
    Parameter("videos", UrlList(5), _REFERENCE, per_scene=_ONE_VIDEO, scenes=(_R2V, _EDIT, _EXTEND)),
    Parameter("audios", UrlList(3), _AUDIOS, scenes=(_R2V,)),
    # 16:9 is the default of text alone; the other endpoints follow their media.
    Parameter("aspect_ratio", OneOf(("16:9", "9:16", "1:1", "21:9")), _TEXT, scenes=(_T2V, _I2V, _R2V, _EDIT)),
    # An edit is as long as its video. It could be given another length, but not by a field that always has a value.
    Parameter("duration", Range(3, 30), _TEXT, scenes=(_T2V, _I2V, _R2V, _EXTEND), default=5),
    Parameter("resolution", OneOf(("720p", "1080p", "4k")), _HDR, default="720p"),
    Parameter("keep_original_sound", Boolean(), _REFERENCE, scenes=(_R2V, _EDIT)),
    Parameter("dynamic_range", OneOf(("hdr",)), _HDR, extra=True),
)

_RULES = (
    prompt_rule(_FIVE, _I2V),
    video_rule(
        "images",
        f"videos and audios are at most {_MAX_FILES} together",
        lambda input, _: len(input.images) + len(input.all_videos) + len(input.audios) <= _MAX_FILES,
        _REFERENCE,
    ),
    video_rule(
        "resolution",
        "must be 1080p or 4k for HDR",
        lambda input, _: "dynamic_range" not in input.extra or input.resolution in ("1080p", "4k"),
        _HDR,
    ),
    video_rule(
        "extra",
        "may hold dynamic_range in text-to-video, image-to-video and reference-to-video only",
        lambda input, scene: "dynamic_range" not in input.extra or scene in (_T2V, _I2V, _R2V),
        _HDR,
    ),
)

V4: Final = ModelSpec(
    "kling-v4.0",
    OutputKind.VIDEO,
    (_T2V, _I2V, _R2V, _EDIT, _EXTEND),
    _PARAMETERS,
    _FIVE,
    cross_field_rules=_RULES,
    # No page has a price of 4k or HDR. An edit, and references to videos, are charged by "counted seconds", of which no
    # page says how they are counted. Of an extension, only the new seconds are charged.
    prices=(
        per_second("0.157", _EXTENDING, scene=_EXTEND.value, resolution="720p"),
        per_second("0.235", _EXTENDING, scene=_EXTEND.value, resolution="1080p"),
        per_second("0.157", _TEXT, video=None, resolution="720p", dynamic_range=None),
        per_second("0.235", _TEXT, video=None, resolution="1080p", dynamic_range=None),
    ),
    canonical="kling-4.0",
    # An edit cuts a longer video to 30 s.
    scene_media={
        _R2V: {"audio": MediaLimits(seconds=(5, 30), source=_FIVE)},
        _EDIT: {"video": MediaLimits(seconds=(3, math.inf), source=_FIVE)},
    },
)
"""Kling 4.0. Its resolution is a field, where earlier models have tiers."""
