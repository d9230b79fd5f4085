"""Do jobs on a Ray cluster; each is paid once, although Ray may run a task again."""

import asyncio
import os

import ray

from kling_async import Client, ImageInput, Job, Limits, PostgresJournal

LIMITS = Limits(submit_per_second=2.0, max_open=20)  # of the account, over all tasks
PRICES = {"kling-image-o1": 0.03}


async def do(jobs: list[Job]) -> list[str]:
    """Do the jobs of one task, and return a line for each."""
    journal = PostgresJournal(os.environ["KLING_DATABASE"], run="postcards")
    async with Client("gptproto", limits=LIMITS) as client:
        outcomes = await client.map(
            jobs,
            journal=journal,
            save_to="out",
            max_cost=5,  # of the run, over all tasks
            prices=PRICES,
        )
    return [f"{outcome.job.key} {outcome.error or 'done'}" for outcome in outcomes]


@ray.remote(num_cpus=0.1, max_retries=-1)
def do_chunk(jobs: list[Job]) -> list[str]:
    """Run as a task, again whenever its machine is lost."""
    return asyncio.run(do(jobs))


def main() -> None:
    """Print a line for each job, as the tasks end."""
    jobs = [
        Job(ImageInput(f"a lighthouse, postcard {n}"), key=f"postcard-{n}")
        for n in range(8)
    ]
    ray.init()
    waiting = [do_chunk.remote(jobs[at : at + 4]) for at in range(0, len(jobs), 4)]
    while waiting:
        [ended], waiting = ray.wait(waiting)
        print(*ray.get(ended), sep="\n")


main()
