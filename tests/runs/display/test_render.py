"""The rendering of a snapshot: what it shows, and that no width and no text breaks its lines."""

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
from kling_async.runs.display.render import render_snapshot
from kling_async.runs.display.snapshot import GROUPS, ProviderView, RecentResult, Snapshot
from kling_async.types.status import JobStatus

from .test_snapshot import BUSY, PAUSE, SLOTS, STILL

PROVIDERS = (
    ProviderView(name="gptproto", accepted=90, submitting=2, finished=1100, throttled=3, per_second=3.5),
    ProviderView(
        name="apiinone",
        accepted=8,
        submitting=0,
        finished=9,
        throttled=0,
        per_second=None,
        trouble="unreachable",
        trouble_seconds=7.2,
    ),
)
RECENT = (
    RecentResult("cat-rain", JobStatus.SUCCEEDED, "/home/somebody/pictures/of/animals/cat-rain-0.png", is_path=True),
    RecentResult("狐狸-雪-" + "x" * 30 + "-17", JobStatus.FAILED, "内容被拒绝 \x1b[31m\r\n\u202e" + "!" * 200),
)
SNAPSHOT = Snapshot(progress=BUSY, total=1200, providers=PROVIDERS, recent=RECENT)


def lines(snapshot: Snapshot, width: int = 80, *, encoding: str = "utf-8", **options: Any) -> list[str]:
    """Draw a snapshot and return what is on the screen."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=file, width=width, **options)
    console.print(render_snapshot(snapshot))
    file.seek(0)
    return file.read().splitlines()


def test_everything_is_shown() -> None:
    """One bar, its legend, the facts, a line per provider, and the last results."""
    assert [
        "█████x?▓▓▓▓▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   10%    120 of 1,200",
        "█ 117 succeeded   x 2 failed   ? 1 unconfirmed   ▓ 98 accepted   ░ 980 planned",
        "4.0/s   ETA 4:30   $1.44   elapsed 1:04   110 saved",
        "gptproto   90 accepted   2 submitting   1,100 done   3.5/s   429 ×3",
        "apiinone    8 accepted   0 submitting       9 done     -/s   unreachable, 8 s",
        "█ cat-rain                  /home/somebody/pictures/of/animals/cat-rain-0.png",
        "x 狐狸-雪-xxx…xxxxxxxx-17   内容被拒绝  [31m   !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!…",
    ] == lines(SNAPSHOT)


@pytest.mark.parametrize(
    ("width", "first", "second"),
    [
        (
            100,
            "gptproto   90 accepted   2 submitting   1,100 done   3.5/s   max 20 slots: your limit   429 ×3",
            "apiinone    8 accepted   0 submitting       9 done     -/s   asked to wait 12 s",
        ),
        (
            80,
            "gptproto   90 accepted   2 submitting   1,100 done   max 20 slots: your limit",
            "apiinone    8 accepted   0 submitting       9 done     -/s   asked to wait 12 s",
        ),
        (
            60,
            "gptproto   90 accepted   2 submitting   1,100 done",
            "apiinone    8 accepted   0 submitting       9 done",
        ),
    ],
)
def test_what_limits_a_provider_comes_before_its_speed(width: int, first: str, second: str) -> None:
    """The limit is part of a provider's line, and where there is not enough room for both the speed is left out."""
    limited = evolve(PROVIDERS[0], limit=SLOTS)
    paused = evolve(PROVIDERS[1], limit=PAUSE, trouble="", trouble_seconds=0.0)
    assert [first, second] == lines(evolve(SNAPSHOT, providers=(limited, paused)), width)[3:5]


def test_little_is_shown_of_nothing() -> None:
    """A batch that has not started has no providers, no results and an empty bar."""
    assert [
        "    0%  0 of 0 so far",
        "█ 0 succeeded   ▓ 0 accepted   ░ 0 planned",
        "-/s   ETA -   $0.00   elapsed 0:00",
    ] == lines(Snapshot(progress=STILL, total=None))


@pytest.mark.parametrize(
    ("width", "facts"),
    [
        (100, "4.0/s   ETA 4:30   $1,234.50 of $2,400.00 to $24,000.00 + 80 without a price   elapsed 1:04"),
        (80, "4.0/s   ETA 4:30   $1,234.50 of $2,400.00 to $24,000.00 + 80 without a price"),
        (60, "4.0/s   ETA 4:30   $1,234.50 + 80 without a price"),
        (40, "4.0/s   ETA 4:30   $1,234.50"),
    ],
)
def test_money_is_shown_in_any_terminal(width: int, facts: str) -> None:
    """The money spent comes before the elapsed time, and takes fewer words where there is less room."""
    progress = evolve(BUSY, spent=Decimal("1234.5"), unpriced=80, saved=0)
    estimate = Estimate(low=Decimal(2400), high=Decimal(24000), priced=5, unpriced=("m",))
    assert facts == lines(Snapshot(progress=progress, total=1200, estimate=estimate), width)[2]


def test_at_the_end_there_is_no_remaining_time() -> None:
    """At the end there is no ETA."""
    snapshot = Snapshot(progress=evolve(STILL, total=2, pulled=2, succeeded=2, per_second=1.0, elapsed=3.0), total=2)
    assert "1.0/s   $0.00   elapsed 0:03" == lines(snapshot)[2]
    assert lines(snapshot)[0].endswith("█  100%  2 of 2")


def test_a_terminal_of_ascii_gets_ascii() -> None:
    """Nothing is written that the stream cannot encode, or encodes as several characters."""
    shown = lines(SNAPSHOT, encoding="ascii")
    assert "#####x?====-......" in shown[0]
    assert shown[-1].startswith("x ??-?-xxxxxx~")
    assert all(line.isascii() for line in shown)


@pytest.mark.parametrize("width", [20, 41, 80])
def test_a_path_keeps_its_end(width: int) -> None:
    """Of a long path the name of the file is shown, in any script."""
    result = RecentResult("a", JobStatus.SUCCEEDED, "/图片/" + "狐狸" * 60 + "-0.png", is_path=True)
    last = lines(Snapshot(progress=BUSY, total=None, recent=(result,)), width)[-1]
    assert last.startswith("█ a  …")
    assert last.endswith("狸-0.png")
    assert width - 1 <= cell_len(last) <= width


@given(
    st.builds(RecentResult, st.text(max_size=60), st.sampled_from(GROUPS), st.text(max_size=80), st.booleans()),
    st.integers(1, 130),
    st.sampled_from(["utf-8", "ascii"]),
    st.integers(0, 10**7),
)
def test_no_text_and_no_width_breaks_a_line(result: RecentResult, width: int, encoding: str, count: int) -> None:
    """Each line of the display is one line of the screen, in any script, without control characters."""
    progress = evolve(BUSY, failed=count, pulled=count)
    snapshot = Snapshot(progress=progress, total=None, providers=PROVIDERS, recent=(result, *RECENT))
    shown = lines(snapshot, width, encoding=encoding)
    assert 8 == len(shown)
    assert all(cell_len(line) <= width for line in shown)
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize("options", [{"no_color": True}, {"color_system": None}])
def test_shapes_distinguish_groups_without_colours(options: dict[str, Any]) -> None:
    """The bar can be read without colours."""
    shown = "".join(lines(SNAPSHOT, force_terminal=True, **options))
    assert all(shape in shown for shape in "█x?▓▒░")
    assert not any(f"\x1b[{code}m" in shown for code in (31, 32, 35, 36))
