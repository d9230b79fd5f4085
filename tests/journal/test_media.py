"""Local media and outputs of other predictions in a journal: by hash and by prediction, never by their bytes."""

from __future__ import annotations

import json

from attrs import evolve

from kling_async import Job, MediaFile, Output, OutputKind, Prediction, Status, VideoInput
from kling_async.journal.serialization import dump_submission, load_submission
from kling_async.journal.stored_media import media_from, stored_media
from kling_async.journal.submission import new_submission
from kling_async.types.jobs import fingerprint

FILE = MediaFile(
    name="a.png", sha256="ab" * 32, size=1_000_000, mime="image/png", width=640, height=480, source=b"s" * 1_000_000
)
MADE = Prediction(
    provider="fal",
    model="m",
    id="p-1",
    key="k",
    status=Status.SUCCEEDED,
    outputs=(Output(url="https://x.test/0.png?signature=secret", kind=OutputKind.IMAGE),),
)
INPUT = VideoInput("a", image=FILE, last_image=MADE, images=(FILE, "https://x.test/a.png"), model="m")


def test_media_are_stored_by_their_hash() -> None:
    """A line has the hash and the name of a file, and neither its bytes nor a signature; the input keeps its digest."""
    line = dump_submission(new_submission(Job(INPUT, key="k"), provider="fal", price=None, at=0.0))
    assert len(line) < 2000
    assert "secret" not in line
    assert {"name", "sha256", "size", "mime", "width", "height"} == json.loads(line)["input"]["image"]["media"].keys()
    known = load_submission(line)
    assert fingerprint(INPUT) == known.fingerprint == fingerprint(known.job().input)
    assert evolve(FILE, source=None) == known.job().input.images[0]


def test_a_stored_input_without_its_media_is_not_whole() -> None:
    """From the journal alone no local file can be sent again; the output of a prediction can."""
    job = Job(INPUT, key="k")
    assert not new_submission(job, provider="fal", price=None, at=0.0).input_is_whole
    plain = Prediction(
        provider="fal", model="m", id="p", outputs=(Output(url="https://x.test/0", kind=OutputKind.IMAGE),)
    )
    chained = Job(VideoInput("a", image=plain), key="k")
    stored = load_submission(dump_submission(new_submission(chained, provider="fal", price=None, at=0.0)))
    assert stored.input_is_whole
    assert chained.input == stored.job().input


def test_a_video_keeps_its_seconds() -> None:
    """What is known of a video comes back from a journal; a line of an earlier version, without it, is read too."""
    clip = MediaFile(name="a.mp4", sha256="cd" * 32, size=9, mime="video/mp4", width=640, height=480, seconds=5.04)
    assert clip == media_from(stored_media(clip))
    earlier = {"media": {"name": "a.mp4", "sha256": "cd" * 32, "size": 9, "mime": "video/mp4"}}
    assert evolve(clip, width=None, height=None, seconds=None) == media_from(earlier)
