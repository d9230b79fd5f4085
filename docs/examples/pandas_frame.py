"""Make an image for each row of a table, and add the results to the table."""

import asyncio

import pandas as pd

from kling_async import Client, ImageInput, Job

table = pd.DataFrame(
    {
        "sku": ["A-1", "A-2", "A-3"],
        "prompt": ["a red mug", "a blue mug", "a mug of glass"],
    }
)


async def main() -> pd.DataFrame:
    """Name each job after its row, so that each outcome can be matched to its row."""
    jobs = [Job(ImageInput(row.prompt), key=row.sku) for row in table.itertuples()]
    async with Client() as client, client.batch(jobs, save_to="out") as batch:
        rows = [
            {
                "sku": outcome.job.key,
                "file": str(outcome.files[0]) if outcome.files else None,
                "error": str(outcome.error) if outcome.error else None,
            }
            async for outcome in batch
        ]
    return table.merge(pd.DataFrame(rows), on="sku")


results = asyncio.run(main())
results.to_csv("results.csv", index=False)
print(results.to_string())
