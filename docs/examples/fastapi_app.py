"""A web app that makes images: uvicorn fastapi_app:app. It reads GPTPROTO_API_KEY."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from kling_async import (
    AnswerLost,
    Client,
    ImageInput,
    Input,
    InputError,
    JobStatus,
    KlingError,
    Prediction,
    SqliteJournal,
    Submission,
)

log = logging.getLogger(__name__)


class ImageRequest(BaseModel):
    """The body of a POST."""

    prompt: str
    n: int = 1
    key: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")


class Task:
    """One job of this process: its state, and an event that is set at each change."""

    def __init__(self, key: str, input: Input | None) -> None:
        self.key = key
        self.input = input
        self.prediction: Prediction | None = None
        self.error: KlingError | None = None
        self.changed = anyio.Event()

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        ended = self.prediction is not None and self.prediction.status.is_terminal
        return ended or self.error is not None

    def update(self, result: Prediction | KlingError) -> None:
        """Store a result, and wake the streams that wait for a change."""
        if isinstance(result, KlingError):
            self.error = result
        else:
            self.prediction = result
        self.changed.set()
        self.changed = anyio.Event()

    def to_dict(self) -> dict[str, object]:
        """Return what a user may see."""
        prediction, error = self.prediction, self.error
        status = "waiting" if prediction is None else prediction.status.value
        if prediction is None and error is not None:
            status = "unconfirmed" if isinstance(error, AnswerLost) else "failed"
        outputs = prediction.outputs if prediction else ()
        reason = error or (prediction.failure if prediction else None)
        return {
            "key": self.key,
            "status": status,
            "outputs": [output.url for output in outputs],
            "error": reason.message if reason else None,
        }


tasks: dict[str, Task] = {}  # jobs of this process; the journal has the others


async def generate(client: Client, task: Task, input: ImageInput) -> None:
    """Submit and wait; once `submit` has returned, the journal has the id."""
    try:
        accepted = await client.submit(input, key=task.key)
        task.update(accepted)
        task.update(await client.wait(accepted, wait_timeout=1800))
    except KlingError as error:
        task.update(error)


async def resume(client: Client, task: Task, stored: Submission) -> None:
    """Wait for a job that an earlier process submitted; nothing is submitted here."""
    known, error = stored.prediction, stored.error()
    try:
        if known is None:
            task.update(error or KlingError("The reason is unknown", key=task.key))
        elif stored.urls_complete:
            task.update(known)
            task.update(await client.wait(known, wait_timeout=1800))
        else:  # a journal stores no signed URLs
            task.update(await client.refresh(known))
    except KlingError as failure:
        task.update(failure)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open one client with a journal for all requests, and a group for the tasks."""
    journal = SqliteJournal("jobs.db")
    async with Client(journal=journal) as client, anyio.create_task_group() as group:
        app.state.client, app.state.journal, app.state.group = client, journal, group
        yield
        group.cancel_scope.cancel()
    for task in tasks.values():
        if task.prediction is not None and not task.finished:
            log.warning("still running: key=%s id=%s", task.key, task.prediction.id)


app = FastAPI(lifespan=lifespan)


@app.post("/jobs", status_code=202)
async def start(request: ImageRequest) -> dict[str, object]:
    """Start a generation; a known key starts nothing."""
    key = request.key or uuid4().hex
    try:
        input = ImageInput(request.prompt, model="kling-image-o1", n=request.n)
        app.state.client.estimate([input])  # checks it, and sends nothing
    except InputError as error:
        raise HTTPException(422, [str(fault) for fault in error.faults]) from error
    task = await find(key)
    if task is None:
        task = tasks[key] = Task(key, input)
        app.state.group.start_soon(generate, app.state.client, task, input)
    elif task.input not in (input, None):
        raise HTTPException(409, "another job has this key")
    return task.to_dict()


@app.get("/jobs/{key}")
async def status(key: str) -> dict[str, object]:
    """Return the status of a job."""
    return (await require(key)).to_dict()


@app.get("/jobs/{key}/events")
async def events(key: str) -> StreamingResponse:
    """Send the status of a job at each change until it has ended."""
    task = await require(key)

    async def lines() -> AsyncGenerator[str]:
        while True:
            changed = task.changed
            yield f"data: {json.dumps(task.to_dict())}\n\n"
            if task.finished:
                return
            with anyio.move_on_after(15):  # proxies close idle connections
                await changed.wait()

    return StreamingResponse(lines(), media_type="text/event-stream")


async def find(key: str) -> Task | None:
    """Return the job of that key, started by this process or by an earlier one."""
    if key in tasks:
        return tasks[key]
    stored: Submission | None = await app.state.journal.find(key)
    if key in tasks or stored is None or stored.status is JobStatus.PLANNED:
        return tasks.get(key)
    task = tasks[key] = Task(key, stored.job().input if stored.input_complete else None)
    app.state.group.start_soon(resume, app.state.client, task, stored)
    return task


async def require(key: str) -> Task:
    """Return the job of that key. Raises HTTPException if there is none."""
    task = await find(key)
    if task is None:
        raise HTTPException(404, "no job has this key")
    return task
