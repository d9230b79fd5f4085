"""A contact sheet: many pictures on one, each with its key under it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ..types.errors import InputError, InputFault
from .fonts import Text
from .images import IMAGES, load_small

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["MEDIA", "SheetEntry", "draw_sheet", "save_sheet"]

_VIDEOS: Final = (".mp4", ".mov", ".webm")
MEDIA: Final = (*IMAGES, ".avif", *_VIDEOS)
"""The suffixes of the files that a sheet shows."""
_MAX_PIXELS: Final = 100_000_000
"""Of a sheet: 300 MB in the memory, and more than most programs open."""
_GAP: Final = 12
_PAGE, _WELL, _TEXT, _SOFT = "#fbfbfa", "#ececea", "#1d1f22", "#62666d"


@frozen
class SheetEntry:
    """A picture of a sheet: its file, and the text under it."""

    path: Path
    caption: str


def draw_sheet(entries: Sequence[SheetEntry], *, size: int, columns: int | None = None) -> Image:
    """Return the sheet of these pictures. A picture is never enlarged; videos and broken ones get a labelled box.

    Args:
        entries: the pictures, at least one.
        size: pixels of the longer side of each.
        columns: pictures beside each other; by default about as many as there are rows, and a third more.

    Raises:
        InputError: the sheet would be too large, or Pillow is not installed.
    """
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        fault = InputFault("contact-sheet", "Pillow", "is missing: pip install 'kling-async[cli]'")
        raise InputError.of("No sheet can be drawn", [fault]) from error
    across = min(len(entries), columns or ceil(sqrt(len(entries) * 1.33)))
    text = Text(max(10, min(16, size // 14)))
    wide, high = size + _GAP, size + text.line_height + _GAP
    pixels = (across * wide + _GAP, ceil(len(entries) / across) * high + _GAP)
    if pixels[0] * pixels[1] > _MAX_PIXELS:
        fault = InputFault("size", size, f"makes a sheet of {pixels[0]} x {pixels[1]} pixels, which is too large")
        raise InputError.of("The sheet is too large", [fault], advice="Choose a smaller --size or --max.")
    sheet = Image.new("RGB", pixels, _PAGE)
    canvas = ImageDraw.Draw(sheet)
    for number, entry in enumerate(entries):
        corner = (_GAP + number % across * wide, _GAP + number // across * high)
        _paint(sheet, canvas, entry, corner, size=size, text=text)
        caption = text.fit(entry.caption, size)
        text.draw(canvas, (corner[0], corner[1] + size + 2), caption, fill=_TEXT)
    return sheet


def save_sheet(sheet: Image, target: Path) -> None:
    """Write a sheet atomically. Raises InputError if it cannot be written."""
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".new", delete=False) as file:
            fresh = Path(file.name)
            try:
                sheet.save(file, "PNG")
                fresh.chmod(0o644)
                fresh.replace(target)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
    except OSError as error:
        fault = InputFault("output", str(target), f"cannot be written: {error.strerror or error}")
        raise InputError.of("The sheet cannot be saved", [fault]) from error


def _paint(
    sheet: Image, canvas: ImageDraw, entry: SheetEntry, corner: tuple[int, int], *, size: int, text: Text
) -> None:
    left, top = corner
    canvas.rectangle((left, top, left + size - 1, top + size - 1), fill=_WELL)
    small = load_small(entry.path, size)
    if small is not None:
        place = (left + (size - small.width) // 2, top + (size - small.height) // 2)
        sheet.paste(small, place, small if small.mode == "RGBA" else None)
        return
    suffix = entry.path.suffix.lower()
    is_video = suffix in _VIDEOS
    label = text.fit(f"{suffix.removeprefix('.')} video" if is_video else "cannot be read", size)
    middle = top + size // 2
    if is_video:
        edge, at = size // 8, left + size // 2
        canvas.polygon([(at - edge, middle - edge), (at - edge, middle + edge), (at + edge, middle)], fill=_SOFT)
        middle += size // 5
    text.draw(canvas, (left + round(size - text.width(label)) // 2, middle), label, fill=_SOFT)
