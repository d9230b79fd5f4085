"""The Kling models of GPTProto's documents, with the facts that the sandbox checks.

Sources: the documents of kling-image-o1 and kling-video-o1-std; their sibling pages for the parameters of v2.5, v2.6
and v3.0; the provider's catalogue for the scenes of the rest.
GPTProto publishes no Kling prices. These are invented: WaveSpeed's prices for the o1 models, round sums for the others.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from attrs import frozen

__all__ = ["MODELS", "Model"]

_T2V, _I2V, _R2V, _V2V = "text-to-video", "image-to-video", "reference-to-video", "video-to-video"
_ENDS, _MOTION = "start-end-frame", "motion-control"
_FIVE_OR_TEN = (5, 10)


@frozen(kw_only=True)
class Model:
    """One model.

    Attributes:
        durations: allowed durations in seconds.
        expected: the same in words.
        five_or_ten: scenes that allow 5 or 10 seconds only, unless a last frame is given.
        price: US dollars for an image, or for a second of video.
        newer: whether it has the parameters of v2.5 and later: negative_prompt, sound, guidance_scale.
    """

    kind: Literal["image", "video"]
    scenes: tuple[str, ...]
    price: Decimal
    durations: Container[int] = _FIVE_OR_TEN
    expected: str = "5 or 10"
    five_or_ten: tuple[str, ...] = ()
    newer: bool = True


def _image(*scenes: str, price: str) -> Model:
    return Model(kind="image", scenes=scenes, price=Decimal(price), newer=False)


def _o1(price: str) -> Model:
    return Model(
        kind="video",
        scenes=(_T2V, _I2V, _R2V, _V2V),
        price=Decimal(price),
        durations=range(3, 11),
        expected="a whole number from 3 to 10",
        five_or_ten=(_T2V, _I2V),
        newer=False,
    )


def _video(*scenes: str) -> Model:
    return Model(kind="video", scenes=scenes, price=Decimal("0.10"))


def _long(*scenes: str) -> Model:
    return Model(
        kind="video",
        scenes=scenes,
        price=Decimal("0.12"),
        durations=range(3, 16),
        expected="a whole number from 3 to 15",
    )


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "kling-image-o1": _image("text-to-image", "image-to-image", price="0.028"),
        "kling-video-o1-std": _o1("0.084"),
        "kling-video-o1-pro": _o1("0.112"),
        "kling-v2.1-standard": _video(_I2V),
        "kling-v2.1-pro": _video(_I2V, _ENDS),
        "kling-v2.1-master": _video(_I2V, _T2V),
        "kling-v2.5-turbo-std": _video(_I2V, _T2V),
        "kling-v2.5-turbo-pro": _video(_I2V, _T2V, _ENDS),
        "kling-v2.6-std": _video(_T2V, _I2V, _MOTION),
        "kling-v2.6-pro": _video(_T2V, _I2V, _MOTION),
        "kling-v3.0-std": _long(_T2V, _I2V, _MOTION),
        "kling-v3.0-pro": _long(_T2V, _I2V, _MOTION),
        "kling-v3-omni-std": _long(_T2V, _I2V, _R2V, _V2V),
        "kling-v3-omni-pro": _long(_T2V, _I2V, _R2V, _V2V),
    }
)
