"""Make images until the budget is used up."""

import asyncio

from kling_async import BudgetExceeded, Client, ImageInput

PROMPTS = [f"a lighthouse, postcard {number}" for number in range(1, 9)]


async def main() -> None:
    """Stop before a job that could exceed the budget."""
    async with Client() as client:
        batch = client.batch(
            [ImageInput(prompt) for prompt in PROMPTS],
            max_cost=0.10,  # US dollars
            prices={"kling-image-o1": 0.03},  # your price; none is published
        )
        async with batch:
            try:
                async for outcome in batch:  # all paid jobs are delivered first
                    print("done:", outcome.job.input.prompt)
            except BudgetExceeded as error:
                print(error.message)
        progress = batch.progress
        print(f"spent ${progress.spent} on {progress.succeeded} of {len(PROMPTS)}")


asyncio.run(main())
