"""A web app that a provider calls when an image is finished: uvicorn webhooks_app:api."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from kling_async import Client, ImageInput
from kling_async.integrations.webhooks import app

client = Client("wavespeed", journal="jobs.db")  # reads WAVESPEED_API_KEY
receiver = client.webhooks(
    f"{os.environ['PUBLIC_URL']}/hooks"
)  # reads WAVESPEED_WEBHOOK_SECRET


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Open the client with the app, and close it with it."""
    async with client:
        yield


api = FastAPI(lifespan=lifespan)
api.mount("/hooks", app(receiver))


@api.post("/images")
async def make(prompt: str) -> list[str]:
    """Make an image, and return its URL once it is finished."""
    prediction = await client.generate(ImageInput(prompt))
    return [output.url for output in prediction.outputs]
