"""The page of models has all of the providers' tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from kling_async.providers import PROVIDERS, ModelSpec, Source

from ..conftest import load_from_docs

MODELS = [(provider.name, spec) for provider in PROVIDERS.values() for spec in provider.models.values()]


@pytest.fixture
def page(tmp_path: Path) -> str:
    """Write the page as the build does, and read it."""
    module = load_from_docs("models_page.py")
    module.write_models_page(tmp_path / "models.md")
    return (tmp_path / "models.md").read_text(encoding="utf-8")


def section(page: str, provider: str, spec: ModelSpec) -> str:
    """Cut one model's part out of the page."""
    _, found, rest = page.partition(f"### {spec.name} ({PROVIDERS[provider].title})\n")
    assert found
    return rest.partition("\n### ")[0]


def written(source: Source) -> str:
    """Write a source as the page does, its URL as a link."""
    where, colon, url = source.where.partition("https://")
    return f" {source.certainty}: {where}<{colon}{url}>\n" if url else f" {source.certainty}: {where}\n"


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_there(page: str, name: str) -> None:
    """A provider is listed with its origin, the variable of its API key, and the scheme of the key."""
    provider = PROVIDERS[name]
    for text in (f"## {provider.title}\n", provider.origin, provider.api_key_env, provider.base_url_env):
        assert text in page
    assert all(f"`{scheme}`" in page for scheme in provider.schemes)


@pytest.mark.parametrize(("provider", "spec"), MODELS)
def test_every_model_is_there(page: str, provider: str, spec: ModelSpec) -> None:
    """A model is listed with its scenes, rules and prices; unknown prices are called unpublished."""
    text = section(page, provider, spec)
    assert all(f"`{scene}`" in text for scene in spec.scenes)
    assert all(f"`{rule.name}` {rule.text}." in text for rule in spec.cross_field_rules)
    assert all(f"${price.low}" in text and f"${price.high}" in text for price in spec.prices)
    assert ("Price: not published." in text) == (not spec.prices)


@pytest.mark.parametrize(("provider", "spec"), MODELS)
def test_every_parameter_is_there(page: str, provider: str, spec: ModelSpec) -> None:
    """A parameter is in a line of its own, with its constraint in each scene, its wire name and its certainty."""
    rows = [line for line in section(page, provider, spec).splitlines() if line.startswith("| `")]
    assert len(rows) == len(spec.parameters)
    for row, parameter in zip(rows, spec.parameters, strict=True):
        assert f'`extra["{parameter.name}"]`' in row if parameter.extra else f"| `{parameter.name}`" in row
        assert f"`{parameter.wire_name}`" in row or parameter.extra
        assert str(parameter.rule).partition(": ")[0] in row
        assert all(str(rule) in row for rule in parameter.per_scene.values())
        assert f"[{parameter.source.certainty} ".replace(" ", "\N{NO-BREAK SPACE}") in row
        assert ("| required |" in row) == parameter.required


def test_every_source_is_there(page: str) -> None:
    """The full text of each source is at the end of the provider's part."""
    for _, spec in MODELS:
        for one in (spec, *spec.parameters, *spec.cross_field_rules, *spec.prices):
            assert written(one.source) in page


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_capability_is_there(page: str, name: str) -> None:
    """A capability is in a row of its own with its value and its certainty, and its source is written out."""
    provider = PROVIDERS[name]
    _, found, rest = page.partition(f"## {provider.title}\n")
    assert found
    rows = {line.split("`")[1]: line for line in rest.partition("\n### ")[0].splitlines() if line.startswith("| `")}
    assert [capability for capability, _ in provider.capabilities] == list(rows)
    for capability, fact in provider.capabilities:
        assert f" | {fact} | " in rows[capability]
        assert f"[{fact.source.certainty} ".replace(" ", "\N{NO-BREAK SPACE}") in rows[capability]
        assert written(fact.source) in page
