"""A web app that makes images: uvicorn fastapi_app:app. GPTPROTO_API_KEY has the key."""

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
    KlingError,
    Prediction,
    SqliteJournal,
    State,
    Submission,
)

log = logging.getLogger(__name__)


class Wish(BaseModel):
    """What a user of the app asks for."""

    prompt: str
    n: int = 1
    key: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")


class Work:
    """One job: where it stands, and a bell for those who wait for news of it."""

    def __init__(self, key: str, wanted: Input | None) -> None:
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


works: dict[str, Work] = {}  # what this process has heard of; the journal has the rest


async def perform(client: Client, work: Work, wanted: ImageInput) -> None:
    """Generate; from the first call on, the journal has the id."""
    try:
        accepted = await client.submit(wanted, key=work.key)
        work.tell(accepted)
        work.tell(await client.wait(accepted, wait_timeout=1800))
    except KlingError as error:
        work.tell(error)


async def take_up(client: Client, work: Work, kept: Submission) -> None:
    """Follow a job that an earlier process submitted; nothing is submitted here."""
    known, error = kept.prediction, kept.error()
    try:
        if known is None:
            work.tell(error or KlingError("No reason is known", key=work.key))
        elif kept.fetchable:
            work.tell(known)
            work.tell(await client.wait(known, wait_timeout=1800))
        else:  # a journal keeps no signatures of addresses
            work.tell(await client.refresh(known))
    except KlingError as failure:
        work.tell(failure)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open one client with a journal for all requests, and a group for the app's work."""
    journal = SqliteJournal("jobs.db")
    async with Client(journal=journal) as client, anyio.create_task_group() as tasks:
        app.state.client, app.state.journal, app.state.tasks = client, journal, tasks
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
    work = await known(key)
    if work is None:
        work = works[key] = Work(key, wanted)
        app.state.tasks.start_soon(perform, app.state.client, work, wanted)
    elif work.wanted not in (wanted, None):
        raise HTTPException(409, "another job has this key")
    return work.shown()


@app.get("/jobs/{key}")
async def status(key: str) -> dict[str, object]:
    """Tell where a job stands."""
    return (await find(key)).shown()


@app.get("/jobs/{key}/events")
async def events(key: str) -> StreamingResponse:
    """Tell where a job stands, at each change until it is over."""
    work = await find(key)

    async def lines() -> AsyncGenerator[str]:
        while True:
            news = work.news
            yield f"data: {json.dumps(work.shown())}\n\n"
            if work.over:
                return
            with anyio.move_on_after(15):  # proxies hang up on silence
                await news.wait()

    return StreamingResponse(lines(), media_type="text/event-stream")


async def known(key: str) -> Work | None:
    """Return the job of that key, whether this process began it or an earlier one."""
    if key in works:
        return works[key]
    kept: Submission | None = await app.state.journal.find(key)
    if key not in works and kept is not None and kept.state is not State.PLANNED:
        works[key] = Work(key, kept.job().input if kept.whole else None)
        app.state.tasks.start_soon(take_up, app.state.client, works[key], kept)
    return works.get(key)


async def find(key: str) -> Work:
    """Return the job of that key. Raises HTTPException if there is none."""
    work = await known(key)
    if work is None:
        raise HTTPException(404, "no job has this key")
    return work
