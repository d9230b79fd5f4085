"""The API for scripts as type checkers see it. This file is checked by mypy and pyright, and never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# mypy: disallow-any-expr

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import assert_type

from kling_async import Estimate, Event, ImageInput, Job, Outcome, Prediction, Progress, WebhookResult
from kling_async.blocking import Batch, Client, WebhookReceiver, show_progress


def one(client: Client) -> None:
    """Calls return what they do with `await`."""
    prediction = client.generate(ImageInput("a cat"), key="cat")
    assert_type(prediction, Prediction)
    assert_type(client.download(prediction, Path("out")), list[Path])
    assert_type(client.download(prediction, "out"), list[Path | str])
    assert_type(client.read(prediction), list[bytes])
    assert_type(client.stream(prediction.outputs[0]), Generator[bytes])
    assert_type(client.estimate([ImageInput("a cat")]), Estimate)
    client.generate("a cat")  # type: ignore[arg-type]


def many() -> None:
    """Batches are plain context managers and iterators."""
    with Client() as client, client.batch([Job(ImageInput("a cat"))]) as batch, show_progress(batch):
        assert_type(client, Client)
        assert_type(batch, Batch)
        for outcome in batch:
            assert_type(outcome, Outcome)
        assert_type(batch.events(), Iterator[Event])
        assert_type(batch.progress, Progress)
    assert_type(client.map([ImageInput("a cat")], save_to="out"), list[Outcome])


def webhooks(receiver: WebhookReceiver) -> None:
    """A receiver takes a delivery without `await`."""
    assert_type(receiver.handle({}, b"", provider="fal"), WebhookResult)
