"""`kling-async providers`: keys, origins, limits and capabilities of each provider."""

from __future__ import annotations

from ..providers import PROVIDERS, Provider
from ..runtime.api_keys import ApiKeys, read_key, read_origin
from ..types.errors import KlingError
from ..types.formatting import format_rate
from ..types.sources import Fact, Source
from .console import ExitCode, echo, escape, run, stdout, table_of

__all__ = ["describe_key", "describe_origin", "providers"]


def providers() -> int:
    """List the providers: whether an API key is set, base URLs, limits, and capabilities with their sources."""
    return run(_providers)


def _providers() -> ExitCode:
    _print_settings()
    echo("[dim]No provider documents its limits; these are cautious. Keys are read from the environment only.[/]")
    _print_capabilities()
    return ExitCode.DONE


def _print_settings() -> None:
    table = table_of("provider", "key", "base URL", "submits", "polls", "open")
    for provider in PROVIDERS.values():
        limits = provider.limits
        table.add_row(
            provider.name,
            describe_key(provider)[0],
            describe_origin(provider),
            _rate(limits.submit_per_second),
            _rate(limits.poll_per_second),
            "no limit" if limits.max_open is None else str(limits.max_open),
        )
    stdout.print(table)


def _print_capabilities() -> None:
    """Print one row per capability and one column per provider, with the numbers of the sources below."""
    table = table_of("capability", *PROVIDERS)
    sources: list[Source] = []

    def numbered(fact: Fact[object]) -> str:
        if fact.source not in sources:
            sources.append(fact.source)
        return f"{fact} [dim]({sources.index(fact.source) + 1})[/]"

    for row in zip(*(provider.capabilities for provider in PROVIDERS.values()), strict=True):
        table.add_row(row[0][0].replace("_", " "), *(numbered(fact) for _, fact in row))
    stdout.print(table)
    for number, source in enumerate(sources, 1):
        stdout.print(f"{number} {source.certainty}: {escape(source.where)}", soft_wrap=True)


def describe_key(provider: Provider) -> tuple[str, int]:
    """Return the state of a provider's key as markup that never shows the key, and its length, 0 if it is unusable."""
    keys = ApiKeys()
    try:
        length = len(read_key(provider, keys))
    except KlingError:
        return f"[yellow]{'fix' if keys.get(provider) else 'set'} {provider.api_key_env}[/]", 0
    name = keys.source_of(provider)
    return f"[green]{name} {'are' if ' and ' in name else 'is'} set[/]", length


def describe_origin(provider: Provider) -> str:
    """Return the origin of a provider's requests as markup, or the fault of the base URL in the environment."""
    try:
        return escape(read_origin(provider, {}, allow_http=False))
    except KlingError as error:
        return f"[red]{escape(error.message)}: {provider.base_url_env}[/]"


def _rate(per_second: float | None) -> str:
    return "no limit" if per_second is None else format_rate(per_second)
