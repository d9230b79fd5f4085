"""Provenance of saved files: beside each, inside where nothing signs it, written once, and never paid for again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from kling_async import Client, ImageInput, Job, MemoryJournal, Outcome, Prediction, Shot, SqliteJournal, VideoInput
from kling_async.errors import DownloadError, InputError
from kling_async.journal.submission import new_submission
from kling_async.runtime.sidecars import ProvenanceRequest
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png
from kling_async.types.prediction import Output, OutputKind, Status

from ..conftest import NO_LIMITS, Serve, read_request, reply
from ..s3 import Bucket

pytestmark = pytest.mark.anyio

SECRET_PROMPT = "a prompt that no log may hold, 漢字"
PICTURE = draw_png("a cat", width=40, height=30)
SIGNED = PICTURE[:33] + b"\0\0\0\x04caBXjumb\x8d\x9b\x1a\x2f" + PICTURE[33:]
CLIP = (files("kling_async.testing.sandbox") / "clip.mp4").read_bytes()
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x02" + bytes(7) + b"\xff\xda\0\x02picture\xff\xd9"


@define
class Served:
    """A client, and the sandbox that it reaches over a socket."""

    client: Client
    sandbox: Sandbox

    @property
    def downloads(self) -> int:
        return sum(seen.kind == "download" for seen in self.sandbox.log)


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Served]:
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.02), video_latency=Fixed(0.02))
    with SandboxServer(sandbox) as server:
        key = sandbox.key_for("gptproto")
        async with Client("gptproto", api_key=key, base_url=server.url, limits=NO_LIMITS, **settings) as client:
            yield Served(client, sandbox)


@pytest.fixture(autouse=True)
def _no_prompt_in_a_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Hold each test to a prompt that is in no log, however much is logged."""
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET_PROMPT not in caplog.text


JOBS = [
    Job(ImageInput(SECRET_PROMPT, n=2), key="cat", labels={"style": "ink"}),
    Job(VideoInput("a river", duration=5), key="river"),
]


async def run(at: Served, todo: list[Job], **settings: Any) -> list[Outcome]:
    async with at.client.batch(todo, ordered=True, **settings) as batch:
        return [outcome async for outcome in batch]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def sidecar_of(path: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(path.with_name(f"{path.name}.json").read_bytes())
    return fields


async def test_a_sidecar_beside_each_file(tmp_path: Path) -> None:
    """Each file has a sidecar, with what it was made from, when, and the SHA-256 of the file as it lies there."""
    async with served() as at:
        outcomes = await run(at, JOBS, save_to=tmp_path / "out", journal=tmp_path / "j.db", provenance="sidecar")
    names = ["cat-0.png", "cat-1.png", "river-0.mp4"]
    assert sorted([*names, *(f"{name}.json" for name in names)]) == sorted(contents(tmp_path / "out"))
    assert [(2, 1)] == [tuple(len(outcome.files) for outcome in outcomes)]
    for name, kind, outcome in zip(names, ["image", "image", "video"], [outcomes[0], *outcomes], strict=True):
        found, content = sidecar_of(tmp_path / "out" / name), (tmp_path / "out" / name).read_bytes()
        prediction = outcome.result()
        assert found["prompt"] == outcome.job.input.prompt
        assert (name, kind) == (found["file"], found["kind"])
        assert (prediction.model, "gptproto", prediction.id) == (found["model"], found["provider"], found["id"])
        assert (outcome.job.key, dict(outcome.job.labels)) == (found["key"], found["labels"])
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (found["sha256"], found["size"])
        assert (False, False) == (found["c2pa"], found["embedded"])
        assert f"kling_async {version('kling-async')}" == found["software"]
        assert datetime.fromisoformat(found["accepted_at"]) <= datetime.fromisoformat(found["saved_at"])


@pytest.mark.parametrize("mode", ["sidecar", "embed"])
async def test_the_journal_has_the_checksum_of_the_file(tmp_path: Path, mode: str) -> None:
    """The SHA-256 in the journal is that of the file as it lies there, with what was embedded."""
    async with served() as at:
        await run(at, JOBS, save_to=tmp_path / "out", journal=tmp_path / "j.db", provenance=mode)
    journal = SqliteJournal(tmp_path / "j.db")
    await journal.open()
    try:
        for one in await journal.submissions():
            assert one.files
            sums = tuple(hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() for name in one.files)
            assert sums == one.checksums
            assert list(sums) == [sidecar_of(tmp_path / "out" / name)["sha256"] for name in one.files]
    finally:
        await journal.aclose()


async def test_embedded_provenance_changes_no_picture(tmp_path: Path) -> None:
    """With "embed" a PNG and an MP4 hold the prompt, keep every byte that they had, and can still be read."""
    image = pytest.importorskip("PIL.Image")
    async with served() as at:
        await run(at, JOBS, save_to=tmp_path / "plain", journal=MemoryJournal())
        await run(at, JOBS, save_to=tmp_path / "out", journal=MemoryJournal(), provenance="embed")
    for name in ("cat-0.png", "river-0.mp4"):
        assert sidecar_of(tmp_path / "out" / name)["embedded"]
    with image.open(tmp_path / "plain" / "cat-0.png") as one, image.open(tmp_path / "out" / "cat-0.png") as other:
        assert one.tobytes() == other.tobytes()
        assert SECRET_PROMPT == other.text["Description"]
        record = json.loads(other.text["kling_async"])
        assert ("cat", {"style": "ink"}) == (record["key"], record["labels"])
        assert "trainedAlgorithmicMedia" in other.text["XML:com.adobe.xmp"]
    clip = (tmp_path / "out" / "river-0.mp4").read_bytes()
    plain = (tmp_path / "plain" / "river-0.mp4").read_bytes()
    assert clip.startswith(plain)
    added = clip[len(plain) :]
    assert (len(added), b"uuid") == (int.from_bytes(added[:4], "big"), added[4:8])
    assert b"a river" in added


async def test_a_finished_run_changes_no_file(tmp_path: Path) -> None:
    """A second run with provenance sends nothing, fetches nothing and writes nothing, whichever of its two it is."""
    async with served() as at:
        settings: dict[str, Any] = {"save_to": tmp_path / "out", "journal": tmp_path / "j.db"}
        await run(at, JOBS, provenance="embed", **settings)
        kept, fetched, paid = contents(tmp_path / "out"), at.downloads, at.sandbox.submits
        times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
        for mode in ("embed", "sidecar"):
            assert all(one.ok for one in await run(at, JOBS, provenance=mode, **settings))
        assert (fetched, paid) == (at.downloads, at.sandbox.submits)
    assert kept == contents(tmp_path / "out")
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


async def test_missing_sidecars_are_written_from_what_is_there(tmp_path: Path) -> None:
    """A run that was finished without provenance gets sidecars: no download, no submission, no byte changed."""
    async with served() as at:
        settings: dict[str, Any] = {"save_to": tmp_path / "out", "journal": tmp_path / "j.db"}
        await run(at, JOBS, **settings)
        kept, fetched = contents(tmp_path / "out"), at.downloads
        await run(at, JOBS, provenance="embed", **settings)
        assert (fetched, 2) == (at.downloads, at.sandbox.submits)
    now = contents(tmp_path / "out")
    assert kept == {name: content for name, content in now.items() if not name.endswith(".json")}
    found = sidecar_of(tmp_path / "out" / "cat-1.png")
    assert (SECRET_PROMPT, False) == (found["prompt"], found["embedded"])
    assert hashlib.sha256(kept["cat-1.png"]).hexdigest() == found["sha256"]


async def test_the_journal_knows_the_prompt_of_a_download(tmp_path: Path) -> None:
    """A download takes the prompt and the times from the client's journal."""
    async with served(journal=MemoryJournal()) as at:
        made = await at.client.generate(ImageInput(SECRET_PROMPT), key="cat")
        [path] = await at.client.download(made, tmp_path, provenance="sidecar")
    assert SECRET_PROMPT == sidecar_of(path)["prompt"]


async def test_the_prompts_of_shots_are_a_prompt() -> None:
    """A video that has shots only is described by theirs, whether its input is at hand or in a journal only."""
    film = VideoInput(shots=[Shot("it wakes", 5), Shot("it yawns", 5)], duration=10)
    known = new_submission(Job(film, key="film"), provider="gptproto", price=None, at=0.0)
    prediction = made("https://example.com/film.mp4")
    for request, submission in (
        (ProvenanceRequest(mode="sidecar", input=film), None),
        (ProvenanceRequest(mode="sidecar"), known),
    ):
        assert "it wakes\nit yawns" == request.record(prediction, submission).prompt


async def test_without_a_journal_the_caller_knows_the_prompt(tmp_path: Path) -> None:
    """Without a journal a sidecar has the prompt of the input that is given, and none if none is."""
    async with served() as at:
        made = await at.client.generate(ImageInput(SECRET_PROMPT), key="cat")
        [path] = await at.client.download(made, tmp_path, provenance="sidecar", input=ImageInput(SECRET_PROMPT))
        [other] = await at.client.download(made, tmp_path / "b", provenance="sidecar")
    assert (SECRET_PROMPT, None) == (sidecar_of(path)["prompt"], sidecar_of(other)["prompt"])
    assert sidecar_of(path)["accepted_at"]


def made(url: str, key: str = "cat") -> Prediction:
    output = Output(url=url, kind=OutputKind.IMAGE)
    return Prediction(
        provider="gptproto", model="kling-image-o1", id="p-1", key=key, status=Status.SUCCEEDED, outputs=(output,)
    )


@asynccontextmanager
async def file_served(serve: Serve, *contents: bytes) -> AsyncIterator[tuple[Client, Prediction]]:
    """Serve a file, another one each time, and open a client whose prediction it is."""
    left = [*contents]

    async def answer(stream: Any) -> None:
        await read_request(stream)
        await stream.send(reply(left.pop(0) if len(left) > 1 else left[0]))

    async with serve(answer) as origin, Client(api_key="sk-1", base_url=origin) as client:
        yield client, made(f"{origin}/cat.png")


@pytest.mark.parametrize(
    ("content", "c2pa"), [(SIGNED, True), (JPEG, False), (PICTURE + b"more", False)], ids=["signed", "jpeg", "tail"]
)
async def test_a_file_that_may_not_be_changed_is_not(serve: Serve, tmp_path: Path, content: bytes, c2pa: bool) -> None:
    """A file with a credential stays the same to the last byte, and so does one that cannot hold text."""
    async with file_served(serve, content) as (client, prediction):
        [path] = await client.download(prediction, tmp_path, provenance="embed")
    assert content == path.read_bytes()
    found = sidecar_of(path)
    assert (c2pa, False) == (found["c2pa"], found["embedded"])
    assert hashlib.sha256(content).hexdigest() == found["sha256"]


@pytest.mark.parametrize("modes", [("embed", None), (None, "embed"), ("embed", "embed"), ("sidecar", "embed")])
@pytest.mark.parametrize("content", [PICTURE, CLIP], ids=["png", "mp4"])
async def test_the_same_output_with_and_without_provenance(
    serve: Serve, tmp_path: Path, content: bytes, modes: tuple[Any, Any]
) -> None:
    """A file is known again whether provenance was embedded in it or not: it is no other file, and is left as it is."""
    async with file_served(serve, content) as (client, prediction):
        [path] = await client.download(prediction, tmp_path, provenance=modes[0], input=ImageInput("one"))
        kept = contents(tmp_path)
        assert [path] == await client.download(prediction, tmp_path, provenance=modes[1], input=ImageInput("two"))
    assert kept.items() <= contents(tmp_path).items()
    assert not [name for name in contents(tmp_path) if ".part" in name]


async def test_another_output_is_still_another(serve: Serve, tmp_path: Path) -> None:
    """Another picture under the same name is an error, with provenance embedded in the first one or not."""
    async with file_served(serve, PICTURE, draw_png("a dog", width=40, height=30)) as (client, prediction):
        [path] = await client.download(prediction, tmp_path, provenance="embed")
        kept = contents(tmp_path)
        with pytest.raises(DownloadError, match="Another file has the output's name"):
            await client.download(prediction, tmp_path, provenance="embed")
        assert kept == contents(tmp_path)
        [path] = await client.download(prediction, tmp_path, provenance="embed", overwrite=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sidecar_of(path)["sha256"]
    assert kept[path.name] != path.read_bytes()


async def test_a_file_of_another_is_not_overwritten(serve: Serve, tmp_path: Path) -> None:
    """A file of the user's under a sidecar's name stays, and the output is saved; `overwrite` replaces it."""
    (tmp_path / "cat-0.png.json").write_text('{"mine": true}')
    async with file_served(serve, PICTURE) as (client, prediction):
        with pytest.raises(DownloadError, match="Another file has the sidecar's name") as caught:
            await client.download(prediction, tmp_path, provenance="sidecar")
        assert "output itself is saved" in str(caught.value)
        assert {"cat-0.png": PICTURE, "cat-0.png.json": b'{"mine": true}'} == contents(tmp_path)
        [path] = await client.download(prediction, tmp_path, provenance="sidecar", overwrite=True)
    assert "cat" == sidecar_of(path)["key"]


async def test_a_sidecar_that_cannot_be_written(tmp_path: Path) -> None:
    """A sidecar that cannot be written is an error of the outcome, the output is kept, and the next run writes it."""
    async with served() as at:
        out, journal, todo = tmp_path / "out", tmp_path / "j.db", [Job(ImageInput("a cat"), key="cat")]
        blocking = out / "cat-0.png.json"
        blocking.mkdir(parents=True)
        [outcome] = await run(at, todo, save_to=out, journal=journal, provenance="sidecar")
        assert isinstance(outcome.error, DownloadError)
        assert "cat-0.png.json" in str(outcome.error.path)
        blocking.rmdir()
        fetched = at.downloads
        [again] = await run(at, todo, save_to=out, journal=journal, provenance="sidecar")
        assert again.ok
        assert (fetched, 1) == (at.downloads, at.sandbox.submits)
    assert "a cat" == sidecar_of(out / "cat-0.png")["prompt"]


@pytest.mark.parametrize("word", ["xmp", "", "SIDECAR", True])
async def test_an_unknown_word_is_refused(tmp_path: Path, word: Any) -> None:
    """An unknown word is an error before anything is sent, and it names those that are known."""
    async with served() as at:
        with pytest.raises(InputError, match="must be one of sidecar, embed"):
            at.client.batch(JOBS, save_to=tmp_path, provenance=word)
        with pytest.raises(InputError, match="must be one of sidecar, embed"):
            await at.client.download(made("https://example.com/a.png"), tmp_path, provenance=word)
        with pytest.raises(InputError, match="for files that are saved"):
            at.client.batch(JOBS, provenance="sidecar")
        assert [] == at.sandbox.log


@pytest.mark.parametrize("mode", ["sidecar", "embed"])
async def test_objects_have_sidecars(bucket: Bucket, tmp_path: Path, mode: Any) -> None:
    """In a bucket a sidecar is an object of its own; the output is as the provider sent it, also with "embed"."""
    async with served() as at:
        settings: dict[str, Any] = {"save_to": bucket.url, "journal": tmp_path / "j.db", "provenance": mode}
        outcomes = await run(at, JOBS, **settings)
        kept, fetched = bucket.objects(), at.downloads
        bucket.log()
        await run(at, JOBS, **settings)
        assert (fetched, 2) == (at.downloads, at.sandbox.submits)
    assert kept == bucket.objects()
    assert {"cat-0.png", "cat-1.png", "river-0.mp4"} == {name for name in kept if not name.endswith(".json")}
    assert [f"{bucket.url}/cat-0.png", f"{bucket.url}/cat-1.png"] == list(outcomes[0].files)
    assert "application/json" == bucket.type_of("cat-0.png.json")
    for name, content in kept.items():
        if not name.endswith(".json"):
            found = json.loads(kept[f"{name}.json"])
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (found["sha256"], found["size"])
            assert (False, False) == (found["c2pa"], found["embedded"])


async def test_a_sidecar_that_is_missing_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    """A sidecar that is missing is written from the object in the bucket: the provider is asked for nothing."""
    async with served() as at:
        settings: dict[str, Any] = {"save_to": bucket.url, "journal": tmp_path / "j.db"}
        await run(at, JOBS, **settings)
        fetched = at.downloads
        await run(at, JOBS, provenance="sidecar", **settings)
        assert (fetched, 2) == (at.downloads, at.sandbox.submits)
    found = json.loads(bucket.objects()["river-0.mp4.json"])
    assert hashlib.sha256(bucket.objects()["river-0.mp4"]).hexdigest() == found["sha256"]
    assert "a river" == found["prompt"]
