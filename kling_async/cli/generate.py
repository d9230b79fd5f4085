"""`kling-async generate`: one input, its prediction, its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from ..client import Client
from ..effects.parts import check_directory
from ..errors import PredictionFailed
from ..inputs import Input
from ..prediction import Prediction, Status
from ..providers import provider_named
from ..sheets import json_line
from .fields import input_from
from .showing import show_request
from .talk import ExitCode, escape, put, run, say

__all__ = ["generate"]


def generate(
    prompt: str,
    /,
    *,
    model: Annotated[str, Parameter(name=["--model", "-m"])] = "kling-image-o1",
    provider: Annotated[str, Parameter(name=["--provider", "-p"])] = "gptproto",
    settings: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"], negative="")] = (),
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path(),
    key: str | None = None,
    timeout: float = 600.0,
    download: bool = True,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Generate one input, wait for it, and save its files; their paths are printed on stdout.

    The key comes from GPTPROTO_API_KEY or APIINONE_API_KEY.

    Args:
        prompt: What to draw or to show.
        model: A model; `kling-async models` lists them.
        provider: Who shall do it: gptproto or apiinone.
        settings: A further field as NAME=VALUE, such as n=2, duration=10, image=URL, "images=URL|URL",
            "shots=A cat wakes=5|It yawns=5", extra.sound=false. May be repeated.
        output: The folder for the files.
        key: A name for the job and its files; made up if left out.
        timeout: Seconds to wait at most. The work goes on at the provider.
        download: Save the files, or only print where they are.
        overwrite: Replace files that have the names.
        json: Print one JSON object on stdout in place of paths.
        dry_run: Check and price the input, show the request, and send nothing.
    """
    if dry_run:
        return run(lambda: _show(prompt, model, provider, settings))

    async def command() -> ExitCode:
        input = input_from(prompt, model=model, settings=settings)
        if download:
            check_directory(output)
        async with Client(provider) as client:
            say(f"[dim]Expected cost: {client.estimate([input])}[/]")
            prediction = await client.submit(input, key=key, wait_timeout=timeout)
            say(f"Accepted by {escape(prediction.provider)} as [bold]{escape(prediction.id)}[/]; waiting.")
            prediction = await client.wait(prediction, wait_timeout=timeout)
            if prediction.status is not Status.SUCCEEDED:
                raise PredictionFailed(prediction)
            files = await client.download(prediction, output, overwrite=overwrite) if download else []
        _print(prediction, files, as_json=json)
        return ExitCode.DONE

    return run(command)


def _print(prediction: Prediction, files: list[Path], *, as_json: bool) -> None:
    if as_json:
        record = asdict(prediction) | {"files": [str(path) for path in files]}
        put(json_line(record, default=str))
        return
    for line in map(str, files) if files else (output.url for output in prediction.outputs):
        put(line)


def _show(prompt: str, model: str, provider: str, settings: tuple[str, ...]) -> ExitCode:
    input: Input = input_from(prompt, model=model, settings=settings)
    chosen = provider_named(provider)
    chosen.check(input)
    say(f"[dim]Expected cost: {Client(provider).estimate([input])}. Nothing is sent.[/]")
    show_request(chosen, input)
    return ExitCode.DONE
