"""Submit now and fetch later, perhaps from another process."""

import asyncio
import json
from pathlib import Path

from kling_async import Client, ImageInput, Prediction, Status

NOTE = Path("prediction.json")


async def submit() -> None:
    """Return as soon as the provider has accepted the work, and note its id."""
    async with Client() as client:
        prediction = await client.submit(ImageInput("a heron in the reeds"), key="heron")
    names = ("provider", "model", "id", "key")
    NOTE.write_text(json.dumps({name: getattr(prediction, name) for name in names}))
    print("submitted", prediction.key)


async def fetch() -> None:
    """Take the work up again by its id, wait, and save the image."""
    noted = json.loads(NOTE.read_text())
    prediction = Prediction(**noted, status=Status.QUEUED, native_status="")
    async with Client() as client:
        prediction = await client.wait(prediction)
        print(prediction.status, await client.download(prediction, "out"))


asyncio.run(submit())
asyncio.run(fetch())
