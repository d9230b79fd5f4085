"""Contact sheets: every picture in its place, none enlarged, and text in any script."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kling_async.errors import InputError
from kling_async.runs.contact_sheet import SheetEntry, draw_sheet, save_sheet
from kling_async.runs.fonts import Text

RED, WELL = (200, 30, 30), (236, 236, 234)


def entries(directory: Path, number: int, size: tuple[int, int] = (300, 300)) -> list[SheetEntry]:
    found: list[SheetEntry] = []
    for position in range(number):
        path = directory / f"cat-{position}.png"
        Image.new("RGB", size, RED).save(path)
        found.append(SheetEntry(path, f"cat {position}"))
    return found


@pytest.mark.parametrize(
    ("number", "columns", "shape"), [(1, None, (1, 1)), (7, 3, (3, 3)), (12, None, (4, 3)), (2, 9, (2, 1))]
)
def test_pictures_are_in_rows(tmp_path: Path, number: int, columns: int | None, shape: tuple[int, int]) -> None:
    """A sheet has so many columns, or as many as suit the number, and a row more for what is left."""
    sheet = draw_sheet(entries(tmp_path, number), size=100, columns=columns)
    across, down = shape
    assert 112 * across + 12 == sheet.width
    shown = [
        sheet.getpixel((12 + 112 * column + 50, 12 + (sheet.height - 12) // down * row + 50)) == RED
        for row in range(down)
        for column in range(across)
    ]
    assert [True] * number == shown[:number]
    assert not any(shown[number:])


def test_no_picture_is_enlarged(tmp_path: Path) -> None:
    """A small picture is shown as it is, in the middle of its place."""
    sheet = draw_sheet(entries(tmp_path, 1, size=(20, 10)), size=100)
    colours = [sheet.getpixel((12 + x, 12 + 50)) for x in range(100)]
    assert 20 == colours.count(RED)
    assert (WELL, WELL) == (colours[0], colours[-1])


@pytest.mark.parametrize(("name", "content"), [("a.mp4", b"video"), ("a.png", b"broken"), ("a.avif", b"unknown")])
def test_what_cannot_be_shown_has_a_box(tmp_path: Path, name: str, content: bytes) -> None:
    """A video, a broken picture and one that is not decoded have a box with a label, and stop no sheet."""
    (tmp_path / name).write_bytes(content)
    sheet = draw_sheet([SheetEntry(tmp_path / name, "a")], size=100)
    found = {sheet.getpixel((x, y)) for x in range(13, 111) for y in range(13, 111)}
    assert WELL in found
    assert len(found) > 3, "no label was drawn"


def test_a_sheet_is_no_bomb(tmp_path: Path) -> None:
    """A sheet that would fill the memory is an error, before it is made."""
    one = entries(tmp_path, 1) * 10_000
    with pytest.raises(InputError, match="too large"):
        draw_sheet(one, size=2048)


def test_a_sheet_is_written_whole(tmp_path: Path) -> None:
    """A sheet replaces an older one, and leaves nothing beside itself; a place that cannot be written is an error."""
    save_sheet(draw_sheet(entries(tmp_path, 1), size=50), tmp_path / "sheet.png")
    save_sheet(draw_sheet(entries(tmp_path, 2), size=50), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as written:
        assert "PNG" == written.format
    assert {"cat-0.png", "cat-1.png", "sheet.png"} == {path.name for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="cannot be written"):
        save_sheet(draw_sheet(entries(tmp_path, 1), size=50), tmp_path / "nowhere" / "sheet.png")


KEYS = ["plain", "漢字-狐", "ключ", "مفتاح", "e\u0301tude", "🦊", "कुत्ता", "\u200b", "a" * 200, "", "\ufffd\ufffd"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_any_script_can_be_drawn(key: str) -> None:
    """A text in any script is drawn within its width, whichever fonts this machine has."""
    text, sheet = Text(14), Image.new("RGB", (400, 40), "white")
    fitting = text.fit(key, 150)
    assert text.width(fitting) <= 150
    text.draw(ImageDraw.Draw(sheet), (10, 5), fitting, fill="black")
    inked = [x for x in range(400) for y in range(40) if sheet.getpixel((x, y)) != (255, 255, 255)]
    assert bool(inked) == bool(key.strip("\u200b"))
    assert all(5 <= x <= 165 for x in inked)


def test_what_no_font_has_is_a_question_mark() -> None:
    """A character that no font has is one question mark, and its marks are left out."""
    text = Text(14)
    missing = "\U000f1234"  # for private use
    assert [("a", "?", "b")] == [tuple(one for _, one in text._placed(f"a{missing}\u0301b"))]
