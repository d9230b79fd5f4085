"""The picture of a batch: what it shows, and that no width and no text breaks its lines."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from kling_async import Estimate
from kling_async.panel.picture import draw
from kling_async.panel.view import Ending, Part, ProviderView, View

from .test_view import BUSY, STILL

PROVIDERS = (
    ProviderView(name="gptproto", running=90, sending=2, finished=1100, throttled=3, per_second=3.5),
    ProviderView(
        name="apiinone",
        running=8,
        sending=0,
        finished=9,
        throttled=0,
        per_second=None,
        trouble="not reached",
        trouble_for=7.2,
    ),
)
ENDINGS = (
    Ending("cat-rain", Part.SUCCEEDED, "/home/somebody/pictures/of/animals/cat-rain-0.png", is_path=True),
    Ending("狐狸-雪-" + "x" * 30 + "-17", Part.FAILED, "内容被拒绝 \x1b[31m\r\n\u202e" + "!" * 200),
)
VIEW = View(progress=BUSY, total=1200, providers=PROVIDERS, endings=ENDINGS)


def lines(view: View, width: int = 80, *, encoding: str = "utf-8", **options: Any) -> list[str]:
    """Draw a view and return what is on the screen."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=file, width=width, **options)
    console.print(draw(view))
    file.seek(0)
    return file.read().splitlines()


def test_a_picture_shows_everything() -> None:
    """One bar, its legend, the facts, a line per provider, and the last endings."""
    assert [
        "█████x?▓▓▓▓▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   10%    120 of 1,200",
        "█ 117 succeeded   x 2 failed   ? 1 unconfirmed   ▓ 98 running   ░ 980 planned",
        "4.0/s   ETA 4:30   $1.44   elapsed 1:04   110 saved",
        "gptproto   90 running   2 sending   1,100 over       3.5/s   429 ×3",
        "apiinone    8 running   0 sending       9 over         -/s   not reached, 0:08",
        "█ cat-rain                  /home/somebody/pictures/of/animals/cat-rain-0.png",
        "x 狐狸-雪-xxx…xxxxxxxx-17   内容被拒绝  [31m   !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!…",
    ] == lines(VIEW)


def test_little_is_shown_of_nothing() -> None:
    """A batch that has not begun has no providers, no endings and an empty bar."""
    assert [
        "    0%  0 of 0 so far",
        "█ 0 succeeded   ▓ 0 running   ░ 0 planned",
        "-/s   ETA -   $0.00   elapsed 0:00",
    ] == lines(View(progress=STILL, total=None))


@pytest.mark.parametrize(
    ("width", "facts"),
    [
        (100, "4.0/s   ETA 4:30   $1,234.50 of $2,400.00 to $24,000.00 + 80 unpriced   elapsed 1:04"),
        (80, "4.0/s   ETA 4:30   $1,234.50 of $2,400.00 to $24,000.00 + 80 unpriced"),
        (60, "4.0/s   ETA 4:30   $1,234.50 + 80 unpriced   elapsed 1:04"),
        (40, "4.0/s   ETA 4:30   $1,234.50"),
    ],
)
def test_money_is_shown_in_any_terminal(width: int, facts: str) -> None:
    """What is spent stands before what time it took, and is told in fewer words where there is less room."""
    progress = evolve(BUSY, spent=Decimal("1234.5"), unpriced=80, saved=0)
    estimate = Estimate(low=Decimal(2400), high=Decimal(24000), priced=5, unpriced=("m",))
    assert facts == lines(View(progress=progress, total=1200, estimate=estimate), width)[2]


def test_when_all_is_over_nothing_is_to_go() -> None:
    """At the end there is no time to go."""
    view = View(progress=evolve(STILL, total=2, pulled=2, succeeded=2, per_second=1.0, elapsed=3.0), total=2)
    assert "1.0/s   $0.00   elapsed 0:03" == lines(view)[2]
    assert lines(view)[0].endswith("█  100%  2 of 2")


def test_a_terminal_of_ascii_gets_ascii() -> None:
    """Nothing is written that the stream could not say, or would say in several signs."""
    shown = lines(VIEW, encoding="ascii")
    assert "#####x?====-......" in shown[0]
    assert shown[-1].startswith("x ??-?-xxxxxx~")
    assert all(line.isascii() for line in shown)


@pytest.mark.parametrize("width", [20, 41, 80])
def test_a_path_keeps_its_end(width: int) -> None:
    """Of a long path the name of the file is shown, in any script."""
    ending = Ending("a", Part.SUCCEEDED, "/图片/" + "狐狸" * 60 + "-0.png", is_path=True)
    last = lines(View(progress=BUSY, total=None, endings=(ending,)), width)[-1]
    assert last.startswith("█ a  …")
    assert last.endswith("狸-0.png")
    assert width - 1 <= cell_len(last) <= width


@given(
    st.builds(Ending, st.text(max_size=60), st.sampled_from(Part), st.text(max_size=80), st.booleans()),
    st.integers(1, 130),
    st.sampled_from(["utf-8", "ascii"]),
    st.integers(0, 10**7),
)
def test_no_text_and_no_width_breaks_a_line(ending: Ending, width: int, encoding: str, count: int) -> None:
    """Each line of the picture is one line of the screen, in any script, without control characters."""
    progress = evolve(BUSY, failed=count, pulled=count)
    view = View(progress=progress, total=None, providers=PROVIDERS, endings=(ending, *ENDINGS))
    shown = lines(view, width, encoding=encoding)
    assert 8 == len(shown)
    assert all(cell_len(line) <= width for line in shown)
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize("options", [{"no_color": True}, {"color_system": None}])
def test_shapes_tell_parts_apart_without_colours(options: dict[str, Any]) -> None:
    """Whoever wants no colours, or sees none, reads the same bar."""
    shown = "".join(lines(VIEW, force_terminal=True, **options))
    assert all(shape in shown for shape in "█x?▓▒░")
    assert not any(f"\x1b[{code}m" in shown for code in (31, 32, 35, 36))
