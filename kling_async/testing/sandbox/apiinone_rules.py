"""What API in One's documents allow in a request for a Kling model, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ...prediction import Json
from .media import size_of
from .reader import Reader
from .work import Order

__all__ = ["read_image", "read_video"]

_IMAGE_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "auto")
_VIDEO_RATIOS = ("1:1", "9:16", "16:9")
_IMAGE_PRICES = {"image-to-image": Decimal("0.012"), "ai-multi-shot": Decimal("0.032")}
"""6 and 16 credits per request, at the page's own 0.2 cents per credit."""


def read_image(body: Mapping[str, Json], *, strict: bool) -> Order:
    """Check a request for kling-image-o1; raise Invalid with all that is wrong."""
    reader = Reader(body)
    reader.text("model", required=True)
    # The route for images states 3 to 5000 characters for every model.
    prompt = reader.text("prompt", required=True, shortest=3, longest=5000)
    scene = reader.choice("type", ("image-to-image", "ai-multi-shot"), "image-to-image")
    reader.addresses("images", most=10)
    ratio = reader.choice("aspect_ratio", _IMAGE_RATIOS, "1:1")
    resolution = reader.choice("resolution", ("1k", "2k"), "1k")
    count = reader.whole("num_images", range(1, 10), 1, said="a whole number from 1 to 9")
    reader.finish(strict=strict)
    width, height = size_of(ratio, resolution)
    return Order(
        provider="apiinone",
        model="kling-image-o1",
        scene=scene,
        kind="image",
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        price=_IMAGE_PRICES[scene],
        id_form="n49{:.12}_kio1",
        refunds=True,
    )


def read_video(body: Mapping[str, Json], *, strict: bool) -> Order:
    """Check a request for kling-3; raise Invalid with all that is wrong."""
    reader = Reader(body)
    reader.text("model", required=True)
    shots = reader.flag("multi_shots", default=False)
    prompt = reader.text("prompt", required=not shots, longest=2500)
    mode = reader.choice("mode", ("std", "pro"), "std")
    duration = reader.whole("duration", range(3, 16), 5, said="a whole number from 3 to 15")
    reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    sound = reader.flag("sound", default=True)
    reader.address("image")
    reader.items("kling_elements")
    reader.address("callback_url")
    told = _shots(reader, required=shots)
    reader.finish(strict=strict)
    return Order(
        provider="apiinone",
        model="kling-3",
        scene="video",
        kind="video",
        prompt=prompt or " / ".join(told),
        price=_price_per_second(mode, sound=sound) * duration,
        id_form="n75{:.12}_k3",
        refunds=True,
    )


def _shots(reader: Reader, *, required: bool) -> list[str]:
    prompts: list[str] = []
    shots = reader.items("multi_prompt")
    if required and not shots:
        reader.wrong("multi_prompt is required when multi_shots is true")
    for position, shot in enumerate(shots):
        prompt = shot.get("prompt") if isinstance(shot, Mapping) else None
        seconds = shot.get("duration") if isinstance(shot, Mapping) else None
        if not isinstance(prompt, str) or not prompt.strip():
            reader.wrong(f"multi_prompt[{position}].prompt is required")
        else:
            prompts.append(prompt)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
            reader.wrong(f"multi_prompt[{position}].duration must be a whole number of seconds, at least 1")
    return prompts


def _price_per_second(mode: str, *, sound: bool) -> Decimal:
    """Return US dollars per second.

    Published are 300 credits for 5 s of std with sound, and 120 to 1200 credits in all, at one cent each. These rates
    meet the three: 3 s of std without sound is 1.20, and 15 s of pro with sound is 12.00.
    """
    if mode == "pro":
        return Decimal("0.80") if sound else Decimal("0.60")
    return Decimal("0.60") if sound else Decimal("0.40")
