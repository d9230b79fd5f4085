"""Writes the page of models from the providers' own table, so that the page cannot say anything else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kling_async.providers import PROVIDERS, Certainty, ModelSpec, Parameter, Price, Provider, Source

__all__ = ["write_models_page"]

_INTRO = """\
# Models

What each provider's models take, and what they cost. This page is made from the table that checks your input before
anything is sent. The same table answers `kling-async models`.

Every line says where it comes from:

{legend}

An *address* is an http or https address that the provider can fetch. The providers document no local path, no data URI
and no upload, so put the file where they can reach it. A source names the model whose page was read; models of one
family are taken to be alike. A field that is written `extra["name"]` is given inside
`extra={{"name": ...}}`. Other names inside `extra` are passed through unchecked.
"""

_MEANINGS = {
    Certainty.DOCUMENTED: "the provider's own documentation says it.",
    Certainty.CLIENT: "code of third parties that calls the service does it.",
    Certainty.ANALOGY: "it is true of WaveSpeedAI, whose replies have the same shape.",
    Certainty.INFERRED: "nobody says it; it follows from what is said.",
}


def write_models_page(path: Path) -> None:
    """Write the page about every provider, model, parameter and price that the table holds."""
    legend = "\n".join(f"- **{certainty}**: {_MEANINGS[certainty]}" for certainty in Certainty)
    parts = [_INTRO.format(legend=legend)]
    for provider in PROVIDERS.values():
        parts += _provider(provider)
    path.write_text("\n".join(parts), encoding="utf-8")


def _provider(provider: Provider) -> Iterator[str]:
    sources = _Sources(provider)
    models = provider.models.values()
    bills = {True: "not billed, the provider says", False: "billed, the provider says", None: "not documented"}
    yield f"## {provider.title}\n"
    yield f"- Name in code: `{provider.name}`"
    yield f"- Origin: `{provider.origin}`; {provider.url_variable} moves it"
    yield f"- Key: {provider.key_variable}"
    yield f"- The key is sent as: {' (by default) or '.join(f'`{scheme}`' for scheme in provider.schemes)}"
    yield f"- Whether failed predictions are billed: {bills[provider.failures_are_free]}\n"
    rows = [(f"[{spec.name}](#{_anchor(provider, spec)})", spec.kind, _prices_in_short(spec.prices)) for spec in models]
    yield from _table(("Model", "Makes", "Price in US dollars"), rows)
    for spec in models:
        yield from _model(provider, spec, sources)
    yield f"### Where this is from ({provider.title})\n"
    yield from sources.listed()


def _model(provider: Provider, spec: ModelSpec, sources: _Sources) -> Iterator[str]:
    yield f"({_anchor(provider, spec)})="
    yield f"### {spec.name} ({provider.title})\n"
    yield f"Makes {spec.kind}s: {', '.join(f'`{scene}`' for scene in spec.scenes)}. {sources.link(spec.source)}\n"
    if spec.source.certainty is not Certainty.DOCUMENTED:
        yield "It has no page of its own that was read. Its fields are those of the models that the sources name.\n"
    rows = [(_name(one), _rule(one), _default(one), sources.link(one.source)) for one in spec.parameters]
    yield from _table(("Field", "It ...", "Default", "Source"), rows)
    if spec.together:
        yield "Several fields at once:\n"
        yield from (f"- `{rule.name}` {rule.text}. {sources.link(rule.source)}" for rule in spec.together)
        yield ""
    if not spec.prices:
        yield "Price: not published.\n"
        return
    yield "Price of one submission; the first line that fits counts:\n"
    yield from (f"- {_amount(price)}{_when(spec, price)}. {sources.link(price.source)}" for price in spec.prices)
    yield ""


class _Sources:
    """The sources of one provider, numbered as they are first named."""

    def __init__(self, provider: Provider) -> None:
        self._prefix = f"source-{provider.name}"
        self._known: list[Source] = []

    def link(self, source: Source) -> str:
        """Name a source in two words, linked to where it stands in full."""
        if source not in self._known:
            self._known.append(source)
        number = self._known.index(source) + 1
        # A blank that does not break, so that a mark keeps to one line in a narrow column.
        mark = f"{source.certainty} {number}".replace(" ", "\N{NO-BREAK SPACE}")
        return f"[{mark}](#{self._prefix}-{number})"

    def listed(self) -> Iterator[str]:
        """Yield every source that was named."""
        for number, source in enumerate(self._known, 1):
            yield f"({self._prefix}-{number})=\n**{number}** {source.certainty}: {source.where}\n"


def _anchor(provider: Provider, spec: ModelSpec) -> str:
    return f"{provider.name}-{spec.name.replace('.', '-')}"


def _name(parameter: Parameter) -> str:
    name = f"`{_given_as(parameter, parameter.name)}`"
    return name if parameter.wire == parameter.name else f"{name}, sent as `{parameter.wire}`"


def _given_as(parameter: Parameter | None, name: str) -> str:
    return f'extra["{name}"]' if parameter is not None and parameter.extra else name


def _rule(parameter: Parameter) -> str:
    # What an address is follows the colon, and stands once at the head of the page.
    text = [str(parameter.rule).partition(": ")[0]]
    text += [f"in `{scene}` it {rule}" for scene, rule in parameter.in_scene.items()]
    if parameter.scenes:
        text.append("only in " + ", ".join(f"`{scene}`" for scene in parameter.scenes))
    return "; ".join(text)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None else f"`{json.dumps(parameter.default)}`"


def _amount(price: Price) -> str:
    return f"${price.low}" if price.low == price.high else f"${price.low} to ${price.high}"


def _when(spec: ModelSpec, price: Price) -> str:
    told = ", ".join(f"`{_given_as(spec.parameter(name), name)}={value!r}`" for name, value in price.when.items())
    return f" with {told}" if told else ""


def _prices_in_short(prices: Sequence[Price]) -> str:
    if not prices:
        return "not published"
    low, high = min(price.low for price in prices), max(price.high for price in prices)
    return f"{low}" if low == high else f"{low} to {high}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row([":---"] * len(head))
    yield from map(_row, rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
