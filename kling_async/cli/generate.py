"""`kling-async generate`: generate one image or video and save its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from attrs import Attribute, asdict
from cyclopts import Parameter

from ..client import Client
from ..providers import PROVIDERS, provider_named
from ..runs.jobfile import json_line
from ..runs.jobfile.columns import parse_input, read_settings
from ..runs.jobfile.media import with_paths
from ..runs.local_files import LocalFiles
from ..runtime.api_keys import ApiKeys, default_provider
from ..runtime.destinations import destination_at
from ..runtime.media_reader import read_media
from ..types.errors import InputError, PredictionFailed
from ..types.inputs import Input
from ..types.prediction import Prediction, Status
from ..types.provenance import ProvenanceMode
from .console import ExitCode, echo, escape, print_request, run, write_result
from .log import logged
from .options import DEFAULT_TEXT

__all__ = ["generate"]


def generate(
    prompt: str,
    /,
    *,
    model: Annotated[str, Parameter(name=["--model", "-m"])] = "kling-image-o1",
    provider: Annotated[
        str | None,
        Parameter(name=["--provider", "-p"], help=f"Provider: {' or '.join(PROVIDERS)}. {DEFAULT_TEXT}"),
    ] = None,
    settings: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"], negative="", show_default=False)] = (),
    output: Annotated[str, Parameter(name=["--output", "-o"])] = ".",
    key: str | None = None,
    storage: str | None = None,
    timeout: float = 600.0,
    download: bool = True,
    provenance: ProvenanceMode | None = None,
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Generate one input, wait for it, save its files, and print their paths on stdout.

    The API key comes from the environment; `kling-async providers` names the variable of each provider.

    Args:
        prompt: The prompt.
        model: Model; `kling-async models` lists them.
        settings: A further field as NAME=VALUE, such as n=2, duration=10, image=cat.png, "images=URL|cat.png",
            "shots=A cat wakes=5|It yawns=5", extra.sound=false. May be repeated.
        output: Directory for the files, or the URL of an object store, such as s3://bucket/prefix.
        key: Name of the job and its files. [default: generated]
        storage: Bucket of yours for local media, such as s3://bucket/prefix, for providers that take none.
        timeout: Maximum seconds to wait. The prediction continues at the provider.
        download: Save the files, or print output URLs instead of saving files.
        provenance: Save what each file was made from: `sidecar` as a JSON file beside it, `embed` inside PNG and MP4
            files as well.
        overwrite: Replace existing files of the same name.
        json: Print one JSON object on stdout instead of paths.
        verbose: Log the submission, its end and the save on stderr. KLING_LOG=debug logs every event.
        dry_run: Check and price the input, show the request, and send nothing.
    """
    if dry_run:
        return run(lambda: _show(_input(prompt, model, settings), provider, storage=storage is not None))

    async def command() -> ExitCode:
        input, chosen = _input(prompt, model, settings), provider or default_provider(ApiKeys())
        # Before the key is read, so that one message has every fault.
        provider_named(chosen).check(input, storage=storage is not None)
        if download:
            await destination_at(output, name="output").check()
        async with Client(chosen, storage=storage) as client:
            prediction = await _generate(client, input, key=key, wait_timeout=timeout)
            save = partial(client.download, overwrite=overwrite, provenance=provenance, input=input)
            files: Sequence[Path | str] = await save(prediction, output) if download else ()
        _print(prediction, files, as_json=json)
        return ExitCode.DONE

    with logged(verbose=verbose):
        return run(command)


def _input(prompt: str, model: str, settings: Iterable[str]) -> Input:
    """Build an input from a prompt and settings such as `n=2`, `images=URL|URL` or `extra.sound=false`.

    Raises:
        InputError: a setting has an unknown name, or its value is invalid.
    """
    fields = with_paths(read_settings(settings, without=("key", "prompt", "provider", "kind", "model")), None)
    parsed = parse_input({**fields, "prompt": prompt, "model": model})
    if parsed.input is None:
        raise InputError.of("Invalid input", parsed.faults)
    return read_media(parsed.input, LocalFiles())


async def _generate(client: Client, input: Input, *, key: str | None, wait_timeout: float) -> Prediction:
    """Submit an input, wait for its prediction, and say both. Raises PredictionFailed if it did not succeed."""
    echo(f"[dim]Expected cost: {client.estimate([input])}[/]")
    prediction = await client.submit(input, key=key, wait_timeout=wait_timeout)
    echo(f"Accepted by {escape(prediction.provider)} as [bold]{escape(prediction.id)}[/]; waiting.")
    prediction = await client.wait(prediction, wait_timeout=wait_timeout)
    if prediction.status is not Status.SUCCEEDED:
        raise PredictionFailed(prediction)
    return prediction


def _print(prediction: Prediction, files: Sequence[Path | str], *, as_json: bool) -> None:
    if as_json:
        record = asdict(prediction, filter=_is_shown) | {"files": list(map(str, files))}
        write_result(json_line(record, default=str))
        return
    for line in map(str, files) if files else (output.url for output in prediction.outputs):
        write_result(line)


def _is_shown(attribute: Attribute[object], _: object) -> bool:
    return attribute.name != "source"  # the prediction around an output says it


def _show(input: Input, provider_name: str | None, *, storage: bool) -> ExitCode:
    provider = provider_named(provider_name or default_provider(ApiKeys()))
    provider.check(input, storage=storage)
    echo(f"[dim]Expected cost: {Client(provider.name).estimate([input])}. Nothing is sent.[/]")
    print_request(provider, input)
    return ExitCode.DONE
