"""The page of models says all that the providers' table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kling_async.providers import PROVIDERS, ModelSpec

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


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_there(page: str, name: str) -> None:
    """A provider stands there with its origin, the variable of its key, and how the key is sent."""
    provider = PROVIDERS[name]
    for text in (f"## {provider.title}\n", provider.origin, provider.key_variable, provider.url_variable):
        assert text in page
    assert all(f"`{scheme}`" in page for scheme in provider.schemes)


@pytest.mark.parametrize(("provider", "spec"), MODELS)
def test_every_model_is_there(page: str, provider: str, spec: ModelSpec) -> None:
    """A model stands there with its scenes, its rules and its prices; unknown prices are said to be unknown."""
    told = section(page, provider, spec)
    assert all(f"`{scene}`" in told for scene in spec.scenes)
    assert all(f"`{rule.name}` {rule.text}." in told for rule in spec.together)
    assert all(f"${price.low}" in told and f"${price.high}" in told for price in spec.prices)
    assert ("Price: not published." in told) == (not spec.prices)


@pytest.mark.parametrize(("provider", "spec"), MODELS)
def test_every_parameter_is_there(page: str, provider: str, spec: ModelSpec) -> None:
    """A parameter stands in a line of its own with what it may be, scene by scene, its wire name and its certainty."""
    rows = [line for line in section(page, provider, spec).splitlines() if line.startswith("| `")]
    assert len(rows) == len(spec.parameters)
    for row, parameter in zip(rows, spec.parameters, strict=True):
        assert f'`extra["{parameter.name}"]`' in row if parameter.extra else f"| `{parameter.name}`" in row
        assert f"`{parameter.wire}`" in row or parameter.extra
        assert str(parameter.rule).partition(": ")[0] in row
        assert all(str(rule) in row for rule in parameter.in_scene.values())
        assert f"[{parameter.source.certainty} ".replace(" ", "\N{NO-BREAK SPACE}") in row
        assert ("| required |" in row) == parameter.required


def test_every_source_is_there(page: str) -> None:
    """What a mark in the table refers to is written out at the end of the provider's part."""
    for _, spec in MODELS:
        for one in (spec, *spec.parameters, *spec.together, *spec.prices):
            assert f" {one.source.certainty}: {one.source.where}\n" in page
