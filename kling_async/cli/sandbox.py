"""`kling-async sandbox`: both providers on this machine, for your own tests."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from ..testing import FAULTS, Sandbox, serve_forever
from .talk import ExitCode, data, escape, run, say

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
    """Serve both providers' APIs on 127.0.0.1 until interrupted. Nothing costs anything.

    The first line on stdout is the base URL.

    Args:
        port: The port; 0 takes any free one.
        key: The only key that is accepted.
        time_scale: What generation times are multiplied by; 0.01 is a hundred times faster.
        seed: What latencies are drawn from.
        balance: US dollars in the account.
        submit_per_second: Submissions allowed per second; more are answered 429.
        poll_per_second: Polls allowed per second; more are answered 429.
        max_open: Unfinished tasks allowed; further submissions are answered 429.
        faults: List what can be made to go wrong, and how, and end.
    """
    if faults:
        _print_faults()
        return ExitCode.DONE

    async def command() -> ExitCode:
        served = Sandbox(
            key=key,
            time_scale=time_scale,
            seed=seed,
            balance=balance,
            submit_per_second=submit_per_second,
            poll_per_second=poll_per_second,
            max_open=max_open,
        )
        try:
            await serve_forever(served, port=port, on_ready=lambda url: _greet(url, key))
        except OSError as error:
            say(f"[bold red]Port {port} cannot be used[/]: {escape(str(error))}. --port 0 takes any free one.")
            return ExitCode.BAD_INPUT
        return ExitCode.DONE

    return run(command)


def _greet(url: str, key: str) -> None:
    data.print(url, soft_wrap=True)
    data.file.flush()
    say("Both providers' APIs are there. In another terminal:")
    for variable in ("GPTPROTO", "APIINONE"):
        say(f"  export {variable}_BASE_URL={url} {variable}_API_KEY={escape(key)}")
    say("  kling-async generate 'a fox in the snow'")
    say(f"The books are at {url}/sandbox/ledger. Ctrl-C ends it.")


def _print_faults() -> None:
    table = Table("fault", "what happens", "argument", "charged")
    for name, note in FAULTS.items():
        charged = "" if note.billed is None else "yes" if note.billed else "no"
        table.add_row(name, escape(note.meaning), escape(note.arg), charged)
    data.print(table)
    say(r"Ask for one in a prompt, \[\[NAME]] or \[\[NAME:ARG]], or by the header X-Sandbox-Fault: NAME.")
