"""Settings of a project: which file has them, what comes before them, and what they can never do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cyclopts import CycloptsError

from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import about, statuses, write

QUIET = """progress = "none"
provider = ["apiinone"]
"""


def test_settings_and_profiles(typed: Type, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile comes before the rest of the file, an option before both, and a folder finds the file above it."""
    Path("kling.toml").write_text(f"{QUIET}rate = 20\nmax_cost = 1\n[profiles.small]\nmax-cost = 0.012\nrate = 10.5\n")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    write("m.csv", {"a": "a cat", "b": "a dog"})
    assert 0 == typed("batch", "m.csv", "-o", "plain")
    settings = about(Path("plain"))["settings"]
    assert (["apiinone"], 20.0, "1") == (settings["provider"], settings["rate"], settings["max_cost"])
    assert 4 == typed("batch", "m.csv", "-o", "small", "--profile", "small")
    assert 0 == typed("batch", "m.csv", "-o", "given", "--profile", "small", "--max-cost", "2")
    settings = about(Path("given"))["settings"]
    assert ("2", 10.5) == (settings["max_cost"], settings["rate"])
    monkeypatch.setenv("KLING_PROFILE", "small")
    assert 4 == typed("batch", "m.csv", "-o", "again")
    assert 2 + 1 + 2 + 1 == sandbox.submits


def test_a_run_keeps_its_own_settings(typed: Type, sandbox: Sandbox) -> None:
    """What a run has stored, and what it was started without, comes before settings that were written later."""
    write("m.csv", {"a": "a cat", "b": "a dog [[refused]]"})
    assert 1 == typed("batch", "m.csv", "-p", "apiinone", "--rate", "20", "--progress", "none")
    Path("kling.toml").write_text('progress = "none"\nprovider = ["gptproto"]\nrate = 1\nmax-cost = 0.001\n')
    stored = about(Path("m"))["settings"]
    assert 0 == typed("retry", "m", "--set", "prompt=a fox")
    assert 0 == typed("resume", "m")
    assert 0 == typed("batch", "m.csv")
    assert stored == about(Path("m"))["settings"]
    assert {"a": "succeeded", "b": "succeeded"} == statuses(Path("m"))
    assert 0 == typed("resume", "m", "--rate", "5")
    assert 5.0 == about(Path("m"))["settings"]["rate"]
    assert 2 == sandbox.submits - 1


def test_pyproject(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Its table has settings, unless kling.toml is beside it; a file without the table is passed over."""
    Path("pyproject.toml").write_text('[tool.kling-async]\nprovider = ["apiinone"]\nprice = ["kling-image-o1=0.5"]\n')
    write("m.csv", {"a": "a cat"})
    assert 0 == typed("plan", "m.csv")
    assert "expected cost: $0.50" in capfd.readouterr().err
    inner = Path("inner")
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inner)
        assert 0 == typed("plan", "../m.csv")
    assert "expected cost: $0.50" in capfd.readouterr().err
    Path("kling.toml").write_text('provider = ["apiinone"]\n')
    assert 0 == typed("plan", "m.csv")
    assert "expected cost: $0.012" in capfd.readouterr().err
    assert 0 == sandbox.submits


def test_a_plan_takes_the_rate_of_the_settings(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """The time of a plan is that of a run with these settings, and an option goes before them."""
    Path("kling.toml").write_text('provider = ["apiinone"]\nrate = 0.5\n[profiles.fast]\nrate = 1.0\n')
    write("m.csv", {f"cat-{number}": f"a cat, number {number}" for number in range(11)})
    for words, seconds in {(): 20, ("--profile", "fast"): 10, ("--rate", "0.25"): 40}.items():
        assert 0 == typed("plan", "m.csv", *words)
        assert f"Submitting takes {seconds} s at least" in capfd.readouterr().err
    assert 0 == sandbox.submits


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        ("retry-failed = true", (), 'unknown setting "retry-failed"'),
        ("accept_changed = true", (), 'unknown setting "accept-changed"'),
        ("json = true", (), 'unknown setting "json"'),
        ("[profiles.a]\nrat = 1", ("--profile", "a"), 'unknown setting "rat"'),
        ("[profiles.a]\nrate = 1", ("--profile", "b"), 'no profile "b"; its profiles: a'),
        ("rate = ", (), "Invalid"),
        ('rate = "quick"', (), "rate"),
        (None, ("--profile", "a"), "there is no kling.toml"),
    ],
)
def test_wrong_settings_send_nothing(
    typed: Type, sandbox: Sandbox, text: str | None, words: tuple[str, ...], problem: str
) -> None:
    """Each is an error that names it; nothing that pays again can be set."""
    write("m.csv", {"a": "a cat"})
    if text is not None:
        Path("kling.toml").write_text(text)
    with pytest.raises(CycloptsError) as raised:
        typed("batch", "m.csv", "-p", "apiinone", *words)
    assert problem in str(raised.value)
    assert 0 == typed("runs")
    assert 0 == sandbox.submits
