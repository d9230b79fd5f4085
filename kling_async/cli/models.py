"""`kling-async models`: the providers' tables, as people read them."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from ..errors import InputError, InputFault
from ..providers import PROVIDERS, ModelSpec, Provider, provider_named
from ..providers.check import suggestion
from .talk import ExitCode, data, escape, run, say

__all__ = ["models"]


def models(
    name: str | None = None,
    /,
    *,
    provider: Annotated[str | None, Parameter(name=["--provider", "-p"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """List the models of each provider, or the parameters of one, with where each fact is from.

    Args:
        name: A model to show whole.
        provider: One provider only.
        json: Print JSON.
    """

    async def command() -> ExitCode:
        chosen = [provider_named(provider)] if provider else list(PROVIDERS.values())
        found = [(one, spec) for one in chosen for spec in one.models.values() if name in (None, spec.name)]
        if not found:
            names = sorted({known for one in chosen for known in one.models})
            allowed = f"must be one of {', '.join(names)}{suggestion(name or '', names)}"
            raise InputError.of("Unknown model", [InputFault("model", name, allowed)])
        if json:
            _print_json(found)
        elif name is None:
            _print_list(found)
        else:
            for one, spec in found:
                _print_model(one, spec)
        return ExitCode.DONE

    return run(command)


def _price(spec: ModelSpec) -> str:
    if not spec.prices:
        return "not published"
    low, high = min(price.low for price in spec.prices), max(price.high for price in spec.prices)
    return f"${low}" if low == high else f"${low} to ${high}"


def _print_list(found: list[tuple[Provider, ModelSpec]]) -> None:
    table = Table("provider", "model", "makes", "scenes", "price per submission", "known from")
    for provider, spec in found:
        table.add_row(
            provider.name, spec.name, spec.kind.value, ", ".join(spec.scenes), _price(spec), spec.source.certainty
        )
    data.print(table)
    say("[dim]`kling-async models NAME` shows a model's parameters.[/]")


def _print_model(provider: Provider, spec: ModelSpec) -> None:
    table = Table("field", "sent as", "what it may be", "default", "source", title=f"{spec.name} at {provider.title}")
    for one in spec.parameters:
        rules = [str(one.rule), *(f"in {scene}: {rule}" for scene, rule in one.in_scene.items())]
        if one.scenes:
            rules.append(f"only in {', '.join(one.scenes)}")
        field = f"extra[{one.name!r}]" if one.extra else one.name
        table.add_row(
            escape(field) + (" *" if one.required else ""),
            one.wire,
            escape("; ".join(rules)),
            "" if one.default is None else str(one.default),
            escape(f"{one.source.certainty}: {one.source.where}"),
        )
    for rule in spec.together:
        table.add_row(rule.name, "", escape(rule.text), "", escape(f"{rule.source.certainty}: {rule.source.where}"))
    data.print(table)
    data.print(f"scenes: {', '.join(spec.scenes)}", soft_wrap=True)
    for price in spec.prices:
        when = ", ".join(f"{name}={value}" for name, value in price.when.items()) or "otherwise"
        amount = f"${price.low}" if price.low == price.high else f"${price.low} to ${price.high}"
        data.print(f"price: {amount} ({when}; {price.source.where})", soft_wrap=True)
    if not spec.prices:
        data.print("price: not published")


def _print_json(found: list[tuple[Provider, ModelSpec]]) -> None:
    for provider, spec in found:
        entry = {
            "provider": provider.name,
            "model": spec.name,
            "makes": spec.kind.value,
            "scenes": list(spec.scenes),
            "price": _price(spec),
            "known_from": spec.source.certainty.value,
            "parameters": [
                {
                    "field": one.name,
                    "wire": one.wire,
                    "extra": one.extra,
                    "required": one.required,
                    "allowed": str(one.rule),
                    "default": one.default,
                    "source": f"{one.source.certainty}: {one.source.where}",
                }
                for one in spec.parameters
            ],
        }
        data.print(json.dumps(entry, ensure_ascii=False), soft_wrap=True, markup=False)
