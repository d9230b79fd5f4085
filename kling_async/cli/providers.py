"""`kling-async providers`: keys, origins, limits and capabilities of each provider."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Final

from cyclopts import Parameter
from rich.table import Table

from ..providers import PROVIDERS, Provider, provider_named
from ..runtime.api_keys import ApiKeys, read_key, read_origin
from ..runtime.inquiries import read_balance
from ..types.errors import InputError, InputFault, KlingError
from ..types.formatting import format_duration, format_price, format_rate
from ..types.sources import Fact
from .console import ExitCode, echo, escape, run, stdout, table_of

__all__ = ["describe_key", "describe_origin", "providers"]

_UNKNOWN: Final = "?"


def providers(
    name: str | None = None,
    /,
    *,
    balance: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """List the providers: whether an API key is set, base URLs, limits, and capabilities; or the sources of one.

    Args:
        name: Provider whose capabilities to show with their sources.
        balance: Ask the provider NAME for the balance of your account, and show nothing else. It sends a request, which
            charges nothing, and needs the API key. Nothing else here sends anything.
    """
    if balance:
        return run(lambda: _print_balance(name))
    return run(lambda: _list_all() if name is None else _print_one(provider_named(name)))


async def _print_balance(name: str | None) -> ExitCode:
    if name is None:
        fault = InputFault("--balance", None, "needs a provider: kling-async providers NAME --balance")
        raise InputError.of("No provider is named", [fault])
    provider = provider_named(name)
    dollars = await read_balance(provider)
    stdout.print(f"{provider.title}: {'unknown' if dollars is None else _dollars(dollars)}", soft_wrap=True)
    return ExitCode.DONE


def _dollars(amount: Decimal) -> str:
    return ("-" if amount < 0 else "") + format_price(abs(amount))


def _list_all() -> ExitCode:
    _print_settings()
    echo(
        "[dim]Limits: of a provider's lowest documented level, or careful ones. Keys are read from the environment.[/]"
    )
    _print_capabilities()
    echo(f"[dim]{_UNKNOWN}: not documented. `kling-async providers NAME` shows the source of each fact.[/]")
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
    """Print one row per capability and one column per provider, in as few tables as keep their words whole."""
    every = list(PROVIDERS.values())
    for width in range(len(every), 0, -1):
        tables = [_capabilities_of(every[first : first + width]) for first in range(0, len(every), width)]
        if width == 1 or all(map(_fits, tables)):
            for table in tables:
                stdout.print(table)
            return


def _capabilities_of(some: Sequence[Provider]) -> Table:
    table = table_of("capability", *(provider.name for provider in some))
    for row in zip(*(provider.capabilities for provider in some), strict=True):
        table.add_row(row[0][0].replace("_", " "), *(_short(fact) for _, fact in row))
    return table


def _fits(table: Table) -> bool:
    """Return whether no word of a table is broken by the width of the terminal."""
    shown = "\n".join("".join(segment.text for segment in line) for line in stdout.render_lines(table))
    texts = (text for column in table.columns for text in (column.header, *column.cells))
    return all(word in shown for text in texts for word in str(text).split())


def _short(fact: Fact[object]) -> str:
    if isinstance(fact.value, float):  # seconds that outputs are kept
        return format_duration(fact.value)
    return _UNKNOWN if fact.value is None else str(fact)


def _print_one(provider: Provider) -> ExitCode:
    table = table_of("capability", "value", "certainty", "source")
    for name, fact in provider.capabilities:
        source = fact.source
        table.add_row(name.replace("_", " "), _short(fact), str(source.certainty), escape(source.where))
    stdout.print(f"[bold]{provider.title}[/] ({provider.name})", soft_wrap=True)
    stdout.print(table)
    return ExitCode.DONE


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
