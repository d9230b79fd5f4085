"""Serve the live page of a run until it is stopped."""

from __future__ import annotations

import secrets
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import anyio
import uvicorn
from starlette.types import ASGIApp

from ...runs.report import ReportRow
from ...runtime.signals import receive_signals
from .app import LivePage
from .guard import Guard, is_loopback
from .run_process import RunProcess
from .served_run import ServedRun
from .state import RunState

__all__ = ["serve_page"]

_TOKEN_BYTES: Final = 24
_CLOSE_TIMEOUT: Final = 5
"""Seconds for connections to end; those of events end within their pause, or after a reading of the run."""


async def serve_page(
    run: ServedRun,
    *,
    title: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    as_shown: Callable[[Sequence[ReportRow]], Sequence[ReportRow]] = lambda rows: rows,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the page of a run until SIGINT, SIGTERM or a cancellation.

    A command that the page started then submits no more, and is waited for; a second signal ends the process at once.

    Args:
        run: the run, which may begin, go on or end meanwhile.
        title: the name of the run.
        settings: the settings of the run, by name.
        as_shown: changes the rows of cards, such as their links and thumbnails.
        host: the address to listen at. The page shows prompts and can spend money, for anyone with its URL.
        port: the port; 0 is any free one.
        on_ready: called with the URL of the page, which has a secret token.

    Raises:
        OSError: the address cannot be used.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        async with anyio.create_task_group() as tasks:
            process = RunProcess(tasks, run.environment, run.working_directory)
            page = LivePage(
                title=title,
                settings=settings,
                state=RunState(run, as_shown=as_shown),
                process=process,
                is_closing=lambda: server.should_exit,
            )
            server = _server(Guard(page.app(), token, any_host=not is_loopback(host)))
            on_ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/{token}/")
            await _run(server, listener, process)


class _Server(uvicorn.Server):
    """A server that leaves signals alone: uvicorn raises them again at its end, and that ends the process."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _run(server: uvicorn.Server, listener: socket.socket, process: RunProcess) -> None:
    """Serve until the first signal or a cancellation, then stop what the page has started; a second signal quits."""

    def close() -> bool:
        server.should_exit = True
        return False

    async with anyio.create_task_group() as tasks:
        if isinstance(server, _Server):
            tasks.start_soon(receive_signals, close)
        try:
            await server.serve(sockets=[listener])
        finally:
            with anyio.CancelScope(shield=True):
                if not server.should_exit and server.started:  # cancelled: connections are closed as after a signal
                    server.should_exit = True
                    await server.shutdown(sockets=[listener])
                await process.stop()
        tasks.cancel_scope.cancel()


def _server(app: ASGIApp) -> uvicorn.Server:
    is_receiving = sys.platform != "win32" and threading.current_thread() is threading.main_thread()
    return (_Server if is_receiving else uvicorn.Server)(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_TIMEOUT,
        )
    )
