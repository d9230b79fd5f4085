"""How much memory grows while many predictions are in flight: `python benchmarks/memory.py 100000` prints JSON.

The account, its engine and its duration model are real. The provider's API is one that answers at once and opens no
connection. The jobs are the caller's and are there before; what is counted is what the account adds: tickets,
predictions, and queues.
"""

from __future__ import annotations

import json
import resource
import sys

import anyio
import anyio.lowlevel

from kling_async.providers import Provider, provider_named
from kling_async.runtime.account import Account
from kling_async.runtime.chained_outputs import ChainedOutputs
from kling_async.runtime.event_listeners import EventListeners
from kling_async.runtime.media_library import MediaLibrary
from kling_async.runtime.provider_api import ProviderAPI, SeenBody
from kling_async.runtime.uploads import Uploads
from kling_async.scheduling.engine import Engine
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.policy import PollPolicy
from kling_async.scheduling.ticket import Subscription
from kling_async.system.background import Tasks
from kling_async.system.clock import SystemClock
from kling_async.transport.credentials import Credential
from kling_async.transport.tls import LazySSLContext
from kling_async.transport.uploads import UploadTransport
from kling_async.types.client_id import ClientId
from kling_async.types.events import Event, EventKind
from kling_async.types.gate import SendCheck, SharedAccount
from kling_async.types.inputs import ImageInput, Input
from kling_async.types.jobs import Job
from kling_async.types.limits import Limits
from kling_async.types.prediction import Prediction, Status


class InstantAPI(ProviderAPI):
    """An API that accepts everything and finishes nothing."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._serial = 0
        self.polls = 0

    @property
    def account(self) -> SharedAccount:
        return SharedAccount(provider="gptproto", origin="http://127.0.0.1:1", key_hash="")

    async def submit(self, job: Job, client_id: ClientId | None = None, check: SendCheck | None = None) -> Prediction:
        self._serial += 1
        id = f"pred-{self._serial:012}"
        model = job.input.model or ""
        return Prediction(provider="gptproto", model=model, id=id, key=job.key, status=Status.QUEUED, raw={"id": id})

    def sends_callback(self, input: Input) -> bool:
        return False

    async def poll(self, prediction: Prediction, *, seen: SeenBody | None = None) -> Prediction:
        self.polls += 1
        return prediction

    async def aclose(self) -> None:
        """Nothing to close."""


def peak() -> float:
    """Return the peak of resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def uploads_of(api: InstantAPI) -> Uploads:
    """Return the uploads of an account whose jobs have no media."""
    clock = SystemClock()
    library = MediaLibrary(clock)
    transport = UploadTransport(
        provider="gptproto",
        credential=Credential(key="", origin="http://127.0.0.1:1", authorizer=None),
        timeout=1.0,
        tls=LazySSLContext(),
        clock=clock,
        loopback=True,
    )

    async def unchanged(prediction: Prediction) -> Prediction:
        return prediction

    return Uploads(
        provider=api.provider,
        account="gptproto",
        transport=transport,
        library=library,
        outputs=ChainedOutputs(unchanged, library=library, clock=clock),
        storage=None,
        clock=clock,
    )


async def grown(number: int) -> dict[str, float]:
    """Submit that many predictions, poll for a second, and return by how many MiB memory grew."""
    accepted, all_accepted, clock = 0, anyio.Event(), SystemClock()
    limits = Limits(submit_per_second=None, poll_per_second=1000.0, max_open=None)

    def on_event(event: Event) -> None:
        nonlocal accepted
        accepted += event.kind is EventKind.ACCEPTED
        if accepted == number:
            all_accepted.set()

    api, input = InstantAPI(provider_named("gptproto")), ImageInput("A lighthouse in the rain", model="kling-image-o1")
    jobs = [Job(input, key=f"job-{at}", provider="gptproto") for at in range(number)]
    durations = DurationModel()
    polling = PollPolicy(durations, random=clock.random)
    engine = Engine(provider="gptproto", limits=limits, polling=polling, random=clock.random)
    account = Account(
        engine=engine,
        api=api,
        clock=clock,
        listeners=EventListeners(),
        max_submitting=limits.max_submitting,
        uploads=uploads_of(api),
        slot_seconds=durations.slot_seconds,
    )
    async with Tasks() as tasks:
        account.open(tasks)
        before = peak()
        for at, job in enumerate(jobs):
            account.submit(account.ticket(job, None), Subscription(on_event, deadline=clock.now() + 3600.0))
            if not at % 1000:
                await anyio.lowlevel.checkpoint()
        await all_accepted.wait()
        await anyio.sleep(1.0)
        after = peak()
        account.close()
    return {"in_flight": accepted, "grown": after - before, "polls": api.polls, "peak": after}


def main() -> None:
    """Measure and print."""
    print(json.dumps(anyio.run(grown, int(sys.argv[1]))))


if __name__ == "__main__":
    main()
