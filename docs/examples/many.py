"""Make several images at once. Prompts are arguments: python many.py "a fox" "an owl"."""

import asyncio
import sys

from kling_async import Client, ImageInput

PROMPTS = sys.argv[1:] or ["a fox, linocut", "an owl, linocut", "a whale, linocut"]


async def main() -> None:
    """Wait for all of them; a failed job stops no other."""
    async with Client() as client:
        outcomes = await client.map(ImageInput(prompt) for prompt in PROMPTS)
        for outcome in outcomes:  # in the order of the prompts
            prompt = outcome.job.input.prompt
            if outcome.ok:
                [path] = await client.download(outcome.result(), "out")
                print(f"{prompt}: {path}")
            else:
                print(f"{prompt}: {outcome.error}")


asyncio.run(main())
