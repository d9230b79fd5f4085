"""The Kling endpoints of WaveSpeedAI, with the facts that the sandbox checks.

Sources: a copy of WaveSpeedAI's model list of 2026-08 (GET /api/v3/models), which has a schema for each endpoint, and
its pages of 2026-11 for Kling 4.0. Prices are the published ones, by the second or the image. Invented: sound
costs nothing, 4k of Kling 4.0 as much as 1080p, and an edit as much as five seconds.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from attrs import evolve, frozen

__all__ = ["ENDPOINTS", "Endpoint"]

_RATIOS = ("16:9", "9:16", "1:1")
_FIVE_OR_TEN = (5, 10)


@frozen(kw_only=True)
class Endpoint:
    """One endpoint: the fields that its schema has.

    Attributes:
        kind: the kind of its outputs.
        price: US dollars for an image, or for a second of video.
        prices: the same for resolutions that cost more.
        price_with_video: the same beside a video; None is no other than `price`.
        prompt: whether the prompt is required, optional, or replaced by shots.
        max_prompt: its maximum length in characters; None is no maximum.
        image: whether a first frame is required.
        last: the name of the last frame; empty if there is none.
        keyframes: the maximum number of frames between the two.
        images: the maximum number of reference images.
        video: whether there is one video: required, optional or none.
        videos: the maximum number of reference videos.
        audios: the maximum number of reference audios.
        with_video: the maximum number of images beside a video; None is no other than `images`.
        ratios: the aspect ratios.
        resolutions: the resolutions.
        durations: the durations in seconds; empty if the length is that of the video.
        without_last: the durations without a last frame, if they are others.
        shots: the durations of a shot; empty if there are no shots.
        flags: names of booleans.
        texts: names of other texts.
        fractions: names of numbers from 0 to 1.
        words: names of texts with a set of words.
        arrays: names of lists whose items are not checked.
    """

    kind: Literal["image", "video"] = "video"
    price: Decimal
    prices: Mapping[str, Decimal] = MappingProxyType({})
    price_with_video: Decimal | None = None
    prompt: Literal["required", "optional", "or shots"] = "required"
    max_prompt: int | None = None
    image: bool = False
    last: str = ""
    keyframes: int = 0
    images: int = 0
    needs_images: bool = False
    video: Literal["required", "optional", "none"] = "none"
    videos: int = 0
    audios: int = 0
    with_video: int | None = None
    ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    durations: tuple[int, ...] = ()
    without_last: tuple[int, ...] = ()
    shots: Container[int] = ()
    flags: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    arrays: tuple[str, ...] = ()


_SHOT_TYPE = {"shot_type": ("customize", "intelligent")}
_ORIENTATION = {"character_orientation": ("image", "video")}


def _images() -> dict[str, Endpoint]:
    ratios = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "auto")
    o1 = Endpoint(kind="image", price=Decimal("0.028"), images=10, ratios=ratios, resolutions=("1k", "2k"))
    o3 = evolve(o1, images=0, resolutions=("1k", "2k", "4k"), prices={"4k": Decimal("0.056")})
    return {
        "kling-image-o1": o1,
        "kling-image-o3/text-to-image": o3,
        "kling-image-o3/edit": evolve(o3, images=10, needs_images=True),
    }


def _o1(
    model: str, price: str, dearer: str, *, images: int, edited: int, with_video: int | None
) -> dict[str, Endpoint]:
    seconds = tuple(range(3, 11))
    text = Endpoint(price=Decimal(price), ratios=_RATIOS, durations=_FIVE_OR_TEN)
    plain = Endpoint(price=Decimal(price), durations=seconds)
    keep = ("keep_original_sound",)
    return {
        f"{model}/text-to-video": text,
        f"{model}/image-to-video": evolve(plain, image=True, last="last_image", without_last=_FIVE_OR_TEN),
        f"{model}/reference-to-video": evolve(
            plain,
            images=images,
            video="optional",
            with_video=with_video,
            price_with_video=Decimal(dearer),
            flags=keep,
            ratios=() if with_video is None else _RATIOS,
        ),
        f"{model}/video-edit": evolve(
            plain, price=Decimal(dearer), durations=(), images=edited, video="required", flags=keep
        ),
    }


def _o3(tier: str, price: str) -> dict[str, Endpoint]:
    model = f"kling-video-o3-{tier}"
    made = Endpoint(
        price=Decimal(price),
        prompt="or shots",
        durations=tuple(range(3, 16)),
        shots=range(3, 16),
        flags=("sound",),
        words=_SHOT_TYPE,
        arrays=() if tier == "std" else ("element_list",),
    )
    keep = ("keep_original_sound",)
    is_4k = tier == "4k"
    found = {
        f"{model}/text-to-video": evolve(made, ratios=_RATIOS),
        f"{model}/image-to-video": evolve(made, image=True, last="end_image"),
        f"{model}/reference-to-video": evolve(
            made,
            images=7,
            ratios=_RATIOS,
            video="none" if is_4k else "optional",
            with_video=4,
            flags=("sound",) if is_4k else ("sound", *keep),
        ),
    }
    edit = evolve(made, prompt="required", durations=(), shots=(), images=4, video="required", flags=keep)
    return found if is_4k else {**found, f"{model}/video-edit": edit}


def _v30(tier: str, price: str) -> dict[str, Endpoint]:
    model = f"kling-v3.0-{tier}"
    text = Endpoint(
        price=Decimal(price),
        prompt="or shots",
        ratios=_RATIOS,
        durations=tuple(range(3, 16)),
        shots=range(3, 16),
        flags=("sound",),
        texts=("negative_prompt",),
        fractions=("cfg_scale",),
        words=_SHOT_TYPE,
    )
    first = evolve(text, ratios=(), image=True, last="end_image", arrays=("element_list",))
    found = {f"{model}/text-to-video": text, f"{model}/image-to-video": first}
    return found if tier == "4k" else {**found, **_motion(model, price, arrays=("element_list",))}


def _motion(model: str, price: str, *, arrays: tuple[str, ...] = ()) -> dict[str, Endpoint]:
    motion = Endpoint(
        price=Decimal(price),
        prompt="optional",
        image=True,
        video="required",
        flags=("keep_original_sound",),
        texts=("negative_prompt",),
        words=_ORIENTATION,
        arrays=arrays,
    )
    return {f"{model}/motion-control": motion}


def _v26(tier: str, price: str) -> dict[str, Endpoint]:
    model = f"kling-v2.6-{tier}"
    text = Endpoint(price=Decimal(price), ratios=_RATIOS, durations=_FIVE_OR_TEN, texts=("negative_prompt",))
    first = evolve(text, ratios=(), image=True)
    if tier == "pro":
        text = evolve(text, flags=("sound",), fractions=("cfg_scale",))
        first = evolve(first, last="end_image", flags=("sound",), fractions=("cfg_scale",), arrays=("voice_list",))
    found = {f"{model}/text-to-video": text, f"{model}/image-to-video": first}
    return {**found, **_motion(model, price)}


def _turbo(tier: str, price: str) -> dict[str, Endpoint]:
    model = f"kling-v3-turbo-{tier}"
    text = Endpoint(
        price=Decimal(price),
        prompt="or shots",
        max_prompt=2500,
        ratios=_RATIOS,
        durations=tuple(range(3, 16)),
        shots=range(1, 16),
        fractions=("cfg_scale",),
    )
    return {
        f"{model}/text-to-video": text,
        f"{model}/image-to-video": evolve(text, prompt="optional", ratios=(), image=True),
    }


def _v40() -> dict[str, Endpoint]:
    ratios, hdr = (*_RATIOS, "21:9"), {"dynamic_range": ("hdr",)}
    text = Endpoint(
        price=Decimal("0.157"),
        prices=dict.fromkeys(("1080p", "4k"), Decimal("0.235")),
        ratios=ratios,
        resolutions=("720p", "1080p", "4k"),
        durations=tuple(range(3, 31)),
        words=hdr,
    )
    keep = ("keep_original_sound",)
    edit = evolve(text, words={}, durations=(), images=10, video="required", flags=keep)
    return {
        "kling-v4.0/text-to-video": text,
        "kling-v4.0/image-to-video": evolve(text, prompt="optional", image=True, last="last_image", keyframes=8),
        "kling-v4.0/reference-to-video": evolve(text, images=10, videos=5, audios=3, flags=keep),
        "kling-v4.0/video-edit": edit,
        "kling-v4.0/video-extend": evolve(text, words={}, ratios=(), video="required", last="last_image"),
    }


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        **_images(),
        **_o1("kling-video-o1-std", "0.084", "0.126", images=10, edited=10, with_video=None),
        **_o1("kling-video-o1", "0.112", "0.168", images=7, edited=4, with_video=4),
        **_o3("std", "0.084"),
        **_o3("pro", "0.112"),
        **_o3("4k", "0.42"),
        **_v26("std", "0.042"),
        **_v26("pro", "0.07"),
        **_v30("std", "0.084"),
        **_v30("pro", "0.112"),
        **_v30("4k", "0.42"),
        **_turbo("std", "0.112"),
        **_turbo("pro", "0.14"),
        **_v40(),
    }
)
"""Every endpoint by its path, below /api/v3/kwaivgi/."""
