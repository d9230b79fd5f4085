"""Kling 4.0 at Comfy Router, videos and images, and what its table of models shares with all others.

Router's pages of 4.0 are generated from its schemas. Where a page was seen in part, Comfy's own nodes of ComfyUI, which
send the same bodies, have the ranges. No page has a price of 4.0.
"""

from __future__ import annotations

from typing import Final

from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .comfy_facts import model_page
from .kling_media import kling_images
from .kling_rules import PARTS_RULE
from .media_rules import MediaRules
from .parameter_rules import OneOf, Range, Text, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price

__all__ = ["IMAGE_RATIOS", "V4_MODELS", "own_fields_rule", "own_model"]

_T2I, _I2I, _T2V, _I2V = Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE, Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO
_R2V, _EDIT = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT
_NODES = "https://docs.comfy.org/built-in-nodes"
_V4, _FLASH, _IMAGE_V4 = map(model_page, ("kling-4.0", "kling-4.0-flash", "kling-image-4.0"))
_V4_TEXT = Source(Certainty.DOCUMENTED, f"Kling 4.0 of Comfy's own node: {_NODES}/Kling4TextToVideoNode.md")
_V4_FRAMES = Source(Certainty.DOCUMENTED, f"Kling 4.0 of Comfy's own node: {_NODES}/Kling4ImageToVideoNode.md")
_V4_IMAGE = Source(Certainty.DOCUMENTED, f"Kling Image 4.0 of Comfy's own node: {_NODES}/Kling4ImageNode.md")
_V4_NUMBER = Source(Certainty.INFERRED, "the page has n, and the range was not seen; that of kling-image-o1")
IMAGE_RATIOS: Final = OneOf(("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "auto"))
_MADE: Final = (
    *("image_list", "video_list", "multi_prompt", "multi_shot", "shot_type", "model_name"),
    *("first_frame", "last_frame", "middle_frame", "refer_image", "feature_video", "base_video"),
)
"""Fields of Kling's that are made from those of an input."""


def own_fields_rule(source: Source) -> CrossFieldRule:
    """Return the rule that `extra` replaces no field that was checked."""
    return CrossFieldRule(
        "extra",
        f"may not hold {', '.join(_MADE)}, which are made from the fields",
        lambda input, _: not any(name in input.extra for name in _MADE),
        source,
    )


def own_model(
    name: str,
    kind: OutputKind,
    scenes: tuple[Scene, ...],
    source: Source,
    *parameters: Parameter,
    prices: tuple[Price, ...] = (),
    rules: tuple[CrossFieldRule, ...] = (),
    media: MediaRules | None = None,
) -> ModelSpec:
    """Return a model by Router's own id, whose last part is Kling's name."""
    return ModelSpec(
        f"kling/{name}",
        kind,
        scenes,
        parameters,
        source,
        cross_field_rules=(*rules, PARTS_RULE, own_fields_rule(source)),
        prices=prices,
        canonical=name,
        wire_name=name,
        media=media or {},
    )


_KLING_4 = own_model(
    "kling-4.0",
    OutputKind.VIDEO,
    (_T2V, _I2V, _R2V, _EDIT),
    _V4,
    Parameter("prompt", Text(26_000, 0), _V4),
    Parameter("image", Url(), _V4, wire_name="first_frame", scenes=(_I2V,)),
    Parameter("keyframes", UrlList(8), _V4_FRAMES, wire_name="middle_frame", scenes=(_I2V,)),
    Parameter("last_image", Url(), _V4, wire_name="last_frame", scenes=(_I2V,)),
    Parameter("images", UrlList(10), _V4, wire_name="refer_image", scenes=(_R2V, _EDIT)),
    Parameter(
        "videos", UrlList(5), _V4, wire_name="feature_video", per_scene={_EDIT: UrlList(1)}, scenes=(_R2V, _EDIT)
    ),
    # From frames, a video has the ratio of the first one.
    Parameter("aspect_ratio", OneOf(("16:9", "9:16", "1:1", "21:9")), _V4_TEXT, scenes=(_T2V, _R2V), default="16:9"),
    Parameter("duration", Range(3, 30), _V4_TEXT, default=5),
    Parameter("resolution", OneOf(("720p", "1080p")), _V4_TEXT, default="720p"),
    rules=(
        CrossFieldRule(
            "prompt",
            "must be text, and not blank, unless the scene is image-to-video",
            lambda input, scene: bool(input.prompt.strip()) or scene is _I2V,
            _V4,
        ),
    ),
)

V4_MODELS: Final = (
    own_model(
        "kling-image-4.0",
        OutputKind.IMAGE,
        (_T2I, _I2I),
        _IMAGE_V4,
        Parameter("prompt", Text(50_000), _IMAGE_V4, required=True),
        Parameter("images", UrlList(10), _IMAGE_V4, wire_name="refer_image"),
        Parameter("n", Range(1, 9), _V4_NUMBER, default=1),
        # It has no 1k, which is the default of an image input: the resolution has to be given.
        Parameter("resolution", OneOf(("2k", "4k", "8k")), _V4_IMAGE),
        Parameter("aspect_ratio", IMAGE_RATIOS, _V4_IMAGE, default="auto"),
        media={"image": kling_images(30_000_000, _IMAGE_V4)},
    ),
    _KLING_4,
    own_model(
        "kling-4.0-flash",
        OutputKind.VIDEO,
        (_T2V,),
        _FLASH,
        Parameter("prompt", Text(26_000), _FLASH, required=True),
        Parameter("aspect_ratio", OneOf(("21:9", "16:9", "9:16", "1:1", "4:3", "3:4")), _FLASH, default="16:9"),
        Parameter("duration", Range(3, 20), _FLASH, default=5),
        Parameter("resolution", OneOf(("720p",)), _FLASH, default="720p"),
    ),
)
"""Both models of videos, and the model of images; the one of long images has a field for a skill, and is not here."""
