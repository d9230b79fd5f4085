"""The Kling models of Atlas Cloud: endpoints, parameters and prices, each with its source.

The pages of the models were read without their schemas, which are loaded by a script: the parameters are those that
Atlas Cloud's own nodes for ComfyUI send. Left out are models whose nodes send fewer fields than the pages name (O1, 2.6
and before), and those that have no node (images, 3.0 turbo).
"""

from __future__ import annotations

from typing import Final

from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .parameter_rules import Boolean, OneOf, Range, Text, Unchecked, Url, UrlList
from .spec import ModelSpec, Parameter
from .wavespeed_rules import few_images, per_second

__all__ = ["MODELS"]

_T2V, _I2V, _R2V, _EDIT = (
    Scene.TEXT_TO_VIDEO,
    Scene.IMAGE_TO_VIDEO,
    Scene.REFERENCE_TO_VIDEO,
    Scene.VIDEO_EDIT,
)
_PAGES = "https://www.atlascloud.ai/models/kwaivgi"
_NODES = Source(
    Certainty.CLIENT, "Atlas Cloud's own nodes for ComfyUI: https://github.com/AtlasCloudAI/atlascloud_comfyui"
)
_KLING_LIMIT = Source(Certainty.ANALOGY, "Kling's own limit of 2,500 characters; no page of Atlas Cloud's has one")
_RATIOS = OneOf(("16:9", "9:16", "1:1"))
_PROMPT = Parameter("prompt", Text(2500), _KLING_LIMIT, required=True)
_FRAMES = (
    Parameter("image", Url(), _NODES, scenes=(_I2V,)),
    Parameter("last_image", Url(), _NODES, scenes=(_I2V,), wire_name="end_image"),
)


def _page(name: str) -> Source:
    return Source(Certainty.DOCUMENTED, f"the page of the model: {_PAGES}/{name}/text-to-video")


def _rate(name: str) -> Source:
    """Return the source of a price: one page has it by the second, and the others the same figures "per run"."""
    if name == "kling-v3.0-std":
        return Source(Certainty.DOCUMENTED, f"per second of generated video: {_PAGES}/{name}/image-to-video/llms.txt")
    per_run = f'"per run" on the page of the model, here by the second, as that of 3.0 std says: {_PAGES}/{name}'
    return Source(Certainty.INFERRED, f"{per_run}/text-to-video")


def _v30(tier: str, price: str) -> ModelSpec:
    name = f"kling-v3.0-{tier}"
    source = _page(name)
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (_T2V, _I2V),
        (
            _PROMPT,
            *_FRAMES,
            Parameter("aspect_ratio", _RATIOS, source, scenes=(_T2V,), default="16:9"),
            Parameter("duration", OneOf((5, 10)), source, default=5),
            Parameter("negative_prompt", Text(2500), source),
            Parameter("sound", Boolean(), source, default=False),
            Parameter("cfg_scale", Range(0, 1, integer=False), source, default=0.5, extra=True),
            Parameter("voice_list", Unchecked("at most 2 voices"), source, extra=True),
        ),
        source,
        # No page says whether sound or a voice costs more, as it does at Kling.
        prices=(per_second(price, _rate(name), sound=False, voice_list=None),),
        canonical=f"kling-3.0-{tier}",
    )


def _o3(tier: str, price: str) -> ModelSpec:
    """Return a tier of O3, which Kling calls 3.0-omni."""
    name = f"kling-video-o3-{tier}"
    made = (_T2V, _I2V, _R2V)
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (*made, _EDIT),
        (
            _PROMPT,
            *_FRAMES,
            Parameter("images", UrlList(7), _NODES, per_scene={_EDIT: UrlList(4)}, scenes=(_R2V, _EDIT)),
            Parameter("video", Url(), _NODES, scenes=(_R2V, _EDIT)),
            Parameter("keep_original_sound", Boolean(), _NODES, scenes=(_R2V, _EDIT), default=True),
            Parameter("aspect_ratio", _RATIOS, _NODES, scenes=(_T2V, _R2V), default="16:9"),
            Parameter("duration", Range(3, 15), _NODES, scenes=made, default=5),
            Parameter("sound", Boolean(), _NODES, scenes=made, default=False),
        ),
        _NODES,
        cross_field_rules=(few_images(Source(Certainty.ANALOGY, "Kling's own rule for reference videos")),),
        # A video to refer to, and an edit, have a price of their own elsewhere, and none on these pages.
        prices=(per_second(price, _rate(name), video=None, sound=False),),
        canonical=f"kling-3.0-omni-{tier}",
    )


MODELS: Final = (_v30("std", "0.071"), _v30("pro", "0.095"), _o3("std", "0.071"), _o3("pro", "0.095"))
