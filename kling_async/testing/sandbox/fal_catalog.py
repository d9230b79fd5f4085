"""The Kling endpoints of fal's documents: the fields of each with the values that they allow, and its price.

Sources: the pages below https://fal.ai/models, the API reference below https://fal.ai/docs/model-api-reference, and the
types of fal's JavaScript client. Where a page gives no price, it is that of Kling's own list.

A field is written as its name, with `!` where it is required, and its values: `=a,b` is one of these words, the first
of which is the default; `*7` a list of at most 7 addresses; `#5,3..30` a whole number with its default and its range;
`?true` yes or no with its default; `~` anything. A name that ends in `_url` is an address, and any other one a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from attrs import frozen

__all__ = ["ENDPOINTS", "Endpoint"]


@frozen(kw_only=True)
class Endpoint:
    """One endpoint.

    Attributes:
        fields: the values of each field, written as above.
        required: the fields that must be given.
        shots: what `multi_prompt` is to the prompt: absent, another way to say it, or one that may stand beside it.
        price: US dollars for an image, or for a second.
        with_sound: US dollars for a second with sound.
    """

    kind: Literal["image", "video"]
    fields: Mapping[str, str]
    required: frozenset[str]
    shots: Literal["no", "instead", "also"]
    price: Decimal
    with_sound: Decimal


_FIELD = re.compile(r"([a-z_]+)(!?)((?:[=*#?~].*)?)")


def _endpoint(
    text: str, price: str, *, sound: str = "", kind: Literal["image", "video"] = "video", beside: bool = False
) -> Endpoint:
    words = [match for word in text.split() if (match := _FIELD.fullmatch(word))]
    fields = {match[1]: match[3] for match in words}
    required = frozenset(match[1] for match in words if match[2])
    shots: Literal["no", "instead", "also"] = "no"
    if "multi_prompt" in fields:
        shots = "also" if beside else "instead"
    return Endpoint(
        kind=kind,
        fields=fields,
        required=required,
        shots=shots,
        price=Decimal(price),
        with_sound=Decimal(sound or price),
    )


_RATIO = "aspect_ratio=16:9,9:16,1:1"
_STILL = "16:9,9:16,1:1,4:3,3:4,3:2,2:3,21:9"
_IMAGE = "prompt! num_images#1,1..9 output_format=png,jpeg,webp sync_mode?false elements~"
_TEN = "duration=5,3,4,6,7,8,9,10"
_FIFTEEN = f"{_TEN},11,12,13,14,15"
_FRAMES = "start_image_url! end_image_url"
_SHOTS = "prompt multi_prompt~ shot_type=customize,intelligent elements~"
_MOTION = "prompt image_url! video_url! character_orientation!=video,image keep_original_sound?true elements~"
_V4 = "prompt multi_prompt~ elements~ resolution=720p,1080p"
_V4_RATIO = "aspect_ratio=16:9,9:16,1:1,21:9"


def _o1(price: str, with_video: str) -> Mapping[str, Endpoint]:
    video = "prompt! video_url! image_urls*4 elements~ keep_audio?false"
    return {
        "image-to-video": _endpoint(f"prompt! {_FRAMES} {_TEN}", price),
        "reference-to-video": _endpoint(f"prompt! image_urls*7 elements~ {_RATIO} {_TEN}", price),
        "video-to-video/edit": _endpoint(video, with_video),
        "video-to-video/reference": _endpoint(f"{video} aspect_ratio=auto,16:9,9:16,1:1 {_TEN}", with_video),
    }


def _o3(price: str, sound: str) -> Mapping[str, Endpoint]:
    every = f"{_SHOTS} {_FIFTEEN} generate_audio?false"
    return {
        "text-to-video": _endpoint(f"{every} {_RATIO}", price, sound=sound),
        "image-to-video": _endpoint(f"{every} image_url! end_image_url", price, sound=sound),
        "reference-to-video": _endpoint(
            f"{every} {_RATIO} start_image_url end_image_url image_urls*7", price, sound=sound
        ),
    }


def _o3_with_video(price: str) -> Mapping[str, Endpoint]:
    video = "prompt! video_url! image_urls*4 elements~ keep_audio?true shot_type=customize,intelligent"
    return {
        "video-to-video/edit": _endpoint(video, price),
        "video-to-video/reference": _endpoint(f"{video} aspect_ratio=auto,16:9,9:16,1:1 {_FIFTEEN}", price),
    }


def _v3(price: str, sound: str) -> Mapping[str, Endpoint]:
    every = f"{_SHOTS} {_FIFTEEN} generate_audio?true negative_prompt cfg_scale~"
    return {
        "text-to-video": _endpoint(f"{every} {_RATIO}", price, sound=sound),
        "image-to-video": _endpoint(f"{every} {_FRAMES}", price, sound=sound),
    }


def _turbo(price: str) -> Mapping[str, Endpoint]:
    return {
        "text-to-video": _endpoint(f"prompt multi_prompt~ {_RATIO} {_FIFTEEN}", price),
        "image-to-video": _endpoint(f"prompt multi_prompt~ image_url! {_FIFTEEN}", price),
    }


_V26_EVERY = "prompt! negative_prompt generate_audio?true duration=5,10"
_MODELS: Mapping[str, Mapping[str, Endpoint]] = {
    "fal-ai/kling-image": {
        "o1": _endpoint(f"{_IMAGE} image_urls!*10 aspect_ratio=auto,{_STILL} resolution=1K,2K", "0.028", kind="image"),
        "o3/text-to-image": _endpoint(f"{_IMAGE} aspect_ratio={_STILL} resolution=1K,2K,4K", "0.028", kind="image"),
        "o3/image-to-image": _endpoint(
            f"{_IMAGE} image_urls!*10 aspect_ratio=auto,{_STILL} resolution=1K,2K,4K", "0.028", kind="image"
        ),
        "v3/text-to-image": _endpoint(
            f"{_IMAGE} negative_prompt aspect_ratio={_STILL} resolution=1K,2K", "0.028", kind="image"
        ),
        "v3/image-to-image": _endpoint(
            f"{_IMAGE} image_url! aspect_ratio={_STILL} resolution=1K,2K", "0.028", kind="image"
        ),
    },
    "fal-ai/kling-video/o1": _o1("0.112", "0.168"),
    "fal-ai/kling-video/o1/standard": _o1("0.084", "0.126"),
    "fal-ai/kling-video/v2.6/pro": {
        "text-to-video": _endpoint(f"{_V26_EVERY} {_RATIO} cfg_scale~", "0.07", sound="0.14"),
        "image-to-video": _endpoint(f"{_V26_EVERY} {_FRAMES} voice_ids~", "0.07", sound="0.14"),
        "motion-control": _endpoint(_MOTION, "0.112"),
    },
    "fal-ai/kling-video/v2.6/standard": {"motion-control": _endpoint(_MOTION, "0.07")},
    "fal-ai/kling-video/v3/standard": {**_v3("0.084", "0.126"), "motion-control": _endpoint(_MOTION, "0.126")},
    "fal-ai/kling-video/v3/pro": {**_v3("0.112", "0.168"), "motion-control": _endpoint(_MOTION, "0.168")},
    "fal-ai/kling-video/v3/4k": _v3("0.42", "0.42"),
    "fal-ai/kling-video/v3/turbo/standard": _turbo("0.112"),
    "fal-ai/kling-video/v3/turbo/pro": _turbo("0.14"),
    "fal-ai/kling-video/o3/standard": {**_o3("0.084", "0.112"), **_o3_with_video("0.126")},
    "fal-ai/kling-video/o3/pro": {**_o3("0.112", "0.14"), **_o3_with_video("0.336")},
    "fal-ai/kling-video/o3/4k": _o3("0.42", "0.42"),
    "kling/v4": {
        "text-to-video": _endpoint(f"{_V4} {_V4_RATIO} duration#5,3..30", "0.157", beside=True),
        "image-to-video": _endpoint(f"{_V4} {_FRAMES} middle_image_urls*8 duration#5,3..30", "0.157", beside=True),
        "reference-to-video": _endpoint(
            f"{_V4} {_V4_RATIO} start_image_url image_urls*10 video_urls*5 duration#5,3..30", "0.157", beside=True
        ),
        "video-to-video/edit": _endpoint("prompt! video_url! image_urls*10 resolution=720p,1080p", "0.094"),
    },
}

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {f"{model}/{scene}": endpoint for model, scenes in _MODELS.items() for scene, endpoint in scenes.items()}
)
"""Every endpoint by its id."""
