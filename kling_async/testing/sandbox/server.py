"""The sandbox on a socket of this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio.to_thread

from .app import SandboxApp, Scope
from .sender import send_webhooks
from .state import Sandbox

if TYPE_CHECKING:
    import uvicorn

__all__ = ["SandboxServer", "serve_forever"]

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 10.0


class SandboxServer:
    """Serves a sandbox on 127.0.0.1 from its own thread; use it with ``with``, also inside asyncio or trio.

    Attributes:
        sandbox: the sandbox; its ledger may be read while it runs.
        url: its origin, ``http://127.0.0.1:PORT``.

    Args:
        sandbox: the sandbox; None makes a new one.
        port: the port; 0 is any free one.

    Raises:
        RuntimeError: uvicorn is not installed, or the server did not start within 10 seconds.
        OSError: the port is in use.
    """

    def __init__(self, sandbox: Sandbox | None = None, *, port: int = 0) -> None:
        self.sandbox = sandbox or Sandbox()
        self.url = ""
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._error: BaseException | None = None
        self._up = threading.Event()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("this SandboxServer is running already")
        server = _server_of(SandboxApp(self.sandbox, cut=self._cut))
        listener = _listen(self._port)
        self._server, self._error = server, None
        self._up.clear()
        self._thread = threading.Thread(target=self._run, args=(server, listener), name="kling-sandbox", daemon=True)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._thread.start()
        if not self._up.wait(_START_TIMEOUT) or not server.started:
            self._stop()
            raise RuntimeError(f"the sandbox did not start within {_START_TIMEOUT:g} s") from self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def join(self) -> None:
        """Wait until the server has stopped."""
        if thread := self._thread:
            thread.join()

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(server, listener))
        except BaseException as error:  # noqa: BLE001
            # Raised from `__enter__`, which waits for the start.
            self._error = error
        finally:
            listener.close()
            self._up.set()

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        sending = asyncio.create_task(send_webhooks(self.sandbox))
        while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for its start
            await asyncio.sleep(0.002)
        if server.started:
            self._up.set()
        try:
            await serving
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            # uvicorn does not close a connection that it has taken while it was stopping.
            self._hang_up()
            await asyncio.sleep(0)

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._server is not None:
            self._server.should_exit = True
        if self._loop is not None and thread.is_alive():
            # The loop may have closed between the two lines.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._hang_up)
        thread.join(_STOP_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError(f"the sandbox did not stop within {_STOP_TIMEOUT:g} s")
        self._loop = self._server = None

    def _hang_up(self, client: object = None) -> None:
        """Break one client's connection, or all: uvicorn itself would wait for responses that never end."""
        if self._server is not None:
            for connection in list(self._server.server_state.connections):
                transport: asyncio.Transport | None = getattr(connection, "transport", None)
                if transport is not None and client in (None, getattr(connection, "client", None)):
                    transport.abort()

    def _cut(self, scope: Scope) -> None:
        self._hang_up(scope["client"])


async def serve_forever(
    sandbox: Sandbox | None = None, *, port: int = 8765, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve a sandbox on 127.0.0.1 until cancelled, on asyncio or trio. It prints nothing.

    Args:
        sandbox: the sandbox; None makes a new one.
        port: the port; 0 is any free one.
        on_ready: called with the URL once connections are accepted.
    """
    with SandboxServer(sandbox, port=port) as server:
        if on_ready is not None:
            on_ready(server.url)
        await anyio.to_thread.run_sync(server.join, abandon_on_cancel=True)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except BaseException:
        listener.close()
        raise
    return listener


def _server_of(app: SandboxApp) -> uvicorn.Server:
    try:
        import uvicorn  # noqa: PLC0415  only those who start a server need it
    except ImportError as error:
        raise RuntimeError("the sandbox server needs uvicorn: pip install 'kling-async[cli]'") from error
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
