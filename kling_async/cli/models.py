"""`kling-async models`: list the providers' models, parameters and prices."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..providers import PROVIDERS, ModelSpec, Provider, Source, provider_named
from ..providers.parameter_rules import suggestion
from ..runs.jobfile import json_line
from ..types.errors import InputError, InputFault
from .console import ExitCode, echo, escape, run, stdout, table_of, write_result
from .refresh import print_differences

__all__ = ["models"]


def models(
    name: str | None = None,
    /,
    *,
    provider: Annotated[str | None, Parameter(name=["--provider", "-p"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    refresh: Annotated[str | None, Parameter(show_default=False)] = None,
) -> int:
    """List the models of each provider, or the parameters of one model, with the source of each fact.

    Args:
        name: Model whose parameters to show.
        provider: Only this provider.
        json: Print one JSON object per model.
        refresh: Ask this provider for its models (wavespeed, fal, openrouter or comfy), and print only how they differ
            from the built-in table. It needs the API key, except at fal, whose pages are public. It changes nothing.
    """
    if refresh is not None:
        return run(lambda: print_differences(refresh, as_json=json))
    return run(lambda: _models(name, provider, as_json=json))


def _models(name: str | None, provider: str | None, *, as_json: bool) -> ExitCode:
    providers = [provider_named(provider)] if provider else list(PROVIDERS.values())
    found = [
        (one, spec) for one in providers for spec in one.models.values() if name in (None, spec.name, spec.canonical)
    ]
    if not found:
        names = sorted({known for one in providers for known in one.model_names})
        allowed = f"must be one of {', '.join(names)}{suggestion(name or '', names)}"
        raise InputError.of("Unknown model", [InputFault("model", name, allowed)])
    if as_json:
        _print_json(found)
    elif name is None:
        _print_list(found)
    else:
        for one, spec in found:
            _print_model(one, spec)
    return ExitCode.DONE


def _names(spec: ModelSpec) -> tuple[str, ...]:
    return (spec.canonical,) if spec.canonical == spec.name else (spec.canonical, spec.name)


def _print_list(found: list[tuple[Provider, ModelSpec]]) -> None:
    table = table_of("provider", "model", "scenes", "price", "source")
    table.columns[1].no_wrap = True
    for provider, spec in found:
        table.add_row(
            provider.name,
            "\n".join(_names(spec)),
            "\n".join(spec.scenes),
            spec.price_text.replace(" to ", " to\n"),
            spec.source.certainty,
        )
    stdout.print(table)
    echo(
        "[dim]The second name of a model is the provider's. Prices are in US dollars, of one submission if no unit "
        "is given. `kling-async models NAME` shows the parameters of a model.[/]"
    )


def _print_model(provider: Provider, spec: ModelSpec) -> None:
    table = table_of("field", "sent as", "constraint", "default", "source")
    table.columns[0].no_wrap = True
    sources: list[Source] = []

    def numbered(source: Source) -> str:
        if source not in sources:
            sources.append(source)
        return str(sources.index(source) + 1)

    for one in spec.parameters:
        rules = [str(one.rule), *(f"in {scene} it {rule}" for scene, rule in one.per_scene.items())]
        rules += [f"only in {', '.join(one.scenes)}"] if one.scenes else []
        field = f"extra.{one.name}" if one.extra else one.name
        default = "" if one.default is None else str(one.default)
        wire = "" if one.wire_name == one.name else one.wire_name
        table.add_row(field + (" *" if one.required else ""), wire, "; ".join(rules), default, numbered(one.source))
    for rule in spec.cross_field_rules:
        table.add_row(rule.name, "", rule.text, "", numbered(rule.source))
    own = "" if spec.canonical == spec.name else f" ({spec.name})"
    stdout.print(f"[bold]{spec.canonical}[/]{own} at {provider.title}: {', '.join(spec.scenes)}", soft_wrap=True)
    stdout.print(table)
    for number, source in enumerate(sources, 1):
        stdout.print(f"{number} {source.certainty}: {escape(source.where)}", soft_wrap=True)
    for price in spec.prices:
        when = ", ".join(f"{name}={value}" for name, value in price.when.items()) or "otherwise"
        stdout.print(f"price: {price} ({when}; {escape(price.source.where)})", soft_wrap=True)
    if not spec.prices:
        stdout.print("price: not published")
    stdout.print()


def _print_json(found: list[tuple[Provider, ModelSpec]]) -> None:
    for provider, spec in found:
        entry = {
            "provider": provider.name,
            "model": spec.canonical,
            "own_name": spec.name,
            "makes": spec.kind.value,
            "scenes": list(spec.scenes),
            "price": spec.price_text,
            "known_from": spec.source.certainty.value,
            "parameters": [
                {
                    "field": one.name,
                    "wire": one.wire_name,
                    "extra": one.extra,
                    "required": one.required,
                    "allowed": str(one.rule),
                    "default": one.default,
                    "source": f"{one.source.certainty}: {one.source.where}",
                }
                for one in spec.parameters
            ],
        }
        write_result(json_line(entry))
