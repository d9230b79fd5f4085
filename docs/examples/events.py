"""Read the events of a batch beside its outcomes."""

import asyncio
from collections.abc import AsyncIterator

from kling_async import Client, Event, ImageInput

PROMPTS = ("a fox, linocut", "an owl, linocut", "a whale, linocut")


async def print_events(events: AsyncIterator[Event]) -> None:
    """Print each event; the iterator ends with the last outcome."""
    async for event in events:
        print(event.kind, event.key, event.status, event.error or "")


async def main() -> None:
    """Print events in a task of their own."""
    async with (
        Client() as client,
        asyncio.TaskGroup() as tasks,
        client.batch(map(ImageInput, PROMPTS)) as batch,
    ):
        tasks.create_task(print_events(batch.events()))
        async for outcome in batch:
            print("done:", outcome.job.input.prompt)


asyncio.run(main())
