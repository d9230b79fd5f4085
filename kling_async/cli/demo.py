"""`kling-async demo`: the main job on an embedded default: a sandbox on this machine, a dozen jobs, files to see."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Final

import anyio
from attrs import define, frozen
from rich.table import Table

from ..client import Client
from ..errors import ContentRejected, KlingError
from ..inputs import ImageInput, Input, Shot, VideoInput
from ..prediction import Prediction
from ..providers import PROVIDERS
from ..testing import LogNormal, Sandbox, SandboxServer, Seen
from .talk import ExitCode, data, escape, run, say, table_of, talk

__all__ = ["demo"]

_REFERENCE: Final = "https://example.com/reference.jpg"
"""An address as providers want it. The sandbox does not fetch it."""


@frozen
class _Job:
    key: str
    provider: str
    input: Input
    refused: bool = False


_JOBS: Final = (
    _Job("fox", "gptproto", ImageInput("a red fox in deep snow", aspect_ratio="16:9")),
    _Job("tower", "gptproto", ImageInput("a lighthouse at dusk", aspect_ratio="9:16", resolution="2k")),
    _Job("kites", "gptproto", ImageInput("paper kites over a harbour", aspect_ratio="1:1", n=2)),
    _Job("restyle", "gptproto", ImageInput("the same scene as a woodcut", images=[_REFERENCE])),
    _Job("busy", "gptproto", ImageInput("a crowded night market [[rate_limited]]")),
    _Job("refused", "gptproto", ImageInput("something not allowed [[refused]]"), refused=True),
    _Job("river", "gptproto", VideoInput("a river through a canyon", duration=5)),
    _Job(
        "wake", "gptproto", VideoInput("a cat's morning", duration=10, shots=[Shot("it wakes", 5), Shot("it yawns", 5)])
    ),
    _Job("portrait", "apiinone", ImageInput("a portrait in warm light", aspect_ratio="3:4")),
    _Job("neon", "apiinone", ImageInput("a neon street in rain", images=[_REFERENCE], aspect_ratio="21:9")),
    _Job("hero", "apiinone", ImageInput("one hero, three scenes", images=[_REFERENCE], multi_shot=True, n=3)),
    _Job("waves", "apiinone", VideoInput("waves against a cliff", model="kling-3", duration=5)),
)


@define
class _Ending:
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


def demo(*, output: Path = Path("kling-demo")) -> int:
    """Generate a dozen images and videos through both providers at once, in a sandbox on this machine.

    It needs no key, no network and no money, and takes a few seconds. It ends with 0 when all that should succeed did.

    Args:
        output: The folder for the files; those of an earlier demo are replaced.
    """

    async def command() -> ExitCode:
        # What takes a provider seconds and minutes takes the sandbox a second or two.
        sandbox = Sandbox(image_latency=LogNormal(0.8), video_latency=LogNormal(2.0))
        with SandboxServer(sandbox) as server:
            say(f"A sandbox stands in for both providers at {server.url}. No key, no cost.")
            endings = [_Ending(job) for job in _JOBS]
            with talk.status(f"{len(_JOBS)} jobs on their way"):
                await _generate(endings, server.url, sandbox.key, output)
            data.print(_table(endings, sandbox))
        return _conclude(endings, sandbox, output)

    return run(command)


async def _generate(endings: list[_Ending], url: str, key: str, output: Path) -> None:
    everywhere = dict.fromkeys(PROVIDERS, url)
    async with (
        Client(keys=dict.fromkeys(PROVIDERS, key), base_urls=everywhere) as client,
        anyio.create_task_group() as group,
    ):
        for ending in endings:
            group.start_soon(_one, client, ending, output)


async def _one(client: Client, ending: _Ending, output: Path) -> None:
    job, began = ending.job, perf_counter()
    try:
        ending.prediction = await client.generate(job.input, provider=job.provider, key=job.key)
        ending.files = tuple(await client.download(ending.prediction, output, overwrite=True))
    except KlingError as error:
        ending.error = error
    ending.seconds = perf_counter() - began


def _table(endings: list[_Ending], sandbox: Sandbox) -> Table:
    columns = ("job", "provider", "result", "time", "sent", "paid", "files")
    table = table_of(*columns)
    for column in table.columns:
        column.no_wrap = True
    for ending in endings:
        mark = "[green]" if ending.as_expected else "[bold red]"
        table.add_row(
            ending.job.key,
            ending.job.provider,
            f"{mark}{type(ending.error).__name__ if ending.error else 'succeeded'}[/]",
            f"{ending.seconds:.1f} s",
            str(len(_submissions(ending, sandbox))),
            str(sandbox.billed(ending.job.input.prompt)),
            "\n".join(path.name for path in ending.files),
        )
    return table


def _submissions(ending: _Ending, sandbox: Sandbox) -> list[Seen]:
    return [seen for seen in sandbox.log if seen.kind == "submit" and seen.prompt == ending.job.input.prompt]


def _conclude(endings: list[_Ending], sandbox: Sandbox, output: Path) -> ExitCode:
    for ending in endings:
        told_to_wait = sum(seen.status == 429 for seen in _submissions(ending, sandbox))
        if told_to_wait:
            say(f"{ending.job.key}: the provider said 429, so it was sent again after the wait it asked for.")
        if ending.error is not None:
            say(f"{ending.job.key}: {escape(str(ending.error))}")
    files = sum(len(ending.files) for ending in endings)
    most = max(sandbox.billed(ending.job.input.prompt) for ending in endings)
    say(f"\n{files} files are in {escape(str(output))}/. {sandbox.submits} submissions, {sandbox.polls} polls; ")
    say(f"no job was charged more than {'once' if most == 1 else f'{most} times'}, ${sandbox.spent} in play money.")
    say("\nWhat to type next:")
    say("  kling-async sandbox                  the same two providers, for your own code")
    say("  kling-async models                   what there is, and what it costs")
    say("  export GPTPROTO_API_KEY=sk-...       your own key, then")
    say("  kling-async generate 'a red fox'     a real one")
    say("  kling-async plan jobs.csv            many: what a sheet comes to; `batch` does it")
    well = most == 1 and all(ending.as_expected for ending in endings)
    return ExitCode.DONE if well else ExitCode.FAILED
