"""`kling-async models --refresh PROVIDER`: how the models that a provider lists now differ from the built-in table."""

from __future__ import annotations

from ..providers import provider_named
from ..runs.jobfile import json_line
from ..runtime.inquiries import compare_models
from .console import ExitCode, echo, escape, stdout, table_of, write_result

__all__ = ["print_differences"]


async def print_differences(name: str, *, as_json: bool) -> ExitCode:
    """Print the differences. They change nothing: inputs are checked and priced by the table.

    Raises:
        Unsupported: the provider's models cannot be listed.
        MissingAPIKey: there is no API key.
        KlingError: no readable answer came.
    """
    provider = provider_named(name)
    found = await compare_models(provider)
    if as_json:
        for one in found:
            write_result(json_line({"provider": provider.name, "model": one.model, "difference": one.what}))
    elif found:
        table = table_of("model", "difference")
        for one in found:
            table.add_row(escape(one.model), escape(one.what))
        stdout.print(table)
    if not found:
        echo(f"{provider.title} lists what the table has.")
    else:
        echo("[dim]Nothing is changed: inputs are checked and priced by the built-in table.[/]")
    return ExitCode.DONE
