"""`kling-async providers`: who can be used from here, and how fast."""

from __future__ import annotations

from ..effects.credentials import Keys, read_key, read_origin
from ..errors import InputError
from ..providers import PROVIDERS, Provider
from .talk import ExitCode, data, escape, run, say, table_of

__all__ = ["providers"]


def providers() -> int:
    """List the providers: whether a key is set, where requests go, and the limits that are kept to."""

    def command() -> ExitCode:
        table = table_of("provider", "key", "base URL", "submits", "polls", "open")
        for provider in PROVIDERS.values():
            limits = provider.limits
            table.add_row(
                provider.name,
                _key(provider),
                _origin(provider),
                _rate(limits.submit_per_second),
                _rate(limits.poll_per_second),
                "no limit" if limits.max_open is None else str(limits.max_open),
            )
        data.print(table)
        say("[dim]No provider documents its limits; these are careful. A key is read from the environment only.[/]")
        return ExitCode.DONE

    return run(command)


def _key(provider: Provider) -> str:
    try:
        read_key(provider, Keys())
    except InputError as error:
        return f"[yellow]set {error.faults[0].field}[/]"
    return "[green]set[/]"


def _origin(provider: Provider) -> str:
    try:
        return escape(read_origin(provider, {}, allow_http=False))
    except InputError as error:
        return f"[red]{escape(str(error.faults[0]))}[/]"


def _rate(per_second: float | None) -> str:
    return "no limit" if per_second is None else f"{per_second:g}/s"
