"""How much memory grows while many predictions are in flight: `python benchmarks/memory.py 100000` prints JSON.

The scheduler, its engine and its learner are real. The gateway is one that answers at once and opens no connection. The
jobs are the caller's and are there before; what is counted is what the scheduler adds: tickets, predictions, and lines.
"""

from __future__ import annotations

import json
import resource
import sys

import anyio
import anyio.lowlevel

from kling_async.effects.clock import SystemClock
from kling_async.gateway import Gateway
from kling_async.inputs import ImageInput, Job
from kling_async.planning.durations import Learner
from kling_async.planning.moves import Event, EventKind
from kling_async.prediction import Prediction, Status
from kling_async.providers import Limits, Provider, provider_named
from kling_async.scheduler import Scheduler


class Instant(Gateway):
    """A gateway that accepts everything and finishes nothing."""

    def __init__(self) -> None:
        self._serial = 0
        self.polls = 0

    async def submit(self, job: Job) -> Prediction:
        self._serial += 1
        id = f"pred-{self._serial:012}"
        model = job.input.model
        return Prediction(provider="gptproto", model=model, id=id, key=job.key, status=Status.QUEUED, raw={"id": id})

    async def poll(self, prediction: Prediction) -> Prediction:
        self.polls += 1
        return prediction

    async def aclose(self) -> None:
        """Nothing to close."""


def peak() -> float:
    """Return the peak of resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def grown(number: int) -> dict[str, float]:
    """Submit that many predictions, poll for a second, and return by how many MiB memory grew."""
    gateway, accepted, all_there = Instant(), 0, anyio.Event()
    limits = Limits(submit_per_second=None, poll_per_second=1000.0, max_open=None)

    def heard(event: Event) -> None:
        nonlocal accepted
        accepted += event.kind is EventKind.ACCEPTED
        if accepted == number:
            all_there.set()

    def connect(_: Provider) -> tuple[Gateway, Limits]:
        return gateway, limits

    provider, input = provider_named("gptproto"), ImageInput("A lighthouse in the rain")
    jobs = [Job(input, key=f"job-{at}", provider="gptproto") for at in range(number)]
    scheduler = Scheduler(clock=SystemClock(), learner=Learner(), connect=connect)
    async with scheduler.running():
        before = peak()
        for at, job in enumerate(jobs):
            scheduler.begin(job, provider, listener=heard, wait_for=3600.0)
            if not at % 1000:
                await anyio.lowlevel.checkpoint()
        await all_there.wait()
        await anyio.sleep(1.0)
        after = peak()
    return {"in_flight": accepted, "grown": after - before, "polls": gateway.polls, "peak": after}


def main() -> None:
    """Measure and print."""
    print(json.dumps(anyio.run(grown, int(sys.argv[1]))))


if __name__ == "__main__":
    main()
