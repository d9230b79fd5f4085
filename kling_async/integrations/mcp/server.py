"""The server and its tools."""

from __future__ import annotations

import base64
import mimetypes
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from functools import wraps
from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Final, ParamSpec, TypeAlias, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import ContentBlock, ImageContent, ResourceLink, TextContent, ToolAnnotations
from pydantic import Field

from ...providers import PROVIDERS
from ...runs.thumbnails import Thumbnails
from ...types.errors import KlingError
from ...types.status import JobStatus
from ..live_jobs import JobState
from ..live_run import LiveRun
from .orders import read_orders
from .views import BatchView, JobView, ModelView, Plan, budget_view, job_view, model_view

__all__ = ["build_server", "serve"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MAX_WAIT: Final = 20.0
"""Seconds: hosts give up a tool call after a minute, some earlier."""
_SMALL_BYTES: Final = 100_000
"""Bytes of an image that is shown as it is where it has no thumbnail: it is smaller than one."""
_INSTRUCTIONS: Final = (
    "Generates Kling images and videos through the user's own provider accounts. It costs real money, within a budget "
    "that only the user can raise. Submit jobs, then collect them: images take seconds, videos minutes. A key names a "
    "job for ever: the same order, or the same key, is never paid for twice, so repeat a call whose answer was lost as "
    "it was. To make another version of an input, give it another key. A job that is unconfirmed may have been paid "
    "for: tell the user, and do not submit it under another key."
)
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_BUYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
_CANCELS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)

_Fields: TypeAlias = dict[str, object]
_Extra = Annotated[
    _Fields | None,
    Field(
        description="Further fields of the model, as `models` lists them, such as aspect_ratio, duration, resolution, "
        "n, negative_prompt, image, images, last_image, videos."
    ),
]
_Keys = Annotated[list[str], Field(description="Keys of jobs, as `submit` returned them.")]


def build_server(run: LiveRun, *, media: Path | None = None) -> MCPServer[None]:
    """Return the server of a run that is open.

    Args:
        run: the run.
        media: the directory from which agents may use local files as media; None allows URLs only.
    """
    server: MCPServer[None] = MCPServer(
        "kling-async", instructions=_INSTRUCTIONS, version=version("kling-async"), log_level="WARNING"
    )
    tools = _Tools(run, media)

    def add(tool: Callable[..., Coroutine[None, None, object]], title: str, hints: ToolAnnotations) -> None:
        told = _told(tool)  # its own types make the schema of its result, unless it returns what is shown
        shown = False if tool == tools.collect else None
        server.add_tool(told, title=title, description=getdoc(tool), annotations=hints, structured_output=shown)

    add(tools.models, "List models", _READS)
    add(tools.estimate, "Estimate a cost", _READS)
    add(tools.submit, "Submit a job (costs money)", _BUYS)
    add(tools.status, "Show jobs", _READS)
    add(tools.collect, "Collect results", _READS)
    add(tools.cancel, "Cancel a job", _CANCELS)
    add(tools.batch_plan, "Check and price many jobs", _READS)
    add(tools.batch_start, "Submit many jobs (costs money)", _BUYS)
    add(tools.batch_status, "Show how far all jobs are", _READS)
    add(tools.unconfirmed, "List jobs that may have been paid for", _READS)
    server.resource("kling://files/{name}", title="A generated file", mime_type="application/octet-stream")(tools.file)
    return server


async def serve(run: LiveRun, *, media: Path | None = None, http: tuple[str, int] | None = None) -> None:
    """Serve a run until the client leaves, over stdin and stdout or, with a host and a port, over streamable HTTP."""
    server = build_server(run, media=media)
    if http is None:
        await server.run_stdio_async()
    else:
        await server.run_streamable_http_async(host=http[0], port=http[1])


def _told(function: Callable[_P, Coroutine[None, None, _T]]) -> Callable[_P, Coroutine[None, None, _T]]:
    """Let a tool answer our errors with their text; any other is hidden from the agent by the library."""

    @wraps(function)
    async def tool(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await function(*args, **kwargs)
        except KlingError as error:
            raise ToolError(f"{type(error).__name__}: {error}") from error

    return tool


class _Tools:
    """The tools of one run. Their docstrings are what an agent reads."""

    def __init__(self, run: LiveRun, media: Path | None) -> None:
        self._run = run
        self._media = media
        self._thumbnails = Thumbnails(run.directory.path)

    async def models(self, makes: str | None = None, provider: str | None = None) -> list[ModelView]:
        """List models with prices and the rules of their fields.

        Args:
            makes: "image" or "video", for only these.
            provider: for only this provider.
        """
        return [
            model_view(one, spec)
            for one in PROVIDERS.values()
            if provider in (None, one.name)
            for spec in one.models.values()
            if makes in (None, spec.kind.value)
        ]

    async def estimate(self, prompt: str, model: str | None = None, fields: _Extra = None) -> Plan:
        """Say what a job would cost, without buying anything."""
        return self._plan([_row(prompt, model, fields)])

    async def submit(
        self,
        prompt: str,
        model: str | None = None,
        fields: _Extra = None,
        key: str | None = None,
        provider: str | None = None,
    ) -> JobView:
        """Submit one image or video; it costs money. Return its key at once, without waiting for the result.

        Args:
            prompt: what to generate.
            model: a model of `models`; by default the provider's image model.
            key: a name for the job. The same key never buys twice. Without one the input itself is the name.
            provider: a provider of `models`; by default the server's.
        """
        row = {**_row(prompt, model, fields), "key": key, "provider": provider}
        [state] = self._run.submit(read_orders([row], media=self._media))
        return job_view(state)

    async def status(self, keys: _Keys) -> list[JobView]:
        """Show what is known of jobs at this moment."""
        return [job_view(self._run.jobs[key]) for key in keys]

    async def collect(
        self, keys: _Keys, wait_seconds: Annotated[float, Field(ge=0, le=_MAX_WAIT)] = 10.0
    ) -> list[ContentBlock]:
        """Wait for some seconds at most, and return jobs with small previews and links to their files.

        Jobs that have not ended go on: collect them again later.
        """
        for key in keys:
            _ = self._run.jobs[key]  # before the wait, for an unknown one
        await self._run.wait(keys, max_seconds=wait_seconds)
        content: list[ContentBlock] = []
        for state in [self._run.jobs[key] for key in keys]:
            content.append(TextContent(text=job_view(state).model_dump_json()))
            content += await anyio.to_thread.run_sync(self._shown, state)
        return content

    async def cancel(self, key: str) -> JobView:
        """Cancel a job. One that was not submitted costs nothing; what a running one costs is the provider's to say."""
        return job_view(await self._run.cancel(key))

    async def batch_plan(self, jobs: list[_Fields]) -> Plan:
        """Check and price many jobs without buying anything. Each has prompt and, as needed, key, model and fields."""
        return self._plan(jobs)

    async def batch_start(self, jobs: list[_Fields]) -> list[JobView]:
        """Submit many jobs, all or none; they cost money. Each has prompt and, as needed, key, model, other fields."""
        return [job_view(one) for one in self._run.submit(read_orders(jobs, media=self._media))]

    async def batch_status(self) -> BatchView:
        """Count the jobs of this server by status, and show the budget."""
        states = list(self._run.jobs)
        counts = Counter(one.status.value for one in states)
        unfinished = sum(not one.ended for one in states)
        return BatchView(statuses=dict(counts), unfinished=unfinished, budget=budget_view(self._run))

    async def unconfirmed(self) -> list[JobView]:
        """List jobs whose answer was lost: they may have been paid for, and a person has to decide about them."""
        return [job_view(one) for one in self._run.jobs if one.status is JobStatus.UNCONFIRMED]

    async def file(self, name: str) -> bytes:
        """Read a file of a job."""
        for state in self._run.jobs:
            for path in state.files:
                if path.name == name:
                    return await anyio.Path(path).read_bytes()
        raise ResourceNotFoundError(f"No job has the file {name}")

    def _plan(self, rows: Sequence[Mapping[str, object]]) -> Plan:
        cost = sum(map(self._run.max_price, read_orders(rows, media=self._media)), Decimal(0))
        fits = self._run.committed + cost <= self._run.max_cost
        return Plan(jobs=len(rows), may_cost=str(cost), fits=fits, budget=budget_view(self._run))

    def _shown(self, state: JobState) -> list[ContentBlock]:
        """Return links to a job's files, and previews of its images."""
        shown: list[ContentBlock] = []
        root = self._run.directory.path
        names = {path: path.relative_to(root).as_posix() for path in state.files}
        small = self._thumbnails.of(names.values())
        for path, name in names.items():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            link = f"kling://files/{path.name}"
            shown.append(ResourceLink(name=path.name, uri=link, mime_type=kind, description=str(path)))
            if name in small:
                shown.append(_image(root / small[name], "image/webp"))
            elif kind.startswith("image/") and path.stat().st_size <= _SMALL_BYTES:
                shown.append(_image(path, kind))
        return shown


def _image(path: Path, kind: str) -> ImageContent:
    return ImageContent(data=base64.b64encode(path.read_bytes()).decode("ascii"), mime_type=kind)


def _row(prompt: str, model: str | None, fields: _Fields | None) -> _Fields:
    return {**(fields or {}), "prompt": prompt, "model": model}
