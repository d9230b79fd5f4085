"""Rules for local media: the ways by which they reach each provider, and what models take of them."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize("media", [Path("a.png"), SMALL, evolve(SMALL, mime="image/jpeg", size=50_000_000)])
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


@pytest.mark.parametrize(("provider", "input", "reason"), LIMITS.values(), ids=list(LIMITS))
def test_limits_are_checked_here(provider: str, input: Input, reason: str) -> None:
    """Type, size, sides and ratio are checked before a byte leaves, and the field is named."""
    found = faults(provider, input)
    assert [text for _, text in found if reason in text], found
    assert len({field for field, _ in found}) == 1


def test_all_faults_come_at_once() -> None:
    """Faults of media stand in one error with those of other fields."""
    wrong = evolve(SMALL, mime="image/webp", width=1)
    fields = [field for field, _ in faults("kling", ImageInput("", images=[wrong, SMALL, wrong], n=99))]
    assert ["prompt", "n", *["images[0]"] * 3, *["images[2]"] * 3] == fields
