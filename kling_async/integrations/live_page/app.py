"""The application of a live page: the page, its events, its images and videos, and its actions."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Final, TypeAlias, cast

import anyio.to_thread
from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ...runs.report.page import policy_of, render
from ...types.errors import InputError, KlingError
from .actions import Actions
from .events import live_of, stream
from .run_process import RunProcess
from .state import RunState, Snapshot

__all__ = ["LivePage"]

_MAX_BODY: Final = 1 << 20
"""Bytes of a request's body; a prompt has some thousands."""
_Action: TypeAlias = Callable[[Mapping[str, object]], Awaitable[str]]


class _Media(StaticFiles):
    """Files of a directory, which the browser keeps, and asks each time whether they are the same."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "private, no-cache"
        return response


@frozen(kw_only=True)
class LivePage:
    """The page of a run.

    Attributes:
        title: the name of the run.
        settings: the settings of the run, by name.
        state: what is known of it.
        process: runs the commands that the page starts.
        is_closing: whether the server is to close, which ends the events.
    """

    title: str
    settings: Mapping[str, str]
    state: RunState
    process: RunProcess
    is_closing: Callable[[], bool] = lambda: False

    def app(self) -> Starlette:
        """Return the application. It trusts every request: put a `Guard` before it."""
        actions = Actions(state=self.state, process=self.process)
        routes: list[BaseRoute] = [
            Route("/", self._page),
            Route("/events", self._events),
            *(
                Mount(f"/{name}", _Media(directory=folder, check_dir=False))
                for name, folder in self.state.run.folders.items()
            ),
            *(
                Route(f"/{name}", partial(_act, action), methods=["POST"])
                for name, action in {"decide": actions.decide, "retry": actions.retry, "resume": actions.resume}.items()
            ),
        ]
        return Starlette(routes=routes)

    async def _page(self, request: Request) -> Response:
        try:
            snapshot = await self.state.refresh()
        except KlingError as error:
            return PlainTextResponse(f"{error}\nReload this page once the run has begun.\n", status_code=503)
        pieces = await anyio.to_thread.run_sync(partial(self._render, snapshot))
        policy = f"{policy_of(live=True)}; frame-ancestors 'none'"
        return StreamingResponse(pieces, media_type="text/html", headers={"Content-Security-Policy": policy})

    def _render(self, snapshot: Snapshot) -> Iterator[str]:
        rows = list(snapshot.rows.values())
        return render(
            snapshot.summary,
            title=self.title,
            made_at=datetime.now().astimezone(),
            version=version("kling-async"),
            settings=self.settings,
            as_shown=lambda _: rows,
            live=live_of(self.state, snapshot),
        )

    async def _events(self, request: Request) -> Response:
        # A browser that connects again names the last event that it has got.
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        number = int(since) if since.isdecimal() and len(since) < 16 else 0
        events = stream(self.state, self._status, since=number, is_closing=self.is_closing)
        return StreamingResponse(events, media_type="text/event-stream")

    def _status(self) -> dict[str, object]:
        """Return what a page shows beside the jobs."""
        run, busy = self.state.run, self.process.is_running
        return {
            "owner": run.owner,
            "busy": busy,
            "idle": not busy and run.in_use() is None,
            "rate": self.state.rate(),
            "problem": self.state.problem or self.process.message or run.notice,
        }


async def _act(action: _Action, request: Request) -> Response:
    """Do what a request asks, and say what was done, or why nothing was."""
    try:
        return JSONResponse({"message": await action(await _fields(request))})
    except InputError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    except KlingError as error:
        return JSONResponse({"error": str(error)}, status_code=409)


async def _fields(request: Request) -> Mapping[str, object]:
    body = bytearray()
    async for some in request.stream():
        body += some
        if len(body) > _MAX_BODY:
            raise HTTPException(413)
    try:
        found: object = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The body is no JSON") from error
    if not isinstance(found, dict):
        raise HTTPException(400, "The body is no JSON object")
    return cast("Mapping[str, object]", found)
