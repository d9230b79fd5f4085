"""The parameters of Comfy Router's Kling models, from their pages below https://docs.comfy.org/development/comfy-router.

Prices are Kling's list prices, which Comfy charges. No page has a price of Kling 4.0: $0.10 a second and an image are
made up, so that a generation costs something. A video that is edited is taken to be 5 seconds long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from attrs import frozen

from ...types.prediction import Json
from .media import size_of
from .parameters import ParameterReader, is_image_object, text_of
from .tasks import TaskSpec

__all__ = ["MODELS", "has_price", "parse_comfy_task", "prompt_in"]

_RATIOS = ("16:9", "9:16", "1:1")
_IMAGE_RATIOS = (*_RATIOS, "4:3", "3:4", "3:2", "2:3", "21:9", "auto")
_GIVEN_SECONDS = 5
_MADE_UP = "0.10"
_PARTS = (range(8), range(8, 12), range(12, 16), range(16, 20), range(20, 32))
_UUID = "-".join("".join(f"{{0[{index}]}}" for index in part) for part in _PARTS)
_FRAMES = ("prompt", "first_frame", "middle_frame", "last_frame")
_OMNI = (*_FRAMES, "refer_image", "feature_video", "base_video", "element", "voice")
_KEPT_SECONDS = 86_400.0


@frozen(kw_only=True)
class _Model:
    """One model.

    Attributes:
        body: the form of its body: the new standard, text alone in it, or the legacy one, with or without media.
        prices: US dollars per second or image by mode or resolution: silent, with sound, and with a video given.
    """

    body: Literal["contents", "text", "omni", "plain", "image", "contents image"]
    durations: Sequence[int] = ()
    resolutions: tuple[str, ...] = ()
    ratios: tuple[str, ...] = _RATIOS
    prompt: int = 2500
    prices: tuple[Mapping[str, str], ...] = ()


def _rates(*dollars: str) -> Mapping[str, str]:
    return dict(zip(("std", "pro"), dollars, strict=True))


_CHEAP, _FILMED = _rates("0.084", "0.112"), _rates("0.126", "0.168")
_TEN, _FIFTEEN = range(3, 11), range(3, 16)
MODELS: Mapping[str, _Model] = {
    "kling-image-o1": _Model(
        body="image",
        resolutions=("1k", "2k", "4k"),
        ratios=_IMAGE_RATIOS,
        prices=({"1k": "0.028", "2k": "0.028", "4k": "0.056"},),
    ),
    "kling-image-4.0": _Model(
        body="contents image", resolutions=("2k", "4k", "8k"), ratios=_IMAGE_RATIOS, prompt=50_000
    ),
    "kling-video-o1": _Model(body="omni", durations=_TEN, prices=(_CHEAP, _CHEAP, _FILMED)),
    "kling-v3-omni": _Model(body="omni", durations=_FIFTEEN, prices=(_CHEAP, _rates("0.112", "0.14"), _FILMED)),
    "kling-v3": _Model(body="plain", durations=_FIFTEEN, prices=(_CHEAP, _FILMED)),
    "kling-v2-6": _Model(body="plain", durations=(5, 10), prices=(_rates("0.07", "0.07"), _rates("0.14", "0.14"))),
    "kling-3.0-turbo": _Model(
        body="text",
        durations=_FIFTEEN,
        resolutions=("720p", "1080p"),
        prices=({"720p": "0.112", "1080p": "0.14"},),
    ),
    "kling-4.0": _Model(
        body="contents",
        durations=range(3, 31),
        resolutions=("720p", "1080p"),
        ratios=(*_RATIOS, "21:9"),
        prompt=26_000,
    ),
    "kling-4.0-flash": _Model(
        body="text", durations=range(3, 21), resolutions=("720p",), ratios=_IMAGE_RATIOS[:5], prompt=26_000
    ),
}
"""Models by the last part of their id. Router knows more of them, which are not Kling's, or have ended."""


def has_price(name: str) -> bool:
    """Return whether a page has the price of a model."""
    return bool(MODELS[name].prices)


def prompt_in(body: Mapping[str, Json]) -> str:
    """Return the prompt of a body of either standard, or that of its first shot."""
    for name, key in (("contents", "text"), ("multi_prompt", "prompt")):
        listed = body.get(name)
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, Mapping) and (name != "contents" or one.get("type") == "prompt"):
                return text_of(one.get(key))
    return text_of(body.get("prompt"))


def parse_comfy_task(name: str, body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a submission to a model. Raises Invalid with all its errors."""
    model, reader = MODELS[name], ParameterReader(body)
    given: Counter[str] = Counter()
    settings = reader.section("settings") if model.resolutions and model.body != "image" else reader
    if model.body.startswith("contents") and "contents" in body:
        given = _contents(reader, ("prompt", "refer_image") if model.body == "contents image" else _OMNI, model.prompt)
    else:
        shots = reader.boolean("multi_shot", default=False) if model.body in ("omni", "plain") else False
        reader.string("prompt", required=not shots, max_length=model.prompt)
    ratio = settings.choice("aspect_ratio", model.ratios, model.ratios[0])
    is_image = "image" in model.body
    tier, count, seconds, with_sound = _tier(reader, settings, model), 1, 0, False
    if is_image:
        count = settings.integer("n", range(1, 10), 1, expected="a whole number from 1 to 9")
        images = reader.array("image_list") if model.body == "image" else []
        if not all(map(is_image_object, images)):
            reader.add_error("image_list must hold objects with an image")
    else:
        seconds = _seconds(settings, model)
    if model.body in ("omni", "plain"):
        with_sound = _legacy_fields(reader, given)
    reader.raise_errors(strict=strict)
    seconds = _GIVEN_SECONDS if given["base_video"] else seconds
    rate = Decimal(_rate(model, tier, with_sound=with_sound, filmed=bool(given["base_video"] + given["feature_video"])))
    width, height = size_of(ratio, tier)
    return TaskSpec(
        provider="comfy",
        model=name,
        scene="requests",
        kind="image" if is_image else "video",
        prompt=prompt_in(body),
        count=count,
        width=width,
        height=height,
        seconds=seconds,
        price=rate * (count if is_image else seconds),
        slots=count,
        id_form=_UUID,
        kept_seconds=_KEPT_SECONDS,
    )


def _tier(reader: ParameterReader, settings: ParameterReader, model: _Model) -> str:
    if model.resolutions:
        return settings.choice("resolution", model.resolutions, model.resolutions[0])
    return reader.choice("mode", ("std", "pro"), "pro" if model.body == "omni" else "std")


def _seconds(settings: ParameterReader, model: _Model) -> int:
    if model.resolutions:
        return settings.integer("duration", model.durations, 5, expected=f"one of {list(model.durations)}")
    return int(settings.choice("duration", tuple(map(str, model.durations)), "5"))


def _rate(model: _Model, tier: str, *, with_sound: bool, filmed: bool) -> str:
    if not model.prices:
        return _MADE_UP
    return model.prices[2 if filmed and len(model.prices) > 2 else 1 if with_sound else 0][tier]


def _contents(reader: ParameterReader, kinds: tuple[str, ...], most: int) -> Counter[str]:
    """Read the contents, and return how many there are of each type."""
    given: Counter[str] = Counter()
    for position, one in enumerate(reader.array("contents")):
        kind = text_of(one.get("type")) if isinstance(one, Mapping) else ""
        if not isinstance(one, Mapping) or kind not in kinds:
            reader.add_error(f"contents[{position}].type must be one of {', '.join(kinds)}")
            continue
        given[kind] += 1
        part = ParameterReader(one)
        if kind == "prompt":
            part.string("text", required=True, max_length=most)
        elif kind not in ("element", "voice"):
            (part.url if kind.endswith("_video") else part.image)("url", required=True)
        for error in part.errors:
            reader.add_error(f"contents[{position}].{error}")
    if given["middle_frame"] and not given["first_frame"]:
        reader.add_error("contents: a middle frame needs a first one")
    if given.total() > 16 or given["base_video"] > 1:
        reader.add_error("contents: at most 15 inputs beside the prompt, and one base_video")
    return given


def _legacy_fields(reader: ParameterReader, given: Counter[str]) -> bool:
    """Read the other fields of the legacy standard, count videos by their use, and return whether there is sound."""
    reader.string("negative_prompt", min_length=0, max_length=2500)
    reader.choice("shot_type", ("customize", "intelligence"), "")
    reader.array("multi_prompt")
    reader.array("element_list")
    for name, field in (("image_list", "image_url"), ("video_list", "video_url")):
        for position, one in enumerate(reader.array(name)):
            part = ParameterReader(one if isinstance(one, Mapping) else {})
            (part.url if field == "video_url" else part.image)(field, required=True)
            part.choice("type", ("first_frame", "end_frame"), "")
            part.choice("keep_original_sound", ("yes", "no"), "no")
            refer_type = part.choice("refer_type", ("feature", "base"), "base")
            given["" if name == "image_list" else f"{refer_type}_video"] += 1
            for error in part.errors:
                reader.add_error(f"{name}[{position}].{error}")
    return reader.choice("sound", ("on", "off"), "off") == "on"
