"""The state of the sandbox: tasks, money, limits and faults. Time is an argument, and randomness has a seed."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from attrs import define, evolve, field
from attrs.validators import gt, in_, optional

from .callbacks import secret_of
from .faults import RESULT_SHAPES, FaultInjector, FaultStage
from .http import Request
from .ledger import Charge, Kind, Ledger, LoggedRequest
from .outbox import Outbox
from .randomness import Latency, LogNormal, digest_of, draw
from .tasks import Task, TaskSpec
from .uploads import UploadStore

__all__ = ["Sandbox", "TokenBucket"]

_IMAGE, _VIDEO = LogNormal(8.0), LogNormal(90.0)


_WITHOUT_SUFFIX = frozenset({"gptproto", "apiinone"})
"""Providers whose key is that of the sandbox itself."""
_KEY_SECONDS = 86_400.0
"""Seconds for which an idempotency key is kept; a repeat does not extend them."""
_ROUNDING = 1e-9
"""Rounding error of float sums in seconds: a shorter wait is none."""


@define
class TokenBucket:
    """A bucket of `burst` requests that refills at `per_second`; None is no limit."""

    per_second: float | None
    burst: int = 1
    _full_at: float = float("-inf")

    def acquire(self, now: float) -> float:
        """Take one token; return 0 if the request is allowed, else the seconds until one would be."""
        if self.per_second is None:
            return 0.0
        cost = 1 / self.per_second
        # Generic cell rate algorithm: a bucket that is full again at `_full_at` lacks one token per `cost` until then.
        filled_at = max(self._full_at, now) + cost
        wait = filled_at - self.burst * cost - now
        if wait > _ROUNDING:
            return wait
        self._full_at = filled_at
        return 0.0


@define(kw_only=True, eq=False)
class Sandbox:
    """Emulated providers, free of charge, as one state machine.

    A sandbox has one time: serve it by one app. Reading it from another thread is safe while it serves.

    Attributes:
        key: the API key that it accepts. Each provider but the first two, GPTProto and API in One, has one of its own:
            this one with its name, as in `sk-sandbox-fal`.
        balance: remaining US dollars.
        seed: of latencies and ids. The same prompts take the same time, in any order.
        time_scale: factor of generation times; 0.01 is a hundred times faster.
        image_latency: generation time of an image, in seconds before scaling.
        video_latency: generation time of a video, in seconds before scaling.
        submit_per_second: submissions allowed per second; more get 429. None is no limit.
        submit_burst: submissions allowed at once.
        poll_per_second: polls allowed per second; more get 429. None is no limit.
        poll_burst: polls allowed at once.
        max_open: maximum number of unfinished tasks; further submissions get 429. None is no limit.
        slots: maximum number of tasks that run at once; more are queued. None is no limit.
        retry_after: the Retry-After header of the fault ``rate_limited``; None leaves it out.
        sync_seconds: seconds that a submission with ``enable_sync_mode`` waits before its response asks for polls.
        admission_seconds: seconds after a submission for which a repeat with its idempotency key is refused, with
            Retry-After.
        output_ttl: seconds that the URL of an output lives after the poll that returned it; None is for ever.
        result_shape: shape of API in One's finished body, one of `RESULT_SHAPES`.
        strict: whether an undocumented parameter is refused instead of ignored.
    """

    key: str = "sk-sandbox"
    balance: Decimal = field(default=Decimal(100), converter=Decimal)
    seed: int = 0
    time_scale: float = field(default=1.0, validator=gt(0))
    image_latency: Latency = _IMAGE
    video_latency: Latency = _VIDEO
    submit_per_second: float | None = field(default=None, validator=optional(gt(0)))
    submit_burst: int = field(default=1, validator=gt(0))
    poll_per_second: float | None = field(default=None, validator=optional(gt(0)))
    poll_burst: int = field(default=1, validator=gt(0))
    max_open: int | None = field(default=None, validator=optional(gt(0)))
    slots: int | None = field(default=None, validator=optional(gt(0)))
    retry_after: str | None = "1"
    sync_seconds: float = 90.0
    admission_seconds: float = 0.0
    output_ttl: float | None = None
    result_shape: str = field(default="data.output", validator=in_(RESULT_SHAPES))
    strict: bool = False
    ledger: Ledger = field(factory=Ledger, init=False)
    tasks: dict[str, Task] = field(factory=dict[str, Task], init=False)
    """All accepted tasks by id."""
    idempotency_keys: dict[tuple[str, str], tuple[str, bytes]] = field(
        factory=dict[tuple[str, str], tuple[str, bytes]], init=False
    )
    """Ids of tasks with a digest of their submissions, by provider and idempotency key."""
    client_ids: dict[tuple[str, str], str] = field(factory=dict[tuple[str, str], str], init=False)
    """Ids of tasks by provider and the caller's own id."""
    outbox: Outbox = field(factory=Outbox, init=False)
    """Webhooks that are to be sent."""
    uploads: UploadStore = field(factory=UploadStore, init=False)
    """Media that were uploaded."""
    fault_injector: FaultInjector = field(factory=FaultInjector, init=False)
    _token_buckets: dict[FaultStage, TokenBucket] = field(init=False)
    _repeats: Counter[str] = field(factory=Counter[str], init=False)
    _open_until: list[float] = field(factory=list[float], init=False)
    _slots_until: list[float] = field(factory=list[float], init=False)
    _refunds: list[tuple[float, str]] = field(factory=list[tuple[float, str]], init=False)

    def __attrs_post_init__(self) -> None:
        self._token_buckets = {
            FaultStage.SUBMIT: TokenBucket(self.submit_per_second, self.submit_burst),
            FaultStage.POLL: TokenBucket(self.poll_per_second, self.poll_burst),
        }

    @property
    def entries(self) -> list[Charge]:
        """All charges, in order."""
        return self.ledger.entries

    @property
    def spent(self) -> Decimal:
        """The sum of all charges that were not refunded, in US dollars."""
        return self.ledger.spent

    @property
    def log(self) -> list[LoggedRequest]:
        """The latest 100,000 requests, in order."""
        return list(self.ledger.log)

    @property
    def submits(self) -> int:
        """The number of submissions, whatever the response."""
        return self.ledger.count("submit")

    @property
    def polls(self) -> int:
        """The number of polls, whatever the response."""
        return self.ledger.count("poll")

    @property
    def downloads(self) -> int:
        """The number of requests for files, whatever the response."""
        return self.ledger.count("download")

    def billed(self, prompt: str | None = None) -> int:
        """Return the number of charges for a prompt, or of all; refunded ones do not count."""
        return self.ledger.billed(prompt)

    def count(self, kind: Kind) -> int:
        """Return the number of requests of a kind, whatever the response."""
        return self.ledger.count(kind)

    def key_for(self, provider: str) -> str:
        """Return the API key of a provider. The paths of some are the same, so their keys tell them apart."""
        return self.key if provider in _WITHOUT_SUFFIX else f"{self.key}-{provider}"

    def webhook_secret(self, provider: str) -> str:
        """Return the secret that signs the webhooks of a provider; fal's are signed with a key pair of the sandbox."""
        return secret_of(provider, self.key_for(provider))

    # For tests.

    def script(self, faults: Iterable[str | None]) -> None:
        """Inject faults into the next submissions, one each; None is none. Raises ValueError for an unknown name."""
        self.fault_injector.script(FaultStage.SUBMIT, faults)

    def script_polls(self, faults: Iterable[str | None]) -> None:
        """Inject faults into the next polls, one each, named with or without ``poll_``."""
        self.fault_injector.script(FaultStage.POLL, faults)

    def script_downloads(self, faults: Iterable[str | None]) -> None:
        """Inject faults into the next downloads, one each, named with or without ``file_``."""
        self.fault_injector.script(FaultStage.FILE, faults)

    def script_webhooks(self, faults: Iterable[str | None]) -> None:
        """Inject faults into the webhooks of the next submissions, one each, named with or without ``webhook_``."""
        self.fault_injector.script(FaultStage.WEBHOOK, faults)

    def script_uploads(self, faults: Iterable[str | None]) -> None:
        """Inject faults into the next requests of uploads, one each, named with or without ``upload_``."""
        self.fault_injector.script(FaultStage.UPLOAD, faults)

    # For the handler.

    def wait_for(self, stage: FaultStage, *, now: float) -> float:
        """Count a request against its rate limit; return 0, or the seconds until one would be allowed."""
        return self._token_buckets[stage].acquire(now)

    def find(self, provider: str, id: str, *, by_client_id: bool = False) -> Task | None:
        """Return a provider's task by its id, or by the caller's own; None if there is none."""
        task = self.tasks.get(id)
        if task is None and by_client_id:
            task = self.tasks.get(self.client_ids.get((provider, id), ""))
        return task if task is not None and task.spec.provider == provider else None

    def keep_key(self, provider: str, key: str, task: Task, request: Request) -> None:
        """Keep the idempotency key of a task's submission; an empty one is none."""
        if key:
            self.idempotency_keys[provider, key] = (task.id, _digest(request))

    def find_key(self, provider: str, key: str, request: Request) -> tuple[Task, bool] | None:
        """Return the task that has an idempotency key, and whether a request is its submission; None if none has it."""
        id, digest = self.idempotency_keys.get((provider, key), ("", b""))
        task = self.tasks.get(id)
        if task is None or request.now - task.at >= _KEY_SECONDS:
            return None
        return task, digest == _digest(request)

    def is_full(self, *, now: float, slots: int = 1) -> bool:
        """Return whether so many open tasks more would exceed their maximum number."""
        while self._open_until and self._open_until[0] <= now:
            heapq.heappop(self._open_until)
        return self.max_open is not None and len(self._open_until) + slots > self.max_open

    def settle(self, *, now: float) -> None:
        """Make the refunds that are due by now."""
        while self._refunds and self._refunds[0][0] <= now:
            self.balance += self.ledger.refund(heapq.heappop(self._refunds)[1])

    def accept(
        self, spec: TaskSpec, *, now: float, utc: datetime, faults: Mapping[str, str | None], answered: bool = True
    ) -> Task:
        """Start a task and charge for it; `answered` is whether the caller gets its id."""
        started_at = self._start_of(now)
        done_at = started_at + self._generation_seconds(spec, faults)
        if self.slots is not None:
            heapq.heappush(self._slots_until, done_at)
        for _ in range(spec.slots):
            heapq.heappush(self._open_until, done_at)
        number = digest_of(self.seed, "id", len(self.tasks)).hex()[:32]
        task = Task(
            id=spec.id_form.format(number),
            spec=spec,
            at=now,
            utc=utc,
            started_at=started_at,
            done_at=done_at,
            faults=dict(faults),
        )
        self.tasks[task.id] = task
        if spec.client_id:
            self.client_ids[spec.provider, spec.client_id] = task.id
        self.balance -= spec.price
        self.ledger.charge(
            Charge(
                id=task.id,
                provider=spec.provider,
                model=spec.model,
                prompt=spec.prompt,
                at=now,
                amount=spec.price,
                answered=answered,
            )
        )
        if spec.refunds and not task.files:
            heapq.heappush(self._refunds, (done_at, task.id))
        return task

    def cancel(self, id: str, *, now: float) -> bool:
        """End a task as cancelled, now; return False if it had finished before. It stays charged."""
        task = self.tasks[id]
        if now >= task.done_at:
            return False
        self.tasks[id] = evolve(task, done_at=now, started_at=min(task.started_at, now), faults={"cancelled": None})
        return True

    def _start_of(self, now: float) -> float:
        if self.slots is None or len(self._slots_until) < self.slots:
            return now
        return max(now, heapq.heappop(self._slots_until))

    def _generation_seconds(self, spec: TaskSpec, faults: Mapping[str, str | None]) -> float:
        self._repeats[spec.prompt] += 1
        latency = self.image_latency if spec.kind == "image" else self.video_latency
        factor = float(faults["slow"] or 10) if "slow" in faults else 1.0
        return factor * self.time_scale * latency.at(draw(self.seed, spec.prompt, self._repeats[spec.prompt]))


def _digest(request: Request) -> bytes:
    """Return a digest of what must be the same in a repeated submission."""
    return digest_of(0, f"{request.method} {request.path}?{request.query}", request.body.hex())
