"""What is written on the card of a job: texts, addresses and numbers, ready to be escaped."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from .rows import ReportRow, Tone, tone_of
from .words import address_of, cut, say_duration, say_money

__all__ = ["Card", "Media", "build_card"]

_VIDEO: Final = (".mp4", ".webm", ".mov", ".m4v")
_IMAGE: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
_LONG: Final = 200
"""From about how many characters on a prompt is folded: what is longer would push its neighbours away."""
_ALT: Final = 40
"""How much of the prompt describes its picture to a screen reader, which reads the prompt itself next."""


@frozen
class Media:
    """One file of a job."""

    address: str
    video: bool


@frozen(kw_only=True)
class Card:
    """What is written on the card of a job."""

    key: str
    provider: str
    model: str
    status: str
    tone: Tone
    alt: str
    prompt: str
    rest: str
    media: tuple[Media, ...]
    cause: str
    advice: str
    facts: str


def build_card(row: ReportRow) -> Card:
    """Write the card of a job."""
    tone = tone_of(row.status)
    alt, more = cut(" ".join(row.prompt.split()), _ALT)
    prompt, rest = cut(row.prompt, _LONG)
    return Card(
        key=row.key,
        provider=row.provider,
        model=row.model,
        status=row.status,
        tone=tone,
        alt=alt.rstrip(" ,.;:") + "…" if more else alt or row.key,
        prompt=prompt,
        rest=rest,
        media=tuple(Media(address_of(path), _is_video(path, row)) for path in row.files if path.strip("/")),
        cause=row.cause or "",
        advice=row.advice or "",
        facts=" · ".join(_facts(row, tone)),
    )


def _is_video(path: str, row: ReportRow) -> bool:
    name = path.lower()
    return name.endswith(_VIDEO) or (row.kind == "video" and not name.endswith(_IMAGE))


def _facts(row: ReportRow, tone: Tone) -> list[str]:
    facts: list[str] = []
    if row.took is not None:
        facts.append(say_duration(row.took))
    if row.cost is not None and tone is Tone.DOUBT:
        facts.append(f"up to {say_money(row.cost)}")
    elif row.cost is not None:
        facts.append(say_money(row.cost))
    if row.attempts > 1:
        facts.append(f"sent {row.attempts} times")
    return facts
