"""Jobs without a model: a run of them is known again at each provider, whatever its default model is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async import ImageInput, Input, InputError, VideoInput
from kling_async.providers import PROVIDERS, provider_named
from kling_async.testing import Fixed, Sandbox, SandboxServer

from .conftest import Type
from .test_runs import statuses

QUIET = ("--progress", "none")


def has_other_default(name: str, input: Input) -> bool:
    """Return whether a provider has a default model for an input that is not that of the first providers."""
    try:
        return provider_named(name).resolve(input).model != provider_named("gptproto").resolve(input).model
    except InputError:
        return False


CASES = [
    ("gptproto", "image"),
    *(
        (name, input.kind)
        for name in PROVIDERS
        for input in (ImageInput("a"), VideoInput("a"))
        if has_other_default(name, input)
    ),
]


@pytest.fixture
def everywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve all providers."""
    made = Sandbox(strict=True, image_latency=Fixed(0.05), video_latency=Fixed(0.05))
    with SandboxServer(made) as server:
        for name, provider in PROVIDERS.items():
            monkeypatch.setenv(provider.base_url_env, server.url)
            monkeypatch.setenv(provider.api_key_env, made.key_for(name))
        monkeypatch.chdir(folder)
        yield made


@pytest.mark.parametrize(("provider", "kind"), CASES)
def test_a_run_of_jobs_without_a_model_is_known_again(
    typed: Type, everywhere: Sandbox, capfd: pytest.CaptureFixture[str], provider: str, kind: str
) -> None:
    """The job file again, a resume and a retry with the same input neither refuse the jobs as changed nor pay again."""
    rows = [{"key": "a", "kind": kind, "prompt": "a cat"}, {"key": "b", "kind": kind, "prompt": "a dog"}]
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert 0 == typed("batch", "m.jsonl", "-p", provider, *QUIET), capfd.readouterr().err
    assert 0 == typed("batch", "m.jsonl", "-p", provider, *QUIET), capfd.readouterr().err
    assert 0 == typed("resume", "m", *QUIET), capfd.readouterr().err
    assert {"a": "succeeded", "b": "succeeded"} == statuses(Path("m"))
    assert 2 == typed("retry", "m", "a", *QUIET)
    assert "has succeeded with this input" in capfd.readouterr().err
    assert 2 == everywhere.submits
    assert 0 == typed("retry", "m", "a", "--set", "prompt=a fox", *QUIET), capfd.readouterr().err
    assert 0 == typed("batch", "m.jsonl", "-p", provider, *QUIET), capfd.readouterr().err
    assert 3 == everywhere.submits
