"""The Kling models of Replicate: their parameters and prices, each with its source.

Replicate has one name for all tiers of a model, and a `mode` in the input, so most models here have Kling's names. It
has no Kling image model and no Kling 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from attrs import evolve

from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json, OutputKind
from ..types.sources import Certainty, Source
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price

__all__ = ["MODELS"]

_T2V, _I2V, _START_END = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.START_END_FRAME
_R2V, _EDIT = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT
_ALL_SCENES = (_T2V, _I2V, _R2V, _EDIT)
_PAGE = "https://replicate.com/kwaivgi"


def _schema(model: str, version: str) -> Source:
    return Source(Certainty.DOCUMENTED, f"input schema of {model}: {_PAGE}/{model}/versions/{version}/api")


def _copied(model: str) -> Source:
    """Return the source of a schema that clients have copied from a page which was not seen itself."""
    return Source(Certainty.CLIENT, f"input schema of {model}, as clients quote it: {_PAGE}/{model}/api/schema")


_O1 = _schema("kling-o1", "6d5f2d4becc7f734d190d17f13f776229c359cafc1c1898d78945e8d87c57538")
_OMNI = _schema("kling-v3-omni-video", "1d449e255319a7c07feca688cf0596cb82cc8a96ceddff6c44fd0d090b4e830c")
_V3 = _schema("kling-v3-video", "4a8ba2743bd9dc2b487e0c4319988aacd658d33c2d064b8a420f4ee1732c30bd")
_V26, _V25, _MASTER, _V21 = map(_copied, ("kling-v2.6", "kling-v2.5-turbo-pro", "kling-v2.1-master", "kling-v2.1"))
_SIX_SHOTS = Source(Certainty.INFERRED, "6 shots by the schemas of v3; 512 characters by Kling's own API")
_REFUSED_LAST = Source(
    Certainty.CLIENT,
    "clients report error 1201 for a last frame beside a video to edit: https://replicate.com/kwaivgi/kling-o1",
)
_EDITED = Source(Certainty.INFERRED, "the price by the second of a model with a video, for the 3 to 10 s of that video")

_SHOTS = Parameter("shots", Shots(6), _SIX_SHOTS, wire_name="multi_prompt")
_RATIOS = OneOf(("16:9", "9:16", "1:1"))
_FIVE_OR_TEN = OneOf((5, 10))


def _prompt(source: Source, rule: Text) -> Parameter:
    return Parameter("prompt", rule, source, required=True)


def _frames(source: Source, *, first: tuple[Scene, ...], last: tuple[Scene, ...] = ()) -> tuple[Parameter, ...]:
    """Return the first frame and, in some scenes, the last one."""
    start = Parameter("image", Url(), source, wire_name="start_image", scenes=first)
    end = Parameter("last_image", Url(), source, wire_name="end_image", scenes=last)
    return (start, end) if last else (start,)


def _ratio(source: Source) -> Parameter:
    return Parameter("aspect_ratio", _RATIOS, source, default="16:9")


def _seconds(source: Source, rule: OneOf | Range = _FIVE_OR_TEN) -> Parameter:
    return Parameter("duration", rule, source, default=5)


def _negative(source: Source, rule: Text) -> Parameter:
    return Parameter("negative_prompt", rule, source)


def _sound(source: Source, *, default: bool) -> Parameter:
    return Parameter("sound", Boolean(), source, wire_name="generate_audio", default=default)


def _references(source: Source) -> tuple[Parameter, ...]:
    """Return the parameters of reference images and of the video to refer to or to edit."""
    scenes = (_R2V, _EDIT)
    return (
        Parameter("images", UrlList(7), source, wire_name="reference_images", scenes=scenes),
        Parameter("video", Url(), source, wire_name="reference_video", scenes=scenes),
        Parameter("keep_original_sound", Boolean(), source, scenes=scenes, default=True),
    )


def _has_video(input: Input) -> bool:
    return isinstance(input, VideoInput) and bool(input.all_videos)


def _ratio_rule(source: Source) -> CrossFieldRule:
    return CrossFieldRule(
        "aspect_ratio",
        "is ignored here beside a first frame and in video-edit, so leave it out",
        lambda input, scene: input.aspect_ratio is None or not (getattr(input, "image", None) or scene is _EDIT),
        source,
    )


def _reference_rules(source: Source) -> tuple[CrossFieldRule, ...]:
    return (
        _ratio_rule(source),
        CrossFieldRule(
            "images",
            "takes at most 4 when a video is given",
            lambda input, _: not _has_video(input) or len(input.images) <= 4,
            source,
        ),
        CrossFieldRule(
            "extra",
            "may not hold video_reference_type, which follows from scene=",
            lambda input, _: "video_reference_type" not in input.extra,
            source,
        ),
        CrossFieldRule(
            "last_image",
            "has no place beside a video",
            lambda input, _: not (_has_video(input) and isinstance(input, VideoInput) and input.last_image is not None),
            _REFUSED_LAST,
        ),
    )


def _no_sound_with_video(source: Source) -> CrossFieldRule:
    return CrossFieldRule(
        "sound",
        "may not be True when a video is given",
        lambda input, _: not (isinstance(input, VideoInput) and input.sound is True and _has_video(input)),
        source,
    )


_O1_PARAMETERS = (
    _prompt(_O1, Text()),
    *_frames(_O1, first=(_I2V, _R2V), last=(_I2V, _R2V)),
    *_references(_O1),
    _ratio(_O1),
    # Ignored in video-edit, where the video decides.
    evolve(_seconds(_O1), scenes=(_T2V, _I2V, _R2V), per_scene={_R2V: Range(3, 10)}),
)
_OMNI_PARAMETERS = (
    _prompt(_OMNI, Text(2500)),
    *_frames(_OMNI, first=(_I2V, _R2V), last=(_I2V, _R2V)),
    *_references(_OMNI),
    _ratio(_OMNI),
    evolve(_seconds(_OMNI, Range(3, 15)), scenes=(_T2V, _I2V, _R2V)),
    _SHOTS,
    _sound(_OMNI, default=False),
)
_V3_PARAMETERS = (
    _prompt(_V3, Text(2500)),
    _negative(_V3, Text(2500)),
    *_frames(_V3, first=(_I2V,), last=(_I2V,)),
    _ratio(_V3),
    _seconds(_V3, Range(3, 15)),
    _SHOTS,
    _sound(_V3, default=False),
)


def _price(model: str, amount: str, **when: Json) -> Price:
    """Return a price by the second."""
    source = Source(Certainty.CLIENT, f"prices of {model}, as clients quote its page: {_PAGE}/{model}")
    return Price(low=Decimal(amount), high=Decimal(amount), per="second", when=when, source=source)


def _sound_prices(model: str, silent: str, loud: str) -> tuple[Price, ...]:
    return (_price(model, loud, sound=True), _price(model, silent))


def _edit_price(amount: str, **when: Json) -> Price:
    """Return the price of an edited video, which lasts as long as the video that is given, 3 to 10 seconds."""
    low, high = 3 * Decimal(amount), (10 * Decimal(amount)).normalize()
    return Price(low=low, high=high, when={"scene": _EDIT.value, **when}, source=_EDITED)


def _tier(
    name: str,
    wire_name: str,
    mode: str,
    source: Source,
    *,
    scenes: tuple[Scene, ...],
    parameters: tuple[Parameter, ...],
) -> ModelSpec:
    """Return a model by Kling's name, which Replicate selects by the mode."""
    fixed: Mapping[str, Json] = {"mode": mode}
    return ModelSpec(name, OutputKind.VIDEO, scenes, parameters, source, wire_name=wire_name, fixed=fixed)


def _o1(tier: str, price: str, with_video: str) -> ModelSpec:
    spec = _tier(f"kling-o1-{tier}", "kling-o1", tier, _O1, scenes=_ALL_SCENES, parameters=_O1_PARAMETERS)
    prices = (_edit_price(with_video), _price("kling-o1", price, video=None), _price("kling-o1", with_video))
    return evolve(spec, cross_field_rules=_reference_rules(_O1), prices=prices)


def _omni(tier: str, mode: str, silent: str, loud: str) -> ModelSpec:
    spec = _tier(
        f"kling-3.0-omni-{tier}", "kling-v3-omni-video", mode, _OMNI, scenes=_ALL_SCENES, parameters=_OMNI_PARAMETERS
    )
    prices = (_edit_price(silent), *_sound_prices("kling-v3-omni-video", silent, loud))
    return evolve(spec, cross_field_rules=(*_reference_rules(_OMNI), _no_sound_with_video(_OMNI)), prices=prices)


def _v3(tier: str, mode: str, silent: str, loud: str) -> ModelSpec:
    spec = _tier(f"kling-3.0-{tier}", "kling-v3-video", mode, _V3, scenes=(_T2V, _I2V), parameters=_V3_PARAMETERS)
    return evolve(spec, cross_field_rules=(_ratio_rule(_V3),), prices=_sound_prices("kling-v3-video", silent, loud))


def _in_4k(spec: ModelSpec, price: str) -> ModelSpec:
    """Return a model in the mode 4k, which clients know and the pages that were read do not; it takes no video."""
    source = _copied(spec.wire_name)
    parameters = tuple(
        evolve(one, source=source if one.source.certainty is Certainty.DOCUMENTED else one.source)
        for one in spec.parameters
        if one.name not in ("video", "keep_original_sound")
    )
    return evolve(
        spec,
        scenes=tuple(scene for scene in spec.scenes if scene is not _EDIT),
        parameters=parameters,
        source=source,
        cross_field_rules=(_ratio_rule(source),),
        prices=(_price(spec.wire_name, price),),
    )


def _v21(tier: str, mode: str, price: str) -> ModelSpec:
    # A last frame is for the mode pro only.
    scenes = (_I2V, _START_END) if tier == "pro" else (_I2V,)
    frames = _frames(_V21, first=scenes, last=scenes[1:])
    parameters = (_prompt(_V21, Text()), *frames, _seconds(_V21), _negative(_V21, Text()))
    spec = _tier(f"kling-2.1-{tier}", "kling-v2.1", mode, _V21, scenes=scenes, parameters=parameters)
    return evolve(spec, prices=(_price("kling-v2.1", price),))


def _untiered(
    name: str,
    canonical: str,
    source: Source,
    *more: Parameter,
    prices: tuple[Price, ...],
    scenes: tuple[Scene, ...] = (_T2V, _I2V),
) -> ModelSpec:
    """Return a model that Replicate has in one tier only."""
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        scenes,
        (_prompt(source, Text()), *more, _ratio(source), _seconds(source), _negative(source, Text())),
        source,
        cross_field_rules=(_ratio_rule(source),),
        prices=prices,
        canonical=canonical,
    )


MODELS: Final = (
    _o1("std", "0.084", "0.126"),
    _o1("pro", "0.112", "0.168"),
    _omni("std", "standard", "0.168", "0.224"),
    _omni("pro", "pro", "0.224", "0.28"),
    _in_4k(_omni("4k", "4k", "0.42", "0.42"), "0.42"),
    _v3("std", "standard", "0.168", "0.252"),
    _v3("pro", "pro", "0.224", "0.336"),
    _in_4k(_v3("4k", "4k", "0.42", "0.42"), "0.42"),
    _untiered(
        "kling-v2.6",
        "kling-2.6-pro",
        _V26,
        *_frames(_V26, first=(_I2V,)),
        _sound(_V26, default=True),
        prices=_sound_prices("kling-v2.6", "0.07", "0.14"),
    ),
    _untiered(
        "kling-v2.5-turbo-pro",
        "kling-2.5-turbo-pro",
        _V25,
        *_frames(_V25, first=(_I2V, _START_END), last=(_START_END,)),
        prices=(_price("kling-v2.5-turbo-pro", "0.07"),),
        scenes=(_T2V, _I2V, _START_END),
    ),
    _untiered(
        "kling-v2.1-master",
        "kling-2.1-master",
        _MASTER,
        *_frames(_MASTER, first=(_I2V,)),
        prices=(_price("kling-v2.1-master", "0.28"),),
    ),
    _v21("std", "standard", "0.05"),
    _v21("pro", "pro", "0.09"),
)
"""Every model. Its prices, and the schemas of the mode 4k and of 2.6 and earlier, are known from clients only."""
