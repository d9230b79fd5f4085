"""`kling-async models`: the providers' tables, as people read them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from cyclopts import Parameter

from ..errors import InputError, InputFault
from ..providers import PROVIDERS, ModelSpec, Provider, Source, provider_named
from ..providers.rules import suggestion
from ..sheets import json_line
from .talk import ExitCode, data, escape, put, run, say, table_of

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

    def command() -> ExitCode:
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
    return _amount(min(price.low for price in spec.prices), max(price.high for price in spec.prices))


def _amount(low: Decimal, high: Decimal) -> str:
    return f"${low}" if low == high else f"${low}-{high}"


def _print_list(found: list[tuple[Provider, ModelSpec]]) -> None:
    table = table_of("provider", "model", "scenes", "price", "known from")
    table.columns[1].no_wrap = True
    for provider, spec in found:
        table.add_row(provider.name, spec.name, " ".join(spec.scenes), _price(spec), spec.source.certainty)
    data.print(table)
    say("[dim]A price is in US dollars per submission. `kling-async models NAME` shows a model's parameters.[/]")


def _print_model(provider: Provider, spec: ModelSpec) -> None:
    table = table_of("field", "sent as", "what it may be", "default", "source")
    table.columns[0].no_wrap = True
    sources: list[Source] = []

    def numbered(source: Source) -> str:
        if source not in sources:
            sources.append(source)
        return str(sources.index(source) + 1)

    for one in spec.parameters:
        rules = [str(one.rule), *(f"in {scene} it {rule}" for scene, rule in one.in_scene.items())]
        rules += [f"only in {', '.join(one.scenes)}"] if one.scenes else []
        field = f"extra.{one.name}" if one.extra else one.name
        default = "" if one.default is None else str(one.default)
        wire = "" if one.wire == one.name else one.wire
        table.add_row(field + (" *" if one.required else ""), wire, "; ".join(rules), default, numbered(one.source))
    for rule in spec.together:
        table.add_row(rule.name, "", rule.text, "", numbered(rule.source))
    data.print(f"[bold]{spec.name}[/] at {provider.title}: {', '.join(spec.scenes)}", soft_wrap=True)
    data.print(table)
    for number, source in enumerate(sources, 1):
        data.print(f"{number} {source.certainty}: {escape(source.where)}", soft_wrap=True)
    for price in spec.prices:
        when = ", ".join(f"{name}={value}" for name, value in price.when.items()) or "otherwise"
        data.print(f"price: {_amount(price.low, price.high)} ({when}; {escape(price.source.where)})", soft_wrap=True)
    if not spec.prices:
        data.print("price: not published")
    data.print()


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
        put(json_line(entry))
