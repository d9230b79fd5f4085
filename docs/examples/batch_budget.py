"""Make images until the money that was set aside is spent."""

import asyncio

from kling_async import BudgetExceeded, Client, ImageInput

PROMPTS = [f"a lighthouse, postcard {number}" for number in range(1, 9)]


async def main() -> None:
    """Stop before the next job could cost more than is left."""
    async with Client() as client:
        batch = client.batch(
            [ImageInput(prompt) for prompt in PROMPTS],
            max_cost=0.10,  # US dollars
            prices={"kling-image-o1": 0.03},  # what you pay; none is published
        )
        async with batch:
            try:
                async for outcome in batch:  # all that was paid for comes first
                    print("done:", outcome.job.input.prompt)
            except BudgetExceeded as error:
                print(error.message)
        now = batch.progress
        print(f"spent ${now.spent} on {now.succeeded} of {len(PROMPTS)}")


asyncio.run(main())
