"""Show a batch in a progress bar of tqdm, which works in notebooks and logs."""

import asyncio

from tqdm import tqdm

from kling_async import Client, ImageInput

PROMPTS = [f"a paper boat, study {number}" for number in range(1, 9)]


async def main() -> None:
    """Advance the bar by one for each outcome, and show the cost beside it."""
    inputs = [ImageInput(prompt) for prompt in PROMPTS]
    async with Client() as client, client.batch(inputs) as batch:
        with tqdm(total=len(inputs), unit="job") as bar:
            async for outcome in batch:
                if not outcome.ok:
                    bar.write(f"{outcome.job.input.prompt}: {outcome.error}")
                now = batch.progress
                bar.set_postfix(failed=now.failed, spent=f"${now.spent}", refresh=False)
                bar.update()


asyncio.run(main())
