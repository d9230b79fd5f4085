"""Record what version 0.1 leaves on a disk, with version 0.1 itself: `python record.py FOLDER`.

Run once, at the last commit whose journals are of version 1; the tests open what it left. Later versions write other
files, so it is kept to say what the samples hold, not to be run again.
"""

from __future__ import annotations

import lzma
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anyio

from kling_async import (
    AnswerLost,
    AuthenticationError,
    Decision,
    Fault,
    FaultKind,
    ImageInput,
    Job,
    Output,
    OutputKind,
    Prediction,
    Shot,
    SqliteJournal,
    Status,
    Submission,
    VideoInput,
)
from kling_async.errors import ContentRejected
from kling_async.planning.submissions import planned

SIGNED = "https://files.example/cat.png?X-Amz-Signature=c0ffee"
AT = 1_790_000_000.0


def start(key: str, *, provider: str = "gptproto", attempt: int = 1, price: str | None = "0.028") -> Submission:
    """Return an image's submission that has not left."""
    job = Job(ImageInput(f"a cat for {key}"), key=key, labels={"scene": "1"})
    return planned(job, provider=provider, price=None if price is None else Decimal(price), at=AT, attempt=attempt)


def running(key: str, id: str) -> Prediction:
    """Return a prediction that its provider is working on."""
    return Prediction(
        provider="gptproto", model="kling-image-o1", id=id, key=key, status=Status.RUNNING, native_status="processing"
    )


def done(key: str, id: str, status: Status = Status.SUCCEEDED) -> Prediction:
    """Return a prediction that is finished."""
    outputs = (Output(url=SIGNED, kind=OutputKind.IMAGE),) if status is Status.SUCCEEDED else ()
    fault = None if outputs else Fault(kind=FaultKind.FAILED, code="500", message="it did not work")
    return Prediction(
        provider="gptproto",
        model="kling-image-o1",
        id=id,
        key=key,
        status=status,
        native_status=status.value,
        outputs=outputs,
        fault=fault,
        cost=Decimal("0.028") if outputs else Decimal(0),
    )


def every_state() -> Iterator[Submission]:
    """Yield a submission in each state that a journal of a run that ended can hold."""
    yield start("planned")
    yield start("put-off").sent(AT + 1).failed(AuthenticationError("no such key"), lost=False, at=AT + 2)
    yield start("accepted").sent(AT + 1).accepted(running("accepted", "id-accepted"), AT + 2)
    ended = start("saved").sent(AT + 1).accepted(running("saved", "id-saved"), AT + 2)
    yield ended.finished(done("saved", "id-saved"), AT + 30).saved(("saved-0.png",), AT + 31)
    ended = start("not-saved").sent(AT + 1).accepted(running("not-saved", "id-not-saved"), AT + 2)
    yield ended.finished(done("not-saved", "id-not-saved"), AT + 30)
    for status in (Status.FAILED, Status.CANCELLED, Status.EXPIRED):
        begun = start(status.value).sent(AT + 1).accepted(running(status.value, f"id-{status.value}"), AT + 2)
        yield begun.finished(done(status.value, f"id-{status.value}", status), AT + 30)
    refused = ContentRejected("The provider refused: no", http_status=400, code="1200")
    yield start("refused").sent(AT + 1).failed(refused, lost=False, at=AT + 2)
    lost = start("abandoned").sent(AT + 1).failed(AnswerLost("No whole answer"), lost=True, at=AT + 2)
    yield lost.decided(Decision.ABANDONED)
    lost = start("twice").sent(AT + 1).failed(AnswerLost("No whole answer"), lost=True, at=AT + 2)
    yield lost.decided(Decision.RESUBMITTED)
    yield start("twice", attempt=2).sent(AT + 3).accepted(running("twice", "id-twice-2"), AT + 4)
    lost = start("attached").sent(AT + 1).failed(AnswerLost("No whole answer"), lost=True, at=AT + 2)
    yield lost.attached("id-attached", AT + 60)
    film = VideoInput(
        "two shots", model="kling-3", image="data:image/png;base64,iVBORw0KGgo=", shots=[Shot("one", 2), Shot("two", 3)]
    )
    job = Job(film, key="кот: «зима»", labels={"сцена": "\u2028"})
    begun = planned(job, provider="apiinone", price=None, at=AT).sent(AT + 1)
    yield begun.accepted(running(job.key or "", "7"), AT + 2)


def unconfirmed() -> Iterator[Submission]:
    """Yield what nobody knows of, and what was on its way."""
    for number in range(3):
        begun = start(f"lost-{number}").sent(AT + 1)
        yield begun.failed(AnswerLost("No whole answer from https://gptproto.com within 30 s"), lost=True, at=AT + 31)
    yield start("sending").sent(AT + 1)


def a_hundred_thousand() -> Iterator[Submission]:
    """Yield a large run, of which the last thousand are not finished, and the thousand before not saved."""
    for number in range(100_000):
        key, id = f"cat-{number:06}", f"id-{number:06}"
        job = Job(ImageInput("A cat by candlelight, in the style of an old master, with a window behind it"), key=key)
        begun = planned(job, provider="gptproto", price=Decimal("0.028"), at=AT).sent(AT + 1)
        begun = begun.accepted(running(key, id), AT + 2)
        ended = begun.finished(done(key, id), AT + 30)
        yield begun if number >= 99_000 else ended if number >= 98_000 else ended.saved((f"{key}-0.png",), AT + 31)


async def write(path: Path, submissions: list[Submission], *, durability: str = "full") -> None:
    """Write a journal and close it."""
    journal = SqliteJournal(path, durability=durability)
    await journal.open()
    for at in range(0, len(submissions), 1000):
        await journal.write(*submissions[at : at + 1000])
    await journal.aclose()


async def write_and_die(path: Path) -> None:
    """Write a journal flush by flush, save one id elsewhere, and be killed."""
    journal = SqliteJournal(path)
    await journal.open()
    for one in [*every_state(), start("rescued").sent(AT + 1), start("sending").sent(AT + 1)]:
        await journal.write(one)
    await journal.rescue(start("rescued").sent(AT + 1).accepted(running("rescued", "id-rescued"), AT + 2))
    os.kill(os.getpid(), signal.SIGKILL)


SHEET = """key,kind,prompt,label
fox,image,a fox
film,video,a film [[slow:1]]
refused,image,a fox [[refused]]
failed,image,a fox [[failed]]
lost,image,a fox [[lost]]
last,image,the last fox
"""


def run_batches(folder: Path) -> None:
    """Run the command line before the sandbox: to the end in one folder, and killed in the middle in another."""
    with subprocess.Popen(
        [sys.executable, "-m", "kling_async", "sandbox", "--port", "18650", "--time-scale", "0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as sandbox:
        time.sleep(3)
        address = "http://127.0.0.1:18650"
        told = {"GPTPROTO_BASE_URL": address, "GPTPROTO_API_KEY": "sk-sandbox"}
        run = [sys.executable, "-m", "kling_async", "batch"]
        ran = {"env": {**os.environ, **told}, "cwd": folder}
        (folder / "foxes.csv").write_text(SHEET.replace(",label", ""), encoding="utf-8")
        subprocess.run([*run, "foxes.csv", "-o", "run-ended"], check=False, **ran)  # type: ignore[call-overload]
        rows = "".join(f"k{number},a fox number {number} [[slow:20]]\n" for number in range(40))
        (folder / "many.csv").write_text(f"key,prompt\n{rows}", encoding="utf-8")
        with subprocess.Popen([*run, "many.csv", "-o", "run-killed"], **ran) as killed:  # type: ignore[call-overload]
            time.sleep(6)
            killed.kill()
        sandbox.kill()


def main(folder: Path) -> None:
    """Record everything."""
    anyio.run(write, folder / "closed.db", list(every_state()))
    anyio.run(write, folder / "unconfirmed.db", list(unconfirmed()))
    killed = folder / "killed"
    killed.mkdir()
    with subprocess.Popen([sys.executable, __file__, "--die", str(killed / "journal.db")]):
        pass
    with tempfile.TemporaryDirectory() as place:
        large = Path(place) / "journal.db"
        anyio.run(lambda: write(large, list(a_hundred_thousand()), durability="normal"))
        (folder / "hundred_thousand.db.xz").write_bytes(lzma.compress(large.read_bytes(), preset=9))
    run_batches(folder)


if __name__ == "__main__":
    if sys.argv[1] == "--die":
        anyio.run(write_and_die, Path(sys.argv[2]))
    main(Path(sys.argv[1]))
