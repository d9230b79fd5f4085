"""The parameters of Kling's submissions, with their limits and prices, from the pages of https://kling.ai/document-api.

A video that is edited, or whose motion is copied, is taken to be 5 seconds long, since the sandbox fetches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from ...types.prediction import Json
from .media import size_of
from .parameters import Invalid, ParameterReader, is_image_object, text_of
from .state import Sandbox
from .tasks import TaskSpec

__all__ = ["VIDEO_ENDPOINTS", "parse_legacy_task", "parse_task"]

_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
_VIDEO_RATIOS = _RATIOS[:3]
_TWO, _THREE = ("720p", "1080p"), ("720p", "1080p", "4k")
_GIVEN_SECONDS = 5
_VIDEOS = ("feature_video", "base_video", "video")
_REFERENCES = ("prompt", "first_frame", "last_frame", "refer_image", "feature_video", "base_video", "element")


@frozen(kw_only=True)
class _Model:
    """One video model.

    Attributes:
        durations: allowed durations in seconds.
        resolutions: allowed resolutions.
        prompt: the most characters of a prompt.
        audio: allowed values of `audio`, without a video to copy the motion of.
        prices: US dollars per second by resolution: silent, with sound, and with a video given.
        contents: the contents that a video from images may have.
        multi_shot: whether it has that setting.
    """

    durations: Sequence[int]
    resolutions: tuple[str, ...] = _TWO
    prompt: int = 2500
    audio: tuple[str, ...] = ()
    prices: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]
    contents: tuple[str, ...] = ("prompt", "first_frame", "last_frame")
    multi_shot: bool = False


def _rates(*dollars: str) -> Mapping[str, str]:
    return dict(zip(_THREE, dollars, strict=False))


_CHEAP, _USUAL, _FILMED = _rates("0.042", "0.07"), _rates("0.084", "0.112", "0.42"), _rates("0.126", "0.168", "0.42")
_TURBO = _rates("0.112", "0.14")
_MODELS = {
    "kling-o1": _Model(
        durations=range(3, 11), audio=("original", "off"), prices=(_USUAL, _USUAL, _FILMED), contents=_REFERENCES
    ),
    "kling-2.5-turbo": _Model(durations=(5, 10), prices=(_CHEAP, _CHEAP, _CHEAP)),
    "kling-2.6": _Model(
        durations=(5, 10),
        audio=("native", "off"),
        prices=(_CHEAP, _rates("0.14", "0.14"), _rates("0.07", "0.112")),
        contents=("prompt", "first_frame", "last_frame", "voice"),
    ),
    "kling-3.0": _Model(
        durations=range(3, 16),
        resolutions=_THREE,
        prompt=3072,
        audio=("native", "off"),
        prices=(_USUAL, _FILMED, _FILMED),
        contents=("prompt", "first_frame", "last_frame", "element"),
        multi_shot=True,
    ),
    "kling-3.0-omni": _Model(
        durations=range(3, 16),
        resolutions=_THREE,
        prompt=3072,
        audio=("native", "original", "off"),
        prices=(_USUAL, _rates("0.112", "0.14", "0.42"), _FILMED),
        contents=_REFERENCES,
        multi_shot=True,
    ),
    "kling-3.0-turbo": _Model(
        durations=range(3, 16), prompt=3072, prices=(_TURBO, _TURBO, _TURBO), contents=("prompt", "first_frame")
    ),
}
_SEPARATE = ("kling-2.5-turbo", "kling-2.6", "kling-3.0", "kling-3.0-turbo")
VIDEO_ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "text-to-video": _SEPARATE,
    "image-to-video": _SEPARATE,
    "omni-video": ("kling-o1", "kling-3.0-omni"),
    "motion-control": ("kling-2.6", "kling-3.0"),
}
"""Models by endpoint."""


def parse_task(endpoint: str, name: str, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
    """Parse a submission of the new standard. Raises Invalid with all its errors."""
    model, reader = _MODELS[name], ParameterReader(body)
    if endpoint == "text-to-video":
        prompt, given = reader.string("prompt", required=True, max_length=model.prompt), Counter[str]()
    elif endpoint == "motion-control":
        prompt, given = _contents(reader, ("prompt", "image", "video", "element"), most=2500)
    else:
        prompt, given = _contents(reader, model.contents, most=model.prompt)
    _check_contents(reader, endpoint, given, limit_last=name == "kling-o1")
    seconds, rate = _settings(reader.section("settings"), endpoint, name, given)
    client_id = _client_id(reader.section("options"), sandbox)
    reader.raise_errors(strict=sandbox.strict)
    return TaskSpec(
        provider="kling",
        model=name,
        scene=endpoint,
        kind="video",
        prompt=prompt,
        seconds=seconds,
        price=rate * seconds,
        client_id=client_id,
        id_form="{:.18}",
        refunds=True,
    )


def _settings(reader: ParameterReader, endpoint: str, name: str, given: Counter[str]) -> tuple[int, Decimal]:
    """Read the settings, and return the duration and the price of a second."""
    model, is_motion = _MODELS[name], endpoint == "motion-control"
    resolution = reader.choice("resolution", _TWO if is_motion else model.resolutions, "720p")
    audio = "off"
    if model.audio or is_motion:
        audio = reader.choice("audio", ("original", "off") if is_motion else model.audio, "off")
    if endpoint in ("text-to-video", "omni-video"):
        reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    if is_motion:
        if not reader.choice("character_orientation", ("image", "video"), ""):
            reader.add_error("character_orientation is required")
        seconds = _GIVEN_SECONDS
    else:
        seconds = reader.integer("duration", model.durations, 5, expected=f"one of {list(model.durations)}")
    if model.multi_shot and not is_motion:
        reader.boolean("multi_shot", default=True)
    has_reference = bool(given["base_video"] or given["feature_video"])
    if audio == "native" and has_reference:
        reader.add_error("audio must not be native with a video")
    if name == "kling-2.6" and audio == "native" and resolution != "1080p":
        reader.add_error("resolution must be 1080p with native audio")
    rates = model.prices[2 if has_reference or is_motion else 1 if audio == "native" else 0]
    return (_GIVEN_SECONDS if given["base_video"] else seconds), Decimal(rates[resolution])


def _contents(reader: ParameterReader, kinds: tuple[str, ...], *, most: int) -> tuple[str, Counter[str]]:
    """Read the contents: the prompt, and how many there are of each type."""
    given: Counter[str] = Counter()
    ids: list[str] = []
    prompt = ""
    for position, one in enumerate(reader.array("contents")):
        kind = text_of(one.get("type")) if isinstance(one, Mapping) else ""
        if not isinstance(one, Mapping) or kind not in kinds:
            reader.add_error(f"contents[{position}].type must be one of {', '.join(kinds)}")
            continue
        given[kind] += 1
        part = ParameterReader({name: value for name, value in one.items() if name != "type"})
        if kind == "prompt":
            prompt = part.string("text", required=True, max_length=most)
        elif kind in ("element", "voice"):
            part.string(f"{kind}_id", required=True)
        else:
            (part.url if kind in _VIDEOS else part.image)("url", required=True)
        ids.append(part.string("id", required=kind in ("element", "voice")))
        try:
            part.raise_errors(strict=True)
        except Invalid as error:
            reader.add_error(f"contents[{position}]: {error}")
    named = [id for id in ids if id]
    if len(set(named)) < len(named):
        reader.add_error("contents: an id must not be duplicated")
    return prompt, given


def _check_contents(reader: ParameterReader, endpoint: str, given: Counter[str], *, limit_last: bool) -> None:
    rules = {
        "contents: prompt is required": endpoint != "text-to-video" and not given["prompt"],
        "contents: first_frame is required": endpoint == "image-to-video" and not given["first_frame"],
        "contents: image and video are required": endpoint == "motion-control"
        and not (given["image"] and given["video"]),
        "contents: only a last frame is not supported": bool(given["last_frame"]) and not given["first_frame"],
        "contents: at most one reference video": given["feature_video"] + given["base_video"] > 1,
        "contents: no frames with base_video": bool(
            given["base_video"] and (given["first_frame"] or given["last_frame"])
        ),
        "contents: no reference images with a last frame": limit_last
        and bool(given["last_frame"] and (given["refer_image"] or given["element"])),
        "contents: too many reference images and elements": given["refer_image"] + given["element"]
        > (4 if given["feature_video"] or given["base_video"] else 7),
        "contents: each type but refer_image, element and voice may be given once": any(
            number > 1 for kind, number in given.items() if kind not in ("refer_image", "element", "voice")
        ),
    }
    for error, is_broken in rules.items():
        if is_broken:
            reader.add_error(error)


def _client_id(reader: ParameterReader, sandbox: Sandbox) -> str:
    """Read the options that both standards have, and return the caller's own id."""
    reader.url("callback_url")
    reader.section("watermark_info").boolean("enabled", default=False)
    client_id = reader.string("external_task_id", min_length=0)
    if client_id and ("kling", client_id) in sandbox.client_ids:
        reader.add_error("external_task_id already exists")
    return client_id


_IMAGE_MODELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "images/omni-image": {"kling-image-o1": ("1k", "2k"), "kling-v3-omni": ("1k", "2k", "4k")},
    "images/generations": {"kling-v3": ("1k", "2k"), "kling-v2-1": ("1k", "2k")},
}
_VIDEO_MODELS: Mapping[str, tuple[str, ...]] = {
    "videos/text2video": ("kling-v2-1-master",),
    "videos/image2video": ("kling-v2-1", "kling-v2-1-master"),
}


def parse_legacy_task(product: str, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
    """Parse a submission of the legacy standard. Raises Invalid with all its errors."""
    reader = ParameterReader(body)
    prompt = reader.string("prompt", required=product != "videos/image2video", max_length=2500)
    model = reader.choice("model_name", tuple(_IMAGE_MODELS.get(product, {}) or _VIDEO_MODELS[product]), "")
    client_id = _client_id(reader, sandbox)
    if product in _IMAGE_MODELS:
        count, (width, height), price = _image(reader, product, model)
        seconds = 0
    else:
        count, (width, height) = 1, (320, 180)
        seconds = _legacy_video(reader, product)
        # No price of these models is published any more; that of 2.6 with 1080p is taken.
        price = Decimal("0.07") * seconds
    reader.raise_errors(strict=sandbox.strict)
    return TaskSpec(
        provider="kling",
        model=model,
        scene=product,
        kind="image" if product in _IMAGE_MODELS else "video",
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        seconds=seconds,
        price=price,
        slots=count,
        client_id=client_id,
        id_form="{:.18}",
        refunds=True,
    )


def _image(reader: ParameterReader, product: str, model: str) -> tuple[int, tuple[int, int], Decimal]:
    is_omni = product == "images/omni-image"
    ratios = (*_RATIOS, "auto") if is_omni else _RATIOS
    ratio = reader.choice("aspect_ratio", ratios, "auto" if is_omni else "16:9")
    resolution = reader.choice("resolution", _IMAGE_MODELS[product].get(model, ("1k", "2k")), "1k")
    count = reader.integer("n", range(1, 10), 1, expected="a whole number from 1 to 9")
    reader.array("element_list")
    has_image = False
    if is_omni:
        images = reader.array("image_list")
        if len(images) > 10 or not all(map(is_image_object, images)):
            reader.add_error("image_list must hold at most 10 objects with an image")
    else:
        has_image = bool(reader.image("image"))
        negative = reader.string("negative_prompt", min_length=0, max_length=2500)
        if has_image and negative:
            reader.add_error("negative_prompt is not supported with an image")
    price = "0.056" if resolution == "4k" else "0.014" if model == "kling-v2-1" and not has_image else "0.028"
    return count, size_of(ratio, resolution), Decimal(price) * count


def _legacy_video(reader: ParameterReader, product: str) -> int:
    if product == "videos/image2video":
        reader.image("image", required=True)
        reader.image("image_tail")
    reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    reader.string("negative_prompt", min_length=0, max_length=2500)
    reader.choice("mode", ("std", "pro"), "std")
    return int(reader.choice("duration", ("5", "10"), "5"))
