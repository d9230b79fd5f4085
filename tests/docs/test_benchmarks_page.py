"""The page of benchmarks says who wins by the figures, whoever that is."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..conftest import load_from_docs

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference" / "benchmarks"


@pytest.fixture
def page() -> ModuleType:
    """Load what writes of the comparison with other SDKs."""
    return load_from_docs("../benchmarks/peers_page.py")


def rows(in_flight: int = 10, /, **times: float | None) -> list[dict[str, Any]]:
    """Return figures of clients that cost so many times what ours does; None for one with no poll done."""
    return [
        {
            "client": client,
            "call": f"{client}.get",
            "in_flight": in_flight,
            "got": 0.0 if many is None else 1 / many,
            "micros": None if many is None else 100.0 * many,
            "done": 7 if many is None or many > 5 else 2000,
            "asked": 2000,
            "failed": 3 if many is None else 0,
        }
        for client, many in {"kling_async": 1.0, **times}.items()
    ]


def test_we_win(page: ModuleType) -> None:
    """If our polls cost the least, the sentence says by how much, and names the next; the floor is no SDK."""
    assert page.sentence(rows(aiohttp=0.5, fal=8.0, google=1.75)) == (
        "**CPU per poll: with 10 in flight kling_async costs the least of 3 SDKs, and the next, google, 1.8 times as"
        " much; a bare GET by aiohttp takes 0.50 times as much as kling_async.**"
    )


def test_we_lose(page: ModuleType) -> None:
    """If another's polls cost less, the sentence says that it does, for each number in flight by itself."""
    assert page.sentence([*rows(10, fal=0.5, google=0.8), *rows(1000, fal=20.0, google=3.0)]) == (
        "**CPU per poll: with 10 in flight fal costs the least of 3 SDKs, 0.50 times as much as kling_async;"
        " with 1,000 in flight kling_async costs the least of 3 SDKs, and the next, google, 3.0 times as much.**"
    )


def whole_runs(**micros: float | None) -> list[dict[str, Any]]:
    """Return figures of whole runs that cost so many microseconds a request; None for one without a measurement."""
    known = {name: {} if cost is None else {"cpu us/request": cost} for name, cost in micros.items()}
    return [{"figure": "cpu", "what": name, "detail": detail} for name, detail in known.items()]


def test_whole_runs(page: ModuleType) -> None:
    """The sentence has each client's cost, the cheapest first behind ours, and how many times ours it is."""
    figures = [*whole_runs(kling=600.0, wavespeed=1200.0, naive=300.0, floor=130.0, per_job=None)]
    assert page.run_sentence([*figures, {"figure": "flat", "what": "x", "detail": {"cpu us/request": 1.0}}]) == (
        "**CPU per request in whole runs: kling_async 600 us; naive 300 us, 0.50 times as much;"
        " wavespeed 1,200 us, 2.0 times as much; a bare GET by aiohttp 130 us.**"
    )


def test_the_page_says_what_its_figures_say(page: ModuleType) -> None:
    """The sentence at the top of the page is made of the figures beside it."""
    results = json.loads((PAGES / "results.json").read_text(encoding="utf-8"))
    top = (PAGES / "index.md").read_text(encoding="utf-8").partition("## ")[0]
    assert page.run_sentence(results["scheduler"]["figures"]) in top
    assert "peers" not in results or page.sentence(results["peers"]["figures"]) in top


@pytest.mark.parametrize("many", [0.96, 1.0, 1.04])
def test_we_are_even(page: ModuleType, many: float) -> None:
    """What rounds to the same is said to be the same."""
    assert "kling_async and fal cost the same, the least of 2 SDKs" in page.sentence(rows(fal=many))


def test_some_cannot(page: ModuleType) -> None:
    """An SDK with no poll done is not the next, and without another there is nothing to win against."""
    assert "the next, google, 9.0 times" in page.sentence(rows(fal=None, google=9.0))
    assert "has no other SDK beside it" in page.sentence(rows(fal=None))


def test_cells(page: ModuleType) -> None:
    """The table has the cheapest first, and says how many polls were done and failed where it was not all and none."""
    figures = [*rows(10, aiohttp=0.5, fal=2.0), *rows(100, aiohttp=0.5, fal=None), *rows(1000, aiohttp=0.7, fal=12.0)]
    text = page.comparison({"figures": figures, "cap": 20.0, "repeats": 5, "load": [0.5, 2.25]})
    assert "rounds: 5. The machine's load was 0.5 before and 2.2 after." in text
    assert text.splitlines()[-5:] == [
        "| SDK | call | 10 in flight | 100 in flight | 1,000 in flight |",
        "|---|---|--:|--:|--:|",
        "| aiohttp | `aiohttp.get` | 50 us (x 0.50) | 50 us (x 0.50) | 70 us (x 0.70) |",
        "| kling_async | `kling_async.get` | 100 us | 100 us | 100 us |",
        "| fal | `fal.get` | 200 us (x 2.0) | - (7 of 2,000 done; 3 failed) | 1,200 us (x 12; 7 of 2,000 done) |",
    ]
