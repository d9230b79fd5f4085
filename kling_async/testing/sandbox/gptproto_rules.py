"""What GPTProto's documents allow in a request for a Kling model."""

from __future__ import annotations

from collections.abc import Mapping

from ...prediction import Json
from .catalog import MODELS, Model
from .media import size_of
from .reader import Reader
from .work import Order

__all__ = ["read_order"]

_IMAGE_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "2:1", "auto")
_VIDEO_RATIOS = ("16:9", "1:1", "9:16")
_MOST_SHOTS = 6
_LONGEST_SHOT_PROMPT = 512


def read_order(model: str, scene: str, body: Mapping[str, Json], *, strict: bool) -> Order:
    """Check a request's parameters; raise Invalid with all that is wrong."""
    known = MODELS[model]
    reader = Reader(body)
    prompt = reader.text("prompt", required=scene != "motion-control", longest=2500 if known.kind == "video" else None)
    sync = reader.flag("enable_sync_mode", default=False)
    base64 = reader.flag("enable_base64_output", default=False)
    if known.kind == "image":
        count, units, (width, height) = _image(reader)
    else:
        count, units, (width, height) = 1, _video(reader, known, scene), (320, 180)
    reader.finish(strict=strict)
    return Order(
        provider="gptproto",
        model=model,
        scene=scene,
        kind=known.kind,
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        price=known.price * units,
        sync=sync,
        base64=base64,
    )


def _image(reader: Reader) -> tuple[int, int, tuple[int, int]]:
    ratio = reader.choice("aspect_ratio", _IMAGE_RATIOS, "16:9")
    resolution = reader.choice("resolution", ("1k", "2k"), "1k")
    count = reader.whole("n", range(1, 10), 1, said="a whole number from 1 to 9")
    # Optional at image-to-image too: the table of the document says so.
    reader.addresses("images", most=10)
    return count, count, size_of(ratio, resolution)


def _video(reader: Reader, model: Model, scene: str) -> int:
    wants_image = scene in {"image-to-video", "start-end-frame", "motion-control"}
    has_image = bool(reader.address("image", required=wants_image))
    has_last = bool(reader.address("last_image", required=scene == "start-end-frame"))
    if has_last and not has_image:
        reader.wrong("last_image needs image")
    has_video = bool(reader.address("video", required=scene in {"video-to-video", "motion-control"}))
    if has_video:
        reader.addresses("images", most=4, why=" when video is given")
    else:
        reader.addresses("images", most=10)
    reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    reader.flag("keep_original_sound", default=True)
    if model.newer:
        reader.text("negative_prompt", shortest=0, longest=2500)
        reader.flag("sound", default=True)
        reader.share("guidance_scale")
        reader.share("cfg_scale")
        reader.choice("character_orientation", ("image", "video"), "video")
        reader.items("voice_list")
    if scene in model.short and not has_last:
        duration = reader.whole("duration", (5, 10), 5, said=f"5 or 10 at {scene} without a last image")
    else:
        duration = reader.whole("duration", model.durations, 5, said=model.said)
    _shots(reader, duration)
    return duration


def _shots(reader: Reader, duration: int) -> None:
    """Check multi_prompt. At most 6 shots of 512 characters is Kling's own rule, since GPTProto states none."""
    shots = reader.items("multi_prompt")
    if len(shots) > _MOST_SHOTS:
        reader.wrong(f"multi_prompt must hold at most {_MOST_SHOTS} segments")
    total = 0
    for position, shot in enumerate(shots, 1):
        if not isinstance(shot, Mapping):
            reader.wrong(f"multi_prompt[{position - 1}] must be an object")
            continue
        index, prompt, seconds = shot.get("index"), shot.get("prompt"), shot.get("duration")
        if isinstance(index, bool) or index != position:
            reader.wrong(f"multi_prompt[{position - 1}].index must be {position}")
        if not isinstance(prompt, str) or not 1 <= len(prompt.strip()) <= len(prompt) <= _LONGEST_SHOT_PROMPT:
            reader.wrong(f"multi_prompt[{position - 1}].prompt must have 1 to {_LONGEST_SHOT_PROMPT} characters")
        # The document's type is string, and only digits can be added up.
        if not isinstance(seconds, str) or not (seconds.isascii() and seconds.isdigit()) or int(seconds[:9]) < 1:
            reader.wrong(f"multi_prompt[{position - 1}].duration must be a string of whole seconds, at least 1")
        else:
            total += int(seconds[:9])
    if shots and total != duration:
        reader.wrong(f"the durations in multi_prompt must sum to {duration}")
