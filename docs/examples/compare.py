"""Make the same images at two providers, and compare. It needs the API keys of both."""

import asyncio
from collections import defaultdict

from kling_async import Client, ImageInput, Job, Outcome, matrix

PROMPTS = {"fox": "a red fox in deep snow", "kites": "paper kites over a harbour"}
JOBS = [
    job
    for key, prompt in PROMPTS.items()
    for job in matrix(
        Job(ImageInput(prompt), key=key),
        provider=["gptproto", "apiinone"],
        model=["kling-image-o1"],
    )
]


def format_outcomes(outcomes: list[Outcome]) -> str:
    """Return the results of one provider in one line."""
    done = sum(outcome.ok for outcome in outcomes)
    costs = [outcome.prediction.cost for outcome in outcomes if outcome.prediction]
    known = [cost for cost in costs if cost is not None]
    spent = f"${sum(known):.3f}" if len(known) == len(costs) else "unknown"
    return f"{done} of {len(outcomes)} succeeded, spent: {spent}"


async def main() -> None:
    """Group the outcomes by the provider, which is a label of each job."""
    at: dict[str, list[Outcome]] = defaultdict(list)
    async with (
        Client() as client,
        client.batch(JOBS, save_to="out", ordered=True) as batch,
    ):
        async for outcome in batch:
            at[outcome.job.labels["provider"]].append(outcome)
    for provider, outcomes in at.items():
        print(f"{provider}: {format_outcomes(outcomes)}")


asyncio.run(main())
