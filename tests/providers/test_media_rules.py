"""Rules for local media: the ways by which they reach each provider, and what models take of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from kling_async import ImageInput, Input, InputError, MediaFile, VideoInput
from kling_async.providers import PROVIDERS

SMALL = MediaFile(name="a.png", sha256="ab" * 32, size=9, mime="image/png", width=640, height=480, source=b"9")
CLIP = evolve(SMALL, name="a.mp4", mime="video/mp4", width=None, height=None)
HEIC = evolve(SMALL, name="IMG_1.HEIC", mime="image/heic", width=None, height=None)
SONG = evolve(CLIP, name="a.mp3", mime="audio/mpeg")


@pytest.mark.parametrize(
    ("provider", "image", "video"),
    [
        ("gptproto", None, None),
        ("apiinone", None, None),
        ("openrouter", None, None),
        ("wavespeed", "upload", "upload"),
        ("fal", "upload", "upload"),
        ("replicate", "upload", "upload"),
        ("atlascloud", "upload", "upload"),
        ("kling", "inline", None),
        ("comfy", "inline", None),
    ],
)
def test_each_provider_has_its_ways(provider: str, image: str | None, video: str | None) -> None:
    """The provider's own upload comes first, then base64 inside the request, then the user's bucket."""
    ways = PROVIDERS[provider].ways(storage=False)
    assert (image, video) == (ways["image"], ways["video"])
    stored = PROVIDERS[provider].ways(storage=True)
    assert (image or "storage", video or "storage") == (stored["image"], stored["video"])


def test_a_provider_says_it_has_an_upload_if_it_has_one() -> None:
    """The way by an upload, which comes first, is one that the adapter can begin."""
    has = {name: provider.build_upload(SMALL) is not None for name, provider in PROVIDERS.items()}
    assert has == {name: provider.capabilities.upload.value is True for name, provider in PROVIDERS.items()}


def faults(provider: str, input: Input, *, storage: bool = False) -> list[tuple[str, str]]:
    """Return the fields of an input that a provider refuses, with the reason."""
    try:
        PROVIDERS[provider].check(input, storage=storage)
    except InputError as error:
        return [(fault.field, fault.allowed) for fault in error.faults]
    return []


@pytest.mark.parametrize("media", [Path("a.png"), SMALL, evolve(SMALL, mime="image/jpeg", size=10_000_000)])
@pytest.mark.parametrize("provider", ["wavespeed", "fal", "replicate", "kling", "comfy"])
def test_local_media_pass(provider: str, media: Path | MediaFile) -> None:
    """A file that was read and one that was not are taken where a way leads to the provider."""
    assert [] == faults(provider, VideoInput("a dog", image=media, model="kling-o1-std"))


def test_the_three_ways_are_named() -> None:
    """Without a way the error names all three, and which of them the provider lacks; with a bucket there is one."""
    input = VideoInput("a dog", video=CLIP, scene="reference-to-video", model="kling-o1-std")
    [(field, reason)] = faults("kling", input)
    assert "video" == field
    assert "an upload, which Kling does not document" in reason
    assert "base64 inside the request, which Kling documents for other media only" in reason
    assert "storage='s3://bucket/prefix'" in reason
    assert [] == faults("kling", input, storage=True)


LIMITS: dict[str, tuple[str, Input, str]] = {
    "a wrong type": ("kling", ImageInput("a", images=[evolve(SMALL, mime="image/webp")]), "is image/webp, and must be"),
    "too large": ("kling", ImageInput("a", images=[evolve(SMALL, size=10_000_001)]), "may have at most 10 MB"),
    "too small": ("kling", ImageInput("a", images=[evolve(SMALL, width=299)]), "must have at least 300"),
    "too wide": ("kling", ImageInput("a", images=[evolve(SMALL, width=1201)]), "a factor of at most 2.5"),
    "too large for an upload": ("replicate", VideoInput("a", image=evolve(SMALL, size=100_000_001)), "at most 100 MB"),
    "a video as an image": ("fal", VideoInput("a", image=CLIP), "is video/mp4, and must be an image"),
    "a song as a video": ("fal", VideoInput("a", video=SONG, scene="video-edit"), "is audio/mpeg, and must be a video"),
    "a picture of a telephone": ("fal", VideoInput("a", image=HEIC), "is image/heic, which no provider documents"),
    "an empty file": ("fal", VideoInput("a", image=b""), "is empty"),
    "a document": ("fal", VideoInput("a", image="data:;base64,JVBERi0xLjc="), "is no image, video or audio"),
}


def filmed(provider: str, scene: str, model: str, **changes: Any) -> tuple[str, Input]:
    """Return an input with a video of 1280 x 720 and 5 s, but for the changes."""
    made = evolve(CLIP, width=1280, height=720, seconds=5.0)
    image = SMALL if scene == "motion-control" else None
    return provider, VideoInput("a", model=model, video=evolve(made, **changes), image=image, scene=scene)


FILMED: dict[str, tuple[str, Input, str]] = {
    f"{name}, {provider}": (*filmed(provider, scene, model, **changes), reason)
    for name, provider, scene, model, changes, reason in (
        ("too long", "kling", "video-edit", "kling-o1", {"seconds": 10.06}, "lasts 10.06 s, and must last from 3 to"),
        ("too short", "kling", "reference-to-video", "kling-o1", {"seconds": 2.9}, "must last from 3 to 10 s"),
        ("too small a video", "kling", "video-edit", "kling-o1", {"height": 699}, "must have at least 700"),
        ("too large a video", "kling", "video-edit", "kling-o1", {"width": 2161}, "each side may have at most 2160"),
        ("too long", "kling", "video-edit", "kling-3.0-omni", {"seconds": 15.6}, "from 3 to 15.5 s"),
        ("too many pixels", "kling", "video-edit", "kling-3.0-omni", {"width": 4000, "height": 2200}, "8,294,400"),
        ("too long a motion", "kling", "motion-control", "kling-3.0", {"seconds": 30.1}, "from 3 to 30 s"),
        ("too small a motion", "kling", "motion-control", "kling-2.6", {"height": 339}, "at least 340"),
        ("too large a motion", "kling", "motion-control", "kling-3.0", {"size": 100_000_001}, "at most 100 MB"),
        ("too long", "fal", "video-edit", "kling-o1-std", {"seconds": 11.0}, "from 3 to 10 s"),
        ("too small a video", "fal", "video-edit", "kling-o1-std", {"height": 719}, "must have at least 720"),
        ("too long", "fal", "video-edit", "kling-3.0-omni-pro", {"seconds": 15.2}, "from 3 to 15 s"),
        ("too long", "fal", "video-edit", "kling-4.0", {"seconds": 31.0}, "from 3 to 30 s"),
        ("too wide a video", "fal", "video-edit", "kling-4.0", {"width": 1801}, "a factor of at most 2.5"),
        ("too long a motion", "fal", "motion-control", "kling-3.0-pro", {"seconds": 31.0}, "must last at most 30 s"),
        ("too short", "wavespeed", "video-edit", "kling-4.0", {"seconds": 2.0}, "must last at least 3 s"),
        ("too long", "comfy", "video-edit", "kling-o1-std", {"seconds": 11.0}, "from 3 to 10 s"),
    )
}


@pytest.mark.parametrize(("provider", "input", "reason"), [*LIMITS.values(), *FILMED.values()], ids=[*LIMITS, *FILMED])
def test_limits_are_checked_here(provider: str, input: Input, reason: str) -> None:
    """Type, size, sides, ratio and seconds are checked before a byte leaves, and the field is named."""
    found = faults(provider, input, storage=True)
    assert [text for _, text in found if reason in text], found
    assert len({field for field, _ in found}) == 1


@pytest.mark.parametrize("seconds", [2.96, 5.04, 10.04, None])
@pytest.mark.parametrize("provider", ["kling", "fal", "comfy"])
def test_a_video_within_its_limits_passes(provider: str, seconds: float | None) -> None:
    """A video may miss a limit by a frame, as those that Kling makes do; one whose header is not known passes too."""
    size = {"width": None, "height": None} if seconds is None else {}
    _, input = filmed(provider, "video-edit", "kling-o1-std", seconds=seconds, **size)
    assert [] == faults(provider, input, storage=True)


@pytest.mark.parametrize("provider", ["kling", "fal"])
def test_a_motion_is_shorter_for_a_character_turned_as_in_its_image(provider: str) -> None:
    """Motion control takes 10 s where the orientation is that of the image, and 30 s elsewhere."""
    _, input = filmed(provider, "motion-control", "kling-3.0-std", seconds=12.0)
    assert [] == faults(provider, input, storage=True)
    turned = evolve(input, extra={"character_orientation": "image"})
    says = [("video", "may last at most 10 s when character_orientation is image")]
    assert says == faults(provider, turned, storage=True)


def test_audio_has_its_seconds() -> None:
    """A reference of audio lasts 5 to 30 s at WaveSpeedAI; one of unknown length passes."""
    for seconds, expected in ((4.0, ["lasts 4 s, and must last from 5 to 30 s"]), (6.0, []), (None, [])):
        song = evolve(SONG, seconds=seconds)
        input = VideoInput("a", model="kling-4.0", images=[SMALL], audios=[song], scene="reference-to-video")
        assert expected == [text for _, text in faults("wavespeed", input)]


def test_all_faults_come_at_once() -> None:
    """Faults of media stand in one error with those of other fields."""
    wrong = evolve(SMALL, mime="image/webp", width=1)
    fields = [field for field, _ in faults("kling", ImageInput("", images=[wrong, SMALL, wrong], n=99))]
    assert ["prompt", "n", *["images[0]"] * 3, *["images[2]"] * 3] == fields
