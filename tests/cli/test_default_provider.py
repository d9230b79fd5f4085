"""The provider of commands that name none, which a run keeps whatever keys there are later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.cli import build_app
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxServer

SHEET, METADATA = Path("prompts.csv"), Path("prompts", "run.json")


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a quick sandbox of all providers, with a key for Kling alone, beside a job file of two rows."""
    made = Sandbox(strict=True, image_latency=Fixed(0.05))
    with SandboxServer(made) as server:
        for provider in PROVIDERS.values():
            monkeypatch.setenv(provider.base_url_env, server.url)
        monkeypatch.setenv("KLING_API_KEY", made.key_for("kling"))
        monkeypatch.chdir(tmp_path)
        SHEET.write_text("key,prompt\nfox,a red fox\nowl,an old owl\n")
        yield made


def typed(*words: str) -> int:
    """Run a command in this process, and return its exit code."""
    try:
        code = build_app()(words, exit_on_error=False, result_action="return_value")
    except SystemExit as error:
        code = error.code
    return int(code or 0)


ALIKE: dict[str, tuple[str, ...]] = {
    "generate": ("generate", "a red fox"),
    "generate --dry-run": ("generate", "a red fox", "--dry-run"),
    "plan": ("plan", "prompts.csv"),
    "batch": ("batch", "prompts.csv", "--progress", "none"),
    "batch --dry-run": ("batch", "prompts.csv", "--dry-run"),
    "compare": ("compare", "prompts.csv", "--on", ":kling-image-o1", "--progress", "none"),
    "compare --dry-run": ("compare", "prompts.csv", "--on", ":kling-image-o1", "--dry-run"),
}
"""Commands that name no provider."""


@pytest.mark.parametrize("words", ALIKE.values(), ids=ALIKE.keys())
def test_the_only_key_decides_for_every_command(
    words: tuple[str, ...], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They use the one provider with a key; with several they end with 2, name those, and send nothing more."""
    assert 0 == typed(*words)
    assert {"kling"} >= {charge.provider for charge in sandbox.entries}
    billed = sandbox.billed()
    assert (billed > 0) is (words[0] in ("generate", "batch", "compare") and "--dry-run" not in words)
    monkeypatch.setenv("FAL_KEY", sandbox.key_for("fal"))
    other = ("-o", "other") if words[0] in ("batch", "compare") and "--dry-run" not in words else ()
    capfd.readouterr()
    assert 2 == typed(*words, *other)
    shown = capfd.readouterr().err
    assert "fal, kling" in shown
    assert "--provider fal" in shown
    assert billed == sandbox.billed()


def test_a_run_keeps_its_provider(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that comes later, of the usual default or of another, moves no job of the run, on resume or in a rerun."""
    assert 4 == typed("batch", "prompts.csv", "--progress", "none", "--max-cost", "0.03")
    assert 1 == sandbox.billed()
    for name in ("gptproto", "fal"):
        monkeypatch.setenv(PROVIDERS[name].api_key_env, sandbox.key_for(name))
    assert 0 == typed("resume", "prompts", "--progress", "none", "--max-cost", "1")
    SHEET.write_text(f"{SHEET.read_text()}hen,a hen\n")
    assert 0 == typed("batch", "prompts.csv", "--merge", "--progress", "none")
    assert ["kling"] * 3 == [charge.provider for charge in sandbox.entries]


def test_a_run_that_stored_no_provider_was_the_usual_one_s(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions stored none for GPTProto: such a run goes on there, though the only key is another's now."""
    monkeypatch.setenv("GPTPROTO_API_KEY", sandbox.key)
    assert 0 == typed("batch", "prompts.csv", "--progress", "none", "--limit", "1")
    metadata = json.loads(METADATA.read_text())
    del metadata["settings"]["provider"]
    METADATA.write_text(json.dumps(metadata))
    monkeypatch.delenv("GPTPROTO_API_KEY")
    assert 2 == typed("batch", "prompts.csv", "--progress", "none")
    assert 1 == sandbox.billed()
    monkeypatch.setenv("GPTPROTO_API_KEY", sandbox.key)
    assert 0 == typed("batch", "prompts.csv", "--progress", "none")
    assert ["gptproto"] * 2 == [charge.provider for charge in sandbox.entries]


def test_doctor_names_the_default(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The provider that commands use without --provider, or why there is none."""
    monkeypatch.setenv("COLUMNS", "200")

    def default() -> str:
        assert 0 == typed("doctor")
        [line] = [line for line in capfd.readouterr().out.splitlines() if "Default provider" in line]
        return line

    assert "kling" in default()
    monkeypatch.setenv("FAL_KEY", sandbox.key_for("fal"))
    assert "2 have an API key" in default()
    monkeypatch.setenv("GPTPROTO_API_KEY", sandbox.key)
    assert "gptproto" in default()
