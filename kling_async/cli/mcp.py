"""`kling-async mcp`: tools for agents, within a budget."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..client import Client
from ..integrations.live_run import LiveRun
from ..types.errors import InputError, InputFault
from .console import ExitCode, echo, run
from .options import Options

__all__ = ["mcp"]

_DIRECTORY: Final = Path("kling-mcp")


def mcp(
    *,
    max_cost: Decimal,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = _DIRECTORY,
    provider: Annotated[str | None, Parameter(name=["--provider", "-p"])] = None,
    media: Path | None = None,
    http: Annotated[str | None, Parameter(show_default=False)] = None,
    price: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
) -> int:
    """Serve tools for agents over the Model Context Protocol, on stdin and stdout unless `--http` is given.

    Args:
        max_cost: US dollars that all jobs in the directory may cost together. An agent cannot raise it.
        output: Run directory. The same directory continues where it was stopped, and pays for nothing twice.
        provider: Default provider; by default the only one with an API key.
        media: Directory from which agents may use local files. Without it they may give URLs only.
        http: Serve streamable HTTP at HOST:PORT instead, such as 127.0.0.1:8750. Anyone who reaches it can spend the
            budget, so keep to this machine.
        price: A price for a model without a published one, as MODEL=DOLLARS. May be repeated.
    """

    async def command() -> ExitCode:
        try:
            from ..integrations.mcp import serve  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise InputError("It needs the extra: pip install 'kling-async[mcp]'") from error
        options = Options(max_cost=max_cost, price=price or None, provider=None if provider is None else (provider,))
        place = None if http is None else _place(http)
        opening = LiveRun.opened(
            output,
            max_cost=max_cost,
            prices=options.prices,
            settings=options.to_settings(),
            client_of=lambda journal: Client(provider, journal=journal),
        )
        async with opening as live:
            if place is not None:
                left = live.max_cost - live.committed
                echo(f"Serving http://{place[0]}:{place[1]}/mcp with ${left} left. Press Ctrl-C to stop.")
            await serve(live, media=media, http=place)
        return ExitCode.DONE

    return run(command)


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError.of("Invalid address", [InputFault("http", text, "must be HOST:PORT, such as 127.0.0.1:8750")])
    return host, int(port)
