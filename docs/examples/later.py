"""Submit now and fetch later, perhaps from another process."""

import asyncio
import json
from pathlib import Path

from kling_async import Client, ImageInput, Prediction, Status

NOTE = Path("prediction.json")


async def submit() -> Prediction:
    """Return as soon as the provider has accepted the job."""
    async with Client() as client:
        return await client.submit(ImageInput("a heron in the reeds"), key="heron")


async def fetch(prediction: Prediction) -> list[Path | str]:
    """Wait until the prediction is finished, and save the image."""
    async with Client() as client:
        finished = await client.wait(prediction)
        return await client.download(finished, "out")


submitted = asyncio.run(submit())
names = ("provider", "model", "id", "key")
NOTE.write_text(json.dumps({name: getattr(submitted, name) for name in names}))
print("submitted", submitted.key)

# These four facts are enough to resume waiting.
stored = json.loads(NOTE.read_text())
known = Prediction(**stored, status=Status.QUEUED, native_status="")
print(asyncio.run(fetch(known))[0])
