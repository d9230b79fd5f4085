"""`kling-async sandbox`: serve the providers on this machine, for tests."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from ..providers import PROVIDERS
from ..testing import FAULTS, Sandbox, serve_forever
from .console import ExitCode, echo, escape, run, stdout

__all__ = ["sandbox"]


def sandbox(
    *,
    port: int = 8765,
    key: str = "sk-sandbox",
    time_scale: float = 1.0,
    seed: int = 0,
    balance: str = "100",
    submit_per_second: float | None = None,
    poll_per_second: float | None = None,
    max_open: int | None = None,
    faults: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Serve the providers' APIs on 127.0.0.1 until interrupted, without any cost.

    The first line on stdout is the base URL.

    Args:
        port: Port; 0 selects a free one.
        key: API key that is accepted, with the provider's name behind it at all but the first two.
        time_scale: Factor for generation times; 0.01 is a hundred times faster.
        seed: Seed of the random latencies.
        balance: Balance of the account in USD.
        submit_per_second: Maximum submissions per second; more get HTTP 429.
        poll_per_second: Maximum polls per second; more get HTTP 429.
        max_open: Maximum unfinished tasks; further submissions get HTTP 429.
        faults: List the faults that a prompt or a header can request, and exit.
    """
    if faults:
        _print_faults()
        return ExitCode.DONE

    async def command() -> ExitCode:
        app = Sandbox(
            key=key,
            time_scale=time_scale,
            seed=seed,
            balance=balance,
            submit_per_second=submit_per_second,
            poll_per_second=poll_per_second,
            max_open=max_open,
        )
        try:
            await serve_forever(app, port=port, on_ready=lambda url: _print_usage(url, app))
        except OSError as error:
            echo(f"[bold red]Cannot use port {port}[/]: {escape(str(error))}. --port 0 selects a free one.")
            return ExitCode.BAD_INPUT
        return ExitCode.DONE

    return run(command)


def _print_usage(url: str, app: Sandbox) -> None:
    stdout.print(url, soft_wrap=True)
    stdout.file.flush()
    echo("Serving the providers' APIs. In another terminal:")
    for provider in PROVIDERS.values():
        echo(f"  export {provider.base_url_env}={url} {provider.api_key_env}={escape(app.key_for(provider.name))}")
    echo("  kling-async generate 'a fox in the snow'")
    echo("To receive its webhooks also:")
    for provider in PROVIDERS.values():
        if provider.webhook_env:
            echo(f"  export {provider.webhook_env}={escape(app.webhook_secret(provider.name))}")
    echo(f"All charges: {url}/sandbox/ledger. Press Ctrl-C to stop.")


def _print_faults() -> None:
    table = Table("fault", "effect", "argument", "charged")
    for name, fault in FAULTS.items():
        charged = "" if fault.billed is None else "yes" if fault.billed else "no"
        table.add_row(name, escape(fault.meaning), escape(fault.arg), charged)
    stdout.print(table)
    echo(r"Request one in a prompt, \[\[NAME]] or \[\[NAME:ARG]], or with the header X-Sandbox-Fault: NAME.")
