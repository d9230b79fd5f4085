"""Writes the page of models from the providers' own table, so that the page cannot say anything else."""

from __future__ import annotations

import json
import re
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

A *URL* is an http or https URL that the provider can fetch. [Local media](../howto/local_media.md) get one, or are sent
in its place. A source names the model whose page was read; models of one family are
assumed to be alike. A field that is written `extra["name"]` is passed as
`extra={{"name": ...}}`. Other names inside `extra` are passed through unchecked.
"""

_MEANINGS = {
    Certainty.DOCUMENTED: "the provider's own documentation states it.",
    Certainty.CLIENT: "third-party code that calls the service relies on it.",
    Certainty.ANALOGY: "it is true of WaveSpeedAI, whose responses have the same format.",
    Certainty.INFERRED: "no page states it; it follows from what they state.",
    Certainty.UNDOCUMENTED: "no page that was read mentions it. It is unknown, and counts as absent.",
}

_CAPABILITIES = {
    "repeat": "submitting an input a second time",
    "replay_seconds": "seconds for which a repeat is answered with the first prediction",
    "cancel": "cancelling a prediction",
    "upload": "uploading local media",
    "inline_media": "media inside the request, in base64",
    "webhook": "calling a URL when a prediction finishes",
    "webhook_signature": "how these calls are signed",
    "batch_poll": "predictions in one poll",
    "balance": "reading the balance",
    "quote": "asking for the price of an input",
    "over_limit": "a submission over the limit",
    "output_ttl": "seconds that outputs are kept",
    "failures_are_free": "failed predictions are not billed",
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
    yield f"## {provider.title}\n"
    yield f"- Name in code: `{provider.name}`"
    yield f"- Origin: `{provider.origin}`; {provider.base_url_env} moves it"
    pair = f", or {' and '.join(provider.api_key_pair_env)}" if provider.api_key_pair_env else ""
    yield f"- Key: {provider.api_key_env}{pair}"
    yield f"- The key is sent as: {' (by default) or '.join(f'`{scheme}`' for scheme in provider.schemes)}\n"
    facts = [
        (f"`{name}`", _CAPABILITIES[name], str(fact), sources.link(fact.source)) for name, fact in provider.capabilities
    ]
    yield from _table(("Capability", "Meaning", "Value", "Source"), facts)
    rows = [
        (f"[{spec.canonical}](#{_anchor(provider, spec)})", f"`{spec.name}`", spec.kind, spec.price_text)
        for spec in models
    ]
    yield from _table(("Model", "The provider's name", "Output", "Price in US dollars"), rows)
    for spec in models:
        yield from _model(provider, spec, sources)
    yield f"### Sources ({provider.title})\n"
    yield from sources.listed()


def _model(provider: Provider, spec: ModelSpec, sources: _Sources) -> Iterator[str]:
    yield f"({_anchor(provider, spec)})="
    yield f"### {spec.name} ({provider.title})\n"
    yield f"Makes {spec.kind}s: {', '.join(f'`{scene}`' for scene in spec.scenes)}. {sources.link(spec.source)}\n"
    if spec.source.certainty is not Certainty.DOCUMENTED:
        yield "It has no page of its own that was read. Its fields are those of the models that the sources name.\n"
    rows = [(_name(one), _rule(one), _default(one), sources.link(one.source)) for one in spec.parameters]
    yield from _table(("Field", "It ...", "Default", "Source"), rows)
    if spec.cross_field_rules:
        yield "Several fields at once:\n"
        yield from (f"- `{rule.name}` {rule.text}. {sources.link(rule.source)}" for rule in spec.cross_field_rules)
        yield ""
    if not spec.prices:
        yield "Price: not published.\n"
        return
    yield "Price of one submission; the first line that fits counts:\n"
    yield from (f"- {price}{_when(spec, price)}. {sources.link(price.source)}" for price in spec.prices)
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
            yield f"({self._prefix}-{number})=\n**{number}** {source.certainty}: {_linked(source.where)}\n"


def _linked(text: str) -> str:
    """Make the URLs in a text links, as Markdown wants them."""
    return re.sub(r"https://\S+", r"<\g<0>>", text)


def _anchor(provider: Provider, spec: ModelSpec) -> str:
    return f"{provider.name}-{spec.name.replace('.', '-')}"


def _name(parameter: Parameter) -> str:
    name = f"`{_given_as(parameter, parameter.name)}`"
    return name if parameter.wire_name == parameter.name else f"{name}, sent as `{parameter.wire_name}`"


def _given_as(parameter: Parameter | None, name: str) -> str:
    return f'extra["{name}"]' if parameter is not None and parameter.extra else name


def _rule(parameter: Parameter) -> str:
    # The text after the colon is the same for every URL, and is at the head of the page.
    text = [str(parameter.rule).partition(": ")[0]]
    text += [f"in `{scene}` it {rule}" for scene, rule in parameter.per_scene.items()]
    if parameter.scenes:
        text.append("only in " + ", ".join(f"`{scene}`" for scene in parameter.scenes))
    return "; ".join(text)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None else f"`{json.dumps(parameter.default)}`"


def _when(spec: ModelSpec, price: Price) -> str:
    told = ", ".join(f"`{_given_as(spec.parameter(name), name)}={value!r}`" for name, value in price.when.items())
    return f" with {told}" if told else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row([":---"] * len(head))
    yield from map(_row, rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
