"""What a run has learned: kept in its directory, shown without the key, and used by the next run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import Client
from kling_async.cli import learned
from kling_async.cli.learned import LearnedKeeper
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

from .test_compare import typed

KEY = "sk-canary-5512"
QUIETLY = ("--progress", "none", "-p", "kling")


@pytest.fixture
def sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a quick sandbox with two slots, and let commands run in a folder of their own."""
    made = Sandbox(key=KEY, strict=True, image_latency=Fixed(0.3), max_open=2)
    with SandboxServer(made) as server:
        monkeypatch.setenv("KLING_BASE_URL", server.url)
        monkeypatch.setenv("KLING_API_KEY", made.key_for("kling"))
        for name in ("GPTPROTO", "APIINONE", "WAVESPEED", "FAL", "OPENROUTER", "COMFY"):
            monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.chdir(folder)
        yield made


def run_cats(count: int, directory: str = "run") -> None:
    """Run images, more at once than the sandbox has slots for."""
    lines = [json.dumps({"key": f"cat-{n}", "prompt": f"cat {n}"}) for n in range(count)]
    Path("cats.jsonl").write_text("\n".join(lines))
    assert 0 == typed("batch", "cats.jsonl", "-o", directory, "--merge", *QUIETLY, "--price", "kling-image-o1=0.01")


def status(capfd: pytest.CaptureFixture[str], directory: str = "run") -> dict[str, Any]:
    """Return the status of a run."""
    capfd.readouterr()
    assert 0 == typed("status", directory, "--json")
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_what_a_run_has_learned_is_shown_without_its_key(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """`status` names the slots that refusals have shown, and `doctor` starts with them; an account is its provider."""
    run_cats(6)
    [account] = status(capfd)["learned"]
    assert account.keys() == {"provider", "max_open"}
    assert "kling" == account["provider"]
    slots = f"{account['max_open']} slot{'' if account['max_open'] == 1 else 's'}"
    capfd.readouterr()
    assert (0, 0, 0) == (typed("status", "run"), typed("doctor", "run"), typed("doctor"))
    shown = capfd.readouterr()
    assert f"Learned limits of kling: {slots}\n" in shown.out
    assert f"{slots} (learned)" in shown.out
    assert "10 slots" in shown.out
    [name] = json.loads(Path("run/timings.json").read_text())["limits"]
    assert name.removeprefix("kling ") not in shown.out + shown.err
    assert KEY not in shown.out + shown.err + Path("run/timings.json").read_text()
    assert 0o600 == Path("run/timings.json").stat().st_mode & 0o777


def test_a_resumed_run_starts_with_what_it_has_learned(sandbox: Sandbox) -> None:
    """The second part of a run knows the slots that the first part has found, and is refused at most once more."""
    run_cats(6)
    assert sandbox.submits - 6 > 1
    before = sandbox.submits
    run_cats(12)
    assert sandbox.submits - before - 6 <= 1
    assert 12 == sandbox.billed()


def test_another_key_has_learned_nothing(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor` applies what was learned to the account that it was learned of, and to no other of the provider."""
    run_cats(6)
    monkeypatch.setenv("KLING_API_KEY", "another-key")
    capfd.readouterr()
    assert 0 == typed("doctor", "run")
    shown = capfd.readouterr().out
    assert "learned" not in shown
    assert "10 slots" in shown


def test_a_run_without_a_record_is_as_before(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A directory of an earlier version has no record: it is shown and resumed, and nothing is paid again."""
    run_cats(6)
    Path("run/timings.json").unlink()
    assert [] == status(capfd)["learned"]
    assert 0 == typed("resume", "run", "--progress", "none")
    assert not Path("run/timings.json").exists()
    assert 6 == sandbox.billed()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 99, "kinds": []}', '{"version": 1, "kinds": [], "limits": 3}']
)
def test_a_damaged_record_is_left_aside(sandbox: Sandbox, capfd: pytest.CaptureFixture[str], text: str) -> None:
    """What cannot be read is said, stops no command, and is replaced by the next run that learns something."""
    run_cats(2)
    Path("run/timings.json").write_text(text)
    assert [] == status(capfd)["learned"]
    run_cats(3)
    assert "What the run had learned is left aside" in capfd.readouterr().err
    assert {"version", "kinds"} <= json.loads(Path("run/timings.json").read_text()).keys()
    assert 3 == sandbox.billed()


def test_doctor_needs_a_run(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A directory without a run is an error and no silent default."""
    assert 2 == typed("doctor", "nowhere")
    assert "No run found" in capfd.readouterr().err


def test_a_record_is_written_while_the_run_goes_on(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written when it is due, and not before; a disk that refuses it ends nothing."""
    run_cats(2)
    saved = json.loads(Path("run/timings.json").read_text())
    client = Client("kling", timings=saved)
    (folder / "other").mkdir()
    other = RunDirectory(folder / "other")

    anyio.run(LearnedKeeper(other, client).write_if_due)
    assert not other.timings.exists()
    monkeypatch.setattr(learned, "_SECONDS", 0.0)
    anyio.run(LearnedKeeper(other, client).write_if_due)
    assert saved == json.loads(other.timings.read_text())
    LearnedKeeper(RunDirectory(folder / "missing"), client).write()
