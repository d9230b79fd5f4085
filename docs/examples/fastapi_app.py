"""A web app that makes images: uvicorn fastapi_app:app. It reads GPTPROTO_API_KEY.

With KLING_DATABASE, the URL of a PostgreSQL database, any number of workers may serve.
"""

import json
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import ceil
from uuid import uuid4

import anyio
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from kling_async import (
    AnswerLost,
    Client,
    Event,
    ImageInput,
    InputError,
    JobStatus,
    KlingError,
    PostgresJournal,
    Prediction,
    PredictionFailed,
    SqliteJournal,
    Status,
    Submission,
)

MAX_QUEUED = int(os.environ.get("MAX_QUEUED", "100"))  # jobs that wait, of each worker
MAX_WAIT = 60.0  # expected seconds until a job is submitted

log = logging.getLogger(__name__)


class ImageRequest(BaseModel):
    """The body of a POST."""

    prompt: str
    n: int = 1
    key: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")


class Task:
    """A job that this process follows: its state, and an event set at each change."""

    def __init__(self, key: str, input: ImageInput | None) -> None:
        self.key = key
        self.input = input  # None for a job that another process has submitted
        self.status = "queued"
        self.prediction: Prediction | None = None
        self.error: KlingError | None = None
        self.finished = False
        self.changed = anyio.Event()

    def update(self, status: str, prediction: Prediction | None = None) -> None:
        """Store a status, and wake the streams that wait for a change."""
        self.status, self.prediction = status, prediction or self.prediction
        self.changed.set()
        self.changed = anyio.Event()

    def finish(self, result: Prediction | KlingError) -> None:
        """Store a result."""
        self.finished = True
        if isinstance(result, Prediction):
            self.update(result.status.value, result)
        else:
            self.error = result
            ended = result.prediction if isinstance(result, PredictionFailed) else None
            lost = isinstance(result, AnswerLost)
            self.update("unconfirmed" if lost else "failed", ended)

    def to_dict(self, client: Client) -> dict[str, object]:
        """Return what a user may see."""
        prediction, queue = self.prediction, client.queue(self.key)
        if self.status == "queued" and queue.position is None:
            queue = client.queue()  # it is about to come
        reason = self.error or (prediction.failure if prediction else None)
        seconds = None if self.finished else queue.finish_seconds
        return {
            "key": self.key,
            "status": self.status,
            "position": queue.position,  # jobs before this one
            "seconds": None if seconds is None else ceil(seconds),  # until it is finished
            "outputs": [output.url for output in prediction.outputs]
            if prediction
            else [],
            "error": reason.message if reason else None,
        }


tasks: dict[str, Task] = {}  # jobs that this process follows; the journal has all


def notice(event: Event) -> None:
    """Tell a task what happens to its job."""
    task, prediction = tasks.get(event.key or ""), event.prediction
    if task is None or task.finished or event.status.is_terminal:
        return
    if event.status is JobStatus.PLANNED:
        task.update("queued")
    elif prediction is not None and prediction.status is Status.RUNNING:
        task.update("running", prediction)
    else:
        task.update("submitted", prediction)


async def generate(client: Client, task: Task, input: ImageInput) -> None:
    """Submit a job and wait; the journal has its id before anyone else."""
    try:
        result = await client.generate(input, key=task.key, wait_timeout=1800)
    except KlingError as error:
        task.finish(error)
    else:
        task.finish(result)


async def follow(client: Client, task: Task, stored: Submission) -> None:
    """Wait for a job that another process has submitted; nothing is submitted here."""
    while stored.status in (JobStatus.SUBMITTING, JobStatus.RESOLVING):
        task.update("submitted")
        await anyio.sleep(0.5)
        stored = await app.state.journal.find(task.key) or stored
    known, error = stored.prediction, stored.error()
    try:
        if known is None:
            task.finish(error or KlingError("The reason is unknown", key=task.key))
        elif stored.urls_complete:
            task.update("submitted", known)
            task.finish(await client.wait(known, wait_timeout=1800))
        else:  # a journal stores no signed URLs
            task.finish(await client.refresh(known))
    except KlingError as failure:
        task.finish(failure)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open one client with a journal for all requests, and a group for the tasks."""
    database = os.environ.get("KLING_DATABASE")
    journal = PostgresJournal(database) if database else SqliteJournal("jobs.db")
    async with Client(journal=journal) as client, anyio.create_task_group() as group:
        client.add_listener(notice)
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
        check_room(app.state.client)
        task = tasks[key] = Task(key, input)
        app.state.group.start_soon(generate, app.state.client, task, input)
    elif task.input not in (input, None):
        raise HTTPException(409, "another job has this key")
    return task.to_dict(app.state.client)


def check_room(client: Client) -> None:
    """Raise HTTPException if a job that comes now would wait for too long."""
    seconds = client.queue().submit_seconds or 0.0
    waiting = sum(task.status == "queued" for task in tasks.values())
    if waiting >= MAX_QUEUED or seconds > MAX_WAIT:
        headers = {"Retry-After": str(max(1, ceil(seconds - MAX_WAIT)))}
        raise HTTPException(429, "too many jobs are waiting", headers=headers)


@app.get("/jobs/{key}")
async def status(key: str) -> dict[str, object]:
    """Return the status of a job."""
    task = await find(key)
    if task is None:
        raise HTTPException(
            404, "no job has this key, or another worker has it in its queue"
        )
    return task.to_dict(app.state.client)


@app.get("/jobs/{key}/events")
async def events(key: str) -> StreamingResponse:
    """Send the status of a job whenever it changes, until the job has ended."""

    async def lines() -> AsyncGenerator[str]:
        sent, until = "", anyio.current_time() + 2 * MAX_WAIT
        while (task := await find(key)) is None and anyio.current_time() < until:
            if not sent:  # another worker may have it in its queue
                yield (
                    sent := f"data: {json.dumps({'key': key, 'status': 'unknown'})}\n\n"
                )
            await anyio.sleep(0.5)
        while task is not None:
            changed, line = task.changed, json.dumps(task.to_dict(app.state.client))
            yield f"data: {line}\n\n" if line != sent else ": the same\n\n"
            sent = line
            if task.finished:
                return
            # The place in the queue changes by itself; proxies close what is idle.
            with anyio.move_on_after(1 if task.status == "queued" else 15):
                await changed.wait()

    return StreamingResponse(lines(), media_type="text/event-stream")


async def find(key: str) -> Task | None:
    """Return the job of that key, which this process or another one has submitted."""
    if key in tasks:
        return tasks[key]
    stored: Submission | None = await app.state.journal.find(key)
    if key in tasks or stored is None or stored.status is JobStatus.PLANNED:
        return tasks.get(key)
    input = stored.job().input
    task = tasks[key] = Task(
        key, input if stored.input_complete and isinstance(input, ImageInput) else None
    )
    app.state.group.start_soon(follow, app.state.client, task, stored)
    return task
