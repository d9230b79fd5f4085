"""Text in any script on an image: each character in the first font of this machine that has it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Text"]

_NAMES: Final = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial Unicode.ttf"),
    *("Arial.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "PingFang.ttc", "msyh.ttc", "malgun.ttf"),
    *("YuGothM.ttc", "wqy-microhei.ttc", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansBengali-Regular.ttf", "NotoSansThai-Regular.ttf", "Nirmala.ttf"),
    *("NotoSansTamil-Regular.ttf", "NotoEmoji-Regular.ttf", "NotoSansSymbols2-Regular.ttf", "seguiemj.ttf"),
)
"""Fonts of Linux, macOS and Windows, by the names of their files; Pillow looks where each system has its own."""
_ABSENT: Final = "\U0010fffe"
"""A noncharacter, which no font has: it is drawn as every other character that is missing."""
_INSTEAD: Final = "?"
"""What is drawn for a character that no font has."""


class Text:
    """Draws lines of text.

    Args:
        size: the height of the letters in pixels.
    """

    def __init__(self, size: int) -> None:
        self.line_height = round(size * 1.35)
        self._fonts = _fonts(size)

    def fit(self, text: str, width: int) -> str:
        """Return a text, shortened to so many pixels."""
        if self.width(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(f"{text[:middle]}…") <= width else (low, middle - 1)
        return f"{text[:low].rstrip()}…"

    def width(self, text: str) -> float:
        """Return the pixels that a text takes."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def draw(self, canvas: ImageDraw, at: tuple[int, int], text: str, *, fill: str) -> None:
        """Draw a text from its upper left corner on."""
        x: float = at[0]
        for font, run in self._runs(text):
            canvas.text((x, at[1] + self.line_height * 0.8), run, font=font, fill=fill, anchor="ls")
            x += font.getlength(run)

    def _runs(self, text: str) -> Iterator[tuple[FreeTypeFont, str]]:
        whole = next((font for font in self._fonts if all(_has(font, one) for one in text)), None)
        if whole is not None:
            yield whole, text  # as one run, so that scripts whose letters join are joined
            return
        for font, run in groupby(self._placed(text), key=lambda one: one[0]):
            yield font, "".join(one for _, one in run)

    def _placed(self, text: str) -> Iterator[tuple[FreeTypeFont, str]]:
        found: FreeTypeFont | None = self._fonts[0]
        for one in text:
            if unicodedata.category(one) not in ("Mn", "Mc", "Me", "Cf"):
                found = next((font for font in self._fonts if _has(font, one)), None)
                yield found or self._fonts[0], one if found is not None else _INSTEAD
            elif found is not None:  # it belongs to the character before, and goes with that
                yield found, one


@cache
def _fonts(size: int) -> list[FreeTypeFont]:
    from PIL import ImageFont  # noqa: PLC0415 - an extra

    found: list[FreeTypeFont] = []
    for name in _NAMES:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    own = ImageFont.load_default(size)
    if isinstance(own, ImageFont.FreeTypeFont):
        found.append(own)
    return found


@cache
def _has(font: FreeTypeFont, character: str) -> bool:
    """Return whether a font has a character; an invisible one is in every font."""
    if not character.strip() or unicodedata.category(character) == "Cf":
        return True
    return _drawn(font, character) != _drawn(font, _ABSENT)


@lru_cache(maxsize=256)
def _drawn(font: FreeTypeFont, character: str) -> bytes:
    from PIL import Image, ImageDraw  # noqa: PLC0415 - an extra

    size = round(font.size)
    image = Image.new("L", (3 * size, 3 * size))
    ImageDraw.Draw(image).text((size, size), character, font=font, fill=255)
    return image.tobytes()
