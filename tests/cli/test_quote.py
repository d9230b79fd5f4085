"""`kling-async plan FILE --quote`, `providers NAME --balance` and `models --refresh NAME`: questions to a provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from kling_async.providers import PROVIDERS
from kling_async.testing import Sandbox, SandboxServer

from .test_compare import typed

ROWS = [
    {"key": "cat", "prompt": "a cat"},
    {"key": "cats", "prompt": "a cat"},
    {"key": "dog", "prompt": "a dog", "model": "kling-3.0-omni-std", "sound": True},
    {"key": "fox", "prompt": "", "model": "kling-3.0-pro", "image": "https://x.test/a", "video": "https://x.test/b"},
]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox of all providers, in a folder with a job file of four rows."""
    made = Sandbox(strict=True, balance=Decimal("12.5"))
    with SandboxServer(made) as server:
        for provider in PROVIDERS.values():
            monkeypatch.setenv(provider.base_url_env, server.url)
            monkeypatch.setenv(provider.api_key_env, made.key_for(provider.name))
        monkeypatch.chdir(tmp_path)
        Path("jobs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
        yield made


def asked(sandbox: Sandbox) -> list[str]:
    """Return the paths of all requests."""
    return [one.path for one in sandbox.log]


def test_a_quote_says_what_is_live(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each model has a line that says where its price is from; nothing is submitted, and equal rows are one request."""
    assert 0 == typed("plan", "jobs.jsonl", "--quote", "-p", "wavespeed")
    shown = capsys.readouterr().err
    lines = [line.split() for line in shown.splitlines() if line.strip().startswith("wavespeed")]
    assert [
        ["wavespeed", "kling-image-o1", "2", "live", "$0.056"],
        ["wavespeed", "kling-3.0-omni-std", "1", "live", "$0.42"],
        ["wavespeed", "kling-3.0-pro", "1", "unknown", "unknown"],
    ] == lines
    assert "4 jobs, expected cost: $0.476 for 3 jobs, unknown for 1 job" in shown
    assert "Nothing was submitted." in shown
    assert ["/api/v3/model/price"] * 2 == asked(sandbox)
    assert (0, 0) == (sandbox.submits, sandbox.billed())


def test_a_quote_as_json(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is an object; where no price is known it is null, never 0."""
    assert 0 == typed("plan", "jobs.jsonl", "--quote", "-p", "wavespeed", "--json")
    first, *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"jobs": 2, "live": 2, "table": 0, "unknown": 0, "low": "0.056"} == {name: first[name] for name in _ROW}
    assert {"jobs": 1, "live": 0, "table": 0, "unknown": 1, "low": None} == {name: last[name] for name in _ROW}


_ROW = ("jobs", "live", "table", "unknown", "low")


def test_a_table_needs_no_key(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider that tells no price is not asked and needs no key, beside one that is asked."""
    monkeypatch.delenv("APIINONE_API_KEY")
    Path("cats.jsonl").write_text('{"prompt": "a cat"}\n')
    assert 0 == typed("plan", "cats.jsonl", "--quote", "-p", "apiinone", "-p", "wavespeed")
    shown = capsys.readouterr().err
    assert [["apiinone", "kling-image-o1", "1", "table", "$0.012"], ["wavespeed", "kling-image-o1", "1", "live"]] == [
        line.split()[: 5 - ("wavespeed" in line)] for line in shown.splitlines() if "kling-image-o1 " in line
    ]
    assert ["/api/v3/model/price"] == asked(sandbox)
    monkeypatch.delenv("WAVESPEED_API_KEY")
    assert 0 == typed("plan", "cats.jsonl", "--quote", "-p", "apiinone")
    assert 2 == typed("plan", "cats.jsonl", "--quote", "-p", "wavespeed")
    assert "WAVESPEED_API_KEY" in capsys.readouterr().err
    assert 1 == len(asked(sandbox))


def test_a_refused_key_ends_a_quote(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong key is an error with its exit code; without --quote nothing is asked at all."""
    monkeypatch.setenv("WAVESPEED_API_KEY", "sk-wrong")
    assert 3 == typed("plan", "jobs.jsonl", "--quote", "-p", "wavespeed")
    assert "AuthenticationError" in capsys.readouterr().err
    before = len(asked(sandbox))
    assert 0 == typed("plan", "jobs.jsonl", "-p", "wavespeed")
    assert before == len(asked(sandbox))


def test_a_balance_is_asked_for_on_demand(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The flag sends one request and shows the balance; without it nothing is sent."""
    assert 0 == typed("providers", "wavespeed")
    assert [] == asked(sandbox)
    capsys.readouterr()
    assert 0 == typed("providers", "wavespeed", "--balance")
    assert "WaveSpeedAI: $12.50" == capsys.readouterr().out.strip()
    assert ["/api/v3/balance"] == asked(sandbox)
    sandbox.balance = Decimal("-0.028")
    assert 0 == typed("providers", "wavespeed", "--balance")
    assert "WaveSpeedAI: -$0.028" == capsys.readouterr().out.strip()


def test_a_balance_that_cannot_be_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No name, a provider without a balance, no key and a wrong key each have their error and their exit code."""
    assert 2 == typed("providers", "--balance")
    assert "providers NAME --balance" in capsys.readouterr().err
    monkeypatch.delenv("OPENROUTER_API_KEY")
    assert 1 == typed("providers", "openrouter", "--balance")
    assert "The balance at OpenRouter cannot be read" in capsys.readouterr().err
    assert [] == asked(sandbox)
    monkeypatch.setenv("WAVESPEED_API_KEY", "sk-wrong")
    assert 3 == typed("providers", "wavespeed", "--balance")
    assert "AuthenticationError" in capsys.readouterr().err
    monkeypatch.delenv("WAVESPEED_API_KEY")
    assert 2 == typed("providers", "wavespeed", "--balance")
    assert "WAVESPEED_API_KEY" in capsys.readouterr().err


def test_a_list_is_compared_on_demand(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flag sends one request and shows differences only; without it nothing is sent."""
    assert 0 == typed("models")
    assert [] == asked(sandbox)
    capsys.readouterr()
    assert 0 == typed("models", "--refresh", "wavespeed", "--json")
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert "kwaivgi/kling-v3.0-pro/motion-control" in {row["model"] for row in rows}
    assert all("where the table has none" in row["difference"] for row in rows)
    assert "Nothing is changed" in shown.err
    assert ["/api/v3/models"] == asked(sandbox)
    assert 0 == typed("models", "--refresh", "wavespeed")
    assert "kwaivgi/kling-v3.0-pro/motion-control" in capsys.readouterr().out
    assert 0 == typed("models", "--refresh", "openrouter")
    assert "OpenRouter lists what the table has" in capsys.readouterr().err
    assert 0 == typed("models", "--refresh", "comfy")
    assert "Comfy Router lists what the table has" in capsys.readouterr().err
    assert 0 == typed("models", "--refresh", "fal", "--json")
    assert "end_image_url" in capsys.readouterr().out
    assert not any(one.with_key for one in sandbox.log if one.path.endswith("/llms.txt"))
    assert 1 == typed("models", "--refresh", "kling")
    assert "cannot be listed" in capsys.readouterr().err
    monkeypatch.setenv("WAVESPEED_API_KEY", "sk-wrong")
    assert 3 == typed("models", "--refresh", "wavespeed")
