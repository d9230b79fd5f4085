"""A web app that makes images: uvicorn fastapi_app:app. GPTPROTO_API_KEY has the key."""

import json
import logging
from collections.abc import AsyncIterator
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
    InputError,
    KlingError,
    Prediction,
)

log = logging.getLogger(__name__)


class Wish(BaseModel):
    """What a user of the app asks for."""

    prompt: str
    n: int = 1
    key: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")


class Work:
    """One job: where it stands, and a bell for those who wait for news of it."""

    def __init__(self, key: str, wanted: ImageInput) -> None:
        self.key = key
        self.wanted = wanted
        self.prediction: Prediction | None = None
        self.error: KlingError | None = None
        self.news = anyio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        finished = self.prediction is not None and self.prediction.status.finished
        return finished or self.error is not None

    def tell(self, news: Prediction | KlingError) -> None:
        """Note what happened, and ring."""
        if isinstance(news, KlingError):
            self.error = news
        else:
            self.prediction = news
        self.news.set()
        self.news = anyio.Event()

    def shown(self) -> dict[str, object]:
        """Return what a user may see."""
        seen, error = self.prediction, self.error
        status = "waiting" if seen is None else seen.status.value
        if seen is None and error is not None:
            status = "unconfirmed" if isinstance(error, AnswerLost) else "failed"
        fault = error or (seen.fault if seen else None)
        return {
            "key": self.key,
            "status": status,
            "outputs": [output.url for output in seen.outputs] if seen else [],
            "error": fault.message if fault else None,
        }


works: dict[str, Work] = {}  # a real app keeps them in its database


async def perform(client: Client, work: Work) -> None:
    """Generate; between the two calls the id is known, and can be kept."""
    try:
        work.tell(await client.submit(work.wanted, key=work.key))
        if work.prediction is not None:
            work.tell(await client.wait(work.prediction, wait_timeout=1800))
    except KlingError as error:
        work.tell(error)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open one client for all requests, and a group for the work of the app."""
    async with Client() as client, anyio.create_task_group() as tasks:
        app.state.client, app.state.tasks = client, tasks
        yield
        tasks.cancel_scope.cancel()
    for work in works.values():
        if work.prediction is not None and not work.over:
            log.warning("still running: key=%s id=%s", work.key, work.prediction.id)


app = FastAPI(lifespan=lifespan)


@app.post("/jobs", status_code=202)
async def begin(wish: Wish) -> dict[str, object]:
    """Start a generation; a key that is known already starts nothing."""
    key = wish.key or uuid4().hex
    try:
        wanted = ImageInput(wish.prompt, n=wish.n)
        app.state.client.estimate([wanted])  # checks it, and sends nothing
    except InputError as error:
        raise HTTPException(422, [str(fault) for fault in error.faults]) from error
    if key not in works:
        works[key] = Work(key, wanted)
        app.state.tasks.start_soon(perform, app.state.client, works[key])
    elif works[key].wanted != wanted:
        raise HTTPException(409, "another job has this key")
    return works[key].shown()


@app.get("/jobs/{key}")
async def status(key: str) -> dict[str, object]:
    """Tell where a job stands."""
    return find(key).shown()


@app.get("/jobs/{key}/events")
async def events(key: str) -> StreamingResponse:
    """Tell where a job stands, at each change until it is over."""
    work = find(key)

    async def lines() -> AsyncIterator[str]:
        while True:
            news = work.news
            yield f"data: {json.dumps(work.shown())}\n\n"
            if work.over:
                return
            with anyio.move_on_after(15):  # proxies hang up on silence
                await news.wait()

    return StreamingResponse(lines(), media_type="text/event-stream")


def find(key: str) -> Work:
    """Return the job of that key."""
    if key not in works:
        raise HTTPException(404, "no job has this key")
    return works[key]
