"""The texts, URLs and numbers on the card of a job, not yet escaped."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import frozen

from ...types.formatting import format_duration, format_money
from .rows import ReportRow, Tone, tone_of
from .text import relative_url, split_text

__all__ = ["Card", "Link", "Media", "build_card"]

_VIDEO: Final = (".mp4", ".webm", ".mov", ".m4v")
_IMAGE: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
_MAX_PROMPT: Final = 140
"""Characters of a prompt that are shown; the rest is folded, or a long prompt would stretch its whole row."""
_MAX_LABEL: Final = 60
"""Characters of a label that are shown."""
_OF_TARGETS: Final = frozenset({"row", "provider", "model"})
"""Labels of a comparison, which say what the card says anyway."""
_ALT: Final = 36
"""Characters of the prompt in the alternative text; a screen reader reads the prompt itself next."""
_TENTHS: Final = 10.0
"""Seconds of a duration from which on tenths do not matter for an order."""


@frozen
class Media:
    """One file of a job: its URL, whether it is a video, and the URL of the smaller image that is shown, if any."""

    url: str
    is_video: bool
    thumbnail: str = ""

    @property
    def shown(self) -> str:
        """The URL of what is shown."""
        return self.thumbnail or self.url


@frozen
class Link:
    """One object of a job: its URL, which is not loaded, and its name."""

    url: str
    name: str


@frozen(kw_only=True)
class Card:
    """The card of a job.

    Attributes:
        key: the job's key.
        provider: the provider's name.
        model: the model's name.
        status: the job's status.
        tone: what the status means; it chooses the colour.
        alt: the alternative text of its media.
        prompt: the first part of the prompt, which is always shown.
        rest: the part of the prompt that is folded.
        media: its files.
        cause: why it did not succeed, or "".
        advice: what to do about that, or "".
        facts: its duration, cost and number of submissions, as one text.
        labels: its labels as one text, by which it can be found.
        sent_at: when it was first sent, in Unix seconds; 0 if unknown, as are the next two.
        took: seconds from then to its end.
        cost: US dollars.
    """

    key: str
    provider: str
    model: str
    status: str
    tone: Tone
    alt: str
    prompt: str
    rest: str
    media: tuple[Media, ...]
    links: tuple[Link, ...]
    cause: str
    advice: str
    facts: str
    labels: str
    sent_at: float
    took: float
    cost: Decimal

    def order(self, since: float) -> str:
        """Return the numbers by which cards are sorted: seconds after `since`, seconds that it took, and US dollars.

        They are rounded to what matters for an order, since a large report has thousands of them.
        """
        took = f"{self.took:.1f}" if self.took < _TENTHS else f"{self.took:.0f}"
        return f"{max(0.0, self.sent_at - since):.0f} {took} {self.cost:.4g}"


def build_card(row: ReportRow) -> Card:
    """Build the card of a job."""
    tone = tone_of(row.status)
    alt, more = split_text(" ".join(row.prompt.split()), _ALT)
    prompt, rest = split_text(row.prompt, _MAX_PROMPT)
    return Card(
        key=row.key,
        provider=row.provider,
        model=row.model,
        status=row.status,
        tone=tone,
        alt=alt.rstrip(" ,.;:") + "…" if more else alt or row.key,
        prompt=prompt,
        rest=rest,
        media=tuple(_media(path, row) for path in row.files if path.strip("/")),
        links=tuple(Link(url, _name_of(url)) for url in row.objects),
        cause=row.cause or "",
        advice=row.advice or "",
        facts=" · ".join(_facts(row, tone)),
        labels=" · ".join(
            f"{name}: {_shortened(text)}" for name, text in row.labels.items() if name not in _OF_TARGETS
        ),
        sent_at=row.sent_at or 0.0,
        took=row.took or 0.0,
        cost=row.cost or Decimal(0),
    )


def _shortened(text: str) -> str:
    start, rest = split_text(text, _MAX_LABEL)
    return f"{start.rstrip()}…" if rest else start


def _name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _media(path: str, row: ReportRow) -> Media:
    return Media(relative_url(path), _is_video(path, row), relative_url(row.thumbnails.get(path, "")))


def _is_video(path: str, row: ReportRow) -> bool:
    name = path.lower()
    return name.endswith(_VIDEO) or (row.kind == "video" and not name.endswith(_IMAGE))


def _facts(row: ReportRow, tone: Tone) -> list[str]:
    facts: list[str] = []
    if row.took is not None:
        facts.append(format_duration(row.took))
    if row.cost is not None and tone is Tone.DOUBT:
        facts.append(f"up to {format_money(row.cost)}")
    elif row.cost is not None:
        facts.append(format_money(row.cost))
    if row.attempts > 1:
        facts.append(f"sent {row.attempts} times")
    if row.refused_prompt is not None:
        facts.append(f"in place of a refused prompt: {_shortened(row.refused_prompt)}")
    return facts
